"""SCADA's override of the node's set-points: what it has taken, for how long, and what follows for the power path.

A set-point or a timeout that SCADA has written counts until the override ends: when its heartbeat was not written within the timeout, when
its owner may write no more, or when SCADA releases it; then everything is the node's own again, the timeout included. Of two limits the
lower is in force, and the channels run where node and SCADA both let them: SCADA can only ask for less than the node allows itself.
Counts the clock.
Latency: one clock from `apply` to what is in force. Area, LIFCL (synthesis): 205 COMB, 143 FF.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink_network import OverrideFlag
from thermogen_esf.scada import OVERRIDE_TIMEOUT_S, WRITABLE, WRITABLES

STAGED = data.StructLayout({writable.identifier: writable.maximum.bit_length() for writable in WRITABLES})
"""A value for each writable register, within its range."""
TAKEN = {"enable": OverrideFlag.ENABLE, "current_limit_ma": OverrideFlag.CURRENT_LIMIT, "site_power_limit": OverrideFlag.SITE_POWER_LIMIT}
"""The set-points, and the flag that says that SCADA has taken one."""


class Overrides(wiring.Component):
    """`apply` (strobe) makes the registers in `staged` whose bit of `written` is 1 true at once, for the client `ip`.

    `own_*` are the node's; `enable`, `current_limit_ma` and `site_power_limit` go to the power path, `trip_clear` is a strobe. `values`
    are what the writable registers read as. `owner_may_write` is asked for all the time; `ended` strobes when the override ends by
    itself. `remaining_s` is rounded up: 0 only without an override.
    """

    def __init__(self, clocks_per_second: int):
        self._clocks_per_second = clocks_per_second
        super().__init__(
            {
                "apply": In(1),
                "written": In(len(WRITABLES)),
                "staged": In(STAGED),
                "ip": In(32),
                "owner_may_write": In(1),
                "own_enable": In(1),
                "own_current_limit_ma": In(16),
                "own_site_power_limit": In(16),
                "enable": Out(1),
                "current_limit_ma": Out(16),
                "site_power_limit": Out(16),
                "trip_clear": Out(1),
                "values": Out(STAGED),
                "flags": Out(4),
                "remaining_s": Out(16),
                "owner": Out(32),
                "ended": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        wrote = {writable.identifier: Signal(name=f"wrote_{writable.identifier}") for writable in WRITABLES}
        m.d.comb += [wrote[writable.identifier].eq(self.apply & self.written[bit]) for bit, writable in enumerate(WRITABLES)]

        heartbeat, timeout = Signal(16), Signal(STAGED["override_timeout_s"].shape, init=OVERRIDE_TIMEOUT_S)
        asked = {name: Signal(STAGED[name].shape, name=f"asked_{name}") for name in TAKEN}
        taken = {name: Signal(name=f"taken_{name}") for name in TAKEN}
        alive, take, released = Signal(), Signal(), Signal()
        m.d.comb += [
            # A timeout alone is an override too: it would stay for whoever comes next.
            take.eq(Cat(wrote[name] for name in (*TAKEN, "override_timeout_s")).any()),
            released.eq(wrote["override_release"] & self.staged.override_release[0]),
            self.trip_clear.eq(wrote["trip_clear"] & self.staged.trip_clear.any()),
        ]

        # A second runs from the heartbeat, not beside it: the timeout is as long as it says.
        clocks = Signal(range(self._clocks_per_second))
        second = Signal()
        m.d.comb += second.eq(clocks == self._clocks_per_second - 1)
        m.d.sync += clocks.eq(Mux(second, 0, clocks + 1))
        lasts = Signal.like(timeout)
        m.d.comb += lasts.eq(Mux(wrote["override_timeout_s"], self.staged.override_timeout_s, timeout))
        with m.If(wrote["heartbeat"]):
            m.d.sync += heartbeat.eq(self.staged.heartbeat)
        with m.If(wrote["override_timeout_s"]):
            m.d.sync += timeout.eq(self.staged.override_timeout_s)
        with m.If(self.apply):
            m.d.sync += self.owner.eq(self.ip)
        for name in TAKEN:
            with m.If(wrote[name]):
                m.d.sync += [asked[name].eq(self.staged[name]), taken[name].eq(1)]

        over = Signal()
        m.d.comb += over.eq(alive & ((second & (self.remaining_s == 1)) | ~self.owner_may_write))
        with m.If((take & ~alive) | (wrote["heartbeat"] & (alive | take))):
            m.d.sync += [alive.eq(1), self.remaining_s.eq(lasts), clocks.eq(0)]
        with m.Elif(over):
            m.d.comb += self.ended.eq(1)
            self._end(m, alive, taken, timeout)
        with m.Elif(alive & second):
            m.d.sync += self.remaining_s.eq(self.remaining_s - 1)
        with m.If(released):
            self._end(m, alive, taken, timeout)

        m.d.comb += [
            self.enable.eq(self.own_enable & (~taken["enable"] | asked["enable"][0])),
            self.current_limit_ma.eq(_lower(self.own_current_limit_ma, taken["current_limit_ma"], asked["current_limit_ma"])),
            self.site_power_limit.eq(_lower(self.own_site_power_limit, taken["site_power_limit"], asked["site_power_limit"])),
            self.flags.eq(Cat(alive, taken.values())),
            self.values.heartbeat.eq(heartbeat),
            self.values.override_timeout_s.eq(timeout),
            self.values.enable.eq(self.enable),
            self.values.current_limit_ma.eq(self.current_limit_ma),
            self.values.site_power_limit.eq(self.site_power_limit),
        ]
        return m

    def _end(self, m: Module, alive: Signal, taken: dict[str, Signal], timeout: Signal) -> None:
        m.d.sync += [alive.eq(0), self.remaining_s.eq(0), timeout.eq(OVERRIDE_TIMEOUT_S)]
        m.d.sync += [flag.eq(0) for flag in taken.values()]


def _lower(own: Value, taken: Value, asked: Value) -> Value:
    return Mux(taken & (asked < own), asked, own)


assert all(WRITABLE[name].minimum >= 0 for name in TAKEN)
