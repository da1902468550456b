"""The odds are those of the rules: computed, counted out for small fleets, and simulated for large ones."""

import random
from fractions import Fraction
from itertools import product

import pytest
from thermogen_esf.documents.attestation_odds import FLEETS, TRIALS, _days
from thermogen_esf.evidence.attestation.draw import EXPECTED_WITNESSES, eligible
from thermogen_esf.evidence.attestation.odds import (
    ODDS_OF,
    PINNED_SHARE_PERCENT,
    QUORUM,
    at_least,
    availability,
    colluders,
    collusion,
    collusion_with_the_log,
    draw_probability,
    needed_for_witnessed,
)


@pytest.mark.parametrize("sites", [4, 5, 6, 8])
@pytest.mark.parametrize("online", [0.5, 0.9])
@pytest.mark.parametrize("share", [30, 60])
def test_small_fleets_are_counted_out(sites, online, share):
    """All are drawn; every combination of who is online."""
    false, honest = colluders(sites, share), eligible(sites) - colluders(sites, share)
    reached = found = 0.0
    for there in product((True, False), repeat=honest):
        weight = online ** sum(there) * (1 - online) ** (honest - sum(there))
        reached += weight * (false >= QUORUM and not any(there))
    for there in product((True, False), repeat=eligible(sites)):
        found += online ** sum(there) * (1 - online) ** (len(there) - sum(there)) * (sum(there) >= QUORUM)
    assert collusion(sites, share, online) == pytest.approx(reached)
    assert availability(sites, online) == pytest.approx(found)


@pytest.mark.parametrize("sites", [25, 100, 1_000, 10_000])
def test_large_fleets_are_as_simulated(sites):
    days = list(_days(sites, 0, 0.15))
    assert sum(honest >= QUORUM for honest, _ in days) / TRIALS == pytest.approx(availability(sites, 0.15), abs=0.05)
    false = colluders(sites, 80)
    days = list(_days(sites, false, 0.5))
    reached = sum(colluding >= QUORUM and not honest for honest, colluding in days) / TRIALS
    assert reached == pytest.approx(collusion(sites, 80, 0.5), abs=0.05)


def test_as_many_are_drawn_in_the_simulation_as_by_the_threshold():
    drawn = [honest + colluding for honest, colluding in _days(1_000, 100, 1.0)]
    assert sum(drawn) / TRIALS == pytest.approx(EXPECTED_WITNESSES, abs=0.5)
    assert sum(colluding for _, colluding in _days(1_000, 100, 1.0)) / TRIALS == pytest.approx(1.6, abs=0.2)


@pytest.mark.parametrize("sites", [5, 17])
def test_where_all_are_drawn_nothing_is_witnessed(sites):
    assert draw_probability(eligible(sites)) == 1
    assert needed_for_witnessed(sites) is None


@pytest.mark.parametrize("sites", [sites for sites in FLEETS if sites > EXPECTED_WITNESSES + 1])
def test_the_number_for_witnessed_is_the_least_that_withstands_the_share(sites):
    least = needed_for_witnessed(sites)
    share = Fraction(EXPECTED_WITNESSES, eligible(sites))
    odds = collusion_with_the_log(sites, PINNED_SHARE_PERCENT, least)
    assert odds <= 1 / ODDS_OF
    assert least == QUORUM or collusion_with_the_log(sites, PINNED_SHARE_PERCENT, least - 1) > 1 / ODDS_OF
    assert float(share) == pytest.approx(draw_probability(eligible(sites)))


def test_a_fleet_where_colluders_are_a_tenth_is_available_and_safe_with_an_honest_log():
    """What the constants were chosen for."""
    for sites in FLEETS:
        if sites > EXPECTED_WITNESSES + 1:
            assert availability(sites, 0.7) > 0.99
            assert collusion(sites, PINNED_SHARE_PERCENT, 0.9) < 1e-6


def test_sums_of_small_chances_are_not_lost():
    assert at_least(1_000, 1e-3, 0) == pytest.approx(1)
    assert at_least(10, 0.5, 11) == 0
    assert at_least(100, 1e-6, 3) == pytest.approx(161_700 * 1e-18, rel=1e-3)
    assert at_least(5, 1.0, 5) == 1 and at_least(5, 1.0, 6) == 0


def test_the_simulation_is_seeded():
    random.seed(1)
    first = list(_days(50, 5, 0.9))
    random.seed(2)
    assert list(_days(50, 5, 0.9)) == first
