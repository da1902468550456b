"""The conditions that trip the node, each from its measurement to "is bad" and "is gone".

A condition is bad when its measurement has been beyond its level without one good sample in between for the deglitch time, and gone when
it is on the safe side of its clear level; between the two a latched trip stays. Levels and times, and where they come from:

    bus               58 V, 1 ms; gone below 52 V               bus limits of the power generating combustor
    bus comparator    at once (two clocks); gone when quiet     the same; the fast path is in `protection.py`
    reverse current   bus shunt below −2 A, 10 ms; gone above   one shorted string with a failed ideal diode takes (51 V − 0) / 48 ohm =
                      −1 A                                      1.06 A, which its channel sees; 2 A is more than one string. The shunt's
                                                                zero is good to ±0.5 A (half a per cent of ±82 A)
    ground fault      30 mA, 100 ms; gone below 15 mA           the smallest sudden change that IEC 62109-2, 4.8.3.5 has interrupted
                                                                (within 300 ms); 100 ms outlasts five periods of induced mains
    over-temperature  hot supply above `hot_fatal`, 100 ms;     205 °C for bismuth telluride; an oil loop moves less than 0.1 K in 100 ms,
                      gone below `hot_throttle`                 so the time is for the sensor, not for the oil
    channel           see `channel_guard.py`
    emergency         see `loop_watch.py`

Latency: deglitch time and one scan of the site converter (20 µs). Counts the clock. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import POINT

BUS_DEGLITCH_S = 1e-3

REVERSE_TRIP_RAW = POINT["bus_current"].raw(-2)
REVERSE_CLEAR_RAW = POINT["bus_current"].raw(-1)
REVERSE_DEGLITCH_S = 10e-3

GROUND_TRIP_RAW = POINT["ground_fault_current"].raw(30)
GROUND_CLEAR_RAW = POINT["ground_fault_current"].raw(15)
GROUND_DEGLITCH_S = 100e-3

HOT_DEGLITCH_S = 100e-3
HOT_THROTTLE_RAW = POINT["hot_supply_temperature"].raw(190)
HOT_FATAL_RAW = POINT["hot_supply_temperature"].raw(205)


class Beyond(wiring.Component):
    """`value` above `level` (below it where `falling`) at every `strobe` for `deglitch_s` → `bad`; one good sample ends it at once."""

    def __init__(self, shape, clock_hz: float, deglitch_s: float, *, falling: bool = False):
        self._deglitch_clocks = max(1, int(deglitch_s * clock_hz))
        self._falling = falling
        super().__init__({"value": In(shape), "level": In(shape), "strobe": In(1), "bad": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        beyond = Signal()
        clocks = Signal(range(self._deglitch_clocks + 1))
        with m.If(self.strobe):
            m.d.sync += beyond.eq(self.value < self.level if self._falling else self.value > self.level)
        with m.If(~beyond):
            m.d.sync += [clocks.eq(0), self.bad.eq(0)]
        with m.Elif(clocks == self._deglitch_clocks):
            m.d.sync += self.bad.eq(1)
        with m.Else():
            m.d.sync += clocks.eq(clocks + 1)
        return m


class SiteCauses(wiring.Component):
    """The three causes of the site inputs besides the bus: `*_bad`, `*_gone`; `throttle`: the hot supply is above `hot_throttle`.

    Each value is the newest sample in its point's raw unit; `strobe` says that all have been sampled once more. Before the first strobe
    nothing is bad and nothing is gone.
    """

    def __init__(self, clock_hz: float):
        self._clock_hz = clock_hz
        super().__init__(
            {
                "strobe": In(1),
                "bus_current": In(signed(16)),
                "ground_fault": In(16),
                "hot_supply": In(signed(16)),
                "hot_throttle": In(signed(16), init=HOT_THROTTLE_RAW),
                "hot_fatal": In(signed(16), init=HOT_FATAL_RAW),
                "reverse_bad": Out(1),
                "reverse_gone": Out(1),
                "ground_bad": Out(1),
                "ground_gone": Out(1),
                "hot_bad": Out(1),
                "hot_gone": Out(1),
                "throttle": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.reverse = reverse = Beyond(signed(16), self._clock_hz, REVERSE_DEGLITCH_S, falling=True)
        m.submodules.ground = ground = Beyond(16, self._clock_hz, GROUND_DEGLITCH_S)
        m.submodules.fatal = fatal = Beyond(signed(16), self._clock_hz, HOT_DEGLITCH_S)
        m.submodules.warm = warm = Beyond(signed(16), self._clock_hz, HOT_DEGLITCH_S)
        for beyond, value, level, bad in (
            (reverse, self.bus_current, REVERSE_TRIP_RAW, self.reverse_bad),
            (ground, self.ground_fault, GROUND_TRIP_RAW, self.ground_bad),
            (fatal, self.hot_supply, self.hot_fatal, self.hot_bad),
            (warm, self.hot_supply, self.hot_throttle, self.throttle),
        ):
            m.d.comb += [beyond.value.eq(value), beyond.level.eq(level), beyond.strobe.eq(self.strobe), bad.eq(beyond.bad)]
        # Neither limit may excuse the other where a site's table has them the wrong way round.
        clear_below = Mux(self.hot_throttle < self.hot_fatal, self.hot_throttle, self.hot_fatal)
        with m.If(self.strobe):
            m.d.sync += [
                self.reverse_gone.eq(self.bus_current > REVERSE_CLEAR_RAW),
                self.ground_gone.eq(self.ground_fault < GROUND_CLEAR_RAW),
                self.hot_gone.eq(self.hot_supply < clear_below),
            ]
        return m
