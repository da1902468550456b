"""Key files: readable by their owner only, whole or not there, never written over."""

import os
from pathlib import Path

import pytest
from thermogen_esf.keyfile import KeyFileContentError, KeyFileExistsError, KeyFilePermissionsError, load_seed, save_seed
from thermogen_esf.signatures import SigningKey


def test_a_saved_key_is_the_same_key_again(tmp_path: Path) -> None:
    key = SigningKey.generate()
    save_seed(tmp_path / "site.key", key)
    assert load_seed(tmp_path / "site.key").public_key == key.public_key


@pytest.mark.parametrize("umask", [0, 0o777])
def test_only_the_owner_can_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        save_seed(tmp_path / "site.key", SigningKey.generate())
    finally:
        os.umask(before)
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    first = SigningKey.generate()
    save_seed(tmp_path / "site.key", first)
    with pytest.raises(KeyFileExistsError, match="move it away"):
        save_seed(tmp_path / "site.key", SigningKey.generate())
    assert load_seed(tmp_path / "site.key").public_key == first.public_key
    assert [path.name for path in tmp_path.iterdir()] == ["site.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "site.key"
    save_seed(path, SigningKey.generate())
    path.chmod(mode)
    with pytest.raises(KeyFilePermissionsError, match="chmod 600"):
        load_seed(path)


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"00" * 33, b"0g" * 32, b"\xff" * 64, b"00" * 32 + b"\n\n", b"0" * 63 + b" "])
def test_what_is_not_a_seed_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileContentError, match="64 hexadecimal digits") as refused:
        load_seed(path)
    assert len(content) < 8 or content.decode("latin-1")[:8] not in str(refused.value)


def test_a_missing_file_is_an_operating_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_seed(tmp_path / "site.key")
