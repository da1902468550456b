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
        reach=340,
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
)
