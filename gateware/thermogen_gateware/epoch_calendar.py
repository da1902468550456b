"""The calendar of leaves and epochs: what is due at a second of site time.

Epoch e holds the times 900 e + 10 … 900 e + 900, a leaf every 10 s; it seals with its last. Both come from (time - 1) divided by
900 and what remains divided by 10, one quotient bit a clock. Latency: about 70 clocks. Area, LIFCL: 160 COMB, 88 FF.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import EPOCH_S, LEAF_PERIOD_S

from .divider import SerialDivider

TIME_BITS = 32


class EpochCalendar(wiring.Component):
    """`epoch`, `leaf_due` and `last_of_epoch` of `time`, some clocks after `start`; `leaf_due` is 0 meanwhile and after `cancel`."""

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "cancel": In(1),
                "time": In(TIME_BITS),
                "epoch": Out(TIME_BITS),
                "leaf_due": Out(1),
                "last_of_epoch": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        due, cancelled = Signal(), Signal()
        m.d.comb += self.leaf_due.eq(due & ~cancelled)
        m.submodules.divider = divider = SerialDivider(TIME_BITS, (EPOCH_S - 1).bit_length())
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [divider.dividend.eq(self.time - 1), divider.divisor.eq(EPOCH_S), divider.start.eq(self.start)]
                with m.If(self.start):
                    m.d.sync += [due.eq(0), cancelled.eq(0)]
                    m.next = "EPOCH"
            with m.State("EPOCH"), m.If(divider.done):
                m.d.sync += [self.epoch.eq(divider.quotient), self.last_of_epoch.eq(divider.remainder == EPOCH_S - 1)]
                m.next = "DIVIDE_REST"
            with m.State("DIVIDE_REST"):
                m.d.comb += [divider.dividend.eq(divider.remainder), divider.divisor.eq(LEAF_PERIOD_S), divider.start.eq(1)]
                m.next = "LEAF"
            with m.State("LEAF"), m.If(divider.done):
                m.d.sync += due.eq(divider.remainder == LEAF_PERIOD_S - 1)
                m.next = "IDLE"
        with m.If(self.cancel):
            m.d.sync += cancelled.eq(1)
        return m
