"""What has to hold of the node's protection, whatever it measures and whoever asks."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Fragment, Module, Mux, ResetSignal, Signal, Value

from .mutant import Mutant
from .proof import Property
from .spec import Spec, internal

CLOCK_HZ = 10_000
"""For the bus: 1 ms are 10 clocks; the product's 50,000 differ in the width of a counter."""
SITE_CLOCK_HZ = 100
"""For the other inputs of the site: 10 ms are one clock, 100 ms are 10."""
TRIP_MV = 58_000
CLEAR_BELOW_MV = 52_000
REVERSE_RAW, REVERSE_CLEAR_RAW = -200, -100
GROUND_RAW, GROUND_CLEAR_RAW = 300, 150
"""-2 A and -1 A in 10 mA, 30 mA and 15 mA in 100 µA."""


class _Protected(Spec):
    """Protection, and for how many clocks it has not been reset."""

    def protected(self, m: Module, clock_hz: int):
        """The core and its inside."""
        from thermogen_gateware.protection import Protection

        core = Protection(clock_hz)
        self.not_reset_for = Signal(range(8), reset_less=True)
        with m.If(ResetSignal("sync")):
            m.d.sync += self.not_reset_for.eq(0)
        with m.Elif(~self.not_reset_for.all()):
            m.d.sync += self.not_reset_for.eq(self.not_reset_for + 1)
        return core, self.around(core)

    def trips_in_time(self, m: Module, tripped: Value, strobe: Value, beyond: Value, level: Fragment, clocks: int) -> None:
        """Since when has every sample been beyond? After so many clocks and three more there is a trip. `level` is the core's `Beyond`."""
        over_for = Signal(range(clocks + 3))
        with m.If(strobe & ~beyond):
            m.d.sync += over_for.eq(0)
        with m.Elif((strobe | (over_for != 0)) & (over_for != clocks + 2)):
            m.d.sync += over_for.eq(over_for + 1)
        counted = internal(level, "clocks")
        self.always(internal(level, "beyond") == (over_for != 0), "a level does not follow its samples")
        self.always((over_for <= clocks + 2) & (counted <= clocks), "a counter is past its end")
        self.always((over_for == 0) | (counted >= over_for - 1) | (counted == clocks), "a deglitch counter lags")
        self.always((over_for != clocks + 2) | internal(level, "bad"), "a level is not bad after its time")
        over_long = self.past(over_for) == clocks + 2
        self.always(tripped | ~over_long | (self.not_reset_for < 1), "a level beyond for its time does not trip in three clocks")


