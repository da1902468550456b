"""The chain's head, kept a second time beside the buffer: last boot, next batch, next leaf.

Written after the transaction that it repeats, so it is never ahead of a sound buffer. Where the buffer was lost, damaged or replaced by an
old copy, it keeps the site from giving out a boot or batch number twice: what was signed stays the only thing of its number.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_log = logging.getLogger(__name__)
_MAX_BYTES = 4_096
_HASH_DIGITS = 64


@dataclass(frozen=True, slots=True)
class ChainHead:
    """As of the last boot or seal. `previous_hash` is hexadecimal."""

    boot_count: int
    next_batch: int
    next_sequence: int
    previous_hash: str


def write_head(path: Path, head: ChainHead) -> None:
    """Replaces the file, durably. OSError where the disk does not take it."""
    beside = path.with_name(f".{path.name}")
    with beside.open("w") as file:
        json.dump(asdict(head), file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_head(path: Path) -> ChainHead | None:
    """The head in `path`; None, and a word in the log where there is something else, if it cannot be read."""
    try:
        with path.open("rb") as file:
            head = ChainHead(**json.loads(file.read(_MAX_BYTES)))
        numbers = (head.boot_count, head.next_batch, head.next_sequence)
        if any(type(number) is not int or number < 0 for number in numbers) or len(bytes.fromhex(head.previous_hash)) != _HASH_DIGITS // 2:
            raise ValueError("its members are out of range")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        _log.error("%s cannot be read (%s) and is passed over; the next seal writes it again", path, error)
        return None
    return head
