"""The second implementation of ML-DSA-87: liboqs, where its C library is installed.

`import oqs` without the C library downloads its source, builds it and ends the process when that fails. So the library is looked
for first, where liboqs-python would look, and loaded; only then is the package imported. What it writes to standard output on import
is dropped, because standard output belongs to the program.

liboqs verifies about five times faster than `cryptography`. It does not sign here: it wants the expanded private key, and a key of
ours is its 32-byte seed.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import io
import os
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ALGORITHM = "ML-DSA-87"


@dataclass(frozen=True)
class Absent:
    """liboqs cannot be used; `reason` says why, for people."""

    reason: str


def _candidates() -> list[str]:
    directory = Path(os.environ.get("OQS_INSTALL_PATH") or Path.home() / "_oqs")
    candidates = [str(path) for path in (directory / "lib" / "liboqs.so", directory / "lib64" / "liboqs.so") if path.is_file()]
    return [found for found in (ctypes.util.find_library("oqs"),) if found] + candidates


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@cache
def load() -> ModuleType | Absent:
    """The `oqs` module, or why it is not to be had. Looked for once per process."""
    if not any(_loads(library) for library in _candidates()):
        return Absent("no liboqs shared library in the loader's path, in OQS_INSTALL_PATH or in ~/_oqs")
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("error")  # it only warns when package and library are of different versions
            import oqs
    except ImportError:
        return Absent("the C library is there, the Python package liboqs-python is not")
    except UserWarning as warning:
        return Absent(str(warning))
    if not oqs.is_sig_enabled(ALGORITHM) or not oqs.sig_supports_context(ALGORITHM):
        return Absent(f"liboqs {oqs.oqs_version()} was built without {ALGORITHM}")
    module: ModuleType = oqs
    return module


def verify(public_key: bytes, message: bytes, signature: bytes, context: bytes) -> bool:
    """As `signatures.verify`; RuntimeError where liboqs is absent."""
    oqs = load()
    if isinstance(oqs, Absent):
        raise RuntimeError(f"liboqs cannot verify: {oqs.reason}")
    with oqs.Signature(ALGORITHM) as verifier:
        return bool(verifier.verify_with_ctx_str(message, signature, context, public_key))
