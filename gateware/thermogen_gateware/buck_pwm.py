"""Complementary gate signals of many synchronous bucks from one shared counter, with dead time, dither and diode emulation.

100 kHz, 480 counts at 48 MHz. The on-time lies symmetrically around the middle of the period, so that the middle of *every* channel's
on-time is the same instant (`midpoint`): one falling chip select there samples the average of any channel's inductor current. A
ramp falls 479, 477 … 1 and rises 0, 2 … 478; a channel's high side is on while ramp < duty, its low side while ramp − 2 × dead time
≥ duty, which leaves the dead time on both sides of the pulse and can never switch both on. Three further bits of duty are dithered over
eight periods in bit-reversed order, so that their mean is exact. The duty is clamped to 0.95, which also keeps the bootstrap charged.
Duties are fetched one a clock at the start of a period and take effect together at the next. Diode emulation: the low side
of a channel stays off while `low_side` does not allow it (its current is too small) or its duty is below 32 counts (6.7 %).
Gates fall with `run` and `enable` without a clock; after `enable` they return at the start of a period only. `run` may be an
unsynchronised wire: it only gates, and whoever drives `enable` includes a synchronised copy of it.
Latency: gates are registered, one clock behind the ramp. Area, iCE40, 12 channels: 236 LUT4, 292 carry, 260 FF.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import PWM_COUNTS

PWM_HZ = 100_000
DUTY_MAX_COUNTS = PWM_COUNTS * 95 // 100
DITHER_BITS = 3
DUTY_BITS = 9 + DITHER_BITS
"""A duty: 9 bits of counts, then 3 bits of eighths of a count."""
LOW_SIDE_MIN_COUNTS = 32


class BuckPwm(wiring.Component):
    """Fetches `duty_data` (12 bits, one clock after `duty_addr`) for each channel in each period, while `fetching`.

    ValueError when the clock gives another number of counts than 480, or the dead time does not fit beside the largest duty.
    """

    def __init__(self, clock_hz=48_000_000, channels=12, dead_time_ns=100):
        if clock_hz // PWM_HZ != PWM_COUNTS:
            raise ValueError(
                f"{clock_hz} Hz gives {clock_hz // PWM_HZ} counts a period; the duties are in {PWM_COUNTS}: use {PWM_COUNTS * PWM_HZ} Hz"
            )
        self._dead_clocks = -(-dead_time_ns * clock_hz // 1_000_000_000)
        limit = (PWM_COUNTS - 1 - DUTY_MAX_COUNTS) // 2
        if not 1 <= self._dead_clocks <= limit:
            raise ValueError(
                f"dead time {dead_time_ns} ns is {self._dead_clocks} clocks; beside a duty of 0.95 there is room for 1 to {limit}"
            )
        self._channels = channels
        super().__init__(
            {
                "run": In(1),
                "enable": In(1),
                "low_side": In(channels),
                "fetching": Out(1, init=1),
                "duty_addr": Out(range(channels)),
                "duty_data": In(DUTY_BITS),
                "period": Out(1),
                "midpoint": Out(1),
                "hi": Out(channels),
                "lo": Out(channels),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        top = PWM_COUNTS - 1
        ramp = Signal(9, init=top)
        ramp_low = Signal(9)
        rising = Signal()
        m.d.comb += [
            self.period.eq(rising & (ramp == top - 1)),
            self.midpoint.eq(~rising & (ramp == 1)),
        ]
        with m.If(self.period):
            m.d.sync += [rising.eq(0), ramp.eq(top)]
        with m.Elif(self.midpoint):
            m.d.sync += [rising.eq(1), ramp.eq(0)]
        with m.Else():
            m.d.sync += ramp.eq(Mux(rising, ramp + 2, ramp - 2))
        # Below the dead time the low side's ramp stays at 0, which is on for a duty of 0 only.
        m.d.comb += ramp_low.eq(Mux(ramp >= 2 * self._dead_clocks, ramp - 2 * self._dead_clocks, 0))

        # Fetch: the first `channels` clocks of a period; the pending duties are a shift chain, so no address is decoded.
        pending = Array(Signal(9, name=f"pending_{k}") for k in range(self._channels))
        active = Array(Signal(9, name=f"duty_{k}") for k in range(self._channels))
        arriving = Signal()
        m.d.sync += arriving.eq(self.fetching)
        with m.If(self.period):
            m.d.sync += [self.fetching.eq(1), self.duty_addr.eq(0)]
        with m.Elif(self.fetching):
            m.d.sync += self.duty_addr.eq(self.duty_addr + 1)
            with m.If(self.duty_addr == self._channels - 1):
                m.d.sync += [self.fetching.eq(0), self.duty_addr.eq(0)]

        period_index = Signal(DITHER_BITS)
        dithered = Signal(10)
        fetched = Signal(9)
        reversed_index = Cat(*(period_index[bit] for bit in reversed(range(DITHER_BITS))))
        m.d.comb += [
            dithered.eq(self.duty_data[DITHER_BITS:] + (self.duty_data[:DITHER_BITS] > reversed_index)),
            fetched.eq(Mux(dithered > DUTY_MAX_COUNTS, DUTY_MAX_COUNTS, dithered)),
        ]
        with m.If(arriving):
            m.d.sync += [pending[k].eq(pending[k + 1]) for k in range(self._channels - 1)]
            m.d.sync += pending[self._channels - 1].eq(fetched)
        with m.If(self.period):
            m.d.sync += period_index.eq(period_index + 1)
            m.d.sync += [active[k].eq(pending[k]) for k in range(self._channels)]

        armed = Signal()
        with m.If(~self.enable):
            m.d.sync += armed.eq(0)
        with m.Elif(self.period):
            m.d.sync += armed.eq(1)
        high = Signal(self._channels)
        low = Signal(self._channels)
        m.d.sync += [
            high.eq(Cat(ramp < duty for duty in active)),
            low.eq(self.low_side & Cat((ramp_low >= duty) & (duty >= LOW_SIDE_MIN_COUNTS) for duty in active)),
        ]
        gate = Signal()
        m.d.comb += [
            gate.eq(armed & self.enable & self.run),
            self.hi.eq(high & gate.replicate(self._channels)),
            self.lo.eq(low & gate.replicate(self._channels)),
        ]
        return m
