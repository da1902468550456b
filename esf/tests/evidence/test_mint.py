"""An amount follows from the leaves alone, nothing is lost to rounding but the carry, and a request that claims more is refused."""

from dataclasses import replace
from fractions import Fraction
from hashlib import sha3_256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_esf.evidence.canonical import canonical, parse
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.methodology import Methodology, MethodologyError, by_hash, by_identifier, known
from thermogen_esf.evidence.mint import (
    BelowLeastMintError,
    EpochClaim,
    MintError,
    MintRequest,
    judge_request,
    propose,
    serial,
    tonnes,
    vintage_of_epoch,
)
from thermogen_esf.evidence.opened import OpenedBatch

GRID = by_identifier("TZ-DISPLACED-GRID")


def _opened(batches):
    return [OpenedBatch.open(batch) for batch in batches]


def _reasons(request, batches, previous=None):
    return {check.reason for check in judge_request(request, GRID, _opened(batches), previous) if check.passed is False}


def test_six_hours_of_a_twelve_channel_site_are_worth_just_above_the_least_mint(world, six_hours):
    request = world.request(six_hours)
    seconds = 24 * 900 - 10
    assert request.energy_mj == 1_050_000 * seconds
    kwh = Fraction(request.energy_mj, 3_600_000_000)
    assert request.amount == int(kwh * 241 * Fraction(95, 100)) == 1_441
    assert tonnes(request.amount) == "0.001441"
    assert (request.vintage, request.serial) == (2026, "SC-2026-TZ-000001")
    assert not _reasons(request, six_hours)


def test_a_request_reads_back_and_its_hash_is_that_of_its_bytes(world, credit):
    request = world.request(credit)
    assert MintRequest.parse(request.encode()) == request
    assert request.hash == sha3_256(request.encode()).digest()


@pytest.mark.parametrize("change", [{"note": "one field more"}, {"version": 2}, {"energy_mj": -1}, {"amount": 0}, {"demonstration": 1}])
def test_a_request_with_a_field_more_or_out_of_range_is_none(world, credit, change):
    with pytest.raises(MintError, match=next(iter(change))):
        MintRequest.parse(canonical({**parse(world.request(credit).encode()), **change}))


def test_less_than_the_least_mint_is_not_requested(world, first_epoch):
    with pytest.raises(BelowLeastMintError, match=r"0\.000059 t .* least mint .* is 0\.001000 t"):
        world.request([world.site.epoch(first_epoch)])


def test_energy_is_not_counted_across_a_restart(world, first_epoch):
    world.site.scale = 9
    before = world.site.epoch(first_epoch)
    world.site.reboot()
    world.site.energy_mj = 10**12  # a counter that begins anew, anywhere
    after = [world.site.epoch(first_epoch + 1 + index) for index in range(3)]
    assert world.request([before, *after]).energy_mj == 9_450_000 * (890 + 3 * 900 - 10)


def test_energy_is_not_counted_across_a_missing_batch(world, six_hours):
    request = world.request([*six_hours[:10], *six_hours[11:]])
    assert request.energy_mj == 1_050_000 * (9_000 - 10 + 13 * 900 - 10)


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=20))
def test_carrying_loses_nothing(energies):
    carry, total = 0, 0
    for energy in energies:
        amount, carry = GRID.amount(energy, carry)
        assert 0 <= carry < GRID.parts_per_unit
        total += amount
    exact = Fraction(sum(energies), 3_600_000_000) * 241 * Fraction(95, 100)
    assert total + Fraction(carry, GRID.parts_per_unit) == exact


@pytest.mark.parametrize(("energy", "carry"), [(-1, 0), (0, -1), (0, GRID.parts_per_unit)])
def test_an_amount_of_nonsense_is_not_computed(energy, carry):
    with pytest.raises(ValueError, match=r"has no amount|is not below"):
        GRID.amount(energy, carry)


def test_the_next_request_carries_on(world, first_epoch, credit):
    first = world.request(credit)
    more = [world.site.epoch(first_epoch + 3 + index) for index in range(3)]
    second = world.request(more, number=2, previous=first)
    assert second.carry_in == first.carry_out > 0
    assert second.previous == first.hash
    assert not _reasons(second, more, first)
    undecided = [check for check in judge_request(second, GRID, _opened(more)) if check.passed is None]
    assert [check.name for check in undecided] == ["carry from the previous request"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"carry_in": 7}, Reason.WRONG_CARRY),
        ({"carry_in": GRID.parts_per_unit}, Reason.WRONG_CARRY),
        ({"amount": 1_617}, Reason.WRONG_AMOUNT),
        ({"amount": 1_615}, Reason.WRONG_AMOUNT),
        ({"carry_out": 0}, Reason.WRONG_AMOUNT),
        ({"energy_mj": 25_420_500_001}, Reason.WRONG_ENERGY),
        ({"vintage": 2025}, Reason.WRONG_VINTAGE),
        ({"serial": "SC-2025-TZ-000001"}, Reason.WRONG_VINTAGE),
    ],
)
def test_a_number_that_is_off(world, credit, changes, reason):
    assert reason in _reasons(replace(world.request(credit), **changes), credit)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"carry_in": 1}, "parts over"),
        ({"previous": bytes(32)}, "that one is"),
    ],
)
def test_a_carry_that_the_previous_request_did_not_leave(world, first_epoch, credit, changes, detail):
    first = world.request(credit)
    more = [world.site.epoch(first_epoch + 3 + index) for index in range(3)]
    forged = replace(world.request(more, number=2, previous=first), **changes)
    checks = judge_request(forged, GRID, _opened(more), first)
    assert any(check.reason is Reason.WRONG_CARRY and detail in check.detail for check in checks)


