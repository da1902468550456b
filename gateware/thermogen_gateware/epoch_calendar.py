"""The calendar of leaves and epochs: what is due at a second of site time.

Epoch e holds the times 900 e + 10 … 900 e + 900, a leaf every 10 s; it seals with its last. Both come of one multiplier: time × 2^n / 900,
cut to an integer, is short of the quotient by less than 2^−10 for every 32-bit time. So what stands before the point is (time - 1) divided
by 900, and a time that 900 divides, and no other, has ten ones behind it. With 10 it is 2^−4, and four ones.
Latency: 3 clocks. Area, LIFCL: 13 COMB, 29 FF, a multiplier of 36 by 36 with its registers.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import EPOCH_S, LEAF_PERIOD_S

TIME_BITS = 32


class _Reciprocal:
    """1 / `period`, cut off after so many bits that any time's product is short by less than 2^−`ones` < 1 / period."""

    def __init__(self, period: int):
        self.ones = period.bit_length()
        self.point = TIME_BITS + self.ones
        self.factor = (1 << self.point) // period


_EPOCHS, _LEAVES = _Reciprocal(EPOCH_S), _Reciprocal(LEAF_PERIOD_S)


class EpochCalendar(wiring.Component):
    """`epoch`, `leaf_due` and `last_of_epoch` of `time`, some clocks after `start`; `leaf_due` is 0 meanwhile and after `cancel`.

    Time 0 is no leaf's, and its epoch is 0.
    """

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
        time, of_leaves = Signal(TIME_BITS), Signal()
        product = Signal(_EPOCHS.point + TIME_BITS)
        m.d.comb += product.eq(time * Mux(of_leaves, _LEAVES.factor, _EPOCHS.factor))
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [time.eq(self.time), due.eq(0), cancelled.eq(0), of_leaves.eq(0)]
                m.next = "EPOCH"
            with m.State("EPOCH"):
                m.d.sync += [
                    self.epoch.eq(product[_EPOCHS.point :]),
                    self.last_of_epoch.eq(_divides(product, _EPOCHS)),
                    of_leaves.eq(1),
                ]
                m.next = "LEAF"
            with m.State("LEAF"):
                m.d.sync += due.eq(_divides(product, _LEAVES))
                m.next = "IDLE"
        with m.If(self.cancel):
            m.d.sync += cancelled.eq(1)
        return m


def _divides(product, reciprocal):
    return product[reciprocal.point - reciprocal.ones : reciprocal.point].all()
