"""docs/attestation.md says everything that somebody who implements it needs: fields, prefixes, contexts, states and numbers."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from thermogen_esf.evidence.attestation import attested, beacon, draw, enrolment, log, odds, proof_bundle, quorum, signed, statement, trust
from thermogen_esf.vrf_inputs import DRAW_BYTES, DRAW_FIELDS, DRAW_PREFIX, SEAL_BYTES, SEAL_FIELDS, SEAL_PREFIX

TEXT = (Path(__file__).parents[4] / "docs" / "attestation.md").read_text("utf-8")
CONTEXTS = (
    trust.TRUST_CONTEXT,
    enrolment.PROVISIONING_CONTEXT,
    log.CHECKPOINT_CONTEXT,
    statement.STATEMENT_CONTEXT,
    attested.ATTESTATION_CONTEXT,
)
MAGICS = (
    SEAL_PREFIX,
    DRAW_PREFIX,
    beacon.PREFIX,
    beacon.GENESIS_PREFIX,
    signed.MAGIC,
    proof_bundle.MAGIC,
    proof_bundle.FRAMES_MAGIC,
    proof_bundle.STATEMENT_MAGIC,
)


@pytest.mark.parametrize("word", [*(each.decode() for each in CONTEXTS), *(each.decode() for each in MAGICS)])
def test_every_prefix_magic_and_context_is_there(word):
    assert word in TEXT


@pytest.mark.parametrize("kind", [quorum.DayState, quorum.Label, statement.Opinion, statement.Why])
def test_every_word_that_is_stored_is_there(kind):
    for word in kind:
        assert f"`{word.value}`" in TEXT


@pytest.mark.parametrize(
    ("document", "others"),
    [
        (trust.RootKeys, {}),
        (trust.FleetTrust, {"site_count": "count", "sites_root": "root"}),
        (enrolment.Enrolment, {}),
        (log.Checkpoint, {}),
        (statement.Statement, {"drawing": "beacon_number"}),
        (attested.Attestation, {"methodology_hash": "hash", "history_mj": "history"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_field_of_every_document_is_there(document, others):
    for each in fields(document):
        assert f"`{others.get(each.name, each.name)}`" in TEXT, each.name


def test_every_field_of_a_bundle_has_a_row():
    rows = re.findall(r"^\| ([a-z_, ]+) \|", TEXT.split("## Proof bundle v1")[1], re.M)
    named = {name for row in rows for name in row.split(", ")}
    assert {part.name for part in proof_bundle.PROOF_BUNDLE.subcons} <= named


def test_the_numbers_are_the_codes():
    for number in (SEAL_BYTES, DRAW_BYTES, draw.WINDOW_S, draw.NEXT_ATTEMPT_S, draw.EXPECTED_WITNESSES, beacon.LEAST_CONTRIBUTORS):
        assert re.search(rf"\b{number}\b", TEXT)
    assert f"one of {odds.ODDS_OF:,} days" in TEXT and f"{proof_bundle.MAX_BUNDLE_BYTES:,} bytes" in TEXT
    assert (
        f"{quorum.CLAIM_SPREAD_PERCENT} %" in TEXT
        and f"{quorum.BASELINE_PERCENT} %" in TEXT
        and f"{quorum.BASELINE_DAYS} attested days" in TEXT
    )
    for kind in log.EntryKind:
        assert re.search(rf"^\| {int(kind)} \|", TEXT, re.M)


def test_the_layouts_of_both_inputs_are_in_their_table():
    table = TEXT.split("| seal, 106 bytes")[1].split("\n\n")[0]
    sizes = [int(size) for size in re.findall(r"\| (\d+) \|", table)]
    assert sorted(sizes) == sorted([8, *SEAL_FIELDS.values(), 8, *DRAW_FIELDS.values()])
