"""Proofs of a verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381), verified only.

A key's holder can compute one output for an input, and anybody can check that it is that one. Nodes prove in gateware; what they may prove
is in `vrf_inputs`. Points and scalars are libsodium's (PyNaCl). It is stricter than the RFC in one thing: the proof's point must lie in
the prime-order subgroup and be encoded canonically, as every honest proof's is, so that nobody can spell one point in several ways.
"""

from __future__ import annotations

import hashlib

from nacl import bindings
from nacl.exceptions import CryptoError

SUITE = b"\x03"
KEY_BYTES = 32
PROOF_BYTES = 80
"""The point Gamma (32), the challenge c (16), the scalar s (32, little-endian)."""
OUTPUT_BYTES = 64
TRIES = 256

_POINT_BYTES = 32
_CHALLENGE_BYTES = 16
_ENCODE_TO_CURVE, _CHALLENGE, _PROOF_TO_HASH, _END = b"\x01", b"\x02", b"\x03", b"\x00"
_IDENTITY = b"\x01" + bytes(31)
_FIELD_ORDER = 2**255 - 19
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


class ProofError(ValueError):
    """Bytes that are not a proof whatever the key and the input."""


def verify(public_key: bytes, alpha: bytes, proof: bytes) -> bytes | None:
    """The output, 64 bytes, where `proof` is the key's for the input `alpha`; None where it is not, or the key is none."""
    if len(proof) != PROOF_BYTES or not is_key(public_key):
        return None
    gamma, challenge, response = proof[:_POINT_BYTES], proof[_POINT_BYTES:-_POINT_BYTES], proof[-_POINT_BYTES:]
    if int.from_bytes(response, "little") >= _GROUP_ORDER:
        return None
    scalar = challenge.ljust(_POINT_BYTES, b"\0")
    point = encode_to_curve(public_key, alpha)
    try:
        # U = s B − c Y and V = s H − c Gamma: what the prover committed to.
        u = bindings.crypto_core_ed25519_sub(_base(response), _times(scalar, public_key))
        v = bindings.crypto_core_ed25519_sub(_times(response, point), _times(scalar, gamma))
    except CryptoError:
        return None
    return output(proof) if challenge_of(public_key, point, gamma, u, v) == challenge else None


def output(proof: bytes) -> bytes:
    """What a proof stands for, 64 bytes: worth something only after `verify`. ProofError where the bytes are no proof."""
    if len(proof) != PROOF_BYTES:
        raise ProofError(f"a proof has {PROOF_BYTES} bytes, these are {len(proof)}")
    if not is_key(proof[:_POINT_BYTES]):
        raise ProofError("the proof does not begin with a point of the prime-order group")
    return _hash(_PROOF_TO_HASH, _clear_cofactor(proof[:_POINT_BYTES]), _END)


def is_key(public_key: bytes) -> bool:
    """Whether these are the 32 bytes of a key that can be believed: canonical, in the prime-order group, not of small order."""
    return len(public_key) == KEY_BYTES and bool(bindings.crypto_core_ed25519_is_valid_point(public_key))


def encode_to_curve(public_key: bytes, alpha: bytes) -> bytes:
    """RFC 9381, 5.4.1.1 (try and increment) with the public key as salt. ProofError after 256 tries, which nobody will see."""
    for count in range(TRIES):
        candidate = _hash(_ENCODE_TO_CURVE, public_key, alpha, bytes((count,)), _END)[:_POINT_BYTES]
        if int.from_bytes(candidate, "little") & (1 << 255) - 1 >= _FIELD_ORDER:
            continue
        try:
            point = _clear_cofactor(candidate)
        except CryptoError:
            continue
        if point != _IDENTITY:
            return point
    raise ProofError(f"no point after {TRIES} tries")


def challenge_of(*points: bytes) -> bytes:
    """RFC 9381, 5.4.3: 16 bytes over the five points Y, H, Gamma, U, V."""
    return _hash(_CHALLENGE, *points, _END)[:_CHALLENGE_BYTES]


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha512(SUITE + b"".join(parts)).digest()


def _clear_cofactor(point: bytes) -> bytes:
    for _ in range(3):
        point = bindings.crypto_core_ed25519_add(point, point)
    return point


def _base(scalar: bytes) -> bytes:
    return bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)


def _times(scalar: bytes, point: bytes) -> bytes:
    return bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)
