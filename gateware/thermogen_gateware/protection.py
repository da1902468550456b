"""What turns the site's power off, independent of tracker and software, and what keeps it off.

Everything off (all run wires 0) and latched, for what endangers the site or says that nobody is in control; off while it lasts, for what
cannot be judged; one channel or module off, for what is wrong there alone:

    what                          effect                                                 why
    bus above 52 V                warning: tracker holds                                 the battery is full
    bus above 55 V                shed: tracker limits                                   the load went; slow enough to walk down
    bus above 58 V, 1 ms          trip                                                   the bus's parts end at 60 V
    bus comparator, however       trip, run wires without a clock                        the same, faster than any converter
      shortly
    reverse bus current           trip                                                   the battery feeds the strings
    ground fault                  trip                                                   a person or a fire
    hot supply above throttle     tracker autonomous (conservative)                      less load, before the daemon says so
    hot supply above fatal        trip                                                   the modules' solder
    a channel beyond its rating   that channel off, by the tracker                       a string or a sensor, others are well
    and still so 2 ms later       trip, naming the channel                               its switch does not obey: kill its drivers
    loop not round for 100 ms     trip                                                   duties are stale, nobody steers
    site converter not believed   all off while it lasts                                 without a bus voltage nothing may be switched
    module's converter not        its 12 channels off while it lasts, by the tracker     others are measured
      believed
    module lost, or has killed    that module                                            it is off by itself already
      itself
    daemon's heartbeat lost       tracker autonomous (conservative)                      the site goes on without its Linux side
    current sum and bus shunt     degraded quality of the record                         dangerous to nobody, worth nothing as evidence
      disagree
    main clock stops              run wires, by the internal oscillator (products/)      nothing here works then

A latched trip ends only by `trip_clear` (the keyed sequence of the host link) with every cause gone and the site converter believed, or by
power-off. The first cause, its clock count and the values then are kept until the next trip; what follows while it is latched shows in
`faults` only. Levels and times are in `trip_causes.py`.
The comparator's fall back does not give the wires back: `comparator_latch.py` keeps every pulse, as each module does.
Bound from the comparator's output to the gates: 15 ns node, pin to pin (three LUTs between pads; an allowance, because nextpnr-nexus
reports no way from pin to pin) + 10 ns wire + 20 ns module, pin to pin (`pcm.py`, kept by its build) + 200 ns gate driver = 245 ns, with
755 ns of the microsecond left for the comparator itself.
Latency otherwise: the deglitch time + one clock. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import NO_CHANNEL
from thermogen_esf.points import Fault

from .comparator_latch import ComparatorLatch
from .trip_causes import BUS_DEGLITCH_S, HOT_FATAL_RAW, HOT_THROTTLE_RAW, Beyond, SiteCauses

WARNING_MV = 52_000
SHED_MV = 55_000
TRIP_MV = 58_000
CLEAR_BELOW_MV = 52_000
PRESENT_MV = 40_000

CAUSES = (
    Fault.BUS_TRIP,
    Fault.BUS_COMPARATOR,
    Fault.REVERSE_CURRENT,
    Fault.GROUND_FAULT,
    Fault.OVER_TEMPERATURE,
    Fault.CHANNEL_OVERCURRENT,
    Fault.EMERGENCY_WATCHDOG,
)
"""What trips."""


class Protection(wiring.Component):
    """Site inputs in their points' raw units: `bus_mv` with `bus_strobe` at each sample, the others with `scan_strobe` after each scan.

    `run`: switching is allowed. `bus_present`: above 40 V. `faults` has the causes' bits: those that hold now, and the latched trip's. At
    `trip_strobe` (one clock) `trip_cause` (points.Fault) and the other `trip_*` hold what happened first; they stay until the next trip.
    `trip_channel` is NO_CHANNEL where the cause is none of a channel's. `clocks` counts since reset.
    """

    def __init__(self, clock_hz: float):
        self._clock_hz = clock_hz
        super().__init__(
            {
                "bus_mv": In(16),
                "bus_strobe": In(1),
                "bus_current": In(signed(16)),
                "ground_fault": In(16),
                "hot_supply": In(signed(16)),
                "scan_strobe": In(1),
                "hot_throttle": In(signed(16), init=HOT_THROTTLE_RAW),
                "hot_fatal": In(signed(16), init=HOT_FATAL_RAW),
                "converter_healthy": In(1),
                "ov_comparator": In(1),
                "channel_overcurrent": In(1),
                "channel_reverse": In(1),
                "channel": In(7),
                "loop_expired": In(1),
                "enable": In(1),
                "trip_clear": In(1),
                "run": Out(1),
                "bus_present": Out(1),
                "warning": Out(1),
                "shed": Out(1),
                "throttle": Out(1),
                "faults": Out(32),
                "tripped": Out(1),
                "trip_strobe": Out(1),
                "trip_cause": Out(32),
                "trip_bus_mv": Out(16),
                "trip_bus_current": Out(signed(16)),
                "trip_hot_supply": Out(signed(16)),
                "trip_ground_fault": Out(16),
                "trip_channel": Out(16, init=NO_CHANNEL),
                "trip_clocks": Out(64),
                "clocks": Out(64),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.comparator = comparator = ComparatorLatch()
        over_trip = self._bus_levels(m)
        m.submodules.site = site = SiteCauses(self._clock_hz)
        m.d.comb += [
            site.strobe.eq(self.scan_strobe),
            site.bus_current.eq(self.bus_current),
            site.ground_fault.eq(self.ground_fault),
            site.hot_supply.eq(self.hot_supply),
            site.hot_throttle.eq(self.hot_throttle),
            site.hot_fatal.eq(self.hot_fatal),
            self.throttle.eq(site.throttle),
        ]
        bad = {
            Fault.BUS_TRIP: over_trip,
            Fault.BUS_COMPARATOR: comparator.spoken | comparator.high,
            Fault.REVERSE_CURRENT: site.reverse_bad | self.channel_reverse,
            Fault.GROUND_FAULT: site.ground_bad,
            Fault.OVER_TEMPERATURE: site.hot_bad,
            Fault.CHANNEL_OVERCURRENT: self.channel_overcurrent,
            Fault.EMERGENCY_WATCHDOG: self.loop_expired,
        }
        causes = Signal(32)
        m.d.comb += [causes[fault.bit_length() - 1].eq(bad[fault]) for fault in CAUSES]
        # What the comparator has said is kept until it is cleared, so there its level counts.
        holding = Cat(comparator.high, *(bad[fault] for fault in CAUSES if fault != Fault.BUS_COMPARATOR)).any()
        site_gone = site.reverse_gone & site.ground_gone & site.hot_gone
        cleared = Signal()
        m.d.comb += [
            cleared.eq(self.tripped & self.trip_clear & ~holding & self.converter_healthy & (self.bus_mv < CLEAR_BELOW_MV) & site_gone),
            comparator.comparator.eq(self.ov_comparator),
            comparator.clear.eq(cleared),
        ]

        m.d.sync += [self.clocks.eq(self.clocks + 1), self.trip_strobe.eq(0)]
        with m.If(~self.tripped & causes.any()):
            m.d.sync += [self.tripped.eq(1), self.trip_strobe.eq(1), *self._record(causes)]
        with m.Elif(cleared):
            m.d.sync += self.tripped.eq(0)
        m.d.comb += [
            self.faults.eq(causes | Mux(self.tripped, self.trip_cause, 0)),
            self.run.eq(self.enable & ~self.tripped & self.converter_healthy & comparator.quiet & ~self.ov_comparator),
        ]
        return m

    def _bus_levels(self, m: Module) -> Signal:
        over_trip = Signal()
        for level_mv, above in ((WARNING_MV, self.warning), (SHED_MV, self.shed), (TRIP_MV, over_trip)):
            beyond = Beyond(16, self._clock_hz, BUS_DEGLITCH_S)
            m.submodules[f"over_{level_mv}"] = beyond
            m.d.comb += [beyond.value.eq(self.bus_mv), beyond.level.eq(level_mv), beyond.strobe.eq(self.bus_strobe), above.eq(beyond.bad)]
        with m.If(self.bus_strobe):
            m.d.sync += self.bus_present.eq(self.bus_mv > PRESENT_MV)
        return over_trip

    def _record(self, causes: Signal) -> list:
        """What is kept of a trip."""
        of_channel = Cat(self.channel_overcurrent, self.channel_reverse).any()
        return [
            self.trip_cause.eq(causes),
            self.trip_bus_mv.eq(self.bus_mv),
            self.trip_bus_current.eq(self.bus_current),
            self.trip_hot_supply.eq(self.hot_supply),
            self.trip_ground_fault.eq(self.ground_fault),
            self.trip_channel.eq(Mux(of_channel, self.channel, NO_CHANNEL)),
            self.trip_clocks.eq(self.clocks),
        ]
