"""Token-2022 instructions that no library builds, and the account bytes that they leave behind.

References: the Token-2022 program's instruction and extension layouts (little-endian), and the token-metadata interface, whose
instructions begin with the first 8 bytes of SHA-256 of their name.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_2022_PROGRAM_ID

DECIMALS = 6
"""1,000,000 units are one tonne."""

_INITIALIZE_PERMANENT_DELEGATE = 35
_METADATA_POINTER, _INITIALIZE = 39, 0
_SET_AUTHORITY, _MINT_TOKENS, _NONE = 6, 0, 0
_CUSTOM_KEY = 3

STANDARD_FIELDS = ("name", "symbol", "uri")
"""Metadata that every token has, in the order in which it is stored; further fields follow."""

_METADATA_EXTENSION = 19

_BASE_BYTES = 165 + 1
"""A mint with extensions is padded to a token account's size, then says which of the two it is."""
_ACCOUNT_TYPE_OFFSET = 165
_MINT_TYPE, _TOKEN_ACCOUNT_TYPE = 1, 2
_TLV_BYTES = 4
_POINTER_BYTES = _TLV_BYTES + 64
_DELEGATE_BYTES = _TLV_BYTES + 32

MINT_BYTES = _BASE_BYTES + _POINTER_BYTES + _DELEGATE_BYTES
"""Size at creation; the metadata grows the account when it is written."""


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Bytes that the metadata adds to a mint account: what the rent has to be paid for."""
    texts = [*metadata.values(), *(key for key in metadata if key not in STANDARD_FIELDS)]
    return _TLV_BYTES + 64 + 4 + sum(4 + len(text.encode()) for text in texts)


def initialize_metadata_pointer(mint: Pubkey) -> Instruction:
    """The mint account itself holds its metadata; nobody may point elsewhere."""
    return _token(bytes([_METADATA_POINTER, _INITIALIZE]) + bytes(32) + bytes(mint), _writable(mint))


def initialize_permanent_delegate(mint: Pubkey, delegate: Pubkey) -> Instruction:
    """`delegate` may burn whoever holds: cancellation after a failed audit."""
    return _token(bytes([_INITIALIZE_PERMANENT_DELEGATE]) + bytes(delegate), _writable(mint))


def initialize_metadata(mint: Pubkey, authority: Pubkey, name: str, symbol: str, uri: str) -> Instruction:
    """Name, symbol and address of the block's evidence."""
    return _token(
        _discriminator("initialize_account") + _text(name) + _text(symbol) + _text(uri),
        _writable(mint),
        _readable(authority),
        _readable(mint),
        _readable(authority, signer=True),
    )


def update_metadata_field(mint: Pubkey, authority: Pubkey, key: str, value: str) -> Instruction:
    """Adds a field of our own to the metadata."""
    return _token(
        _discriminator("updating_field") + bytes([_CUSTOM_KEY]) + _text(key) + _text(value),
        _writable(mint),
        _readable(authority, signer=True),
    )


def drop_metadata_authority(mint: Pubkey, authority: Pubkey) -> Instruction:
    """What the metadata says is final."""
    return _token(_discriminator("update_the_authority") + bytes(32), _writable(mint), _readable(authority, signer=True))


def drop_mint_authority(mint: Pubkey, authority: Pubkey) -> Instruction:
    """Nobody can ever mint more of the block."""
    return _token(bytes([_SET_AUTHORITY, _MINT_TOKENS, _NONE]), _writable(mint), _readable(authority, signer=True))


@dataclass(frozen=True, slots=True)
class MintAccount:
    """What accounting reads of a mint account."""

    supply: int
    mintable: bool
    """Whether anybody could still mint more."""
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """What accounting reads of a holder's account."""

    mint: Pubkey
    owner: Pubkey
    amount: int


def parse(data: bytes) -> MintAccount | TokenAccount | None:
    """A Token-2022 account; None where it is neither of the two kinds."""
    if len(data) <= _ACCOUNT_TYPE_OFFSET:
        return None
    kind = data[_ACCOUNT_TYPE_OFFSET]
    if kind == _MINT_TYPE:
        (authority,) = struct.unpack_from("<I", data, 0)
        (supply,) = struct.unpack_from("<Q", data, 36)
        return MintAccount(supply, bool(authority), _metadata(data))
    if kind == _TOKEN_ACCOUNT_TYPE:
        (amount,) = struct.unpack_from("<Q", data, 64)
        return TokenAccount(Pubkey(data[:32]), Pubkey(data[32:64]), amount)
    return None


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata among a mint account's extensions: update authority and mint, then texts, then pairs of texts."""
    position = _BASE_BYTES
    while position + _TLV_BYTES <= len(data):
        extension, length = struct.unpack_from("<HH", data, position)
        position += _TLV_BYTES
        if extension == _METADATA_EXTENSION:
            return _texts(data[position + 64 : position + length])
        position += length
    return {}


def _texts(data: bytes) -> dict[str, str]:
    position = 0

    def text() -> str:
        nonlocal position
        (length,) = struct.unpack_from("<I", data, position)
        position += 4 + length
        return data[position - length : position].decode()

    found = {field: text() for field in STANDARD_FIELDS}
    (count,) = struct.unpack_from("<I", data, position)
    position += 4
    for _ in range(count):
        key = text()
        found[key] = text()
    return found


def _discriminator(name: str) -> bytes:
    return hashlib.sha256(f"spl_token_metadata_interface:{name}".encode()).digest()[:8]


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


def _token(data: bytes, *accounts: AccountMeta) -> Instruction:
    return Instruction(TOKEN_2022_PROGRAM_ID, data, list(accounts))


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def _readable(key: Pubkey, signer: bool = False) -> AccountMeta:
    return AccountMeta(key, is_signer=signer, is_writable=False)
