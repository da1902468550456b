"""`thermogen-cloud init`: the keys, the trust list and the databases of a new cloud. Repeating it changes nothing."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path

from thermogen_esf.evidence.trust import NamedKey
from thermogen_esf.keyfile import KeyFileError, KeyFileExistsError, load_seed, save_seed
from thermogen_esf.signatures import SigningKey

from .directory import CloudDirectory, replace_file
from .errors import OperatorError
from .registry import Registry
from .trust_file import TrustFile

CLOUD_NAME = "cloud"
DEMONSTRATION_VALID_FROM = 0
"""A demonstration's site time may lie in the past."""


def initialise(directory: CloudDirectory, demonstration: bool, now: Callable[[], int]) -> SigningKey:
    """Makes what is not there yet; the cloud's key."""
    directory.create()
    # The ledger's are 32 random bytes as well: an ML-DSA seed and an Ed25519 seed look alike.
    for path in (directory.ledger_authority_key, directory.ledger_holder_key, directory.cloud_key):
        with contextlib.suppress(KeyFileExistsError):  # even where another `init` was there a moment ago
            save_seed(path, SigningKey.generate())
    if not directory.viewer_password.exists():
        replace_file(directory.viewer_password, secrets.token_urlsafe(18).encode() + b"\n")
    key = read_key(directory.cloud_key)
    Registry(directory.registry).close()
    valid_from = DEMONSTRATION_VALID_FROM if demonstration else now()
    TrustFile(directory).begin(NamedKey(CLOUD_NAME, key.public_key, valid_from, None), demonstration)
    return key


def read_key(path: Path) -> SigningKey:
    """The key in a plain key file of the directory; OperatorError where the file is no good."""
    try:
        return load_seed(path)
    except (KeyFileError, OSError) as error:
        raise OperatorError(f"{path}: {error}", "restore the key from a backup: what it signed cannot be signed by another") from error
