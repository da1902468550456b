"""Key files: a signing key's 32-byte seed as 64 hexadecimal digits and a newline, readable by its owner only; and its public half.

`encrypted_key` has those of people, under a passphrase.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from .signatures import PUBLIC_KEY_BYTES, SEED_BYTES, SigningKey

_FILE_BYTES = 2 * SEED_BYTES + 1


class KeyFileError(Exception):
    """A key file cannot be used; the message says why and what to do. It never holds the key."""


class KeyFileExistsError(KeyFileError):
    """There is a key already, and a key is never written over."""


class KeyFilePermissionsError(KeyFileError):
    """Others than the owner may read or write the file."""


class KeyFileContentError(KeyFileError):
    """The file is not a seed."""


def save_seed(path: Path, key: SigningKey) -> None:
    """Write a new key file, mode 0600: complete and durable on return, or not there at all.

    KeyFileExistsError where the path is taken, OSError where the directory cannot be written.
    """
    save_private(path, key.seed.hex().encode("ascii") + b"\n")


def save_private(path: Path, content: bytes) -> None:
    """Write a new file, mode 0600: complete and durable on return, or not there at all. Errors as of `save_seed`."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # unlike a rename, this never replaces a key
    except FileExistsError:
        raise KeyFileExistsError(f"{path} exists: move it away first if a new key is really meant, the old one is lost otherwise") from None
    finally:
        beside.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_seed(path: Path) -> SigningKey:
    """Read a key file. KeyFilePermissionsError, KeyFileContentError, or OSError where it cannot be opened."""
    content = load_private(path, _FILE_BYTES)
    digits = content.removesuffix(b"\n")
    if len(digits) == 2 * SEED_BYTES:
        try:
            return SigningKey.from_seed(bytes.fromhex(digits.decode("ascii")))
        except ValueError:
            pass  # said below, without the content
    raise KeyFileContentError(f"{path} does not hold a seed: {2 * SEED_BYTES} hexadecimal digits and a newline")


def load_private(path: Path, most: int) -> bytes:
    """A private file's first `most` + 1 bytes. Errors as of `load_seed`."""
    path = Path(path)
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise KeyFileContentError(f"{path} is not a file")
        if mode & 0o077:
            raise KeyFilePermissionsError(
                f"{path} has mode {stat.S_IMODE(mode):04o}, others can read it: chmod 600 it, and replace the key if others had access"
            )
        return file.read(most + 1)


def load_public_key(path: Path) -> bytes:
    """The ML-DSA-87 public key in a file, raw or in hexadecimal digits. KeyFileContentError, or OSError where it cannot be opened."""
    with Path(path).open("rb") as file:
        content = file.read(2 * PUBLIC_KEY_BYTES + 3)
    if len(content) == PUBLIC_KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise KeyFileContentError(f"{path} does not hold an ML-DSA-87 public key: {PUBLIC_KEY_BYTES} bytes, raw or in hexadecimal digits")
    return key
