"""Opening a buffer whatever state the disk left it in: what is sound is kept, the rest is put aside, and the daemon starts.

A damaged database is copied row by row into a new one, which then takes its place; the damaged files stay beside it under another name.
The power may fail in between: a new database that is complete but not in place yet is put there by the next start.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .buffer import Buffer
from .chain_head import ChainHead, read_head
from .database import Database, SetAside
from .errors import BufferDamagedError, BufferError
from .schema import FIND_LAST_SEAL, TABLES

_log = logging.getLogger(__name__)


def open_buffer(path: Path, limit_bytes: int) -> Buffer:
    """The site's buffer, mended if need be; its database's reports tell what was. BufferError where even a new one cannot be made."""
    if _salvaged(path).exists():
        _put_in_place(path)
    try:
        buffer = _sound(path, limit_bytes)
    except BufferDamagedError as error:
        _log.error("%s; what can be read of it is copied", error)
        _salvage(path)
        _put_in_place(path)
        buffer = _sound(path, limit_bytes)
        buffer.database.report(SetAside("buffer", 0, "the database was damaged; what could not be read lies beside it"))
    head = read_head(buffer.head_path)
    if head is not None and _raise_to(buffer.database, head):
        buffer.database.report(SetAside("buffer", head.next_batch, "the database is older than its chain's head: records are missing"))
    return buffer


def _sound(path: Path, limit_bytes: int) -> Buffer:
    buffer = Buffer(path, limit_bytes)
    try:
        buffer.database.check()
    except BufferError:
        buffer.close()
        raise
    return buffer


def _salvage(path: Path) -> None:
    """Makes `.salvaged`, complete or not at all."""
    draft_path = _beside(path, ".draft")
    for leftover in path.parent.glob(f"{draft_path.name}*"):
        leftover.unlink()
    draft = Database(draft_path)
    damaged = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        with draft.transaction():
            for table in TABLES:
                for row in _readable_rows(damaged, table):
                    _copy(draft, table, row)
            draft.change(FIND_LAST_SEAL)
        _raise_to(draft, _head_of_rows(draft))
    finally:
        damaged.close()
        draft.close()
    draft_path.replace(_salvaged(path))


def _put_in_place(path: Path) -> None:
    stamp = time.time_ns()
    for suffix in ("", "-wal", "-shm"):
        old = _beside(path, suffix)
        if old.exists():
            old.replace(_beside(path, f".damaged-{stamp}{suffix}"))
    _salvaged(path).replace(path)


def _readable_rows(damaged: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """Rows from the front up to the damage, then from the back."""
    seen: set[tuple[Any, ...]] = set()
    for order in ("ASC", "DESC"):
        try:
            cursor = damaged.execute(f"SELECT * FROM {table} ORDER BY 1 {order}")  # noqa: S608  the names are ours
            names = [column[0] for column in cursor.description]
            for row in cursor:
                key = row[:2] if table == "commands" else row[:1]
                if key not in seen:
                    seen.add(key)
                    yield dict(zip(names, row, strict=True))
        except sqlite3.Error as error:
            _log.error("%s: %s", table, error)


def _copy(draft: Database, table: str, row: dict[str, Any]) -> None:
    """A row whose values no longer fit its table is put aside; leaves' and batches' bytes are checked by whoever reads them."""
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        draft.change(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", *row.values())  # noqa: S608  the names are ours
    except BufferError as error:
        draft.put_aside(table, 0, f"its row does not fit: {error}", repr(row).encode())


def _head_of_rows(database: Database) -> ChainHead:
    """The head that the rows themselves show, for where the counters could not be read."""
    boots, sequences = database.row("SELECT coalesce(max(boot_count), 0), coalesce(max(sequence) + 1, 0) FROM leaves")
    batch_boots, batch_sequences = database.row(
        "SELECT coalesce(max(boot_count), 0), coalesce(max(first_sequence + count), 0) FROM batches"
    )
    last = database.row("SELECT number, hash FROM batches ORDER BY number DESC LIMIT 1") or (-1, b"")
    return ChainHead(max(boots, batch_boots), last[0] + 1, max(sequences, batch_sequences), last[1].hex())


def _raise_to(database: Database, head: ChainHead) -> bool:
    """Numbers on behind `head` where the database is behind it; whether it was."""
    with database.transaction():
        boot_count, next_batch, next_sequence = database.counters("boot_count", "next_batch", "next_sequence")
        database.set_counters(boot_count=max(boot_count, head.boot_count), next_sequence=max(next_sequence, head.next_sequence))
        if next_batch < head.next_batch:
            database.set_counters(next_batch=head.next_batch, previous_hash=bytes.fromhex(head.previous_hash))
    return bool(boot_count < head.boot_count or next_batch < head.next_batch or next_sequence < head.next_sequence)


def _salvaged(path: Path) -> Path:
    return _beside(path, ".salvaged")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
