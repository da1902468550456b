"""The record of what SCADA wrote: each register write is an event that waits in block RAM until the daemon has stored it.

Reference: `thermogen_esf.scada` (the words of an event). Writes of the heartbeat that follow each other from one client become one event
with their number: a keep-alive every few seconds must not push out what matters, nor fill the ring while the daemon is away. The ring is
never overwritten: where fewer than RESERVE places are left, writes are refused as busy, so that none goes unrecorded; then heartbeats go
on being counted, and an override's end, of which there is one a write, still finds its place. Latency: 9 clocks an event. Area, LIFCL
(synthesis): 743 COMB, 395 FF, 1 EBR.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.scada import EVENT_RING, EVENT_WORDS, MOST_COUNTED, WRITABLE, WRITABLES, WriteKind

from .overrides import STAGED

RESERVE, RUN_RESERVE = 16, 4
RUN_S = 60
"""Longest run of heartbeats in one event, in site seconds."""
HEARTBEAT = next(place for place, writable in enumerate(WRITABLES) if writable.identifier == "heartbeat")
STROBES = ("trip_clear", "override_release")
"""Writables that are orders: they have no value before."""
RING_BITS = (EVENT_RING - 1).bit_length()
WORD_BITS = 16
COUNT_BITS = MOST_COUNTED.bit_length()


class WriteEvents(wiring.Component):
    """`apply` with `written`, `staged` and what was before (`values`), by `ip` at site time `time` → events; `ended`, of `owner`, too.

    `owner` is who applied last, from the clock after. `next` and `oldest` number the events round in 32 bits; `acknowledge` (strobe) with
    `stored` frees those before it. `read_address` (event mod EVENT_RING, then its word) → `read_data` one clock later. `busy`: writes are
    to be refused; of the heartbeat only with `heartbeat_busy`. `second` strobes once a site second.
    """

    def __init__(self):
        super().__init__(
            {
                "apply": In(1),
                "written": In(len(WRITABLES)),
                "staged": In(STAGED),
                "values": In(STAGED),
                "ip": In(32),
                "time": In(32),
                "second": In(1),
                "ended": In(1),
                "owner": In(32),
                "busy": Out(1),
                "heartbeat_busy": Out(1),
                "full": Out(1),
                "next": Out(32),
                "oldest": Out(32),
                "acknowledge": In(1),
                "stored": In(32),
                "read_address": In(RING_BITS + (EVENT_WORDS - 1).bit_length()),
                "read_data": Out(WORD_BITS),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.ring = ring = Memory(shape=WORD_BITS, depth=EVENT_RING * EVENT_WORDS, init=[])
        write, read = ring.write_port(), ring.read_port()
        m.d.comb += [read.addr.eq(self.read_address), self.read_data.eq(read.data)]
        with m.If(self.acknowledge):
            m.d.sync += self.oldest.eq(self.stored)
        kept = Signal(RING_BITS + 1)
        m.d.comb += [kept.eq(self.next - self.oldest), self.full.eq(kept > EVENT_RING - RESERVE)]

        # The run of heartbeats, and the one that is closed and waits to be told.
        run = {"count": Signal(COUNT_BITS), "ip": Signal(32), "time": Signal(32), "old": Signal(16), "new": Signal(16)}
        told = {name: Signal.like(each, name=f"told_{name}") for name, each in run.items()}
        seconds = Signal(range(RUN_S + 1))
        others, other_client = Signal(len(WRITABLES)), Signal()
        beats, closes, close_now = Signal(), Signal(), Signal()
        m.d.comb += [
            others.eq(self.written & ~(1 << HEARTBEAT)),
            other_client.eq(self.ip != run["ip"]),
            beats.eq(self.apply & self.written[HEARTBEAT]),
            closes.eq((self.apply & (others.any() | other_client)) | self.ended | (seconds == RUN_S) | run["count"].all()),
            close_now.eq((run["count"] != 0) & (told["count"] == 0) & closes),
        ]
        with m.If(self.second & (seconds != RUN_S)):
            m.d.sync += seconds.eq(seconds + 1)
        with m.If(close_now):
            m.d.sync += [*(told[name].eq(run[name]) for name in run), run["count"].eq(0)]
        with m.If(beats):
            m.d.sync += run["new"].eq(self.staged.heartbeat)
            with m.If(close_now | (run["count"] == 0)):
                m.d.sync += [run["count"].eq(1), run["ip"].eq(self.ip), run["time"].eq(self.time), seconds.eq(0)]
                m.d.sync += run["old"].eq(self.values.heartbeat)
            with m.Elif(~run["count"].all()):
                m.d.sync += run["count"].eq(run["count"] + 1)

        # What one request wrote: its new values stay staged until the next, which is refused until these are told.
        waiting, expired, time = Signal(len(WRITABLES)), Signal(), Signal(32)
        old = {name: Signal(16, name=f"old_{name}") for name in WRITABLE if name not in (*STROBES, "heartbeat")}
        with m.If(self.apply):
            m.d.sync += [waiting.eq(others), *(each.eq(self.values[name]) for name, each in old.items())]
        with m.If(self.ended):
            m.d.sync += expired.eq(1)
        with m.If(self.ended | self.apply):
            m.d.sync += time.eq(self.time)

        # One event after the other, a word a clock: the closed run first, then the registers in their order, then the expiry.
        kind, count = Signal(4), Signal(COUNT_BITS)
        old_word, new_word, address = Signal(16), Signal(16), Signal(16)
        is_run, is_write, first = Signal(), Signal(), Signal(len(WRITABLES))
        step, telling = Signal(range(EVENT_WORDS)), Signal()
        m.d.comb += [
            is_run.eq((told["count"] != 0) & (kept <= EVENT_RING - RUN_RESERVE)),
            is_write.eq(~is_run & waiting.any()),
            first.eq(waiting & (~waiting + 1)),
            telling.eq((is_run | is_write | expired) & ~self.apply & ~self.ended),
            kind.eq(Mux(is_run, WriteKind.HEARTBEATS, Mux(is_write, WriteKind.WRITE, WriteKind.EXPIRED))),
            count.eq(Mux(is_run, told["count"], 1)),
        ]
        with m.If(is_run):
            m.d.comb += [old_word.eq(told["old"]), new_word.eq(told["new"]), address.eq(WRITABLE["heartbeat"].address)]
        with m.Elif(is_write):
            for place, writable in enumerate(WRITABLES):
                with m.If(first[place]):
                    m.d.comb += [address.eq(writable.address), new_word.eq(self.staged[writable.identifier])]
                    m.d.comb += old_word.eq(old.get(writable.identifier, 0))
        told_time, told_ip = Mux(is_run, told["time"], time), Mux(is_run, told["ip"], self.owner)
        words = (told_time[16:], told_time[:16], told_ip[16:], told_ip[:16], address, old_word, new_word, Cat(count, kind))
        m.d.comb += [
            write.addr.eq(Cat(step, self.next[:RING_BITS])),
            write.data.eq(Cat(*words).word_select(step, WORD_BITS)),
            write.en.eq(telling),
        ]
        chosen = Signal(2)
        m.d.sync += chosen.eq(Cat(is_run, is_write))
        with m.If(telling & ((step == 0) | (chosen == Cat(is_run, is_write)))):
            m.d.sync += step.eq(step + 1)
            with m.If(step == EVENT_WORDS - 1):
                m.d.sync += self.next.eq(self.next + 1)
                with m.If(is_run):
                    m.d.sync += told["count"].eq(0)
                with m.Elif(is_write):
                    m.d.sync += waiting.eq(waiting & ~first)
                with m.Else():
                    m.d.sync += expired.eq(0)
        with m.Else():
            # A closed run came in between, or nothing is to be told: the event is written again from its first word.
            m.d.sync += step.eq(0)
        m.d.comb += [
            self.busy.eq(self.full | waiting.any() | expired | (told["count"] != 0)),
            self.heartbeat_busy.eq(expired | waiting.any() | ((told["count"] != 0) & (run["count"] != 0) & other_client)),
        ]
        return m
