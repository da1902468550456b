"""Why SQLite could not use a database, so that a program says what helps, and never calls a whole file broken.

On a full disk SQLITE_FULL is only one of its answers: where the write-ahead log or its index cannot be made or grown, as when a program
starts, it says SQLITE_IOERR or SQLITE_CANTOPEN (https://sqlite.org/rescode.html), and the database is as whole as before.
"""

from __future__ import annotations

import os
import sqlite3
from enum import Enum, auto
from pathlib import Path

LEAST_FREE_BYTES = 32_768
"""The log's index grows by so much at a time: with less, the first transaction after a start fails."""
_PRIMARY_CODE = 0xFF


class Fault(Enum):
    """What was the matter."""

    NO_SPACE = auto()
    """The file system has no room, or no more files."""
    NOT_USABLE = auto()
    """The disk, the permissions or another program stood in the way; of the file itself this says nothing."""
    DAMAGED = auto()
    """The file is no database, or not a whole one."""
    OTHER = auto()


def fault(error: BaseException | None, path: Path) -> Fault:
    """What `error`, met while using the database at `path`, means; looks at the disk as it is now."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return Fault.NO_SPACE
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return Fault.NO_SPACE if is_full(path.parent) else Fault.NOT_USABLE
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return Fault.NOT_USABLE
    return Fault.DAMAGED if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else Fault.OTHER


def is_full(folder: Path) -> bool:
    """Whether the file system of `folder` has too little room for a database to be opened; False where it cannot be asked."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    out_of_files = disk.f_files > 0 and disk.f_favail == 0  # some file systems count no files
    return out_of_files or disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES
