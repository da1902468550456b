"""Site time keeps the pace it was given, against a clock of the test's own."""

import pytest
from thermogen_sim.pacing import MOST_DEBT_S, Pacer


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_clocks_fall_due_with_the_wall_clock(clock):
    pacer = Pacer(10_000, 0, 10.0, clock)
    assert pacer.due(0, 50_000) == 0
    clock.now += 0.01
    assert pacer.due(0, 50_000) == 1000
    assert pacer.due(1000, 50_000) == 0


def test_a_slice_is_never_longer_than_asked(clock):
    pacer = Pacer(10_000, 0, 100.0, clock)
    clock.now += 0.2
    assert pacer.due(0, 5_000) == 5_000


def test_ahead_says_how_long_to_wait(clock):
    pacer = Pacer(10_000, 0, 1.0, clock)
    assert pacer.ahead_s(5_000) == pytest.approx(0.5)
    clock.now += 0.4
    assert pacer.ahead_s(5_000) == pytest.approx(0.1)


def test_a_long_pause_is_not_made_up_for(clock):
    pacer = Pacer(10_000, 0, 1.0, clock)
    clock.now += 3600.0
    assert pacer.due(0, 1 << 40) == pytest.approx(MOST_DEBT_S * 10_000, abs=1)


def test_full_speed_is_always_due(clock):
    pacer = Pacer(10_000, 0, None, clock)
    assert pacer.due(10**9, 5_000) == 5_000
    assert pacer.ahead_s(10**9) == 0.0


def test_a_change_of_pace_counts_from_now(clock):
    pacer = Pacer(10_000, 0, 1.0, clock)
    clock.now += 50.0
    pacer.change(100.0, 7_000)
    assert pacer.due(7_000, 10**9) == 0
    clock.now += 0.001
    assert pacer.due(7_000, 10**9) == pytest.approx(1000, abs=1)
