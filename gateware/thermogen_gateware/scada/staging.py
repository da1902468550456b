"""Writes of one MODBUS request, staged: each word is judged as it comes, and all are made true at once, or none.

Reference: MODBUS application protocol V1.1b3, section 7 (the exceptions), `thermogen_esf.scada` (the ranges). A client may write where
its address is within an entry of the allow-list, or the panel enables writing, and then what the setting `writable` lists.
Latency: a word's verdict one clock after it. Area, LIFCL (synthesis): counted in `registers.py`.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.scada import WRITABLES

from ..network.ports import IP_ADDRESS, Refusal
from .allow_list import AllowListSignature
from .overrides import STAGED

HEARTBEAT = next(place for place, writable in enumerate(WRITABLES) if writable.identifier == "heartbeat")
COILS, HOLDING = 0, 3
"""The spaces of the port that may be written."""


class WriteStaging(wiring.Component):
    """The port's `begin`, `end`, `abort`, `write`, `space`, `address`, `value`, `peer_ip` → `refusal`; `apply` with `written` and `staged`.

    `peer_ip` holds from `begin` to `end`, and the first word comes when the allow-list has settled; between requests it says whether
    `owner` may write (`owner_may_write`, which is 1 during a request and until it has settled). `busy` refuses writes, of the heartbeat
    only with `heartbeat_busy`.
    """

    def __init__(self):
        super().__init__(
            {
                "begin": In(1),
                "end": In(1),
                "abort": In(1),
                "write": In(1),
                "space": In(2),
                "address": In(16),
                "value": In(16),
                "peer_ip": In(IP_ADDRESS),
                "refusal": Out(Refusal),
                "busy": In(1),
                "heartbeat_busy": In(1),
                "allow_list": Out(AllowListSignature()),
                "writable": In(len(WRITABLES)),
                "panel_enable": In(1),
                "owner": In(IP_ADDRESS),
                "owner_may_write": Out(1, init=1),
                "some_may_write": Out(1),
                "apply": Out(1),
                "written": Out(len(WRITABLES)),
                "staged": Out(STAGED),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        open_, may_write = Signal(), Signal()
        allow_list = self.allow_list
        of_peer, was_of_peer = Signal(), Signal()
        m.d.comb += [
            of_peer.eq(open_ | self.begin),
            allow_list.ip.eq(Mux(of_peer, self.peer_ip, self.owner)),
            allow_list.anew.eq(self.begin | (of_peer != was_of_peer)),
            may_write.eq(self.panel_enable | allow_list.allowed),
            self.some_may_write.eq(self.panel_enable | allow_list.some),
        ]
        m.d.sync += [was_of_peer.eq(of_peer), self.owner_may_write.eq(of_peer | ~allow_list.settled | may_write)]

        listed, in_range = Signal(), Signal()
        here = Signal(len(WRITABLES))
        for place, writable in enumerate(WRITABLES):
            coil = (self.space == COILS) & (self.address == writable.coil) if writable.coil is not None else 0
            register = (self.space == HOLDING) & (self.address == writable.address)
            m.d.comb += here[place].eq(coil | register)
            with m.If(register):
                m.d.comb += in_range.eq(~_outside(self.value, writable.minimum, writable.maximum))
            with m.Elif(coil):
                m.d.comb += in_range.eq(1)
        m.d.comb += listed.eq((here & self.writable).any())

        verdict = Signal(Refusal)
        with m.If(~may_write):
            m.d.comb += verdict.eq(Refusal.ILLEGAL_FUNCTION)
        with m.Elif(~listed):
            m.d.comb += verdict.eq(Refusal.ILLEGAL_ADDRESS)
        with m.Elif(~in_range):
            m.d.comb += verdict.eq(Refusal.ILLEGAL_VALUE)
        with m.Elif(Mux(here[HEARTBEAT], self.heartbeat_busy, self.busy)):
            m.d.comb += verdict.eq(Refusal.BUSY)

        with m.If(self.write & open_ & (self.refusal == Refusal.NONE)):
            m.d.sync += self.refusal.eq(verdict)
            for place, writable in enumerate(WRITABLES):
                # What is refused must not change what an event still has to say of the request before.
                with m.If(here[place] & (verdict == Refusal.NONE)):
                    # A coil has one bit, whatever else is in the word.
                    m.d.sync += self.staged[writable.identifier].eq(Mux(self.space == COILS, self.value[0], self.value))
                    m.d.sync += self.written[place].eq(1)
        m.d.comb += self.apply.eq(self.end & open_ & (self.refusal == Refusal.NONE) & self.written.any())
        with m.If(self.begin):
            m.d.sync += [open_.eq(1), self.refusal.eq(Refusal.NONE), self.written.eq(0)]
        with m.Elif(self.end | self.abort):
            m.d.sync += open_.eq(0)
        return m


def _outside(value: Value, minimum: int, maximum: int) -> Value:
    return (value < minimum) | (value > maximum)
