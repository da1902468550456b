"""What has to hold of the tracker's outputs, whatever it measures and whatever its parameters are set to."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state, word

CHANNELS = 2
DUTY_MAX = 456 << 3
"""0.95 of 480 counts, in eighths."""
SLEW_STEP = 21
"""Of the applied duty per volt, for one step of the parameter `slew`: an eighth of a count at 50 V."""


class Limits(Spec):
    """No duty above 0.95, no string voltage outside of its range unless there is no duty, no step longer than the slew allows."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.channel_step import RECORD, Y_LEAST, Y_MOST, Y_START
        from thermogen_gateware.tracker import Tracker

        core = Tracker(CHANNELS)
        inside = self.around(core)
        index = internal(inside, "index")
        record, stored = RECORD(internal(inside, "record", "sync")), RECORD(word(inside, "records", index))
        holds = state(inside, "DUTY", "CURRENT", "CLAMP", "POWER", "PASS", "STEP_START", "STEP")
        self.always(~holds | (record.as_value() == stored.as_value()), "works on another record than the stored one")

        idle = inside.find_subfragment("step").generated["fsm"].ongoing("SQUARE")
        self.always(state(inside, "STEP") == ~idle, "a step is calculated while the tracker does something else")
        left, right, product = (internal(inside, name) for name in ("left", "right", "product"))
        self.always(~state(inside, "CURRENT") | ((left >= 0) & (right >= 0)), "a negative duty or bus is multiplied")
        self.always(~state(inside, "CLAMP") | (product >= 0), "their product is negative")
        most = Signal(10)
        m.d.comb += most.eq(self.past(core.parameters.slew)[:5] * SLEW_STEP)
        self.always(internal(inside, "duty") <= DUTY_MAX, "a duty is above 0.95")
        given = RECORD(internal(inside, "after")).applied
        self.always(~state(inside, "PASS") | (given != 0) | (internal(inside, "duty_after") == 0), "a duty without a string voltage")

        for channel in range(CHANNELS):
            self.always(word(inside, "duties", Const(channel, 1)) <= DUTY_MAX, "a duty above 0.95 is kept")
            kept = RECORD(word(inside, "records", Const(channel, 1)))
            within = (kept.goal >= Y_LEAST) & (kept.goal <= Y_MOST) & (kept.applied >= Y_LEAST) & (kept.applied <= Y_MOST)
            self.always(within | ((kept.goal == 0) & (kept.applied == 0)), "a string voltage out of range is kept")
            before = RECORD(self.past(kept.as_value()))
            slewed = (kept.applied <= before.applied + most) & (before.applied <= kept.applied + most)
            self.always(slewed | (kept.applied == 0) | (kept.applied == Y_START), "a duty moved faster than its slew")
        # Before its first clock a memory's output register may hold anything; nobody reads it then.
        clocked = Signal(reset_less=True)
        m.d.sync += clocked.eq(1)
        self.always(~clocked | (core.duty_data <= DUTY_MAX), "a duty above 0.95 is given out")
        self.possible(clocked & (core.duty_data == DUTY_MAX))


class Latch(Spec):
    """A channel that is off for its current gets no duty, and only the key, with its current back within the limits, ends that."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.channel_step import RECORD
        from thermogen_gateware.tracker import Tracker

        core = Tracker(CHANNELS)
        inside = self.around(core)
        index = internal(inside, "index")
        record, stored = RECORD(internal(inside, "record", "sync")), RECORD(word(inside, "records", index))
        holds = state(inside, "DUTY", "CURRENT", "CLAMP", "POWER", "PASS", "STEP_START", "STEP")
        self.always(~holds | (record.as_value() == stored.as_value()), "works on another record than the stored one")
        idle = inside.find_subfragment("step").generated["fsm"].ongoing("SQUARE")
        self.always(state(inside, "STEP") == ~idle, "a step is calculated while the tracker does something else")

        passed, current = state(inside, "PASS"), internal(inside, "current")
        over = current > (core.parameters.overcurrent_ma[:12] << 3)
        backwards = current < -(core.parameters.reverse_ma[:12] << 3)
        asked, clearing = internal(inside, "clear_asked"), internal(inside, "clearing")
        self.always(~passed | ~(record.latched | over) | (internal(inside, "duty_after") == 0), "a duty in spite of an over-current")
        self.always(~asked | self.past(asked | core.trip_clear), "asked to clear without the key")
        self.always(~clearing | self.past(clearing | asked), "clears without having been asked to")
        ends = self.past(passed & clearing & ~over & ~backwards)
        for channel in range(CHANNELS):
            latched = RECORD(word(inside, "records", Const(channel, 1))).latched
            self.always(~self.past(latched) | latched | ends, "let go without the key, or with its cause there")
        self.possible(passed & record.latched & clearing & ~over & ~backwards & core.present & ~core.converter_fault[0])


PROPERTIES = (
    Property(
        name="tracker_limits",
        core="tracker",
        says="The tracker never gives a duty above 0.95, keeps every string voltage within its range (240 to 45 V) or gives no duty, and "
        "moves none faster than the slew parameter says but to zero or to the beginning of a search.",
        parameters="2 channels of 1 module, any parameters",
        spec=Limits,
        mutant=Mutant("the slew is not limited", "tracker", "limited.eq(gap >= most)", "limited.eq(0)"),
        depth=3,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
    Property(
        name="tracker_latch",
        core="tracker",
        says="A channel that is off for over-current or reverse current, and one that is above its over-current limit now, gets no duty; "
        "only the key ends that, and only with the current back within both limits: neither absence nor enable does.",
        parameters="2 channels of 1 module, any parameters",
        spec=Latch,
        mutant=Mutant("absence clears", "tracker", "after.latched.eq(latched), after", "after.latched.eq(latched & here), after"),
        depth=3,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
