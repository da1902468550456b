"""ML-DSA-87: our keys and signatures are those of other implementations, and nothing else verifies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.bindings import _rust
from thermogen_esf import liboqs
from thermogen_esf.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Backend, SigningKey, available, key_id, verify

VECTORS = json.loads((Path(__file__).parent / "vectors" / "mldsa87-liboqs.json").read_text())["vectors"]
needs_liboqs = pytest.mark.skipif(
    Backend.LIBOQS not in available(),
    reason=f"liboqs is not installed ({liboqs.load()}): the second implementation is NOT tested; esf/README.md says how to install it",
)
BACKENDS = [Backend.CRYPTOGRAPHY, pytest.param(Backend.LIBOQS, marks=needs_liboqs)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_signatures_made_by_liboqs_verify(vector: dict[str, str], backend: Backend) -> None:
    seed, public_key, message, context, signature = (
        bytes.fromhex(vector[name]) for name in ("seed", "public_key", "message", "context", "signature")
    )
    assert SigningKey.from_seed(seed).public_key == public_key
    assert verify(public_key, message, signature, context, backend)
    assert not verify(public_key, message + b"\0", signature, context, backend)
    assert not verify(public_key, message, signature, context + b"\0", backend)
    assert not verify(public_key, message, signature[:-1] + bytes([signature[-1] ^ 1]), context, backend)
    assert not verify(public_key[:-1] + bytes([public_key[-1] ^ 1]), message, signature, context, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_our_signatures_verify_everywhere(backend: Backend) -> None:
    key = SigningKey.generate()
    for context in (b"", b"thermogen/batch/v1", b"c" * 255):
        signature = key.sign(b"message", context)
        assert len(signature) == SIGNATURE_BYTES
        assert verify(key.public_key, b"message", signature, context, backend)


@needs_liboqs
def test_fresh_signatures_of_liboqs_verify_with_cryptography() -> None:
    oqs = liboqs.load()
    with oqs.Signature(liboqs.ALGORITHM) as signer:
        public_key = signer.generate_keypair()
        for context in (b"", b"thermogen/batch/v1"):
            signature = signer.sign_with_ctx_str(b"message", context)
            assert verify(public_key, b"message", signature, context, Backend.CRYPTOGRAPHY)


@pytest.mark.parametrize("backend", BACKENDS)
def test_malformed_input_is_false_and_never_an_exception(backend: Backend) -> None:
    key = SigningKey.generate()
    signature = key.sign(b"m", b"c")
    assert not verify(key.public_key[:-1], b"m", signature, b"c", backend)
    assert not verify(key.public_key, b"m", signature[:-1], b"c", backend)
    assert not verify(key.public_key, b"m", signature + b"\0", b"c", backend)
    assert not verify(key.public_key, b"m", b"", b"c", backend)
    assert not verify(key.public_key, b"m", signature, b"c" * 256, backend)
    assert not verify(b"\xff" * PUBLIC_KEY_BYTES, b"m", signature, b"c", backend)
    assert not verify(key.public_key, b"m", b"\xff" * SIGNATURE_BYTES, b"c", backend)


def test_a_context_too_long_is_refused_before_signing() -> None:
    with pytest.raises(ValueError, match="at most 255 bytes"):
        SigningKey.generate().sign(b"m", b"c" * 256)


def test_signatures_are_hedged() -> None:
    key = SigningKey.generate()
    assert key.sign(b"m", b"c") != key.sign(b"m", b"c")


def test_a_key_never_shows_its_seed() -> None:
    key = SigningKey.from_seed(bytes(range(32)))
    assert repr(key) == f"<SigningKey {key_id(key.public_key).hex()}>"
    assert key.seed.hex() not in repr(vars(key))


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, this one is 31"):
        SigningKey.from_seed(bytes(31))


def test_looking_for_liboqs_never_imports_its_self_installer(tmp_path: Path) -> None:
    """Without the C library, `import oqs` would download it and end the process."""
    script = (
        "import sys\n"
        "from thermogen_esf import liboqs\n"
        "liboqs.SYSTEM_LIBRARIES = ()\n"
        "from thermogen_esf.signatures import SigningKey, available, verify\n"
        "key = SigningKey.generate()\n"
        "assert verify(key.public_key, b'm', key.sign(b'm', b''), b'')\n"
        "print(*[backend.value for backend in available()], 'oqs' in sys.modules)\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "OQS_INSTALL_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "cryptography False\n"


@needs_liboqs
def test_importing_liboqs_leaves_standard_output_alone() -> None:
    script = "from thermogen_esf.signatures import available; available()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "")


_OQS_LIKE_PACKAGE = """
import ctypes.util
library = ctypes.util.find_library("liboqs")
is_sig_enabled = sig_supports_context = lambda algorithm: True
"""


@pytest.mark.parametrize("installed", [True, False])
def test_looking_for_liboqs_runs_no_program_and_writes_no_file(tmp_path: Path, installed: bool) -> None:
    library = tmp_path / "lib" / "liboqs.so"
    library.parent.mkdir()
    if installed:
        library.symlink_to(_rust.__file__)  # any library that loads
    (tmp_path / "oqs.py").write_text(_OQS_LIKE_PACKAGE)
    script = (
        "import ctypes.util, sys\n"
        "sys.dont_write_bytecode = True\n"
        "from thermogen_esf import liboqs\n"
        "liboqs.SYSTEM_LIBRARIES = ()\n"
        "original = ctypes.util.find_library\n"
        "def watch(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.posix_spawn', 'os.system', 'os.fork', 'tempfile.mkstemp'):\n"
        "        print(event, arguments)\n"
        "sys.addaudithook(watch)\n"
        "print(getattr(liboqs.load(), 'library', None))\n"
        "assert ctypes.util.find_library is original\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "OQS_INSTALL_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{library if installed else None}\n"


def test_a_file_that_is_no_library_is_not_taken_for_liboqs(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "liboqs.so").write_bytes(b"not a library")
    script = (
        "import sys\n"
        "from thermogen_esf import liboqs\n"
        "liboqs.SYSTEM_LIBRARIES = ()\n"
        "from thermogen_esf.signatures import available\n"
        "print(*[backend.value for backend in available()], 'oqs' in sys.modules)\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "OQS_INSTALL_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "cryptography False\n"
