"""The channels' currents, looked at by the protection itself and not by the tracker.

The tracker turns one channel off at the first sample beyond its rating. Where the current goes on for all that, the channel's switch does
not obey, and only the run wire and its module's drivers can be tried: after 20 exchanges in a row (2 ms) above 3.9 A, or below −0.5 A, on
the same channel everything trips, and the trip names the channel. 3.9 A is just below what the amplifier can still measure (4.1 A);
−0.5 A is five times the tracker's own limit, so that the tracker is always first. The counts are kept channel by channel in memory; a
channel of an absent module counts as zero ampere.
Latency: 20 exchanges. A look takes 2 clocks a channel + 2. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .module_link import CURRENT_BITS, CURRENT_ZERO

MILLIAMPERES_PER_STEP = 2
OVERCURRENT_RAW = CURRENT_ZERO + 3_900 // MILLIAMPERES_PER_STEP
REVERSE_RAW = CURRENT_ZERO - 500 // MILLIAMPERES_PER_STEP
EXCHANGES = 20


class ChannelGuard(wiring.Component):
    """`start` begins a look at all `total` channels, through `current_addr` → `current_data` one clock later.

    `overcurrent`, `reverse`: some channel has been beyond that limit for 20 looks; they last until a look in which none is.
    `channel` is the first one that was found so since nothing was wrong.
    """

    def __init__(self, total: int):
        self._total = total
        super().__init__(
            {
                "start": In(1),
                "current_addr": Out(range(total)),
                "current_data": In(CURRENT_BITS, init=CURRENT_ZERO),
                "overcurrent": Out(1),
                "reverse": Out(1),
                "channel": Out(range(max(total, 2))),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        depth = 1 << (self._total - 1).bit_length()
        m.submodules.counts = counts = Memory(shape=range(EXCHANGES + 1), depth=max(depth, 2), init=[])
        count_rd, count_wr = counts.read_port(), counts.write_port()
        index = Signal(range(self._total))
        above, below = Signal(), Signal()
        found_above, found_below = Signal(), Signal()
        beyond, reached = Signal(), Signal()
        m.d.comb += [
            self.current_addr.eq(index),
            count_rd.addr.eq(index),
            count_wr.addr.eq(index),
            above.eq(self.current_data > OVERCURRENT_RAW),
            below.eq(self.current_data < REVERSE_RAW),
            beyond.eq(above | below),
            count_wr.data.eq(Mux(beyond, Mux(count_rd.data == EXCHANGES, EXCHANGES, count_rd.data + 1), 0)),
            reached.eq(count_wr.data == EXCHANGES),
        ]
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [index.eq(0), found_above.eq(0), found_below.eq(0)]
                m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += count_wr.en.eq(1)
                with m.If(reached):
                    m.d.sync += [found_above.eq(found_above | above), found_below.eq(found_below | below)]
                    with m.If(~(found_above | found_below | self.overcurrent | self.reverse)):
                        m.d.sync += self.channel.eq(index)
                m.next = "FETCH"
                with m.If(index == self._total - 1):
                    m.next = "END"
                with m.Else():
                    m.d.sync += index.eq(index + 1)
            with m.State("END"):
                m.d.sync += [self.overcurrent.eq(found_above), self.reverse.eq(found_below)]
                m.next = "IDLE"
        return m
