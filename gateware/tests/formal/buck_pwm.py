"""What has to hold of the gates of every channel, whatever duty is asked of it and whenever it is allowed to switch.

The proofs follow each slot's place in its period (`place`, 0 at its boundary), which is tied to the carriers by invariants.
"""

from __future__ import annotations

from amaranth.hdl import Const, Fragment, Module, Mux, Signal, Value
from amaranth.lib import wiring

from .mutant import Mutant
from .proof import Property
from .spec import Spec, internal

CHANNELS = 3
COUNTS = 480
SECTOR = COUNTS // 12
DEAD_CLOCKS = 5
BOOTSTRAP_CLOCKS = 43
LOW_SIDE_MIN = 32
DUTY_MAX = 456


class _Gates(Spec):
    """The core of three channels at 48 MHz, with 100 ns of dead time, and where each of its slots is in its period."""

    core: wiring.Component
    inside: Fragment

    def build(self, m: Module) -> None:
        from thermogen_gateware.buck_pwm import BuckPwm

        self.core = BuckPwm(clock_hz=48_000_000, channels=CHANNELS, dead_time_ns=100)
        self.inside = self.around(self.core)
        step, next_slot = internal(self.inside, "step"), internal(self.inside, "next_slot")
        self.always((step < SECTOR) & (next_slot < 12), "twelve sectors of forty clocks")
        self.places = [self._place(m, slot, step, next_slot) for slot in range(CHANNELS)]
        for slot, place in enumerate(self.places):
            level, falling = internal(self.inside, f"carrier_{slot}"), internal(self.inside, f"falling_{slot}")
            self.always(falling == (place < COUNTS // 2), "the carrier falls in the first half")
            self.always(level == Mux(falling, COUNTS // 2 - 1 - place, place - COUNTS // 2), "the carrier is where the place is")
            duty = internal(self.inside, f"active_{slot}_duty")
            self.always(duty <= DUTY_MAX, "no duty is above 0.95")
        self.always(internal(self.inside, "pending_0_duty") <= DUTY_MAX, "nor will be")

    def _place(self, m: Module, slot: int, step: Value, next_slot: Value) -> Signal:
        place = Signal(range(COUNTS), name=f"place_{slot}")
        with m.Switch(next_slot):
            for following in range(12):
                with m.Case(following):
                    m.d.comb += place.eq(Const((following - 1 - slot) % 12 * SECTOR, 9) + step)
        return place


class DeadTime(_Gates):
    """From one switch's last clock to the other's first there are at least five clocks (104 ns), in both directions."""

    def build(self, m: Module) -> None:
        super().build(m)
        for k in range(CHANNELS):
            hi, lo = self.core.hi[k], self.core.lo[k]
            self.always(~(hi & lo), "both switches on")
            for clocks in range(1, DEAD_CLOCKS + 1):
                self.always(~(lo & self.past(hi, clocks)), "the low side follows too soon")
                self.always(~(hi & self.past(lo, clocks)), "the high side follows too soon")
        hi, lo = self.core.hi[2], self.core.lo[2]
        self.possible(hi & self.past(lo, DEAD_CLOCKS + 1))


class WholePeriods(_Gates):
    """In a period through which it may switch, the high side is on in one piece for exactly the counts that the period began with."""

    def build(self, m: Module) -> None:
        super().build(m)
        for slot in range(CHANNELS):
            self._period(m, slot)

    def _period(self, m: Module, slot: int) -> None:
        core, place, hi = self.core, self.places[slot], self.core.hi[slot]
        duty = internal(self.inside, f"active_{slot}_duty")
        began, whole = Signal(9, name=f"began_{slot}"), Signal(name=f"whole_{slot}")
        allowed = core.enable[0] & core.run
        with m.If(place == 0):
            m.d.sync += [began.eq(duty), whole.eq(allowed)]
        with m.Else():
            m.d.sync += whole.eq(whole & allowed)
        # The gate is one clock behind: it shows place 0 while the place is 1.
        first, shown = Signal(9, name=f"first_{slot}"), Signal(9, name=f"shown_{slot}")
        m.d.comb += [first.eq((COUNTS + 1 - began) >> 1), shown.eq(place - 1)]
        with m.If(whole & (place != 0)):
            self.always(duty == began, "the duty changed inside the period")
            self.always(~allowed | (hi == ((shown >= first) & (shown < first + began))), "not on for the counts around the middle")
        if slot == CHANNELS - 1:
            self.possible(whole & hi & (began == 400))


class LowSide(_Gates):
    """The low side needs a current above the edge of continuous conduction and a duty of 32 counts, or is a bootstrap pulse."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.diode_emulation import DiodeEmulation

        super().build(m)
        core = self.core
        emulation = DiodeEmulation(CHANNELS)
        self.around(emulation, "emulation", driven=("channel", "prepared", "enabled", "duty_data"))
        m.d.comb += [
            emulation.channel.eq(core.channel),
            emulation.prepared.eq(core.prepared),
            emulation.enabled.eq(core.enable[0]),
            emulation.duty_data.eq(core.duty_data),
            core.low_side.eq(emulation.low_side),
            core.bootstrap.eq(emulation.bootstrap),
        ]
        # At `prepared` the duty is two clocks old and the current one: 11/8 of a step of 2 mA for each count off is the edge at 58 V.
        word, current = self.past(core.duty_data, 2), self.past(emulation.current_data)
        counts = word >> 3
        off = Signal(9)
        m.d.comb += off.eq(COUNTS - counts)
        continuous = (current > 2048 + off + (off >> 2) + (off >> 3)) & (counts >= LOW_SIDE_MIN)
        prepared, may_conduct = Signal(range(12)), Signal()
        with m.If(core.prepared):
            m.d.sync += [prepared.eq(core.channel), may_conduct.eq(continuous)]
        pulse = core.prepared & emulation.bootstrap
        counted = (emulation.pulses == self.past(emulation.pulses) + self.past(pulse)) | emulation.pulses.all()
        self.always(counted | self.past(self.domain.rst), "a bootstrap pulse is not counted")

        group, phase = internal(self.inside, "group"), internal(self.inside, "phase")
        pending_low = internal(self.inside, "pending_0_low_side")
        pending_bootstrap = internal(self.inside, "pending_0_bootstrap")
        step, next_slot = internal(self.inside, "step"), internal(self.inside, "next_slot")
        preparing = group == 0
        self.always(~preparing | ((step < 4) & (phase == step) & (core.channel == next_slot)), "another channel is prepared")
        self.always(preparing | (step >= 4) | ~(pending_low | pending_bootstrap), "something old is pending")
        for k in range(CHANNELS):
            place, lo = self.places[k], core.lo[k]
            due = (next_slot == k) & (step >= 4)
            self.always(~(due & (pending_low | pending_bootstrap)) | (prepared == k), "another channel's period is pending")
            self.always(~(due & pending_low) | may_conduct, "a low side is pending without its current")
            conducts = Signal(name=f"conducts_{k}")
            with m.If(place == COUNTS - 1):
                m.d.sync += conducts.eq(may_conduct & (prepared == k))
            self.always(~internal(self.inside, f"active_{k}_low_side") | conducts, "a low side is active without its current")
            # The gate is one clock behind: of its period's 480 clocks the last shows at place 0 of the next.
            in_period = Mux(place == 0, self.past(conducts), conducts)
            self.always(~lo | in_period | ((place >= 1) & (place <= BOOTSTRAP_CLOCKS)), "the low side conducts without its current")
        self.possible(core.lo[2] & (self.places[2] == 60))
        self.possible(core.lo[2] & (emulation.pulses == 1))


PROPERTIES = (
    Property(
        name="dead_time",
        core="buck_pwm",
        says="The switches of a channel are never on together nor closer than the dead time.",
        parameters="3 channels, 48 MHz, 480 counts, 100 ns",
        spec=DeadTime,
        mutant=Mutant(
            "the low side's carrier is not delayed",
            "buck_pwm",
            "carrier.low.eq(Cat(falling, (level - self._dead_clocks)[: len(level)]))",
            "carrier.low.eq(Cat(falling, level))",
        ),
        depth=8,
        reach=110,
    ),
    Property(
        name="whole_periods",
        core="buck_pwm",
        says="A duty never changes inside a period: the high side is on once, for the counts that the period began with.",
        parameters="3 channels, 48 MHz, 480 counts",
        spec=WholePeriods,
        mutant=Mutant("a duty is taken at every slot's boundary", "buck_pwm", "with m.Elif(ends):", "with m.Elif(boundary):"),
        depth=4,
        reach=130,
    ),
    Property(
        name="low_side",
        core="diode_emulation",
        says="The low side conducts only in a period prepared with a current above the edge of continuous conduction and a duty of "
        "at least 32 counts of 480; else for at most 43 clocks (0.9 µs) at a period's beginning, which are counted.",
        parameters="3 channels, 48 MHz, with `buck_pwm`",
        spec=LowSide,
        mutant=Mutant(
            "the current is not compared", "diode_emulation", "(self.current_data > CURRENT_ZERO + edge)", "(self.current_data > 0)"
        ),
        depth=4,
        reach=145,
    ),
)
