"""Seals and draws as the host sees them, and the whole sealer with its real prover against the verifier."""

import pytest
from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal
from thermogen_esf.hostlink import Status
from thermogen_esf.hostlink_seal import DRAW_REQUEST, CustodyState, ProofError, ProofState
from thermogen_esf.vrf import verify
from thermogen_esf.vrf_inputs import SEAL_BYTES, draw_input, seal_fields
from thermogen_sim.custody.sealer import CompiledSealer, Library, sealer_library
from thermogen_sim.ecvrf import SoftwareProver
from thermogen_sim.fleet.node import PROFILE as PROFILE_HASH
from thermogen_sim.fleet.node import SealingNode
from thermogen_sim.fleet.sealer import ModelSealer

pytestmark = pytest.mark.slow

ROOT = bytes(range(100, 132))
ASKED = bytes(range(68))
SITE, PROFILE, CALIBRATION = b"SITE-ID1", b"PROFILE1", b"CALIBR-1"
KEY_BYTES = 32
INPUT_BYTES, OUTPUT_AT = SEAL_BYTES, SEAL_BYTES + 80


@pytest.fixture
def sealer(part):
    ready = CompiledSealer(part)
    ready.set_identity(SITE, PROFILE, CALIBRATION)
    ready.settle()
    return ready


def test_a_seal_holds_the_record_the_leaves_identity_and_the_parts_boot_count(sealer):
    fields = seal_fields(sealer.seal(0x0012_3456, ROOT, count=89)[:INPUT_BYTES])
    assert fields == {
        "site": SITE,
        "epoch": bytes.fromhex("00123456"),
        "boot_count": (2).to_bytes(4, "big"),
        "previous": NO_PREVIOUS,
        "leaf_count": (89).to_bytes(2, "big"),
        "root": ROOT,
        "profile_hash": PROFILE,
        "calibration_hash": CALIBRATION,
    }


def test_seals_of_a_boot_are_chained_and_a_boot_or_a_new_key_begins_a_chain(sealer, part):
    first = sealer.seal(1, ROOT)
    assert seal_fields(sealer.seal(2, ROOT)[:INPUT_BYTES])["previous"] == first[OUTPUT_AT : OUTPUT_AT + 32]
    part.tamper()
    sealer.run(2_000)
    assert sealer.settle() is CustodyState.WIPED
    assert sealer.make_key() == Status.OK
    sealer.settle()
    assert seal_fields(sealer.seal(3, ROOT)[:INPUT_BYTES])["previous"] == NO_PREVIOUS
    sealer.power_off()
    again = CompiledSealer(part)
    again.settle()
    assert seal_fields(again.seal(4, ROOT)[:INPUT_BYTES])["previous"] == NO_PREVIOUS


def test_a_draw_is_over_what_was_asked_and_the_nodes_own_site(sealer):
    assert sealer.ask_draw(ASKED) == Status.OK
    assert sealer.draw()[:84] == draw_input({"site": SITE, "day": ASKED[:4], "root": ASKED[4:36], "beacon": ASKED[36:]})
    assert (sealer.status("draws"), sealer.status("seals"), sealer.status("last_epoch")) == (1, 0, 0)


def test_a_draw_is_refused_while_a_proof_is_made_and_where_it_is_not_whole(sealer):
    base, words = DRAW_REQUEST
    assert sealer.write(base, [0] * (words - 1)) == Status.REFUSED
    assert sealer.write(base + 1, [0] * (words - 1)) == Status.REFUSED
    sealer.record(7, 90, ROOT)
    sealer.run(2)
    assert sealer.status("proof_state") == ProofState.SEALING
    assert sealer.ask_draw(ASKED) == Status.REFUSED
    sealer.settle()
    assert sealer.ask_draw(ASKED) == Status.OK


def test_an_epoch_that_ends_while_another_is_sealed_is_told_as_missed(sealer):
    sealer.record(7, 90, ROOT)
    sealer.run(100)
    sealer.record(8, 90, ROOT)
    sealer.run(2)
    assert sealer.status("proof_error") == ProofError.MISSED
    sealer.settle()
    assert (sealer.status("last_epoch"), sealer.status("seals")) == (7, 1)


def test_an_epoch_that_ends_during_a_draw_is_sealed_after_it(sealer):
    assert sealer.ask_draw(ASKED) == Status.OK
    sealer.run(10)
    sealer.seal(7, ROOT)
    assert (sealer.status("draws"), sealer.status("seals"), sealer.status("last_epoch")) == (1, 1, 7)


@pytest.mark.parametrize("address", [0x7FF, 0x80B, 0x880, 0x97F, 0x98F, 0x990])
def test_nothing_of_it_can_be_written_but_the_two_orders(sealer, address):
    assert sealer.write(address, [0]) in (Status.REFUSED, Status.BAD_ADDRESS)


def test_the_fleets_model_of_a_node_seals_and_draws_what_the_compiled_sealer_does():
    """What is tried in modelled fleets holds for nodes: the same key, roots and epochs give the same bytes, across a power cut too."""
    part = Library(sealer_library()).part()
    sealer = CompiledSealer(part)
    node = SealingNode("tz-0001", SoftwareProver(bytes(KEY_BYTES)))
    sealer.set_identity(node.identity, PROFILE_HASH, node.calibration)
    assert sealer.settle() is CustodyState.READY
    held = sealer.keys_held
    provers = [SoftwareProver(held[at : at + KEY_BYTES]) for at in range(0, len(held), KEY_BYTES)]
    node.prover = next(each for each in provers if each.public_key == sealer.public_key)
    for epoch, count in ((500, 90), (501, 89), (600, 1)):
        made = node.seal(epoch, bytes((count,)) * 32, leaf_count=count)
        assert sealer.seal(epoch, made.root, count) == made.encode() + made.output
    sealer.power_off()
    node.reboot()
    again = CompiledSealer(part)
    again.set_identity(node.identity, PROFILE_HASH, node.calibration)
    again.settle()
    made = node.seal(601, ROOT)
    assert again.seal(601, ROOT) == made.encode() + made.output
    assert again.ask_draw(ASKED) == Status.OK
    assert again.draw()[84:164] == ModelSealer(node).draw(ASKED)


def test_the_verifier_believes_the_seals_of_the_real_prover():
    part = Library(sealer_library()).part()
    sealer = CompiledSealer(part)
    sealer.set_identity(SITE, PROFILE, CALIBRATION)
    assert sealer.settle() is CustodyState.READY
    key, seals = sealer.public_key, []
    for epoch in (500, 501):
        given = sealer.seal(epoch, ROOT)
        fields = seal_fields(given[:INPUT_BYTES])
        numbers = {name: int.from_bytes(fields.pop(name), "big") for name in ("epoch", "boot_count", "leaf_count")}
        seals.append(Seal(**fields, **numbers, proof=given[INPUT_BYTES:OUTPUT_AT]))
        assert verify(key, seals[-1].alpha, seals[-1].proof) == given[OUTPUT_AT:] == seals[-1].output
    assert seals[1].previous == seals[0].link
    assert sealer.ask_draw(ASKED) == Status.OK
    drawn = sealer.draw()
    assert verify(key, drawn[:84], drawn[84:164]) == drawn[164:]
    sealer.power_off()
    again = CompiledSealer(part)
    again.settle()
    assert again.public_key == key
    # Nothing of the key it had is left in the prover of a tampered sealer: it would give proofs of the key of zeros.
    part.tamper()
    again.run(2_000)
    assert again.settle() is CustodyState.WIPED
    assert again.ask_draw(ASKED) == Status.REFUSED
