"""What SQLite's errors mean, by code and by what the disk has left."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from thermogen_esf.storage import LEAST_FREE_BYTES, Fault, fault

ROOMY = {"f_bavail": 100_000, "f_frsize": 4_096, "f_files": 1_000, "f_favail": 900}


def meaning(code: int, path: Path, monkeypatch: pytest.MonkeyPatch, **disk: int) -> Fault:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**{**ROOMY, **disk}))
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return fault(error, path)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN])
def test_an_io_error_means_no_space_where_there_is_none_and_says_nothing_of_the_file_else(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sqlite"
    assert meaning(code, path, monkeypatch) is Fault.NOT_USABLE
    assert meaning(code, path, monkeypatch, f_bavail=0) is Fault.NO_SPACE
    assert meaning(code, path, monkeypatch, f_bavail=LEAST_FREE_BYTES // 4_096 - 1) is Fault.NO_SPACE
    assert meaning(code, path, monkeypatch, f_favail=0) is Fault.NO_SPACE
    assert meaning(code, path, monkeypatch, f_files=0, f_favail=0) is Fault.NOT_USABLE, "a file system that counts no files"


@pytest.mark.parametrize(
    ("code", "means"),
    [
        (sqlite3.SQLITE_FULL, Fault.NO_SPACE),
        (sqlite3.SQLITE_CORRUPT, Fault.DAMAGED),
        (sqlite3.SQLITE_NOTADB, Fault.DAMAGED),
        (sqlite3.SQLITE_BUSY, Fault.NOT_USABLE),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Fault.NOT_USABLE),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Fault.OTHER),
    ],
)
def test_other_errors_mean_the_same_on_any_disk(code: int, means: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for disk in ({}, {"f_bavail": 0}):
        assert meaning(code, tmp_path / "a.sqlite", monkeypatch, **disk) is means


def test_what_is_no_error_of_sqlite_is_another_and_a_folder_that_is_gone_is_not_full(tmp_path: Path) -> None:
    assert fault(None, tmp_path / "a.sqlite") is fault(OSError(), tmp_path / "a.sqlite") is Fault.OTHER
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    assert fault(error, tmp_path / "gone" / "a.sqlite") is Fault.NOT_USABLE
