"""What has to hold of the node's protection, whatever it measures and whoever asks."""

from __future__ import annotations

from amaranth.hdl import Module, ResetSignal, Signal

from .mutant import Mutant
from .proof import Property
from .spec import Spec, internal

CLOCK_HZ = 10_000
DEGLITCH_CLOCKS = 10
"""1 ms at that clock: the product's 50,000 differ in the width of a counter."""
TRIP_MV = 58_000
CLEAR_BELOW_MV = 52_000


class Trip(Spec):
    """Every cause turns `run` off within its bound, and a trip stays until it is cleared with its cause gone."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.protection import Protection

        core = Protection(CLOCK_HZ)
        inside = self.around(core)
        reset = ResetSignal("sync")
        not_reset_for = Signal(range(8), reset_less=True)
        with m.If(reset):
            m.d.sync += not_reset_for.eq(0)
        with m.Elif(~not_reset_for.all()):
            m.d.sync += not_reset_for.eq(not_reset_for + 1)

        self.always(~core.ov_comparator | ~core.run, "the comparator does not act without a clock")
        self.always(~core.tripped | ~core.run, "tripped and running")
        self.always(core.enable | ~core.run, "running without being enabled")
        self.always(core.converter_healthy | ~core.run, "running without a believed converter")
        self.always(core.tripped | ~self.past(core.ov_comparator, 3) | (not_reset_for < 3), "the comparator does not latch in three clocks")
        at_once = core.channel_overcurrent | core.channel_reverse | core.loop_expired
        self.always(core.tripped | ~self.past(at_once) | (not_reset_for < 1), "a channel or the loop does not trip in a clock")

        # The bus: since when has every sample been above 58 V?
        over_for = Signal(range(DEGLITCH_CLOCKS + 3))
        with m.If(core.bus_strobe & (core.bus_mv <= TRIP_MV)):
            m.d.sync += over_for.eq(0)
        with m.Elif((core.bus_strobe | (over_for != 0)) & (over_for != DEGLITCH_CLOCKS + 2)):
            m.d.sync += over_for.eq(over_for + 1)
        beyond, clocks, bad = (internal(inside, f"over_{TRIP_MV}.{name}") for name in ("beyond", "clocks", "bad"))
        self.always(beyond == (over_for != 0), "the level does not follow its samples")
        self.always((over_for == 0) | (clocks >= over_for - 1) | (clocks == DEGLITCH_CLOCKS), "the deglitch counter lags")
        self.always((over_for != DEGLITCH_CLOCKS + 2) | bad, "the level is not bad after its time")
        over_long = self.past(over_for) == DEGLITCH_CLOCKS + 2
        self.always(core.tripped | ~over_long | (not_reset_for < 1), "58 V for a millisecond does not trip in three clocks")

        cleared = self.past(core.trip_clear & core.converter_healthy & ~core.comparator & (core.bus_mv < CLEAR_BELOW_MV) & ~at_once)
        self.always(
            ~(self.past(core.tripped) & ~core.tripped) | cleared | (not_reset_for < 1), "a trip ended without order or with its cause"
        )
        self.possible(core.tripped & core.trip_cause[internal_bit("BUS_TRIP")])
        self.possible(self.past(core.tripped) & ~core.tripped & core.run)


def internal_bit(name: str) -> int:
    """The bit of a fault."""
    from thermogen_esf.points import Fault

    return Fault[name].bit_length() - 1


class Keys(Spec):
    """`trip_clear` follows only from the two keys, one committed right after the other."""

    def build(self, m: Module) -> None:
        from thermogen_esf.hostlink import CONTROL_REGISTERS, TRIP_CLEAR_KEYS
        from thermogen_gateware.register_file import RegisterFile

        core = RegisterFile(0x0001_0000, 50_000_000, 12)
        inside = self.around(core)
        address, words = CONTROL_REGISTERS["trip_clear"]
        assert words == 1
        bus = core.bus
        committed = bus.offered & bus.commit
        first, second = ((bus.address == address) & (bus.write_data == key) for key in TRIP_CLEAR_KEYS)
        came_first = Signal()
        with m.If(committed):
            m.d.sync += came_first.eq(first)
        self.always(internal(inside, "first_key") == came_first, "the first key is remembered when it was not the last word")
        self.always(~core.trip_clear | (committed & second & came_first), "cleared without the keys")
        self.possible(core.trip_clear)


PROPERTIES = (
    Property(
        name="trip",
        core="protection",
        says="A trip turns every run wire off within its bound and keeps it off: comparator without a clock (latched in three), channel "
        "or loop in one, 58 V in 1 ms and three clocks; it ends only by the order to clear, and only with its cause gone.",
        parameters="10 kHz (1 ms = 10 clocks)",
        spec=Trip,
        mutant=Mutant(
            "a trip is cleared with its cause there", "protection", "with m.Elif(self.trip_clear & gone):", "with m.Elif(self.trip_clear):"
        ),
        depth=6,
        reach=20,
    ),
    Property(
        name="trip_keys",
        core="register_file",
        says="The order to clear a trip comes only of the two keys, one committed right after the other.",
        parameters="all",
        spec=Keys,
        mutant=Mutant("the second key alone is enough", "register_file", "& first_key & (bus.write_data", "& (bus.write_data"),
        depth=3,
        reach=6,
    ),
)
