"""The odds are those of the rules: computed, counted out for small fleets, and simulated for large ones."""

import random
from fractions import Fraction
from itertools import combinations, product
from math import comb

import pytest
from thermogen_esf.documents.attestation_odds import FLEETS, TRIALS, _days
from thermogen_esf.evidence.attestation.beacon import LEAST_CONTRIBUTORS
from thermogen_esf.evidence.attestation.draw import EXPECTED_WITNESSES, MAX_ATTEMPTS, eligible
from thermogen_esf.evidence.attestation.log import Log, seal_entry
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
    nobody_honest,
    possible_beacons,
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
    """Over all attempts that a log has which drops what others say: counted out with fractions."""
    least = needed_for_witnessed(sites)
    drawn, false = Fraction(EXPECTED_WITNESSES, eligible(sites)), colluders(sites, PINNED_SHARE_PERCENT)

    def reached(wanted):
        once = 1 - sum(comb(false, few) * drawn**few * (1 - drawn) ** (false - few) for few in range(wanted))
        return once, 1 - (1 - once) ** MAX_ATTEMPTS

    once, in_any_attempt = reached(least)
    assert in_any_attempt <= Fraction(1, ODDS_OF)
    assert least == QUORUM or reached(least - 1)[1] > Fraction(1, ODDS_OF)
    assert float(once) == pytest.approx(collusion_with_the_log(sites, PINNED_SHARE_PERCENT, least))
    assert float(drawn) == pytest.approx(draw_probability(eligible(sites)))


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


def _made(root_keys, entries, last, held, least):
    """Every beacon that can be made with the seals held, one or more checkpoints ahead, each over `least` of them or more."""
    for count in range(least, len(held) + 1):
        for chosen in combinations(held, count):
            log = Log(root_keys, (*entries, *chosen), last)
            checkpoint = log.checkpoint(0)
            if checkpoint.draws:
                yield checkpoint.beacon
            yield from _made(root_keys, log.entries, checkpoint, [each for each in held if each not in chosen], least)


_COUNTED = [(3, 1), (4, 1), (5, 1), *((sites, LEAST_CONTRIBUTORS) for sites in range(LEAST_CONTRIBUTORS, 9))]


@pytest.mark.parametrize(("sites", "least"), _COUNTED)
def test_the_beacons_that_a_log_can_choose_among_are_made_and_counted(new_node, sites, least):
    """In every order and split, and with `least` 1 also over checkpoints that draw nothing: they add none."""
    held = [seal_entry(new_node(f"tz-{number}").seal(10)) for number in range(sites)]
    made = list(_made(bytes(32), (), None, held, least))
    assert len(set(made)) == possible_beacons(sites)
    if least == LEAST_CONTRIBUTORS:
        assert len(made) == len(set(made)), "no split gives what another gives"


def test_what_is_chosen_among_is_more_than_which_seals_are_left_out_from_nine_sites_on():
    assert [possible_beacons(sites) for sites in range(9)] == [0, 0, 0, 0, 1, 6, 22, 64, 233]
    assert possible_beacons(8) < 2**8 and possible_beacons(9) > 2**9


@pytest.mark.parametrize("sites", [25, 1_000])
def test_no_choice_of_beacons_makes_honest_sites_undrawn(sites):
    """What an otherwise honest log that asks nobody comes to at most, however many beacons it has."""
    count, rate = eligible(sites), draw_probability(eligible(sites)) * 0.9
    exactly = (1 - rate) ** (count - colluders(sites, PINNED_SHARE_PERCENT))
    assert nobody_honest(sites, PINNED_SHARE_PERCENT, 0.9) == pytest.approx(exactly)
    assert collusion(sites, PINNED_SHARE_PERCENT, 0.9) <= exactly
