"""Bus protection: warning, shed and trip by the measured bus, and the trip by the hardware comparator.

The bus has to be above a level for 1 ms of clock time without a lower sample in between; a level falls at once. Over 52 V is a
warning, over 55 V sheds, over 58 V trips and latches. The comparator takes `run` away without a clock and latches in three. A latched
trip ends only by `trip_clear` with the bus below 52 V and the comparator quiet. `run` is also 0 while the site converter is not believed:
without a bus voltage nothing may be switched. Thresholds: the bus limits of the power generating combustor.
Latency: trip 1 ms and at most one sample (20 µs) after the bus crossed. Area, LIFCL: 40 LUT4, 55 CCU2, 77 FF.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import Fault

WARNING_MV = 52_000
SHED_MV = 55_000
TRIP_MV = 58_000
CLEAR_BELOW_MV = 52_000
PRESENT_MV = 40_000
DEGLITCH_S = 1e-3


class Protection(wiring.Component):
    """`bus_mv` with `bus_strobe` at each sample. `run`: switching is allowed. `bus_present`: above 40 V.

    At `trip_strobe` (one clock) `trip_cause` (points.Fault) and `trip_bus_mv` hold what happened; they stay until the next trip.
    """

    def __init__(self, clock_hz):
        self._deglitch_clocks = int(DEGLITCH_S * clock_hz)
        super().__init__(
            {
                "bus_mv": In(16),
                "bus_strobe": In(1),
                "converter_healthy": In(1),
                "ov_comparator": In(1),
                "enable": In(1),
                "trip_clear": In(1),
                "run": Out(1),
                "bus_present": Out(1),
                "warning": Out(1),
                "shed": Out(1),
                "comparator": Out(1),
                "tripped": Out(1),
                "trip_cause": Out(32),
                "trip_bus_mv": Out(16),
                "trip_strobe": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.comparator = FFSynchronizer(self.ov_comparator, self.comparator)

        over_trip = Signal()
        for level_mv, above in ((WARNING_MV, self.warning), (SHED_MV, self.shed), (TRIP_MV, over_trip)):
            rising = Signal(name=f"over_{level_mv}")
            clocks = Signal(range(self._deglitch_clocks + 1), name=f"clocks_over_{level_mv}")
            with m.If(self.bus_strobe):
                m.d.sync += rising.eq(self.bus_mv > level_mv)
            with m.If(~rising):
                m.d.sync += [clocks.eq(0), above.eq(0)]
            with m.Elif(clocks == self._deglitch_clocks):
                m.d.sync += above.eq(1)
            with m.Else():
                m.d.sync += clocks.eq(clocks + 1)
        with m.If(self.bus_strobe):
            m.d.sync += self.bus_present.eq(self.bus_mv > PRESENT_MV)

        m.d.sync += self.trip_strobe.eq(0)
        with m.If(~self.tripped & (over_trip | self.comparator)):
            m.d.sync += [
                self.tripped.eq(1),
                self.trip_strobe.eq(1),
                self.trip_bus_mv.eq(self.bus_mv),
                self.trip_cause.eq(0),
                self.trip_cause[Fault.BUS_TRIP.bit_length() - 1].eq(over_trip),
                self.trip_cause[Fault.BUS_COMPARATOR.bit_length() - 1].eq(self.comparator),
            ]
        with m.Elif(self.trip_clear & (self.bus_mv < CLEAR_BELOW_MV) & ~over_trip & ~self.comparator):
            m.d.sync += self.tripped.eq(0)

        m.d.comb += self.run.eq(self.enable & ~self.tripped & self.converter_healthy & ~self.ov_comparator)
        return m
