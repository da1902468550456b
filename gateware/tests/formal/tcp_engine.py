"""What has to hold of the TCP state machine, whatever is in its connections' words.

The memory of those words is taken out of the core: what is read of it is free, so nothing here depends on what was written. Of the IP
layer the contract of `IngressSignature` is given: a payload begins only after the last one's verdict. Nothing else is.
"""

from __future__ import annotations

from amaranth.hdl import Fragment, Module, Mux, Signal, Value

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state

CONNECTIONS = 8
MOST_CLOCKS = 160
"""As tcp_engine.py says, without what is waited for."""
ANSWER_CLOCKS = 30
"""From an application's answer to its segment."""
COOKIE_CLOCKS = 29

_PREPARE = ("PREPARE", "PREPARE_CONTROL", "PREPARE_PORT", "PREPARE_IP", "PREPARE_MAC_LOW", "PREPARE_MAC_HIGH", "PREPARED")
_ARRIVAL = ("ARRIVAL", "JUDGE", "HEARD", "ELAPSED", "HEARD_NOW", "SEQUENCE", "MEASURE", "TIMER", "RTT", "ASKED", "ARRIVAL_END")
_ANSWERED = ("ANSWERED", "ANSWERED_END", "ANSWERED_CONSUMED", "ANSWERED_UNA", "ANSWERED_ROOM")
_WORK = tuple("WORK" + of for of in ("", "_CONTROL", "_UNA", "_NXT", "_END", "_USABLE", "_LENGTH", "_DECIDE", "_SENDS"))
_FIELDS = ("IP_UPPER", "IP_LOWER", "MAC_LOW", "MAC_HIGH", "PORT", "ACK_UPPER", "ACK_LOWER", "WINDOW", "SEQ_UPPER", "SEQ_LOWER", "FLAGS")
_SEGMENT = tuple(f"SEGMENT_{of}" for of in (*_FIELDS, "SOURCE", "LENGTH", "OPTION", "OPTION_SIZE", "GO"))
_SENT = ("ARM", "TIME", "TIME_NOW", "WORK_DONE")
_VISIT = tuple("VISIT" + of for of in ("", "_CONTROL", "_UNA", "_END", "_RECEIVED", "_IP", "_START", "_OVER"))
_TICK = tuple("TICK" + of for of in ("", "_CONTROL", "_TIMER", "_HEARD", "_DECIDE", "_END"))
Stage = tuple[int, dict[str, Value | int]]
"""The most clocks of a stage, and for each of its states what remains of them."""


def _one_by_one(*names: str) -> list[Stage]:
    return [(0, {name: 0}) for name in names]


class NoDeadEnd(Spec):
    """A measure of what is to be done goes down in every clock in which nothing is waited for, and somebody is there who will come."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp import TcpServer

        core = TcpServer(clocks_per_tick=1000, connections=CONNECTIONS)
        inside = self.around(core)
        self.free_memory(inside, "words")
        under_way = Signal()
        ingress = core.ingress
        with m.If(ingress.valid & ingress.first):
            m.d.sync += under_way.eq(1)
        with m.If(ingress.commit | ingress.drop):
            m.d.sync += under_way.eq(0)
        self.given(~(ingress.valid & ingress.first & under_way))

        arrived, prepared, claimed, candidate = (internal(inside, name) for name in ("arrived", "prepared", "claimed", "candidate"))
        receiver, visit, transmitter = (inside.find_subfragment(name) for name in ("receiver", "visit", "transmitter"))
        busy, active, live = internal(receiver, "busy"), internal(visit, "active"), internal(visit, "live")
        comes, falls = internal(receiver, "arrived"), internal(receiver, "dropped")
        flags = internal(receiver, "segment")
        self._no_end_of_its_own(m, core, inside, active)


PROPERTIES: tuple[Property, ...] = ()
