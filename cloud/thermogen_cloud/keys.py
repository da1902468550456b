"""An approver's key file: the 32-byte ML-DSA seed, encrypted by a passphrase.

JSON, mode 0600: the seed under AES-256-GCM with a key from scrypt (RFC 7914), the approver's name and the format's version as
authenticated data. The file names no work factor: a version fixes it, so that nobody can lower it, or exhaust a reader, by editing.
"""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from thermogen_esf.evidence.trust import NAME

from .directory import read_secret, replace_file
from .errors import OperatorError, RefusedError

VERSION = 1
SEED_BYTES = 32
LEAST_PASSPHRASE = 10
"""Characters. A file that is stolen is guessed at some ten guesses a second and core."""
_SALT_BYTES, _NONCE_BYTES = 16, 12
_COST, _BLOCK, _PARALLEL = 2**16, 8, 1
"""scrypt's n, r, p: 64 MiB and about 0.2 s a guess."""
_MOST_BYTES = 4096

_deriving = Lock()
"""One derivation at a time: guesses over the page cannot take the machine's memory."""


class WeakPassphraseError(OperatorError):
    """The passphrase is too short to protect a key."""


class UnreadableKeyError(OperatorError):
    """The key file is missing or damaged."""


class WrongPassphraseError(RefusedError):
    """The passphrase does not open the key file."""

    slug = "wrong-passphrase"
    title = "The passphrase does not open the approver's key"
    status = 403


def save_approver_key(path: Path, name: str, seed: bytes, passphrase: str) -> None:
    """Writes the key file; WeakPassphraseError below `LEAST_PASSPHRASE` characters."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise WeakPassphraseError(f"the passphrase has {len(passphrase)} characters", f"give at least {LEAST_PASSPHRASE}")
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_derive(passphrase, salt)).encrypt(nonce, seed, _authenticated(name))
    content = {"approver": name, "nonce": nonce.hex(), "salt": salt.hex(), "sealed": sealed.hex(), "version": VERSION}
    replace_file(path, json.dumps(content, indent=1).encode() + b"\n")


def open_approver_key(path: Path, passphrase: str) -> bytes:
    """The seed in the file; WrongPassphraseError, UnreadableKeyError or ExposedSecretError where it is not to be had."""
    name, salt, nonce, sealed = _parts(path)
    try:
        return AESGCM(_derive(passphrase, salt)).decrypt(nonce, sealed, _authenticated(name))
    except InvalidTag as error:
        raise WrongPassphraseError(
            f"the passphrase does not open the key of {name}", "type it again; a lost passphrase means enrolling a new key"
        ) from error


def key_owner(path: Path) -> str:
    """Whose key the file says it holds; UnreadableKeyError where it is not a key file."""
    return _parts(path)[0]


def _parts(path: Path) -> tuple[str, bytes, bytes, bytes]:
    remedy = "give the key file that `thermogen-cloud enrol-approver` wrote, or restore it from a backup"
    try:
        raw = read_secret(path)
        if len(raw) > _MOST_BYTES:
            raise ValueError("too large")
        content: dict[str, Any] = json.loads(raw)
        if content["version"] != VERSION:
            raise ValueError("another version")
        if not re.fullmatch(NAME, content["approver"]):
            raise ValueError("names no approver")
        salt, nonce, sealed = (bytes.fromhex(content[field]) for field in ("salt", "nonce", "sealed"))
        if len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
            raise ValueError("fields of another length")
    except FileNotFoundError as error:
        raise UnreadableKeyError(f"there is no key file {path}", remedy) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableKeyError(f"{path} is not an approver's key file ({error})", remedy) from error
    return content["approver"], salt, nonce, sealed


def _derive(passphrase: str, salt: bytes) -> bytes:
    with _deriving:
        return Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL).derive(passphrase.encode())


def _authenticated(name: str) -> bytes:
    return b"thermogen/approver-key/v%d/" % VERSION + name.encode()
