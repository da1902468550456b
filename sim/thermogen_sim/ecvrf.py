"""An ECVRF prover in software: what the gateware's prover is compared with, and what a fleet's model of a node seals with.

RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI, with libsodium's arithmetic. No product contains it: a node's key never leaves its FPGA.
"""

from __future__ import annotations

import hashlib

from nacl import bindings
from thermogen_esf.vrf import challenge_of, encode_to_curve

SEED_BYTES = 32


class SoftwareProver:
    """A secret key, 32 bytes, and its proofs; ValueError for another length."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed is {SEED_BYTES} bytes, this one is {len(seed)}")
        expanded = hashlib.sha512(seed).digest()
        clamped = bytearray(expanded[:32])
        clamped[0] &= 0xF8
        clamped[31] = clamped[31] & 0x7F | 0x40
        self._scalar, self._nonce_key = bytes(clamped), expanded[32:]
        self.public_key: bytes = bindings.crypto_scalarmult_ed25519_base_noclamp(self._scalar)
        """The public key, 32 bytes."""

    def prove(self, alpha: bytes) -> bytes:
        """The proof for an input, 80 bytes."""
        point = encode_to_curve(self.public_key, alpha)
        gamma = bindings.crypto_scalarmult_ed25519_noclamp(self._scalar, point)
        nonce = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(self._nonce_key + point).digest())
        u = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
        v = bindings.crypto_scalarmult_ed25519_noclamp(nonce, point)
        challenge = challenge_of(self.public_key, point, gamma, u, v)
        product = bindings.crypto_core_ed25519_scalar_mul(_reduced(challenge), _reduced(self._scalar))
        return gamma + challenge + bindings.crypto_core_ed25519_scalar_add(nonce, product)

    def __repr__(self) -> str:
        return f"<SoftwareProver {self.public_key.hex()[:16]}>"


def _reduced(number: bytes) -> bytes:
    return bindings.crypto_core_ed25519_scalar_reduce(number.ljust(64, b"\0"))
