"""An approver's key file gives its seed to the passphrase and to nothing else."""

from __future__ import annotations

import json

import pytest
from thermogen_cloud.directory import ExposedSecretError
from thermogen_cloud.keys import (
    UnreadableKeyError,
    WeakPassphraseError,
    WrongPassphraseError,
    key_owner,
    open_approver_key,
    save_approver_key,
)

SEED, PASSPHRASE = bytes(range(32)), "correct horse battery"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ada.key"
    save_approver_key(path, "ada", SEED, PASSPHRASE)
    return path


def test_the_passphrase_opens_it(path):
    assert open_approver_key(path, PASSPHRASE) == SEED
    assert key_owner(path) == "ada"


def test_the_file_is_for_its_owner_alone_and_does_not_show_the_seed(path):
    assert path.stat().st_mode & 0o777 == 0o600
    assert SEED.hex() not in path.read_text() and PASSPHRASE not in path.read_text()


def test_another_passphrase_does_not_open_it(path):
    with pytest.raises(WrongPassphraseError):
        open_approver_key(path, PASSPHRASE + "!")


@pytest.mark.parametrize("field", ["approver", "salt", "nonce", "sealed"])
def test_a_file_that_was_changed_does_not_open(path, field):
    content = json.loads(path.read_text())
    value = content[field]
    content[field] = ("b" if value[0] != "b" else "c") + value[1:]
    path.write_text(json.dumps(content))
    with pytest.raises(WrongPassphraseError):
        open_approver_key(path, PASSPHRASE)


def test_a_file_that_others_can_read_is_refused(path):
    path.chmod(0o640)
    with pytest.raises(ExposedSecretError, match="others"):
        open_approver_key(path, PASSPHRASE)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 2}', "\x00" * 5000])
def test_what_is_no_key_file_is_said(path, content):
    path.write_text(content)
    with pytest.raises(UnreadableKeyError, match="key file"):
        open_approver_key(path, PASSPHRASE)


def test_a_short_passphrase_protects_nothing_and_is_refused(tmp_path):
    with pytest.raises(WeakPassphraseError):
        save_approver_key(tmp_path / "ada.key", "ada", SEED, "short")
    assert not (tmp_path / "ada.key").exists()
