"""The store-and-forward buffer: leaves until their epoch is sealed, batches until (and after) the cloud has receipted them.

SQLite with write-ahead log and synchronous=FULL: what a committed transaction holds survives the power failing on the next line. Every
number that must not come twice (boots, batches, alerts, acknowledgements, the next leaf) is in the one row of `counters`, and changes in
the transaction that uses it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermogen_esf.frames import MAX_ALERTS, frame_hash
from thermogen_esf.hostlink import EPOCH_S, LEAF_PERIOD_S
from thermogen_esf.layout import FIELD, HEADER_OFFSET, LEAF_BYTES
from thermogen_esf.merkle import leaf_hash
from thermogen_esf.points import SiteState

from .errors import EdgeError

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
MAX_BOOT_COUNT = 0xFFFF
MAX_ALERTS_WAITING = 1_000
"""Alerts that wait for a batch; a site that raises more between two quarter-hours has no use for the rest."""
SEALED_BATCH_BYTES = EPOCH_S // LEAF_PERIOD_S * LEAF_BYTES + 6_000
"""Disk that a full epoch takes once sealed: its leaves, header, signature, row and the slack of a page."""
_BUSY_S = 10.0

_SCHEMA = """
CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot_count INTEGER NOT NULL,
    next_sequence INTEGER NOT NULL,
    next_batch INTEGER NOT NULL,
    previous_hash BLOB NOT NULL,
    next_alert INTEGER NOT NULL,
    next_acknowledgement INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    site_state INTEGER NOT NULL,
    current_limit_ma INTEGER,
    enable INTEGER NOT NULL
) STRICT;
CREATE TABLE leaves (
    sequence INTEGER PRIMARY KEY,
    boot_count INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    time INTEGER NOT NULL,
    hash BLOB NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    boot_count INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    receipted INTEGER NOT NULL DEFAULT 0,
    wanted INTEGER NOT NULL DEFAULT 1,
    UNIQUE (epoch, boot_count)
) STRICT;
CREATE INDEX batches_wanted ON batches (number) WHERE wanted;
CREATE INDEX batches_unreceipted ON batches (number) WHERE NOT receipted;
CREATE INDEX batches_receipted ON batches (number) WHERE receipted;
CREATE TABLE batch_frames (number INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE alerts (number INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE commands (
    key_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    result INTEGER NOT NULL,
    PRIMARY KEY (key_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE acknowledgements (number INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    content BLOB NOT NULL
) STRICT;
INSERT INTO counters VALUES (1, 0, 0, 0, zeroblob(32), 0, 0, 0, 0, NULL, 1);
"""


class BufferError(EdgeError):
    """The buffer cannot do what it was asked."""


class BufferFullError(BufferError):
    """There is no room, and nothing left that may be dropped: the cloud has receipted nothing of what is stored."""


class BufferVersionError(BufferError):
    """Another version of the daemon wrote the buffer."""


class BootsExhaustedError(BufferError):
    """Boots are numbered in 16 bits, and all have been used."""


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """Stored leaves of one epoch and boot that are no batch yet."""

    epoch: int
    boot_count: int
    first_sequence: int
    count: int


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """What a new batch is made of; `number` and `previous` are its place in the site's chain."""

    number: int
    previous: bytes
    epoch: int
    boot_count: int
    first_sequence: int
    leaves: tuple[bytes, ...]
    alerts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch in the buffer, without its bytes."""

    number: int
    hash: bytes
    epoch: int
    first_sequence: int
    count: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the buffer is. `oldest_age_s` counts site time, 0 where nothing is unreceipted; `hours_left` until it is full."""

    frames: int
    batches: int
    oldest_age_s: int
    hours_left: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that was corrupt and is kept apart."""

    kind: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Setpoints:
    """What commands have asked for; `current_limit_ma` None leaves it to the profile."""

    enable: bool
    current_limit_ma: int | None


class Buffer:
    """One site's buffer. For one thread of one process; every method is one transaction."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        """Opens the buffer, or makes a new one. BufferVersionError, BufferError where the file is no database."""
        self._limit_bytes = limit_bytes
        self._set_aside: list[SetAside] = []
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            elif version != SCHEMA_VERSION:
                raise BufferVersionError(
                    f"{path} has schema {version}, this daemon writes {SCHEMA_VERSION}: run the daemon that wrote it, or move the file away"
                )
            (self._page_bytes,) = self._connection.execute("PRAGMA page_size").fetchone()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise BufferError(f"{path}: {error}") from error
        except BufferVersionError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    # Boots and leaves.

    def begin_boot(self) -> int:
        """A boot count that no boot had before, 1 … 65,535, used up by this call."""
        with self._transaction():
            (last,) = self._counters("boot_count")
            if last >= MAX_BOOT_COUNT:
                raise BootsExhaustedError(f"{MAX_BOOT_COUNT} boots are used up: enrol the site anew, under another name")
            self._set_counters(boot_count=last + 1)
        return int(last) + 1

    def adopt(self, boot_count: int, leaf_oldest: int) -> None:
        """Takes up a node that another buffer armed: its boot is used up, and its leaves before `leaf_oldest` are not ours to ask for."""
        with self._transaction():
            last, next_sequence = self._counters("boot_count", "next_sequence")
            self._set_counters(boot_count=max(last, boot_count), next_sequence=max(next_sequence, leaf_oldest))

    @property
    def boot_count(self) -> int:
        """The last boot count that was used up; 0 before the first boot."""
        return int(self._counters("boot_count")[0])

    @property
    def next_sequence(self) -> int:
        """Sequence of the first leaf that is not stored yet."""
        return int(self._counters("next_sequence")[0])

    @property
    def last_time_s(self) -> int:
        """Site time of the newest leaf ever stored; 0 before the first."""
        return int(self._counters("last_time")[0])

    def store_leaves(self, leaves: Sequence[bytes]) -> int:
        """Stores leaves in order, skipping those that are stored already; how many were new.

        BufferFullError stores none of them.
        """
        with self._transaction():
            self._make_room(sum(map(len, leaves)))
            next_sequence, last_time = self._counters("next_sequence", "last_time")
            stored = 0
            for leaf in leaves:
                sequence, time_s, boot_count = _leaf_fields(leaf)
                if sequence < next_sequence:
                    continue
                epoch = (time_s - 1) // EPOCH_S
                if self._connection.execute("SELECT 1 FROM batches WHERE epoch = ? AND boot_count = ?", (epoch, boot_count)).fetchone():
                    self._put_aside("leaf", sequence, f"epoch {epoch} of boot {boot_count} is a batch already", leaf)
                else:
                    row = (sequence, boot_count, epoch, time_s, leaf_hash(leaf), leaf)
                    self._connection.execute("INSERT INTO leaves VALUES (?, ?, ?, ?, ?, ?)", row)
                next_sequence, last_time = sequence + 1, max(last_time, time_s)
                stored += 1
            self._set_counters(next_sequence=next_sequence, last_time=last_time)
        return stored

    def open_epochs(self) -> list[OpenEpoch]:
        """Epochs with leaves and without a batch, oldest first."""
        rows = self._connection.execute(
            "SELECT epoch, boot_count, min(sequence), count(*) FROM leaves GROUP BY boot_count, epoch ORDER BY min(sequence)"
        )
        return [OpenEpoch(*row) for row in rows]

    # Batches.

    def seal(self, epoch: OpenEpoch, make: Callable[[BatchDraft], bytes]) -> StoredBatch | None:
        """Turns an epoch's leaves, and the alerts that wait, into the next batch of the chain.

        `make` signs the draft and gives the frame's bytes; they are stored, and the leaves dropped, in the one transaction that takes the
        number. None where every leaf turned out corrupt.
        """
        where = (epoch.epoch, epoch.boot_count)
        with self._transaction():
            rows = self._connection.execute(
                "SELECT sequence, time, hash, leaf FROM leaves WHERE epoch = ? AND boot_count = ? ORDER BY sequence", where
            ).fetchall()
            sound = []
            for sequence, time_s, stored_hash, leaf in rows:
                if leaf_hash(leaf) == stored_hash:
                    sound.append((sequence, time_s, leaf))
                else:
                    self._put_aside("leaf", sequence, "its hash is not the one stored with it", leaf)
            batch = self._chain(epoch, sound, make) if sound else None
            self._connection.execute("DELETE FROM leaves WHERE epoch = ? AND boot_count = ?", where)
        return batch

    def _chain(self, epoch: OpenEpoch, leaves: Sequence[tuple[int, int, bytes]], make: Callable[[BatchDraft], bytes]) -> StoredBatch:
        number, previous = self._counters("next_batch", "previous_hash")
        alerts = self._connection.execute("SELECT number, frame FROM alerts ORDER BY number LIMIT ?", (MAX_ALERTS,)).fetchall()
        first_sequence, first_time_s, _ = leaves[0]
        frame = make(
            BatchDraft(
                number=number,
                previous=previous,
                epoch=epoch.epoch,
                boot_count=epoch.boot_count,
                first_sequence=first_sequence,
                leaves=tuple(leaf for _, _, leaf in leaves),
                alerts=tuple(alert for _, alert in alerts),
            )
        )
        batch = StoredBatch(number, frame_hash(frame), epoch.epoch, first_sequence, len(leaves))
        self._connection.execute(
            "INSERT INTO batches (number, hash, epoch, boot_count, first_sequence, count, first_time) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, batch.hash, epoch.epoch, epoch.boot_count, first_sequence, len(leaves), first_time_s),
        )
        self._connection.execute("INSERT INTO batch_frames VALUES (?, ?)", (number, frame))
        self._connection.executemany("DELETE FROM alerts WHERE number = ?", [(alert_number,) for alert_number, _ in alerts])
        self._set_counters(next_batch=number + 1, previous_hash=batch.hash)
        return batch

    def wanted(self, count: int) -> list[StoredBatch]:
        """The first `count` batches that the cloud has not receipted, or has asked for again, in the chain's order."""
        rows = self._connection.execute(
            "SELECT number, hash, epoch, first_sequence, count FROM batches WHERE wanted ORDER BY number LIMIT ?", (count,)
        )
        return [StoredBatch(*row) for row in rows]

    def frame(self, batch: StoredBatch) -> bytes | None:
        """The batch's bytes; None, and put aside, where they are not what was signed."""
        row = self._connection.execute("SELECT frame FROM batch_frames WHERE number = ?", (batch.number,)).fetchone()
        if row is not None and frame_hash(row[0]) == batch.hash:
            return bytes(row[0])
        with self._transaction():
            reason = "its bytes are missing" if row is None else "its hash is not the one stored with it"
            self._put_aside("batch", batch.number, reason, row[0] if row else b"")
            self._drop(batch.number)
        return None

    def batch_by_hash(self, hash_: bytes) -> StoredBatch | None:
        """The batch with that hash, if the buffer still holds it."""
        row = self._connection.execute("SELECT number, hash, epoch, first_sequence, count FROM batches WHERE hash = ?", (hash_,)).fetchone()
        return StoredBatch(*row) if row else None

    def mark_receipted(self, batch: StoredBatch) -> None:
        """The cloud has it, durably: it may be dropped when space is needed."""
        with self._transaction():
            self._connection.execute("UPDATE batches SET receipted = 1, wanted = 0 WHERE number = ?", (batch.number,))

    # Alerts.

    def add_alert(self, make: Callable[[int], bytes]) -> bytes:
        """Gives an alert its number, and stores what `make` returns for the next batch. Beyond 1,000 that wait, it is not stored."""
        with self._transaction():
            (number,) = self._counters("next_alert")
            frame = make(number)
            (waiting,) = self._connection.execute("SELECT count(*) FROM alerts").fetchone()
            if waiting < MAX_ALERTS_WAITING:
                self._connection.execute("INSERT INTO alerts VALUES (?, ?)", (number, frame))
            self._set_counters(next_alert=number + 1)
        return frame

    # Commands.

    def command_result(self, key_id: bytes, sequence: int) -> int | None:
        """The result that a command had, if it came before."""
        row = self._connection.execute("SELECT result FROM commands WHERE key_id = ? AND sequence = ?", (key_id, sequence)).fetchone()
        return None if row is None else int(row[0])

    def record_command(
        self, key_id: bytes, sequence: int, result: int, effect: Callable[[], None], acknowledgement: Callable[[int], bytes]
    ) -> None:
        """One transaction: that the command came, what it does to the buffer, and the acknowledgement that is to be sent."""
        with self._transaction():
            self._connection.execute("INSERT INTO commands VALUES (?, ?, ?)", (key_id, sequence, result))
            effect()
            self._acknowledge(acknowledgement)

    def record_answer(self, acknowledgement: Callable[[int], bytes]) -> None:
        """Stores an acknowledgement that changes nothing else."""
        with self._transaction():
            self._acknowledge(acknowledgement)

    def want_again(self, first_epoch: int, last_epoch: int) -> None:
        """Marks the epochs' batches for sending, those that are still held. For `record_command`'s effect."""
        marked = self._connection.execute("UPDATE batches SET wanted = 1 WHERE epoch BETWEEN ? AND ?", (first_epoch, last_epoch)).rowcount
        _log.info("%d batches of epochs %d to %d are sent again", marked, first_epoch, last_epoch)

    def set_enable(self, enable: bool) -> None:
        """What SET_ENABLE asked for. For `record_command`'s effect."""
        self._set_counters(enable=int(enable))

    def set_current_limit(self, limit_ma: int) -> None:
        """What SET_CURRENT_LIMIT asked for. For `record_command`'s effect."""
        self._set_counters(current_limit_ma=limit_ma)

    @property
    def setpoints(self) -> Setpoints:
        """What commands have asked for, up to now."""
        enable, limit_ma = self._counters("enable", "current_limit_ma")
        return Setpoints(bool(enable), limit_ma)

    def acknowledgements(self, count: int) -> list[tuple[int, bytes]]:
        """The first `count` acknowledgements that the broker has not taken: number and frame."""
        return self._connection.execute("SELECT number, frame FROM acknowledgements ORDER BY number LIMIT ?", (count,)).fetchall()

    def drop_acknowledgement(self, number: int) -> None:
        """The broker has taken it."""
        with self._transaction():
            self._connection.execute("DELETE FROM acknowledgements WHERE number = ?", (number,))

    def _acknowledge(self, make: Callable[[int], bytes]) -> None:
        (number,) = self._counters("next_acknowledgement")
        self._connection.execute("INSERT INTO acknowledgements VALUES (?, ?)", (number, make(number)))
        self._set_counters(next_acknowledgement=number + 1)

    # The site's state.

    @property
    def site_state(self) -> SiteState:
        """The state that the site was last in."""
        return SiteState(self._counters("site_state")[0])

    def set_site_state(self, state: SiteState) -> None:
        """Remembers the state over a restart."""
        with self._transaction():
            self._set_counters(site_state=int(state))

    # Space and health.

    def depth(self, now_s: int | None = None) -> Depth:
        """How full it is at site time `now_s`; None takes the newest leaf's."""
        leaves, oldest_leaf = self._connection.execute("SELECT count(*), min(time) FROM leaves").fetchone()
        batches, frames, oldest_batch = self._connection.execute(
            "SELECT count(*), coalesce(sum(count), 0), min(first_time) FROM batches WHERE NOT receipted"
        ).fetchone()
        (receipted_frames,) = self._connection.execute("SELECT coalesce(sum(count), 0) FROM batches WHERE receipted").fetchone()
        used = self.used_bytes()
        droppable = receipted_frames * LEAF_BYTES
        left = max(0, self._limit_bytes - used + droppable)
        oldest = min((time_s for time_s in (oldest_leaf, oldest_batch) if time_s is not None), default=None)
        now = self.last_time_s if now_s is None else now_s
        return Depth(
            frames=leaves + frames,
            batches=batches,
            oldest_age_s=0 if oldest is None else max(0, now - oldest),
            hours_left=min(0xFFFF, left * EPOCH_S // (SEALED_BATCH_BYTES * 3600)),
            used_bytes=used,
        )

    def used_bytes(self) -> int:
        """Bytes of the database that hold something."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * int(self._page_bytes)

    def take_set_aside(self) -> list[SetAside]:
        """The records that were put aside since the last call."""
        taken, self._set_aside = self._set_aside, []
        return taken

    def count_set_aside(self) -> int:
        """How many records lie apart."""
        return int(self._connection.execute("SELECT count(*) FROM set_aside").fetchone()[0])

    def _make_room(self, needed_bytes: int) -> None:
        while self.used_bytes() + needed_bytes > self._limit_bytes:
            row = self._connection.execute("SELECT number FROM batches WHERE receipted ORDER BY number LIMIT 1").fetchone()
            if row is None:
                raise BufferFullError(
                    f"{self.used_bytes()} of {self._limit_bytes} bytes are used, all by frames without a receipt: restore the uplink, "
                    "or raise THERMOGEN_BUFFER_MB; until then new frames stay in the node, which keeps 21 minutes of them"
                )
            _log.info("batch %d is receipted and makes room", row[0])
            self._drop(row[0])

    def _drop(self, number: int) -> None:
        self._connection.execute("DELETE FROM batch_frames WHERE number = ?", (number,))
        self._connection.execute("DELETE FROM batches WHERE number = ?", (number,))

    def _put_aside(self, kind: str, number: int, reason: str, content: bytes) -> None:
        _log.error("%s %d is put aside: %s", kind, number, reason)
        self._connection.execute(
            "INSERT INTO set_aside (kind, number, reason, content) VALUES (?, ?, ?, ?)", (kind, number, reason, content)
        )
        self._set_aside.append(SetAside(kind, number, reason))

    def _counters(self, *names: str) -> tuple[Any, ...]:
        return tuple(self._connection.execute(f"SELECT {', '.join(names)} FROM counters").fetchone())  # noqa: S608  the names are ours

    def _set_counters(self, **values: int | bytes) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        self._connection.execute(f"UPDATE counters SET {assignments}", tuple(values.values()))  # noqa: S608  the names are ours

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise BufferFullError(
                    "the disk is full: make room on it; until then new frames stay in the node, for 21 minutes"
                ) from error
            raise BufferError(f"the buffer's database failed: {error}") from error


def _leaf_fields(leaf: bytes) -> tuple[int, int, int]:
    def number(offset: int, size: int) -> int:
        return int.from_bytes(leaf[offset : offset + size], "big")

    boot_count = FIELD["boot_count"]
    return number(HEADER_OFFSET["sequence"], 4), number(HEADER_OFFSET["time"], 4), number(boot_count.offset, boot_count.size)
