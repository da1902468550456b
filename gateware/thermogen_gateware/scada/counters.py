"""Counters of the network in one small memory: a strobe each, round in 32 bits.

Each strobe is remembered until its counter's turn, one counter a clock: a counter takes one strobe in as many clocks as there are
counters, and frames are hundreds of clocks long.
Latency: at most as many clocks as there are counters, and two. Area, LIFCL (synthesis): 66 COMB, 19 FF, 2 EBR.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class EventCounters(wiring.Component):
    """`count` strobes, bit by bit; `index` is answered by `value` a clock later."""

    def __init__(self, counters: int):
        self._counters = counters
        super().__init__({"count": In(counters), "index": In(range(counters)), "value": Out(32)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.values = values = Memory(shape=32, depth=self._counters, init=[], attrs={"ram_style": "block"})
        write = values.write_port()
        own, shown = values.read_port(), values.read_port()
        waiting, turn = Signal(self._counters), Signal(range(self._counters))
        # A counter's value comes as the next one's is asked for.
        counts, counter = Signal(), Signal.like(turn)
        served = Signal(self._counters)
        m.d.comb += [
            own.addr.eq(turn),
            write.addr.eq(counter),
            write.data.eq(own.data + 1),
            write.en.eq(counts),
            served.eq(1 << turn),
            shown.addr.eq(self.index),
            self.value.eq(shown.data),
        ]
        m.d.sync += [counts.eq(waiting.bit_select(turn, 1)), counter.eq(turn)]
        m.d.sync += [turn.eq(turn + 1), waiting.eq((waiting & ~served) | self.count)]
        with m.If(turn == self._counters - 1):
            m.d.sync += turn.eq(0)
        return m
