"""Where a credit lives on the ledger: an address that follows from the mint request alone.

Solana derives an account's address from a base account, a seed of at most 32 bytes and the owning program as
SHA-256(base ‖ seed ‖ program). The seed of a credit's mint account is the first 32 hexadecimal digits of the request's hash, so one
request has one address and cannot be minted twice.
"""

from __future__ import annotations

from hashlib import sha256

import base58

from .errors import EvidenceError

TOKEN_2022_PROGRAM_ID = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105  a program's address
ADDRESS_BYTES = 32
TRANSACTION_SIGNATURE_BYTES = 64
SEED_CHARACTERS = 32


class AddressError(EvidenceError):
    """Text that is not base58 of the right number of bytes."""


def mint_seed(request_hash: bytes) -> str:
    """The seed of the mint account of a request whose hash this is (32 bytes)."""
    return request_hash.hex()[:SEED_CHARACTERS]


def mint_address(base: str, request_hash: bytes) -> str:
    """The mint account's address in base58, for the paying account `base` in base58; AddressError where `base` is not an address."""
    derived = sha256(decode(base, ADDRESS_BYTES) + mint_seed(request_hash).encode("ascii") + decode(TOKEN_2022_PROGRAM_ID, ADDRESS_BYTES))
    return base58.b58encode(derived.digest()).decode("ascii")


def decode(text: str, size: int) -> bytes:
    """The `size` bytes that base58 text holds, in the one spelling that base58 has for them; AddressError for anything else."""
    try:
        octets = base58.b58decode(text)
    except ValueError:
        raise AddressError(f"{text!r} is not base58") from None
    if len(octets) != size or base58.b58encode(octets).decode("ascii") != text:
        raise AddressError(f"{text!r} holds {len(octets)} bytes; {size} are needed")
    return octets