class Trip(_Protected):
    """Bus, comparator, channels and loop turn `run` off within their bounds, and a trip stays until it is cleared with every cause gone."""

    def build(self, m: Module) -> None:
        core, inside = self.protected(m, CLOCK_HZ)
        self.always(~core.ov_comparator | ~core.run, "the comparator does not act without a clock")
        self.always(~core.tripped | ~core.run, "tripped and running")
        self.always(core.enable | ~core.run, "running without being enabled")
        self.always(core.converter_healthy | ~core.run, "running without a believed converter")
        compared = self.past(core.ov_comparator, 3)
        self.always(core.tripped | ~compared | (self.not_reset_for < 3), "the comparator does not latch in three clocks")
        at_once = core.channel_overcurrent | core.channel_reverse | core.loop_expired
        self.always(core.tripped | ~self.past(at_once) | (self.not_reset_for < 1), "a channel or the loop does not trip in a clock")
        over_bus = inside.find_subfragment(f"over_{TRIP_MV}")
        self.trips_in_time(m, core.tripped, core.bus_strobe, core.bus_mv > TRIP_MV, over_bus, CLOCK_HZ // 1000)

        # What the newest scan said of the site's other inputs.
        hot_clear = Mux(core.hot_throttle < core.hot_fatal, core.hot_throttle, core.hot_fatal)
        safe = {
            "reverse_gone": core.bus_current > REVERSE_CLEAR_RAW,
            "ground_gone": core.ground_fault < GROUND_CLEAR_RAW,
            "hot_gone": core.hot_supply < hot_clear,
        }
        all_safe = Signal(len(safe))
        with m.If(core.scan_strobe):
            m.d.sync += [bit.eq(condition) for bit, condition in zip(all_safe, safe.values(), strict=True)]
        for bit, name in zip(all_safe, safe, strict=True):
            self.always(internal(inside, f"site.{name}") == bit, f"{name}: not what the newest scan said")
        gone = core.converter_healthy & (core.bus_mv < CLEAR_BELOW_MV) & all_safe.all() & ~at_once
        cleared = self.past(core.tripped & core.trip_clear & gone) & ~compared
        self.always(
            ~(self.past(core.tripped) & ~core.tripped) | cleared | (self.not_reset_for < 1), "a trip ended without order or with a cause"
        )
        self.possible(core.tripped & core.trip_cause[internal_bit("BUS_TRIP")])
        self.possible(self.past(core.tripped) & ~core.tripped & core.run)


class SiteTrip(_Protected):
    """Reverse current, ground fault and over-temperature trip within their bounds."""

    def build(self, m: Module) -> None:
        core, inside = self.protected(m, SITE_CLOCK_HZ)
        site = inside.find_subfragment("site")
        for name, beyond, clocks in (
            ("reverse", core.bus_current < REVERSE_RAW, SITE_CLOCK_HZ // 100),
            ("ground", core.ground_fault > GROUND_RAW, SITE_CLOCK_HZ // 10),
            ("fatal", core.hot_supply > core.hot_fatal, SITE_CLOCK_HZ // 10),
        ):
            self.trips_in_time(m, core.tripped, core.scan_strobe, beyond, site.find_subfragment(name), clocks)
        self.always(~core.tripped | ~core.run, "tripped and running")
        for name in ("REVERSE_CURRENT", "GROUND_FAULT", "OVER_TEMPERATURE"):
            self.possible(core.tripped & (core.trip_cause == 1 << internal_bit(name)))


class ComparatorPulse(_Protected):
    """However short the comparator speaks, and wherever beside the clock: `run` is off until a trip is cleared, and there is a trip.

    Here a step is finer than the clock: the comparator may rise and fall again between two edges.
    """

    def build(self, m: Module) -> None:
        core, inside = self.protected(m, CLOCK_HZ)
        started = Signal()
        m.d.sync += started.eq(1)
        begun_anew = ~started | (core.tripped & core.trip_clear)
        m.domains += ClockDomain("since_pulse", async_reset=True, local=True)
        m.d.comb += [ClockSignal("since_pulse").eq(ClockSignal()), ResetSignal("since_pulse").eq(core.ov_comparator)]
        quiet = Signal()
        with m.If(begun_anew):
            m.d.since_pulse += quiet.eq(1)
        spoken_for = Signal(range(4))
        with m.If(begun_anew | quiet):
            m.d.sync += spoken_for.eq(0)
        with m.Elif(spoken_for != 3):
            m.d.sync += spoken_for.eq(spoken_for + 1)

        latch = inside.find_subfragment("comparator")
        stages = latch.find_subfragment("spoken")
        self.always(internal(latch, "started") == started, "started at another time")
        self.always(~internal(latch, "quiet") | quiet, "the latch forgets a pulse that nobody has cleared")
        self.always((spoken_for < 1) | internal(stages, "stage0"), "a pulse does not reach the clock")
        self.always((spoken_for < 2) | internal(stages, "stage1"), "a pulse does not stay")
        self.always(~core.run | (quiet & ~core.ov_comparator), "running after a pulse that nobody has cleared")
        self.always((spoken_for < 3) | core.tripped, "a pulse does not trip in three clocks")
        seen = Signal()
        with m.If(core.ov_comparator):
            m.d.sync += seen.eq(1)
        self.possible(~seen & core.tripped & (core.trip_cause == 1 << internal_bit("BUS_COMPARATOR")))
        self.possible(~seen & core.run & (core.trip_cause == 1 << internal_bit("BUS_COMPARATOR")))


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
        "or loop in one, 58 V in 1 ms and three clocks; it ends only by the order to clear, and only with every cause gone: bus, "
        "comparator, reverse current, ground fault, over-temperature, channels and loop, with the converter believed.",
        parameters="10 kHz (1 ms = 10 clocks)",
        spec=Trip,
        mutant=Mutant("a trip is cleared with its cause there", "protection", "& ~holding &", "&"),
        depth=6,
        reach=20,
    ),
    Property(
        name="site_trip",
        core="protection",
        says="Samples beyond reverse current for 10 ms, ground fault or over-temperature for 100 ms, without a good one in between, trip "
        "three clocks later.",
        parameters="100 Hz (100 ms = 10 clocks), any limits of temperature",
        spec=SiteTrip,
        mutant=Mutant(
            "the hot supply does not trip",
            "protection",
            "Fault.OVER_TEMPERATURE: site.hot_bad",
            "Fault.OVER_TEMPERATURE: self.loop_expired",
        ),
        depth=3,
        reach=20,
    ),
    Property(
        name="comparator_pulse",
        core="comparator_latch",
        says="A pulse of the comparator, however short, turns the run wires off at once and trips in three clocks; off they stay until the "
        "trip is cleared.",
        parameters="in `protection`, steps finer than the clock",
        spec=ComparatorPulse,
        mutant=Mutant(
            "a pulse waits for a clock",
            "comparator_latch",
            'ClockDomain("pulse", async_reset=True, local=True)',
            'ClockDomain("pulse", local=True)',
        ),
        depth=4,
        reach=24,
        finer_than_the_clock=True,
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
