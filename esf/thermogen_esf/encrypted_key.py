"""A person's key file: the 32-byte ML-DSA seed, encrypted by a passphrase.

JSON, to be kept with mode 0600: the seed under AES-256-GCM with a key from scrypt (RFC 7914); the owner's name, what the key is for and the
format's version are authenticated data. The file names no work factor: a version fixes it, so that nobody can lower it, or exhaust a
reader, by editing.
"""

from __future__ import annotations

import enum
import json
import re
import secrets
from threading import Lock
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from .evidence.trust import NAME
from .keyfile import KeyFileContentError, KeyFileError
from .signatures import SEED_BYTES

VERSION = 1
LEAST_PASSPHRASE = 10
"""Characters. A file that is stolen is guessed at some ten guesses a second and core."""
MOST_BYTES = 4096
_SALT_BYTES, _NONCE_BYTES = 16, 12
_COST, _BLOCK, _PARALLEL = 2**16, 8, 1
"""scrypt's n, r, p: 64 MiB and about 0.2 s a guess."""

_deriving = Lock()
"""One derivation at a time: guesses over the page cannot take the machine's memory."""


class WeakPassphraseError(KeyFileError):
    """The passphrase is too short to protect a key."""


class WrongPassphraseError(KeyFileError):
    """The passphrase does not open the key file."""


class Use(enum.StrEnum):
    """What a person's key is for; a file for one use does not open for another."""

    APPROVER = "approver"
    """Signs approvals of mints, and auditors' methodologies."""
    ROOT = "root"
    """Signs trust lists."""
    PROVISIONER = "provisioner"
    """Certifies nodes."""


def encrypt(use: Use, name: str, seed: bytes, passphrase: str) -> bytes:
    """The key file's bytes; WeakPassphraseError below `LEAST_PASSPHRASE` characters."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise WeakPassphraseError(f"the passphrase has {len(passphrase)} characters; give at least {LEAST_PASSPHRASE}")
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_derive(passphrase, salt)).encrypt(nonce, seed, _authenticated(use, name))
    content = {use.value: name, "nonce": nonce.hex(), "salt": salt.hex(), "sealed": sealed.hex(), "version": VERSION}
    return json.dumps(content, indent=1).encode() + b"\n"


def decrypt(use: Use, data: bytes, passphrase: str) -> bytes:
    """The 32-byte seed; WrongPassphraseError, or KeyFileContentError where the bytes are no key file for this use."""
    name, salt, nonce, sealed = _parts(use, data)
    try:
        seed = AESGCM(_derive(passphrase, salt)).decrypt(nonce, sealed, _authenticated(use, name))
    except InvalidTag:
        raise WrongPassphraseError(f"the passphrase does not open the key of {name}") from None
    if len(seed) != SEED_BYTES:
        raise KeyFileContentError(f"the key of {name} is not a seed")
    return seed


def owner(use: Use, data: bytes) -> str:
    """Whose key the file says it holds; KeyFileContentError where it is no key file for this use."""
    return _parts(use, data)[0]


def _parts(use: Use, data: bytes) -> tuple[str, bytes, bytes, bytes]:
    try:
        if len(data) > MOST_BYTES:
            raise ValueError("too large")
        content: dict[str, Any] = json.loads(data)
        if content["version"] != VERSION:
            raise ValueError("another version")
        if not re.fullmatch(NAME, content[use.value]):
            raise ValueError("names nobody")
        salt, nonce, sealed = (bytes.fromhex(content[field]) for field in ("salt", "nonce", "sealed"))
        if len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
            raise ValueError("fields of another length")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeyFileContentError(f"not {use.value}'s key file ({error})") from None
    return content[use.value], salt, nonce, sealed


def _derive(passphrase: str, salt: bytes) -> bytes:
    with _deriving:
        return Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL).derive(passphrase.encode())


def _authenticated(use: Use, name: str) -> bytes:
    return f"thermogen/{use.value}-key/v{VERSION}/{name}".encode()
