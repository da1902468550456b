"""The eight methodologies: what each credits, what it needs, and what refuses saying why."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.canonical import canonical, parse
from thermogen_esf.evidence.catalogue import (
    METHODOLOGY_CONTEXT,
    MethodologyRefusedError,
    Quantity,
    Refusal,
    Rule,
    catalogue,
    custom,
    read,
    rule,
)
from thermogen_esf.evidence.command import main
from thermogen_esf.evidence.methodology import MethodologyError, by_identifier
from thermogen_esf.evidence.trust import ApproverKey
from thermogen_esf.evidence.yields import Site, yields
from thermogen_esf.points import POINT, Source
from thermogen_esf.signatures import SigningKey

COMPUTING = ["EPA-AP42-CH4-FLARE", "IPCC-AR5-100Y", "IPCC-AR5-20Y", "TZ-DISPLACED-GRID"]
REFUSING = ["CDM-ACM0001", "CUSTOM", "GS-MICRO-SCALE", "VCS-AMS-III-H"]
EVIDENCE = b"hash of what shows the baseline."
CF = 86_400


def test_all_eight_are_there():
    assert sorted(catalogue()) == sorted([*COMPUTING, *REFUSING])
    assert [name for name, each in catalogue().items() if isinstance(each, Refusal)] == sorted(REFUSING)
    assert len({each.hash for each in catalogue().values()}) == 8


@pytest.mark.parametrize("name", REFUSING)
def test_what_does_not_apply_refuses_and_says_why(name):
    with pytest.raises(MethodologyRefusedError) as error:
        rule(name)
    assert name in str(error.value) and len(str(error.value)) > 60


def test_a_name_that_nobody_knows_is_said_with_those_that_are():
    with pytest.raises(MethodologyError, match="TZ-DISPLACED-GRID"):
        rule("EPA-AP42")


@pytest.mark.parametrize(("name", "escapes", "warming"), [(COMPUTING[0], "0.02", 28), (COMPUTING[1], "1", 28), (COMPUTING[2], "1", 84)])
def test_methane_is_what_the_formula_says(name, escapes, warming):
    gas = 1_000_000 * CF
    grams = Fraction(1_000_000) * Fraction("19.170505") * Fraction(escapes) * (warming - Fraction("2.75")) * Fraction("0.95")
    assert rule(name).amount(0, gas, 0, EVIDENCE)[0] == grams.__floor__()


def test_the_flare_is_credited_a_fiftieth_of_the_vent():
    gas = 10**9 * CF
    flare, vent = (rule(name).amount(0, gas, 0, EVIDENCE)[0] for name in COMPUTING[:2])
    assert vent // flare == 50 or vent // flare == 49


@pytest.mark.parametrize("name", COMPUTING[:3])
def test_a_baseline_that_is_not_measured_needs_its_evidence(name):
    with pytest.raises(MethodologyRefusedError, match="hash"):
        rule(name).amount(0, CF, 0, None)


@pytest.mark.parametrize("name", COMPUTING)
@given(quantities=st.lists(st.integers(0, 10**15), min_size=1, max_size=6))
def test_what_is_rounded_down_is_carried_and_nothing_is_lost_or_made(name, quantities):
    methodology, carry, total = rule(name), 0, 0
    for value in quantities:
        amount, carry = methodology.amount(value, value, carry, EVIDENCE)
        assert 0 <= carry < methodology.parts_per_unit
        total += amount
    at_once, rest = methodology.amount(sum(quantities), sum(quantities), 0, EVIDENCE)
    assert (total, carry) == (at_once, rest)


@pytest.mark.parametrize("name", COMPUTING)
def test_carries_fit_what_a_mint_request_holds_and_bad_ones_are_refused(name):
    methodology = rule(name)
    assert methodology.parts_per_unit < 2**64
    for energy, carry in ((-1, 0), (1, -1), (1, methodology.parts_per_unit)):
        with pytest.raises(ValueError, match="no amount"):
            methodology.amount(energy, energy, carry, EVIDENCE)


def test_the_grid_rule_is_the_methodology_that_mints_today():
    today, here = by_identifier("TZ-DISPLACED-GRID"), rule("TZ-DISPLACED-GRID")
    assert (here.hash, here.parts_per_quantity, here.parts_per_unit) == (today.hash, today.parts_per_mj, today.parts_per_unit)
    assert here.amount(10**10, 0, 5, None) == today.amount(10**10, 5)


def test_nothing_that_the_host_says_is_credited():
    measured = {Quantity.ENERGY: "electrical_energy", Quantity.GAS: "gas_volume"}
    for each in catalogue().values():
        if isinstance(each, Rule):
            assert POINT[measured[each.quantity]].source is Source.DERIVED


@pytest.mark.parametrize("name", COMPUTING[:3])
def test_a_changed_constant_is_another_methodology(name):
    document = rule(name).document
    value = parse(document)
    value["constants"][0]["value"] += 1
    assert read(canonical(value)).hash != rule(name).hash
    del value["constants"][0]
    with pytest.raises(MethodologyError, match="methane_per_cubic_foot"):
        read(canonical(value))


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_methodology_or_an_error(data):
    with pytest.raises(MethodologyError):
        read(data)


AUDITOR, EVE = SigningKey.from_seed(b"auditor".ljust(32)), SigningKey.from_seed(b"eve".ljust(32))


def _own(**changes):
    value = {**parse(rule("EPA-AP42-CH4-FLARE").document), "id": "CUSTOM", "title": "Our flare", **changes}
    return canonical(value)


def _auditors(role="auditor"):
    return (ApproverKey("olga", role, AUDITOR.public_key, 0, 1_000),)


def test_a_methodology_of_ones_own_counts_once_an_auditor_signed_it():
    signed = Signed.by(_own(), [AUDITOR], METHODOLOGY_CONTEXT)
    assert custom(signed, _auditors(), 500).title == "Our flare"
    for other, auditors, time in (
        (Signed.by(_own(), [EVE], METHODOLOGY_CONTEXT), _auditors(), 500),
        (Signed.by(_own(), [AUDITOR], b"thermogen/approval/v1"), _auditors(), 500),
        (signed, _auditors("approver"), 500),
        (signed, _auditors(), 1_001),
        (Signed.by(_own(id="TZ-DISPLACED-GRID"), [AUDITOR], METHODOLOGY_CONTEXT), _auditors(), 500),
    ):
        with pytest.raises(MethodologyRefusedError):
            custom(other, auditors, time)


def test_the_years_yield_is_the_epics(capsys):
    assert main(["yield"]) == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("TZ-DISPLACED-GRID ")).split()
    assert row == ["TZ-DISPLACED-GRID", "16.9", "16.0", "16,900"]
    for name in REFUSING:
        assert f"{name:<20} {'refuses':>12}" in shown
    assert "wastewater" in shown and "solid waste" in shown


def test_the_yield_in_json_is_exact(capsys):
    assert main(["yield", "--json"]) == 0
    by_name = {each["methodology"]: each for each in json.loads(capsys.readouterr().out)}
    kwh = 70_080
    assert by_name["TZ-DISPLACED-GRID"]["gross"] == kwh * 241
    assert by_name["TZ-DISPLACED-GRID"]["net"] == kwh * 241 * 95 // 100
    assert by_name["CDM-ACM0001"]["net"] is None


def test_a_site_that_does_nothing_yields_nothing():
    assert {each.net for each in yields(Site(0, 1, 0))} == {0, None}


@pytest.mark.parametrize("arguments", [["--capacity", "101"], ["--power-w", "0"], ["--gas-cf-d", "x"]])
def test_a_site_that_cannot_be_is_said(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["yield", *arguments])
    assert arguments[0] in capsys.readouterr().err
