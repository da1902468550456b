"""Signatures: ML-DSA-87 (FIPS 204), pure, with a context string.

`cryptography` signs and verifies. Where liboqs is installed (see `liboqs`), it verifies instead, being the faster of the two; each is
tested against the other's signatures. A private key is its 32-byte seed.
"""

from __future__ import annotations

import hashlib
from enum import Enum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey, MLDSA87PublicKey

from . import liboqs

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 2592
SIGNATURE_BYTES = 4627
KEY_ID_BYTES = 8
MAX_CONTEXT_BYTES = 255


class Backend(Enum):
    """An implementation of ML-DSA-87."""

    CRYPTOGRAPHY = "cryptography"
    LIBOQS = "liboqs"


class SigningKey:
    """A private key. Its representation shows its identifier only."""

    def __init__(self, private_key: MLDSA87PrivateKey) -> None:
        self._private_key = private_key
        self.public_key: bytes = private_key.public_key().public_bytes_raw()
        """The public key, 2,592 bytes."""

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's random numbers."""
        return cls(MLDSA87PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key that grows from a 32-byte seed; ValueError for another length."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed is {SEED_BYTES} bytes, this one is {len(seed)}")
        return cls(MLDSA87PrivateKey.from_seed_bytes(seed))

    @property
    def seed(self) -> bytes:
        """The 32-byte secret that the key is; for key files only."""
        return self._private_key.private_bytes_raw()

    @property
    def key_id(self) -> bytes:
        """The first 8 bytes of SHA3-256 of the public key."""
        return key_id(self.public_key)

    def sign(self, message: bytes, context: bytes) -> bytes:
        """A hedged signature, 4,627 bytes. ValueError for a context above 255 bytes."""
        if len(context) > MAX_CONTEXT_BYTES:
            raise ValueError(f"a context is at most {MAX_CONTEXT_BYTES} bytes, this one is {len(context)}")
        return self._private_key.sign(message, context)

    def __repr__(self) -> str:
        return f"<SigningKey {self.key_id.hex()}>"


def key_id(public_key: bytes) -> bytes:
    """What a signed frame names its key by: the first 8 bytes of SHA3-256 of the public key."""
    return hashlib.sha3_256(public_key).digest()[:KEY_ID_BYTES]


def available() -> tuple[Backend, ...]:
    """The implementations that can verify here, the fastest first."""
    if isinstance(liboqs.load(), liboqs.Absent):
        return (Backend.CRYPTOGRAPHY,)
    return (Backend.LIBOQS, Backend.CRYPTOGRAPHY)


def verify(public_key: bytes, message: bytes, signature: bytes, context: bytes, backend: Backend | None = None) -> bool:
    """Whether `signature` is the key's over message and context. False for a key, signature or context of the wrong length.

    `backend` None takes the fastest that is available.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES or len(context) > MAX_CONTEXT_BYTES:
        return False
    if (backend or available()[0]) is Backend.LIBOQS:
        return liboqs.verify(public_key, message, signature, context)
    try:
        MLDSA87PublicKey.from_public_bytes(public_key).verify(signature, message, context)
    except InvalidSignature:
        return False
    return True
