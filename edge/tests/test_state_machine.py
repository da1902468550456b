"""The site's states: the table is the whole truth, and its document is not stale."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from thermogen_edge.profile import Limits
from thermogen_edge.readings import Readings
from thermogen_edge.state_document import document
from thermogen_edge.state_machine import CONDITIONS, OUTPUTS, TRANSITIONS, Event, StateMachine, target
from thermogen_esf.points import BurnerFlag, SiteAlarm, SiteState

from .warm_site import readings

LIMITS = Limits()


def after(machine: StateMachine, seconds: int, start_s: int, tripped: bool = False, **changes: float) -> SiteState:
    for time_s in range(start_s, start_s + seconds + 1):
        machine.follow(readings(time_s, tripped, **changes))
    return machine.state


@pytest.mark.parametrize(("state", "event"), list(itertools.product(SiteState, Event)))
def test_an_event_that_the_table_does_not_list_changes_nothing(state: SiteState, event: Event) -> None:
    listed = [row.target for row in TRANSITIONS if (row.state, row.event) == (state, event)]
    assert len(listed) <= 1, "listed twice"
    assert target(state, event) == (listed[0] if listed else state)


def test_every_event_has_a_condition_or_is_the_daemons_own() -> None:
    assert set(Event) - set(CONDITIONS) == {Event.POWER_CYCLED, Event.TRIP_CLEARED}
    assert set(OUTPUTS) == set(SiteState)


def test_every_state_is_reached_and_left_and_a_hazard_ends_in_a_state_that_may_not_switch() -> None:
    assert {row.target for row in TRANSITIONS} == {row.state for row in TRANSITIONS} == set(SiteState)
    hazards = {Event.HOT_FATAL, Event.GAS_LEAK, Event.TRIPPED}
    for state in set(SiteState) - {SiteState.FAULT}:
        for hazard in hazards:
            assert target(state, hazard) is SiteState.FAULT
    assert not OUTPUTS[SiteState.FAULT].enable and not OUTPUTS[SiteState.SAFE_SHUTDOWN].enable
    assert {row.event for row in TRANSITIONS if row.state is SiteState.FAULT} == {Event.POWER_CYCLED, Event.TRIP_CLEARED}


def test_a_warm_site_produces_after_a_minute_of_difference() -> None:
    machine = StateMachine(SiteState.BLACK_START, LIMITS)
    assert after(machine, 59, 1_000) is SiteState.WARMING_UP
    assert after(machine, 1, 1_060) is SiteState.PRODUCING


@pytest.mark.parametrize(
    ("changes", "hold_s", "expected"),
    [
        ({"hot_supply_temperature": 190.1}, 5, SiteState.THROTTLE),
        ({"cold_supply_temperature": 90.1}, 5, SiteState.THROTTLE),
        ({"hot_flow": 4.9}, 5, SiteState.THROTTLE),
        ({"cold_flow": 9.9}, 5, SiteState.THROTTLE),
        ({"hot_supply_temperature": 205.1}, 0, SiteState.FAULT),
        ({"bus_voltage": 43.9}, 10, SiteState.ISLAND_MODE),
        ({"battery_charge": 9.5}, 10, SiteState.ISLAND_MODE),
        ({"site_alarms": float(SiteAlarm.GAS_LEAK)}, 0, SiteState.FAULT),
        ({"site_alarms": float(SiteAlarm.SMOKE)}, 0, SiteState.SAFE_SHUTDOWN),
        ({"burner_flags": float(BurnerFlag.RUNNING)}, 10, SiteState.SAFE_SHUTDOWN),
        ({"hot_supply_temperature": 104.9}, 60, SiteState.WARMING_UP),
        ({"burner_flags": 0.0}, 120, SiteState.PRODUCING),
        ({"hot_supply_temperature": 189.9}, 120, SiteState.PRODUCING),
    ],
)
def test_a_producing_site_leaves_its_state_for_a_reason_that_lasts(changes: dict[str, float], hold_s: int, expected: SiteState) -> None:
    machine = StateMachine(SiteState.PRODUCING, LIMITS)
    if hold_s:
        assert after(machine, hold_s - 1, 1_000, **changes) is SiteState.PRODUCING
    assert after(machine, 1, 1_000 + hold_s, **changes) is expected


def test_a_trip_that_was_cleared_leads_out_of_the_fault_and_nothing_else_that_clears_does() -> None:
    machine = StateMachine(SiteState.PRODUCING, LIMITS)
    machine.trip_cleared()
    assert machine.state is SiteState.PRODUCING
    assert after(machine, 0, 1_000, tripped=True) is SiteState.FAULT
    machine.trip_cleared()
    assert machine.state is SiteState.BLACK_START
    assert after(machine, 0, 1_001, hot_supply_temperature=206.0) is SiteState.FAULT


def test_a_trip_is_a_fault_that_no_better_reading_ends() -> None:
    machine = StateMachine(SiteState.PRODUCING, LIMITS)
    assert after(machine, 0, 1_000, tripped=True) is SiteState.FAULT
    assert after(machine, 500, 1_001) is SiteState.FAULT
    machine.power_cycled()
    assert machine.state is SiteState.BLACK_START


def test_throttle_ends_when_the_limit_has_been_clear_for_a_minute() -> None:
    machine = StateMachine(SiteState.THROTTLE, LIMITS)
    assert after(machine, 200, 1_000, hot_supply_temperature=187.0) is SiteState.THROTTLE
    assert after(machine, 59, 1_201, hot_supply_temperature=184.9) is SiteState.THROTTLE
    assert after(machine, 1, 1_261, hot_supply_temperature=184.9) is SiteState.PRODUCING


def test_a_shut_down_site_starts_again_once_it_is_cold_and_without_smoke() -> None:
    machine = StateMachine(SiteState.SAFE_SHUTDOWN, LIMITS)
    assert after(machine, 200, 1_000, hot_supply_temperature=50.0, site_alarms=float(SiteAlarm.SMOKE)) is SiteState.SAFE_SHUTDOWN
    assert after(machine, 60, 1_201, hot_supply_temperature=50.0) is SiteState.BLACK_START


def test_a_delay_begins_anew_when_the_clock_is_set_back() -> None:
    machine = StateMachine(SiteState.WARMING_UP, LIMITS)
    machine.follow(readings(5_000))
    assert after(machine, 59, 1_000) is SiteState.WARMING_UP
    assert after(machine, 1, 1_060) is SiteState.PRODUCING


def test_points_that_nobody_told_make_nothing_happen() -> None:
    for state in SiteState:
        machine = StateMachine(state, LIMITS)
        for time_s in range(0, 1_000, 10):
            machine.follow(Readings(time_s, {}))
        assert machine.state is state


def test_the_published_document_is_not_stale() -> None:
    published = Path(__file__).parents[2] / "docs" / "site-states.md"
    assert published.read_text(encoding="utf-8") == document()
