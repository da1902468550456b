"""The pinned public keys of the cloud: whose receipts and commands count."""

from __future__ import annotations

import json
from pathlib import Path

from thermogen_esf.frames import Command, Receipt, verify_frame
from thermogen_esf.signatures import PUBLIC_KEY_BYTES, key_id

from .errors import EdgeError

_ADVICE = 'give a JSON file {"cloud": ["public key in hexadecimal digits", …]}, as `thermogen-cloud init` prints the key'
_MAX_FILE_BYTES = 1_000_000


class CloudKeysError(EdgeError):
    """The file of pinned keys cannot be used."""


class CloudKeys:
    """Public keys by identifier."""

    def __init__(self, public_keys: list[bytes]) -> None:
        self._public_key = {key_id(public_key): public_key for public_key in public_keys}

    def signed(self, frame: Receipt | Command, data: bytes) -> bool:
        """Whether a pinned key signed the frame; `data` are its bytes."""
        public_key = self._public_key.get(frame.key_id)
        return public_key is not None and verify_frame(frame, public_key, data)


def load_cloud_keys(path: Path) -> CloudKeys:
    """The keys in `path`; CloudKeysError where it holds none, or something else."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MAX_FILE_BYTES))
        public_keys = [bytes.fromhex(text) for text in document["cloud"]]
    except OSError as error:
        raise CloudKeysError(f"{path}: no cloud keys ({error.strerror}); {_ADVICE}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CloudKeysError(f"{path} is not a file of cloud keys; {_ADVICE}") from error
    if not public_keys or any(len(public_key) != PUBLIC_KEY_BYTES for public_key in public_keys):
        raise CloudKeysError(f"{path} holds no key, or one that is not {PUBLIC_KEY_BYTES} bytes; {_ADVICE}")
    return CloudKeys(public_keys)
