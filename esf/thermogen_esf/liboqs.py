"""The second implementation of ML-DSA-87: liboqs, where its C library is installed.

`import oqs` without the C library downloads its source, builds it and ends the process when that fails. So the library is looked
for first and loaded; only then is the package imported, and handed the library that was found. What it writes to standard output on
import is dropped, because standard output belongs to the program.

liboqs verifies about three times as fast as `cryptography`. It does not sign here: it wants the expanded private key, and a key of
ours is its 32-byte seed.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import io
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ALGORITHM = "ML-DSA-87"
SYSTEM_LIBRARIES = ("usr/local/lib*/liboqs.so*", "usr/lib*/liboqs.so*", "usr/lib/*-linux-gnu*/liboqs.so*")
"""Where an installation for the whole machine has it, below the root directory."""


@dataclass(frozen=True)
class Absent:
    """liboqs cannot be used; `reason` says why, for people."""

    reason: str


def _candidates() -> list[str]:
    directory = Path(os.environ.get("OQS_INSTALL_PATH") or Path.home() / "_oqs")
    candidates = [str(path) for path in (directory / "lib" / "liboqs.so", directory / "lib64" / "liboqs.so") if path.is_file()]
    for pattern in SYSTEM_LIBRARIES:
        candidates += sorted(str(path) for path in Path("/").glob(pattern))
    # On macOS and Windows find_library only looks at directories. Elsewhere it runs ldconfig, then whatever compiler and linker PATH
    # names, with a temporary file: not inside a program that verifies evidence. There the directories above have to do.
    if sys.platform in ("darwin", "win32") and (found := ctypes.util.find_library("oqs")):
        candidates.append(found)
    return candidates


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _found_at(library: str) -> Iterator[None]:
    """Lets `oqs`, which asks find_library on import, have `library` at once: the one that was looked at, and no compiler run for it."""
    original = ctypes.util.find_library
    ctypes.util.find_library = lambda name: library  # noqa: ARG005  the parameter is named by what it stands in for
    try:
        yield
    finally:
        ctypes.util.find_library = original


@cache
def load() -> ModuleType | Absent:
    """The `oqs` module, or why it is not to be had. Looked for once per process."""
    library = next(filter(_loads, _candidates()), None)
    if library is None:
        return Absent("no liboqs shared library in OQS_INSTALL_PATH (or ~/_oqs) or in the system's library directories")
    try:
        with _found_at(library), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
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
