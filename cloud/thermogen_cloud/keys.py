"""An approver's key file (`thermogen_esf.encrypted_key`) on this machine's disk, and what to do where it does not open."""

from __future__ import annotations

from pathlib import Path

from thermogen_esf import encrypted_key
from thermogen_esf.encrypted_key import Use
from thermogen_esf.keyfile import KeyFileContentError

from .directory import read_secret, replace_file
from .errors import OperatorError, RefusedError

_REMEDY = "give the key file that `thermogen-cloud enrol-approver` wrote, or restore it from a backup"


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
    """Writes the key file; WeakPassphraseError for a passphrase that is too short."""
    try:
        content = encrypted_key.encrypt(Use.APPROVER, name, seed, passphrase)
    except encrypted_key.WeakPassphraseError as error:
        raise WeakPassphraseError(str(error), "choose a longer one") from error
    replace_file(path, content)


def open_approver_key(path: Path, passphrase: str) -> bytes:
    """The seed in the file; WrongPassphraseError, UnreadableKeyError or ExposedSecretError where it is not to be had."""
    content = _content(path)
    try:
        return encrypted_key.decrypt(Use.APPROVER, content, passphrase)
    except encrypted_key.WrongPassphraseError as error:
        raise WrongPassphraseError(str(error), "type it again; a lost passphrase means enrolling a new key") from error
    except KeyFileContentError as error:
        raise _unreadable(path, error) from error


def key_owner(path: Path) -> str:
    """Whose key the file says it holds; UnreadableKeyError where it is not a key file."""
    try:
        return encrypted_key.owner(Use.APPROVER, _content(path))
    except KeyFileContentError as error:
        raise _unreadable(path, error) from error


def _content(path: Path) -> bytes:
    try:
        return read_secret(path)
    except FileNotFoundError as error:
        raise UnreadableKeyError(f"there is no key file {path}", _REMEDY) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UnreadableKeyError:
    return UnreadableKeyError(f"{path} is not a key file that can be read ({error})", _REMEDY)
