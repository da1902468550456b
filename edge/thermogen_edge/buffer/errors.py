"""What the buffer refuses."""

from __future__ import annotations

import sqlite3

from ..errors import EdgeError

_PRIMARY_CODE = 0xFF


class BufferError(EdgeError):
    """The buffer cannot do what it was asked."""


class BufferFullError(BufferError):
    """There is no room, and nothing left that may be dropped: the cloud has receipted nothing of what is stored."""


class BufferVersionError(BufferError):
    """Another version of the daemon wrote the buffer."""


class BufferDamagedError(BufferError):
    """The file is no database, or not a whole one."""


class BootsExhaustedError(BufferError):
    """Boots are numbered in 16 bits, and all have been used."""


def typed(error: sqlite3.Error) -> BufferError:
    """SQLite's error as one of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return BufferFullError("the disk is full: make room on it; until then new frames stay in the node, for 21 minutes")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return BufferDamagedError(f"the buffer's database is damaged ({error}): start the daemon again, which mends it")
    return BufferError(f"the buffer's database failed: {error}")
