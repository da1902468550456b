"""The only controller of an I2C bus, a condition or a byte at a time.

Reference: NXP UM10204 (I2C-bus specification), fast mode: a quarter of a bit is 0.66 us, so that SCL is low for 1.32 us and high as long.
The target may not stretch the clock: a tamper-wiped memory does not. `scl_low` and `sda_low` pull the wires, which are pulled up outside.
What goes out and what comes in are kept apart, so that a byte of the key that is written is in no register that is read.
Latency: 4 quarters a condition, 36 a byte.
"""

import enum
import math

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

QUARTER_S = 0.66e-6
LEAST_QUARTER_CLOCKS = 2
"""A wire that is let go has to be back through the synchroniser when it is looked at."""
WIRES = ("scl_low", "sda_low", "sda")


class BusStep(enum.Enum):
    """What the bus does next."""

    START = 0
    """Or a repeated one."""
    STOP = 1
    BYTE = 2
    """Nine bits, as `sent` and `acknowledge` say."""


class I2cController(wiring.Component):
    """`start` (one clock, while not `busy`) does `step`; `done` is high in its last clock.

    In BYTE `sent` goes out, and `received` comes in beside it: give 0xFF to read. `acknowledge` pulls the ninth bit; `acknowledged` is what
    it was.
    """

    step: In(BusStep)
    start: In(1)
    sent: In(8)
    acknowledge: In(1)
    busy: Out(1)
    done: Out(1)
    received: Out(8)
    acknowledged: Out(1)
    scl_low: Out(1)
    sda_low: Out(1)
    sda: In(1, init=1)

    def __init__(self, clock_hz: float):
        self._quarter = max(LEAST_QUARTER_CLOCKS, math.ceil(clock_hz * QUARTER_S))
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        sda = Signal(init=1)
        m.submodules.sda_synchroniser = FFSynchronizer(self.sda, sda, init=1)
        wait, quarter, bit = Signal(range(self._quarter)), Signal(2), Signal(range(9))
        step, sending, shifted = Signal(BusStep), Signal(9), Signal(9)
        ends = Signal()
        m.d.comb += [
            ends.eq(self.busy & (wait == 0)),
            self.done.eq(ends & (quarter == 3) & ((step != BusStep.BYTE) | (bit == 8))),
            self.received.eq(shifted[1:]),
            self.acknowledged.eq(~shifted[0]),
        ]
        with m.If(self.start & ~self.busy):
            m.d.sync += [self.busy.eq(1), step.eq(self.step), sending.eq(Cat(~self.acknowledge, self.sent)), quarter.eq(0), bit.eq(0)]
            m.d.sync += [wait.eq(self._quarter - 1), self.scl_low.eq(1)]
        with m.Elif(self.busy):
            m.d.sync += wait.eq(wait - 1)
        with m.If(ends):
            m.d.sync += [wait.eq(self._quarter - 1), quarter.eq(quarter + 1)]
            with m.Switch(quarter):
                with m.Case(0), m.Switch(step):
                    with m.Case(BusStep.START):
                        m.d.sync += self.sda_low.eq(0)
                    with m.Case(BusStep.STOP):
                        m.d.sync += self.sda_low.eq(1)
                    with m.Case(BusStep.BYTE):
                        m.d.sync += self.sda_low.eq(~sending[-1])
                with m.Case(1):
                    m.d.sync += self.scl_low.eq(0)
                with m.Case(2), m.Switch(step):
                    with m.Case(BusStep.START):
                        m.d.sync += self.sda_low.eq(1)
                    with m.Case(BusStep.STOP):
                        m.d.sync += self.sda_low.eq(0)
                with m.Case(3):
                    with m.If(step != BusStep.STOP):
                        m.d.sync += self.scl_low.eq(1)
                    with m.If(step == BusStep.BYTE):
                        # Taken late in the high half: what the synchroniser holds is older by two clocks.
                        m.d.sync += [shifted.eq(Cat(sda, shifted)), sending.eq(sending << 1), bit.eq(bit + 1)]
                    with m.If(self.done):
                        m.d.sync += self.busy.eq(0)
        return m
