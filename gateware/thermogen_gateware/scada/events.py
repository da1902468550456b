"""The record of what SCADA wrote: each register write is an event that waits in block RAM until the daemon has stored it.

Reference: `thermogen_esf.scada` (the words of an event). Writes of the heartbeat that follow each other from one client become one event
with their number: a keep-alive every few seconds must not push out what matters, nor fill the ring while the daemon is away. The ring is
never overwritten: where fewer than RESERVE places are left, writes are refused as busy, so that none goes unrecorded; then heartbeats go
on being counted, and an override's end, of which there is one a write, still finds its place. Where fewer than RUN_RESERVE are left, a
run of heartbeats goes on until there are more, and a heartbeat of another client is busy.
An event is told in one clock, so that a request is told before the MODBUS server can have staged the next one's first word: but for a
full ring nothing is busy. Latency: one clock an event. Area, LIFCL (synthesis): counted in `registers.py`, 4 EBR of it.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.scada import EVENT_RING, EVENT_WORDS, MOST_COUNTED, WRITABLE, WRITABLES, WriteKind

from .overrides import STAGED

RESERVE, RUN_RESERVE = 16, 4
RUN_S = 60
"""Longest run of heartbeats in one event, in site seconds, unless the ring is full."""
HEARTBEAT = next(place for place, writable in enumerate(WRITABLES) if writable.identifier == "heartbeat")
STROBES = ("trip_clear", "override_release")
"""Writables that are orders: they have no value before."""
RING_BITS = (EVENT_RING - 1).bit_length()
WORD_BITS = 16
COUNT_BITS = MOST_COUNTED.bit_length()


class WriteEvents(wiring.Component):
    """`apply` with `written`, `staged` and what was before (`values`), by `ip` at site time `time` → events; `ended`, of `owner`, too.

    `owner` is who applied last, from the clock after. `staged` holds until the next request's first word that is not refused. `next` and
    `oldest` number the events round in 32 bits; `acknowledge` (strobe) with `stored` frees those before it. `read_address` (event mod
    EVENT_RING, then its word) → `read_data` one clock later. `busy`: writes are to be refused; of the heartbeat, by `ip`, only with
    `heartbeat_busy`. `second` strobes once a site second.
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
        m.submodules.ring = ring = Memory(shape=WORD_BITS * EVENT_WORDS, depth=EVENT_RING, init=[])
        write = ring.write_port()
        self._read(m, ring)
        with m.If(self.acknowledge):
            m.d.sync += self.oldest.eq(self.stored)
        kept, room = Signal(RING_BITS + 1), Signal()
        m.d.comb += [
            kept.eq(self.next - self.oldest),
            self.full.eq(kept > EVENT_RING - RESERVE),
            room.eq(kept <= EVENT_RING - RUN_RESERVE),
        ]

        # What is to be told: a run of heartbeats that is over, what one request wrote (its new values stay staged), an override's end.
        # A run is of who applied last, and its last value is the heartbeat's: another client's write, or another register's, ends it.
        sizes = {"count": COUNT_BITS, "time": 32, "old": WORD_BITS}
        run = {name: Signal(bits, name=f"run_{name}") for name, bits in sizes.items()}
        seconds = Signal(range(RUN_S + 1))
        waiting, expired, time = Signal(len(WRITABLES)), Signal(), Signal(32)
        old = {name: Signal.like(self.values[name], name=f"old_{name}") for name in WRITABLE if name not in (*STROBES, "heartbeat")}
        others, other_client, over = Signal(len(WRITABLES)), Signal(), Signal()
        is_run, is_write, first = Signal(), Signal(), Signal(len(WRITABLES))
        m.d.comb += [
            others.eq(self.written & ~(1 << HEARTBEAT)),
            other_client.eq(self.ip != self.owner),
            over.eq((seconds == RUN_S) | run["count"].all() | self.ended | expired),
            is_write.eq(waiting.any()),
            # A request finds nothing waiting: it is told of the run in its own clock, and of an end before that is told of another owner.
            is_run.eq((run["count"] != 0) & ~is_write & ((self.apply & (others.any() | other_client)) | (over & room))),
            first.eq(waiting & (~waiting + 1)),
        ]

        with m.If(self.second & (seconds != RUN_S)):
            m.d.sync += seconds.eq(seconds + 1)
        with m.If(is_run):
            m.d.sync += run["count"].eq(0)
        with m.If(self.apply & self.written[HEARTBEAT]):
            with m.If(is_run | (run["count"] == 0)):
                m.d.sync += [run["count"].eq(1), run["time"].eq(self.time), run["old"].eq(self.values.heartbeat), seconds.eq(0)]
            with m.Elif(~run["count"].all()):
                m.d.sync += run["count"].eq(run["count"] + 1)

        m.d.sync += waiting.eq(waiting & ~first)
        with m.If(self.apply):
            m.d.sync += [waiting.eq(others), *(each.eq(self.values[name]) for name, each in old.items())]
        with m.If(~is_run & ~is_write):
            m.d.sync += expired.eq(0)
        with m.If(self.ended):
            m.d.sync += expired.eq(1)
        with m.If((self.ended & ~is_write) | self.apply):
            m.d.sync += time.eq(self.time)

        kind = Mux(is_run, WriteKind.HEARTBEATS, Mux(is_write, WriteKind.WRITE, WriteKind.EXPIRED))
        places = {place: writable for place, writable in enumerate(WRITABLES) if place != HEARTBEAT}
        address = {place: C(writable.address, WORD_BITS) for place, writable in places.items()}
        old_word = {place: old[writable.identifier] for place, writable in places.items() if writable.identifier in old}
        new_word = {place: self.staged[writable.identifier] for place, writable in places.items()}
        told_time = Mux(is_run, run["time"], time)
        words = (
            told_time[WORD_BITS:],
            told_time[:WORD_BITS],
            self.owner[WORD_BITS:],
            self.owner[:WORD_BITS],
            Mux(is_run, WRITABLE["heartbeat"].address, _of(first, address)),
            Mux(is_run, run["old"], _of(first, old_word)),
            Mux(is_run, self.values.heartbeat, _of(first, new_word)),
            Cat(Mux(is_run, run["count"], C(1, COUNT_BITS)), C(0, WORD_BITS - COUNT_BITS)) | kind << COUNT_BITS,
        )
        m.d.comb += [
            write.addr.eq(self.next),
            write.data.eq(Cat(_word(word) for word in words)),
            write.en.eq(is_run | is_write | expired),
            self.busy.eq(self.full | is_write),
            self.heartbeat_busy.eq(is_write | ((run["count"] != 0) & other_client & ~room)),
        ]
        with m.If(write.en):
            m.d.sync += self.next.eq(self.next + 1)
        return m

    def _read(self, m: Module, ring: Memory) -> None:
        read = ring.read_port()
        word_bits = (EVENT_WORDS - 1).bit_length()
        word = Signal(word_bits)
        m.d.sync += word.eq(self.read_address)
        m.d.comb += [read.addr.eq(self.read_address[word_bits:]), self.read_data.eq(read.data.word_select(word, WORD_BITS))]


def _of(first: Value, values: dict[int, Value]) -> Value:
    """The value whose bit of `first` is 1, of which at most one is; else 0."""
    return reduce(or_, (Mux(first[place], value, 0) for place, value in values.items()))


def _word(value: Value) -> Value:
    return Cat(value, C(0, WORD_BITS))[:WORD_BITS]
