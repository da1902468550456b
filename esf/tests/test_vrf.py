"""A proof is believed for one key and one input, and its output is the only one there is."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings
from thermogen_esf import vrf
from thermogen_esf.vrf_inputs import (
    DRAW_BYTES,
    DRAW_FIELDS,
    DRAW_PREFIX,
    SEAL_BYTES,
    SEAL_FIELDS,
    SEAL_PREFIX,
    draw_input,
    seal_fields,
    seal_input,
)
from thermogen_sim.ecvrf import SoftwareProver

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc9381-tai.json").read_text())["vectors"]
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
]
_PROVER = SoftwareProver(bytes(range(32)))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["alpha"] or "empty")
def test_published_vectors_verify_and_are_proven_byte_for_byte(vector):
    key, alpha, proof, beta = (bytes.fromhex(vector[name]) for name in ("pk", "alpha", "pi", "beta"))
    assert vrf.verify(key, alpha, proof) == vrf.output(proof) == beta
    prover = SoftwareProver(bytes.fromhex(vector["sk"]))
    assert (prover.public_key, prover.prove(alpha)) == (key, proof)


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=256))
def test_a_proof_is_believed_by_its_key_for_its_input_alone(seed, alpha):
    prover = SoftwareProver(seed)
    proof = prover.prove(alpha)
    assert vrf.verify(prover.public_key, alpha, proof) == vrf.output(proof)
    assert vrf.verify(prover.public_key, alpha + b"\0", proof) is None
    assert vrf.verify(SoftwareProver(hashlib.sha256(seed).digest()).public_key, alpha, proof) is None


@settings(max_examples=60)
@given(st.integers(0, vrf.PROOF_BYTES * 8 - 1))
def test_a_bit_changed_anywhere_in_a_proof_is_refused(bit):
    proof = bytearray(_PROVER.prove(b"epoch"))
    proof[bit // 8] ^= 1 << bit % 8
    assert vrf.verify(_PROVER.public_key, b"epoch", bytes(proof)) is None


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_whatever_comes_as_proof_or_key_is_answered(proof, key):
    assert vrf.verify(key, b"", proof) is None


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_of_small_order_which_proves_anything_is_no_key(key):
    assert not vrf.is_key(bytes.fromhex(key))
    assert vrf.verify(bytes.fromhex(key), b"a", bytes(80)) is None


def test_the_response_has_one_spelling():
    proof = _PROVER.prove(b"a")
    response = int.from_bytes(proof[48:], "little") + GROUP_ORDER
    assert vrf.verify(_PROVER.public_key, b"a", proof[:48] + response.to_bytes(32, "little")) is None


def test_a_point_with_a_part_of_small_order_is_refused_though_the_output_were_the_same():
    proof = _PROVER.prove(b"a")
    twisted = bindings.crypto_core_ed25519_add(proof[:32], bytes.fromhex(SMALL_ORDER[1]))
    assert vrf.verify(_PROVER.public_key, b"a", twisted + proof[32:]) is None
    with pytest.raises(vrf.ProofError):
        vrf.output(twisted + proof[32:])


@pytest.mark.parametrize("size", [0, 79, 81])
def test_bytes_of_another_length_are_no_proof(size):
    with pytest.raises(vrf.ProofError):
        vrf.output(bytes(size))


def test_the_prover_does_not_show_its_key():
    assert bytes(range(32)).hex() not in repr(_PROVER)
    with pytest.raises(ValueError, match="31"):
        SoftwareProver(bytes(31))


def test_the_layouts_are_the_published_ones():
    assert (SEAL_PREFIX, SEAL_BYTES, list(SEAL_FIELDS.items())) == (
        b"TZ seal1",
        106,
        [
            ("site", 8),
            ("epoch", 4),
            ("boot_count", 4),
            ("previous", 32),
            ("leaf_count", 2),
            ("root", 32),
            ("profile_hash", 8),
            ("calibration_hash", 8),
        ],
    )
    assert (DRAW_PREFIX, DRAW_BYTES, list(DRAW_FIELDS.items())) == (
        b"TZ draw1",
        84,
        [("site", 8), ("day", 4), ("root", 32), ("beacon", 32)],
    )


def test_an_input_is_its_fields_in_order_and_of_their_lengths():
    values = {name: bytes([number]) * size for number, (name, size) in enumerate(SEAL_FIELDS.items())}
    data = seal_input(values)
    assert seal_fields(data) == values and len(data) == SEAL_BYTES
    with pytest.raises(ValueError, match="epoch"):
        seal_input({**values, "epoch": b""})
    for other in (data[:-1], data + b"\0", b"X" + data[1:]):
        with pytest.raises(ValueError, match="106"):
            seal_fields(other)
    drawn = draw_input({name: bytes(size) for name, size in DRAW_FIELDS.items()})
    assert drawn == DRAW_PREFIX + bytes(76)
