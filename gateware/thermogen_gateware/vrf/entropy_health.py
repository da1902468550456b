"""Whether a noise source of one bit a sample still makes noise.

Reference: NIST SP 800-90B, 4.4.1 (repetition count test) and 4.4.2 (adaptive proportion test), with a false alarm in 2^30 samples. The
assessed entropy of a sample is a parameter: a ring oscillator's has to be measured on the board.
Latency: one clock.
"""

import math

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WINDOW = 1024
"""Of the adaptive proportion test, for binary sources."""
FALSE_ALARM_BITS = 30


def repetition_cutoff(entropy: float) -> int:
    """4.4.1: so many equal samples in a row are an alarm."""
    return 1 + math.ceil(FALSE_ALARM_BITS / entropy)


def proportion_cutoff(entropy: float) -> int:
    """4.4.2: so many samples of a window that are equal to its first are an alarm; one more than the binomial quantile."""
    likely = 2.0**-entropy
    tail = 0.0
    for count in range(WINDOW, -1, -1):
        tail += math.comb(WINDOW, count) * likely**count * (1 - likely) ** (WINDOW - count)
        if tail > 2.0**-FALSE_ALARM_BITS:
            return 1 + count
    return 0


class EntropyHealth(wiring.Component):
    """`alarm` rises with the sample that fails a test and stays until `restart`; `tested` once a whole window has passed since then."""

    sample: In(1)
    valid: In(1)
    restart: In(1)
    alarm: Out(1)
    tested: Out(1)

    def __init__(self, entropy: float = 0.5):
        if not 0 < entropy <= 1:
            raise ValueError(f"{entropy} bits a sample: give more than 0, and 1 at most")
        self.repetitions = repetition_cutoff(entropy)
        self.proportion = proportion_cutoff(entropy)
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        last, repeated = Signal(), Signal(range(self.repetitions + 1))
        first, place, equal = Signal(), Signal(range(WINDOW)), Signal(range(WINDOW + 1))
        run, met = Signal.like(repeated), Signal.like(equal)
        m.d.comb += [
            run.eq(Mux((repeated != 0) & (self.sample == last), repeated + 1, 1)),
            met.eq(Mux(place == 0, 1, equal + (self.sample == first))),
        ]
        with m.If(self.valid):
            m.d.sync += [last.eq(self.sample), repeated.eq(run), place.eq(place + 1), equal.eq(met)]
            with m.If(place == 0):
                m.d.sync += first.eq(self.sample)
            with m.If(place == WINDOW - 1):
                m.d.sync += self.tested.eq(1)
            with m.If((run == self.repetitions) | (met == self.proportion)):
                # It stays where it is: a counter that went on would wrap.
                m.d.sync += [self.alarm.eq(1), repeated.eq(0)]
        with m.If(self.restart):
            m.d.sync += [self.alarm.eq(0), self.tested.eq(0), repeated.eq(0), place.eq(0)]
        return m
