"""What the buffer refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from thermogen_esf.storage import Fault, fault

from ..errors import EdgeError


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


def typed(error: sqlite3.Error, path: Path) -> BufferError:
    """SQLite's error about the database at `path` as one of ours."""
    match fault(error, path):
        case Fault.NO_SPACE:
            return BufferFullError(
                f"the disk of {path.parent} is full: make room on it; until then new frames stay in the node, for 21 minutes"
            )
        case Fault.DAMAGED:
            return BufferDamagedError(f"the buffer's database is damaged ({error}): start the daemon again, which mends it")
        case Fault.NOT_USABLE:
            return BufferError(
                f"the buffer's database {path} could not be used ({error}): end other programs that hold it, and check its disk and that "
                "this user may write it and its folder; leave the file where it is, it may be whole"
            )
    return BufferError(f"the buffer's database failed: {error}")
