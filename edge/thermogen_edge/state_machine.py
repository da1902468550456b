"""The site's states: one literal table. Code, diagram and document come from it; an event that it does not list changes nothing.

The software never replaces the hard-wired safety chain: it watches the chain, reports, and acts towards the safe side only.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from thermogen_esf.points import SiteAlarm, SiteState

from .profile import Limits
from .readings import Held, Readings


class Event(enum.Enum):
    """What can happen to a site, as the state machine sees it."""

    POWER_CYCLED = "power cycled"
    HOT_FATAL = "hot side beyond its limit"
    GAS_LEAK = "gas leak"
    TRIPPED = "tripped"
    TRIP_CLEARED = "trip cleared"
    SMOKE = "smoke"
    FLAME_LOST = "flame lost"
    BATTERY_CRITICAL = "battery critical"
    VOLTAGE_LOW = "bus voltage low"
    VOLTAGE_RESTORED = "bus voltage restored"
    LIMIT_EXCEEDED = "limit exceeded"
    LIMIT_CLEARED = "limit cleared"
    DIFFERENCE_LOST = "temperature difference lost"
    DIFFERENCE_REACHED = "temperature difference reached"
    BUS_ALIVE = "bus alive"
    COOLED_DOWN = "cooled down"


@dataclass(frozen=True, slots=True)
class Transition:
    """In `state`, `event` leads to `target`."""

    state: SiteState
    event: Event
    target: SiteState


_T, _S, _E = Transition, SiteState, Event

TRANSITIONS: tuple[Transition, ...] = (
    # Within a state the first row whose event holds is taken: the gravest stand first.
    _T(_S.BLACK_START, _E.HOT_FATAL, _S.FAULT),
    _T(_S.BLACK_START, _E.GAS_LEAK, _S.FAULT),
    _T(_S.BLACK_START, _E.TRIPPED, _S.FAULT),
    _T(_S.BLACK_START, _E.SMOKE, _S.SAFE_SHUTDOWN),
    _T(_S.BLACK_START, _E.BUS_ALIVE, _S.WARMING_UP),
    _T(_S.WARMING_UP, _E.POWER_CYCLED, _S.BLACK_START),
    _T(_S.WARMING_UP, _E.HOT_FATAL, _S.FAULT),
    _T(_S.WARMING_UP, _E.GAS_LEAK, _S.FAULT),
    _T(_S.WARMING_UP, _E.TRIPPED, _S.FAULT),
    _T(_S.WARMING_UP, _E.SMOKE, _S.SAFE_SHUTDOWN),
    _T(_S.WARMING_UP, _E.FLAME_LOST, _S.SAFE_SHUTDOWN),
    _T(_S.WARMING_UP, _E.BATTERY_CRITICAL, _S.ISLAND_MODE),
    _T(_S.WARMING_UP, _E.VOLTAGE_LOW, _S.ISLAND_MODE),
    _T(_S.WARMING_UP, _E.LIMIT_EXCEEDED, _S.THROTTLE),
    _T(_S.WARMING_UP, _E.DIFFERENCE_REACHED, _S.PRODUCING),
    _T(_S.PRODUCING, _E.POWER_CYCLED, _S.BLACK_START),
    _T(_S.PRODUCING, _E.HOT_FATAL, _S.FAULT),
    _T(_S.PRODUCING, _E.GAS_LEAK, _S.FAULT),
    _T(_S.PRODUCING, _E.TRIPPED, _S.FAULT),
    _T(_S.PRODUCING, _E.SMOKE, _S.SAFE_SHUTDOWN),
    _T(_S.PRODUCING, _E.FLAME_LOST, _S.SAFE_SHUTDOWN),
    _T(_S.PRODUCING, _E.BATTERY_CRITICAL, _S.ISLAND_MODE),
    _T(_S.PRODUCING, _E.VOLTAGE_LOW, _S.ISLAND_MODE),
    _T(_S.PRODUCING, _E.LIMIT_EXCEEDED, _S.THROTTLE),
    _T(_S.PRODUCING, _E.DIFFERENCE_LOST, _S.WARMING_UP),
    _T(_S.THROTTLE, _E.POWER_CYCLED, _S.BLACK_START),
    _T(_S.THROTTLE, _E.HOT_FATAL, _S.FAULT),
    _T(_S.THROTTLE, _E.GAS_LEAK, _S.FAULT),
    _T(_S.THROTTLE, _E.TRIPPED, _S.FAULT),
    _T(_S.THROTTLE, _E.SMOKE, _S.SAFE_SHUTDOWN),
    _T(_S.THROTTLE, _E.FLAME_LOST, _S.SAFE_SHUTDOWN),
    _T(_S.THROTTLE, _E.BATTERY_CRITICAL, _S.ISLAND_MODE),
    _T(_S.THROTTLE, _E.VOLTAGE_LOW, _S.ISLAND_MODE),
    _T(_S.THROTTLE, _E.LIMIT_CLEARED, _S.PRODUCING),
    _T(_S.ISLAND_MODE, _E.POWER_CYCLED, _S.BLACK_START),
    _T(_S.ISLAND_MODE, _E.HOT_FATAL, _S.FAULT),
    _T(_S.ISLAND_MODE, _E.GAS_LEAK, _S.FAULT),
    _T(_S.ISLAND_MODE, _E.TRIPPED, _S.FAULT),
    _T(_S.ISLAND_MODE, _E.SMOKE, _S.SAFE_SHUTDOWN),
    _T(_S.ISLAND_MODE, _E.FLAME_LOST, _S.SAFE_SHUTDOWN),
    _T(_S.ISLAND_MODE, _E.VOLTAGE_RESTORED, _S.WARMING_UP),
    _T(_S.SAFE_SHUTDOWN, _E.POWER_CYCLED, _S.BLACK_START),
    _T(_S.SAFE_SHUTDOWN, _E.HOT_FATAL, _S.FAULT),
    _T(_S.SAFE_SHUTDOWN, _E.GAS_LEAK, _S.FAULT),
    _T(_S.SAFE_SHUTDOWN, _E.TRIPPED, _S.FAULT),
    _T(_S.SAFE_SHUTDOWN, _E.COOLED_DOWN, _S.BLACK_START),
    # Out of a fault leads only a person's hand: the node's power switched off and on, or a signed command that names the trip.
    _T(_S.FAULT, _E.POWER_CYCLED, _S.BLACK_START),
    _T(_S.FAULT, _E.TRIP_CLEARED, _S.BLACK_START),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """When an event happens: `test` true for `hold_s` site seconds on end."""

    text: str
    hold_s: int
    test: Callable[[Readings, Limits], bool]


def _limit_exceeded(now: Readings, limits: Limits) -> bool:
    return (
        now.above("hot_supply_temperature", limits.hot_throttle_degc)
        or now.above("cold_supply_temperature", limits.cold_throttle_degc)
        or now.below("hot_flow", limits.hot_flow_low_l_min)
        or now.below("cold_flow", limits.cold_flow_low_l_min)
    )


def _limit_cleared(now: Readings, limits: Limits) -> bool:
    return (
        now.below("hot_supply_temperature", limits.hot_throttle_degc - 5)
        and now.below("cold_supply_temperature", limits.cold_throttle_degc - 5)
        and not now.below("hot_flow", limits.hot_flow_low_l_min)
        and not now.below("cold_flow", limits.cold_flow_low_l_min)
    )


def _difference_above(now: Readings, limit_k: int) -> bool:
    return now.difference_k is not None and now.difference_k > limit_k


def _difference_below(now: Readings, limit_k: int) -> bool:
    return now.difference_k is not None and now.difference_k < limit_k


CONDITIONS: dict[Event, Condition] = {
    Event.HOT_FATAL: Condition(
        "hot supply above `hot_fatal_degc`", 0, lambda now, limits: now.above("hot_supply_temperature", limits.hot_fatal_degc)
    ),
    Event.GAS_LEAK: Condition("the gas detector's alarm", 0, lambda now, _: now.flags("site_alarms", SiteAlarm.GAS_LEAK)),
    Event.TRIPPED: Condition("the gateware has latched a trip", 0, lambda now, _: now.tripped),
    Event.SMOKE: Condition("the smoke detector's alarm", 0, lambda now, _: now.flags("site_alarms", SiteAlarm.SMOKE)),
    Event.FLAME_LOST: Condition(
        "the burner is to run and the flame detector sees nothing",
        10,  # longer than a trial for ignition, which the burner's own controller supervises
        lambda now, _: now.flame_missing,
    ),
    Event.BATTERY_CRITICAL: Condition(
        "charge below `battery_critical_percent`, or bus below `bus_critical_mv`",
        10,
        lambda now, limits: (
            now.below("battery_charge", limits.battery_critical_percent) or now.below("bus_voltage", limits.bus_critical_mv / 1000)
        ),
    ),
    Event.VOLTAGE_LOW: Condition("bus below `bus_low_mv`", 10, lambda now, limits: now.below("bus_voltage", limits.bus_low_mv / 1000)),
    Event.VOLTAGE_RESTORED: Condition(
        "bus above `bus_restored_mv`, and charge not below twice `battery_critical_percent`",
        60,
        lambda now, limits: (
            now.above("bus_voltage", limits.bus_restored_mv / 1000) and not now.below("battery_charge", 2 * limits.battery_critical_percent)
        ),
    ),
    Event.LIMIT_EXCEEDED: Condition(
        "hot supply above `hot_throttle_degc`, cold supply above `cold_throttle_degc`, hot flow below `hot_flow_low_l_min` "
        "or cold flow below `cold_flow_low_l_min`",
        5,
        _limit_exceeded,
    ),
    Event.LIMIT_CLEARED: Condition("both temperatures 5 K below those limits and neither flow low", 60, _limit_cleared),
    Event.DIFFERENCE_REACHED: Condition(
        "hot supply minus cold supply above `producing_difference_k`",
        60,
        lambda now, limits: _difference_above(now, limits.producing_difference_k),
    ),
    Event.DIFFERENCE_LOST: Condition(
        "that difference 20 K below `producing_difference_k`",
        60,
        lambda now, limits: _difference_below(now, limits.producing_difference_k - 20),
    ),
    Event.BUS_ALIVE: Condition("bus above `bus_low_mv`", 0, lambda now, limits: now.above("bus_voltage", limits.bus_low_mv / 1000)),
    Event.COOLED_DOWN: Condition(
        "hot supply below `cooled_down_degc`, and no smoke",
        60,
        lambda now, limits: now.below("hot_supply_temperature", limits.cooled_down_degc) and not now.flags("site_alarms", SiteAlarm.SMOKE),
    ),
}
"""POWER_CYCLED and TRIP_CLEARED have no condition: the daemon raises them itself."""

RAISED: dict[Event, str] = {
    Event.POWER_CYCLED: "the daemon finds the node unarmed",
    Event.TRIP_CLEARED: "a command named the trip, and the gateware ended it: its cause is gone",
}


@dataclass(frozen=True, slots=True)
class Output:
    """What a state asks of the node: may the channels switch, and with the lower current limit?"""

    enable: bool
    throttled: bool = False


OUTPUTS: dict[SiteState, Output] = {
    SiteState.BLACK_START: Output(enable=False),
    SiteState.WARMING_UP: Output(enable=True),
    SiteState.PRODUCING: Output(enable=True),
    SiteState.THROTTLE: Output(enable=True, throttled=True),
    SiteState.ISLAND_MODE: Output(enable=True),
    SiteState.SAFE_SHUTDOWN: Output(enable=False),
    SiteState.FAULT: Output(enable=False),
}

_TARGET: dict[tuple[SiteState, Event], SiteState] = {(row.state, row.event): row.target for row in TRANSITIONS}


def target(state: SiteState, event: Event) -> SiteState:
    """The state after `event` in `state`: the same one where the table does not list it."""
    return _TARGET.get((state, event), state)


class StateMachine:
    """Follows the readings from state to state."""

    def __init__(self, state: SiteState, limits: Limits) -> None:
        self.state = state
        self._limits = limits
        self._held = {event: Held(condition.hold_s) for event, condition in CONDITIONS.items()}

    def power_cycled(self) -> None:
        """The node lost its power: what it was told is gone, and so is every delay that was running."""
        self.state = target(self.state, Event.POWER_CYCLED)
        self._held = {event: Held(condition.hold_s) for event, condition in CONDITIONS.items()}

    def trip_cleared(self) -> None:
        """The gateware has ended its trip."""
        self.state = target(self.state, Event.TRIP_CLEARED)

    def follow(self, now: Readings) -> Event | None:
        """Takes the readings of a site second; the event that changed the state, or None."""
        happened = {
            event for event, condition in CONDITIONS.items() if self._held[event].update(condition.test(now, self._limits), now.time_s)
        }
        for row in TRANSITIONS:
            if row.state is self.state and row.event in happened:
                self.state = row.target
                return row.event
        return None
