"""Site time: UTC seconds counted by the 1 Hz pulse of a GPS receiver or RTC, checked against the crystal.

The crystal counts the second; the pulse only trims it. A second ends at the pulse where that comes within ±200 ppm of the crystal's,
and otherwise at that edge of the window which is nearer to the pulse, so that a pulse of any rate and phase moves site time (and
with it energy) by at most 200 ppm. Without a pulse for 1.5 s the crystal alone counts. Once after the time was set, the first pulse
that agrees with the crystal is taken as the next second's beginning whatever its phase: the host sets the second that is running.
Latency: three clocks from the pin to `second`. Area, LIFCL: 225 COMB, 136 FF.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import TimeQuality

from .elapsed import ELAPSED_BITS, elapsed, elapsed_next

TOLERANCE_PPM = 200
JITTER_CLOCKS = 2
"""An edge is seen up to one clock late: two of them are off by one either way, and a pulse may shift against the crystal by one more."""


class SiteClock(wiring.Component):
    """Site time and what it is worth.

    `pulse` is asynchronous; its rising edge begins a second. `set` (one clock) makes `set_time` the time; while `armed` only a later
    time than the present one is taken. `second` is high for one clock as a second begins; `time`, `quality` and `uptime` are those of the
    new second by then. `quality` is a TimeQuality; `pulse_good` says whether the pulse began this second; `pulse_missing` and
    `pulse_out_of_tolerance` are faults.
    """

    def __init__(self, clocks_per_site_second: int = 50_000_000):
        self._clocks = clocks_per_site_second
        super().__init__(
            {
                "pulse": In(1),
                "set": In(1),
                "set_time": In(32),
                "armed": In(1),
                "second": Out(1),
                "time": Out(32),
                "valid": Out(1),
                "quality": Out(8),
                "uptime": Out(32),
                "pulse_good": Out(1),
                "pulse_missing": Out(1, init=1),
                "pulse_out_of_tolerance": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        nominal = self._clocks
        tolerance = nominal * TOLERANCE_PPM // 1_000_000 + JITTER_CLOCKS
        shortest, longest = nominal - tolerance, nominal + tolerance
        missing_after = nominal * 3 // 2

        level, before = Signal(), Signal()
        m.submodules += FFSynchronizer(self.pulse, level)
        m.d.sync += before.eq(level)
        edge = Signal()
        m.d.comb += edge.eq(level & ~before)

        # Clocks of the interval that ends now, from pulse to pulse; from power-up to the first pulse is none.
        interval = Signal(ELAPSED_BITS, init=elapsed(1))
        long_enough, too_long, interval_good = Signal(init=1), Signal(init=1), Signal()
        m.d.comb += interval_good.eq(long_enough & ~too_long)
        m.d.sync += interval.eq(elapsed_next(interval))
        self._note(m, interval, {shortest - 1: long_enough, longest: too_long, missing_after: self.pulse_missing})
        with m.If(edge):
            m.d.sync += [interval.eq(elapsed(1)), long_enough.eq(0), too_long.eq(0), self.pulse_missing.eq(0)]

        # Clocks of the second, were it to end now, and which lengths it has reached.
        length = Signal(ELAPSED_BITS, init=elapsed(1))
        begins = Signal()
        over_half, at_shortest, at_nominal, at_longest = Signal(), Signal(), Signal(), Signal()
        reached = {nominal // 2: over_half, shortest - 1: at_shortest, nominal - 1: at_nominal, longest - 1: at_longest}
        pulse_follows = Signal()
        acquiring = Signal()
        ends, by_pulse, at_limit = Signal(), Signal(), Signal()
        m.d.comb += [
            at_limit.eq(at_longest | Mux(self.pulse_missing, at_nominal, pulse_follows & at_shortest)),
            by_pulse.eq(edge & at_shortest),
            ends.eq(by_pulse | at_limit),
        ]
        m.d.sync += [length.eq(elapsed_next(length)), self.second.eq(ends)]
        self._note(m, length, reached)
        # A pulse in the second half of a second, too early to end it: this second is late, so it ends as soon as it may.
        with m.If(edge & over_half):
            m.d.sync += pulse_follows.eq(1)

        confirmed = Signal()
        realigns = Signal()
        m.d.comb += [
            confirmed.eq(by_pulse & interval_good),
            realigns.eq(acquiring & edge & interval_good & ~ends),
        ]
        disagrees = Signal()
        with m.If(ends):
            m.d.sync += [
                self.uptime.eq(self.uptime + 1),
                self.pulse_good.eq(confirmed),
                disagrees.eq(~confirmed),
            ]
        with m.If(realigns):
            # The second that the host set has ended here; the one of the crystal's phase is dropped, not counted as a short one.
            m.d.sync += [self.pulse_good.eq(1), disagrees.eq(0)]
        with m.If(edge & interval_good):
            m.d.sync += acquiring.eq(0)

        with m.If(self.valid & (ends | realigns)):
            m.d.sync += self.time.eq(self.time + 1)
        # Where a second begins now, one that is later than the last one's time is not before the next one's.
        with m.If(self.set & (~self.armed | (self.set_time > self.time))):
            m.d.sync += [self.time.eq(self.set_time), self.valid.eq(1)]
            with m.If(~self.armed):
                m.d.sync += acquiring.eq(1)
        m.d.comb += begins.eq(ends | realigns | (self.set & ~self.armed))
        with m.If(begins):
            m.d.sync += [length.eq(elapsed(1)), pulse_follows.eq(0), *(flag.eq(0) for flag in reached.values())]

        m.d.comb += self.pulse_out_of_tolerance.eq(disagrees & ~self.pulse_missing & self.valid & ~acquiring)
        with m.If(~self.valid):
            m.d.comb += self.quality.eq(TimeQuality.UNSET)
        with m.Elif(self.pulse_missing):
            m.d.comb += self.quality.eq(TimeQuality.FREE_RUNNING)
        with m.Elif(self.pulse_good):
            m.d.comb += self.quality.eq(TimeQuality.PULSE)
        with m.Else():
            m.d.comb += self.quality.eq(TimeQuality.DEGRADED)
        return m

    def _note(self, m: Module, state: Signal, flags: dict[int, Signal]) -> None:
        """Raises each flag in the clock after so many have elapsed."""
        for clocks, flag in flags.items():
            with m.If(state == elapsed(clocks)):
                m.d.sync += flag.eq(1)
