"""When a channel's low side may conduct: diode emulation, and the pulses that recharge a bootstrap capacitor meanwhile.

With its low side on, a buck conducts continuously whatever its duty, and below Vbus/Vin it would draw the bus backwards through the
string. So a channel's low side is released only above the mean current at which conduction is continuous anyway,
Vbus × (1 − duty) / (2 L f), for 63 V and 220 µH, and taken back below the same for 58 V: at a duty of 0.7 that is 0.43 and 0.40 A. A
current at the converter's upper end is no current but a lost reference, and releases nothing.
Bootstrap: a high side that switches takes 25 nC of gate charge and 2 nC of driver current a period out of 220 nF. The freewheeling
body diode puts it back where current flows; a channel that seeks the duty at which current begins has none. So while the low side
is held off, every `bootstrap_periods`-th period has one low-side pulse (see `buck_pwm.py`), the first one at once: 8 × 27 nC / 220 nF
= 1.0 V of droop, of which 0.9 µs through 2.2 ohm restores 85 %, so that the high side keeps 12 − 0.7 − 1.2 = 10.1 V, above a driver's 8 V
lock-out. It costs 51 V × (0.9 µs)² / (2 × 220 µH) / 80 µs = 1.2 mA of bus current, less than a step of the converter. A channel whose
duty is 0 has no such pulses: nothing would bring back what they put into its input capacitor. `pulses` counts them and stops at 65,535.
`resting`: the channel's duty has been 0, or its gates off, for 16 periods: with two poles at 5 kHz 4 A have died away to 0.16 A.
Latency: the duty is taken in the second clock of a channel's four, the current in the third, the permissions hold in the fourth.
Area, iCE40, 36 channels: 116 LUT4, 52 carry, 54 FF, 1 RAM.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import PWM_COUNTS

from .buck_pwm import DITHER_BITS, DUTY_BITS, LOW_SIDE_MIN_COUNTS
from .module_link import CURRENT_BITS, CURRENT_ZERO

BOOTSTRAP_PERIODS = 8
REST_PERIODS = 16
PULSES_BITS = 16
RAIL_BITS = 4
"""A code within 16 of either end of the converter's range is at its rail."""


class DiodeEmulation(wiring.Component):
    """Decides for `channel`, prepared in four clocks of which `prepared` is the last (see `buck_pwm.py`).

    `duty_data` and `current_data` follow `channel` by one clock; `enabled` says that its gates are.
    """

    def __init__(self, channels=12, bootstrap_periods=BOOTSTRAP_PERIODS):
        if bootstrap_periods < 2:
            raise ValueError(
                f"bootstrap_periods must be at least 2, not {bootstrap_periods}: a pulse in every period is synchronous switching"
            )
        self._channels = channels
        self._bootstrap_periods = bootstrap_periods
        super().__init__(
            {
                "channel": In(range(channels)),
                "prepared": In(1),
                "enabled": In(1),
                "duty_data": In(DUTY_BITS),
                "current_data": In(CURRENT_BITS),
                "low_side": Out(1),
                "bootstrap": Out(1),
                "resting": Out(1),
                "pulses": Out(PULSES_BITS),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        most = self._bootstrap_periods - 1
        history = data.StructLayout({"low_side": 1, "until_recharge": range(most + 1), "rest": range(REST_PERIODS)})
        depth = 1 << (self._channels - 1).bit_length()
        m.submodules.histories = histories = Memory(shape=history, depth=depth, init=[])
        read, write = histories.read_port(), histories.write_port()
        before, after = read.data, write.data
        m.d.comb += [read.addr.eq(self.channel), write.addr.eq(self.channel), write.en.eq(self.prepared)]

        # Second clock: the current at the edge of continuous conduction, 1.5 steps of 2 mA for each count off at 63 V, 11/8 at 58 V.
        off_counts = Signal(9)
        edge = Signal(10)
        switches, long_enough = Signal(), Signal()
        m.d.comb += off_counts.eq(PWM_COUNTS - self.duty_data[DITHER_BITS:])
        m.d.sync += [
            edge.eq(off_counts + Mux(before.low_side, (off_counts >> 2) + (off_counts >> 3), off_counts >> 1)),
            switches.eq(self.enabled & (self.duty_data != 0)),
            long_enough.eq(self.enabled & (self.duty_data[DITHER_BITS:] >= LOW_SIDE_MIN_COUNTS)),
        ]
        # Third clock: the current against it. Fourth: `edge` and `switches` are of the second clock no more, so what they gave is kept.
        above, switched, resting = Signal(), Signal(), Signal()
        m.d.sync += [
            above.eq(long_enough & (self.current_data > CURRENT_ZERO + edge) & ~self.current_data[RAIL_BITS:].all()),
            switched.eq(switches),
        ]
        recharge_due = Signal()
        m.d.comb += [
            resting.eq(before.rest == REST_PERIODS - 1),
            recharge_due.eq(before.until_recharge == 0),
            self.low_side.eq(above),
            self.bootstrap.eq(switched & ~above & recharge_due),
            self.resting.eq(resting),
            after.low_side.eq(above),
            after.rest.eq(Mux(switched, 0, Mux(resting, before.rest, before.rest + 1))),
        ]
        with m.If(~switched):
            m.d.comb += after.until_recharge.eq(0)
        with m.Elif(above | recharge_due):
            m.d.comb += after.until_recharge.eq(most)
        with m.Else():
            m.d.comb += after.until_recharge.eq(before.until_recharge - 1)
        with m.If(self.prepared & self.bootstrap & ~self.pulses.all()):
            m.d.sync += self.pulses.eq(self.pulses + 1)
        return m