def test_the_previous_requests_epochs_again(world, credit):
    first = world.request(credit)
    again = world.request(credit, number=2, previous=first)
    assert _reasons(again, credit, first) == {Reason.WRONG_CARRY}


def test_an_epoch_twice(world, credit):
    request = world.request(credit)
    doubled = replace(request, epochs=(*request.epochs[:2], request.epochs[1], request.epochs[2]))
    assert Reason.WRONG_EPOCHS in _reasons(doubled, [*credit[:2], credit[1], credit[2]])
    with pytest.raises(MintError, match="strictly increasing"):
        world.request([credit[0], *credit])


def test_epochs_out_of_order(world, credit):
    request = world.request(credit)
    assert Reason.WRONG_EPOCHS in _reasons(replace(request, epochs=request.epochs[::-1]), credit[::-1])


def test_an_epoch_without_its_batch(world, credit):
    assert Reason.WRONG_EPOCHS in _reasons(world.request(credit), credit[:-1])


def test_another_batch_than_the_one_claimed(world, credit):
    request = world.request(credit)
    claims = (EpochClaim(request.epochs[0].epoch, bytes(32)), *request.epochs[1:])
    assert Reason.WRONG_BATCH in _reasons(replace(request, epochs=claims), credit)


def test_a_request_lies_in_one_year(world, first_epoch):
    new_year = 1_798_761_600 // 900  # 2027-01-01T00:00:00Z
    assert (vintage_of_epoch(new_year - 1), vintage_of_epoch(new_year)) == (2026, 2027)
    world.site.scale = 9
    batches = [world.site.epoch(new_year - 1 + index) for index in range(3)]
    with pytest.raises(MintError, match="one request for each year"):
        world.request(batches)


def test_no_epochs_and_other_methodologies_are_not_requested(world, credit):
    with pytest.raises(MintError, match="at least one epoch"):
        world.request([])
    other = replace(world.request(credit), methodology_hash=bytes(32))
    with pytest.raises(MintError, match="another methodology"):
        propose(_opened(credit), site="tz-test-01", methodology=GRID, number=2, previous=other, demonstration=True)


def test_serials_have_six_digits():
    assert serial(2026, 42) == "SC-2026-TZ-000042"


def test_every_constant_of_a_methodology_has_a_unit_and_a_source():
    for methodology in known():
        document = parse(methodology.document)
        assert document["baseline"]["statement"] and document["baseline"]["evidence"]
        assert all(constant["unit"] and constant["source"] for constant in document["constants"])
        assert by_hash(methodology.hash) is methodology


def test_the_displaced_grid_methodology_never_changes_under_its_hash():
    assert GRID.hash.hex() == "9a35dc6b2478d2dcb7335b77fa78b6a5f610a3788f01336d3c43b40aafc8dc50"
    assert (GRID.grid_emission_factor, GRID.conservative_discount, GRID.least_mint, GRID.baseline) == (
        241,
        500,
        1_000,
        "displaced-grid-power",
    )


def test_the_worked_example_of_a_full_node_comes_out():
    year_mj = 10_000 * 8 // 10 * 8_760 * 3_600 * 1_000
    amount, _ = GRID.amount(year_mj, 0)
    assert tonnes(amount) == "16.044816"  # 16.889 t less the discount of 5 %


@pytest.mark.parametrize("identifier", ["ACM0001", "AMS-III.H", ""])
def test_a_methodology_that_is_not_known_is_named_as_such(identifier):
    with pytest.raises(MethodologyError, match="is not known; known are TZ-DISPLACED-GRID"):
        by_identifier(identifier)


def test_a_changed_methodology_has_another_hash_and_is_not_known():
    document = parse(GRID.document)
    document["constants"][0]["value"] = 482
    changed = Methodology.parse(canonical(document))
    with pytest.raises(MethodologyError, match="no methodology of this release"):
        by_hash(changed.hash)


def test_a_methodology_without_a_constant_is_refused():
    document = parse(GRID.document)
    del document["constants"][1]
    with pytest.raises(MethodologyError, match="conservative_discount"):
        Methodology.parse(canonical(document))
