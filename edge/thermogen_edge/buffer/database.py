"""The buffer's database: SQLite with write-ahead log and synchronous=FULL, so that what a committed transaction holds survives the power
failing on the next line.

Every number that must not come twice (boots, batches, alerts, acknowledgements, the next leaf) is in the one row of `counters`, and changes
in the transaction that uses it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import schema
from .errors import BufferDamagedError, BufferVersionError, typed

_BUSY_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that was corrupt and is kept apart."""

    kind: str
    number: int
    reason: str


class Database:
    """One connection, for one thread. Raises BufferError and its kinds."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it."""
        self._reports: list[SetAside] = []
        self._depth = 0
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._prepare(path)
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise typed(error, self._path) from error

    def _prepare(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, schema.VERSION, *schema.STEPS):
            raise BufferVersionError(
                f"{path} has schema {version}, this daemon writes {schema.VERSION}: run the daemon that wrote it, or move the file away"
            )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema.CREATE} PRAGMA user_version = {schema.VERSION}; COMMIT;")
        while version in schema.STEPS:
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema.STEPS[version]} PRAGMA user_version = {version + 1}; COMMIT;")
            version += 1
        (self._page_bytes,) = self._connection.execute("PRAGMA page_size").fetchone()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def check(self) -> None:
        """Reads every page's structure. BufferDamagedError where one is not as it should be."""
        (verdict,) = self.row("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise BufferDamagedError(f"the buffer's database is damaged: {verdict}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable at its end. One within another is part of it."""
        if self._depth:
            yield
            return
        self.change("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self.change("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise typed(error, self._path) from error

    def row(self, query: str, *values: Any) -> Any:
        """The first row of a query; None where there is none."""
        rows = self.rows(query, *values)
        return rows[0] if rows else None

    def change(self, statement: str, *values: Any) -> int:
        """Runs a statement; how many rows it changed."""
        try:
            return self._connection.execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise typed(error, self._path) from error

    def counters(self, *names: str) -> Any:
        """Values of the counters."""
        return self.row(f"SELECT {', '.join(names)} FROM counters")  # noqa: S608  the names are ours

    def set_counters(self, **values: int | bytes | None) -> None:
        """Sets counters."""
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.change(f"UPDATE counters SET {assignments}", *values.values())  # noqa: S608  the names are ours

    def put_aside(self, kind: str, number: int, reason: str, content: bytes) -> None:
        """Keeps a corrupt record where nothing reads it, and reports it."""
        _log.error("%s %d is put aside: %s", kind, number, reason)
        self.change("INSERT INTO set_aside (kind, number, reason, content) VALUES (?, ?, ?, ?)", kind, number, reason, content)
        self.report(SetAside(kind, number, reason))

    def report(self, record: SetAside) -> None:
        """Adds to what `take_reports` tells."""
        self._reports.append(record)

    def take_reports(self) -> list[SetAside]:
        """The records that were put aside since the last call."""
        taken, self._reports = self._reports, []
        return taken

    def used_bytes(self) -> int:
        """Bytes of the file's pages that hold something."""
        (pages,) = self.row("PRAGMA page_count")
        (free,) = self.row("PRAGMA freelist_count")
        return int(pages - free) * int(self._page_bytes)
