"""Leaves until their epoch is sealed, batches until (and after) the cloud has receipted them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thermogen_esf.frames import MAX_ALERTS, MAX_LEAVES, frame_hash
from thermogen_esf.hostlink import EPOCH_S
from thermogen_esf.layout import FIELD, HEADER_OFFSET, LEAF_BYTES
from thermogen_esf.merkle import leaf_hash
from thermogen_esf.points import SiteState

from ..node import Lifetimes
from .chain_head import ChainHead, write_head
from .database import Database
from .errors import BootsExhaustedError, BufferFullError

MAX_BOOT_COUNT = 0xFFFF
MAX_ALERTS_WAITING = 1_000
"""Alerts that wait for a batch; a site that raises more between two quarter-hours has no use for the rest."""
BATCH_BYTES = MAX_LEAVES * LEAF_BYTES + 6_000
"""Disk that a full epoch takes once sealed: its leaves, header, signature, row and the slack of a page."""
MAX_HOURS = 0xFFFF
_BATCHES = "SELECT number, hash, epoch, first_sequence, count FROM batches"
_log = logging.getLogger(__name__)


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


class Buffer:
    """One site's buffer, `limit_bytes` at most. Every method is one transaction; all raise BufferError and its kinds."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self.database = Database(path)
        self.head_path = path.with_name("chain-head.json")
        self.limit_bytes = limit_bytes

    def close(self) -> None:
        """Closes the file."""
        self.database.close()

    # Boots and leaves.

    def begin_boot(self) -> int:
        """A boot count that no boot had before, 1 … 65,535, used up by this call."""
        with self.database.transaction():
            (last,) = self.database.counters("boot_count")
            if last >= MAX_BOOT_COUNT:
                raise BootsExhaustedError(f"{MAX_BOOT_COUNT} boots are used up: enrol the site anew, under another name")
            self.database.set_counters(boot_count=last + 1)
        self._write_head()
        return int(last) + 1

    def adopt(self, boot_count: int, first_sequence: int) -> None:
        """Takes up a node that another buffer armed: its boot is used up, and leaves before `first_sequence` are not ours to ask for."""
        with self.database.transaction():
            last, next_sequence = self.database.counters("boot_count", "next_sequence")
            self.database.set_counters(boot_count=max(last, boot_count), next_sequence=max(next_sequence, first_sequence))

    @property
    def boot_count(self) -> int:
        """The last boot count that was used up; 0 before the first boot."""
        return int(self.database.counters("boot_count")[0])

    @property
    def next_sequence(self) -> int:
        """Sequence of the first leaf that is not stored yet."""
        return int(self.database.counters("next_sequence")[0])

    @property
    def last_time_s(self) -> int:
        """Site time of the newest leaf ever stored; 0 before the first."""
        return int(self.database.counters("last_time")[0])

    def store_leaves(self, leaves: Sequence[bytes]) -> int:
        """Stores leaves in order, skipping those that are stored already; how many were new.

        BufferFullError stores none of them.
        """
        with self.database.transaction():
            self.make_room(sum(map(len, leaves)))
            next_sequence, last_time_s = self.database.counters("next_sequence", "last_time")
            stored = 0
            for leaf in leaves:
                sequence, time_s, boot_count = _fields(leaf)
                if sequence < next_sequence:
                    continue
                epoch = (time_s - 1) // EPOCH_S
                if self.database.row("SELECT 1 FROM batches WHERE epoch = ? AND boot_count = ?", epoch, boot_count):
                    self.database.put_aside("leaf", sequence, f"epoch {epoch} of boot {boot_count} is a batch already", leaf)
                else:
                    row = (sequence, boot_count, epoch, time_s, leaf_hash(leaf), leaf)
                    self.database.change("INSERT INTO leaves VALUES (?, ?, ?, ?, ?, ?)", *row)
                next_sequence, last_time_s = sequence + 1, max(last_time_s, time_s)
                stored += 1
            self.database.set_counters(next_sequence=next_sequence, last_time=last_time_s)
        return stored

    def open_epochs(self) -> list[OpenEpoch]:
        """Epochs with leaves and without a batch, oldest first."""
        rows = self.database.rows(
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
        with self.database.transaction():
            sound = []
            for sequence, time_s, stored_hash, leaf in self.database.rows(
                "SELECT sequence, time, hash, leaf FROM leaves WHERE epoch = ? AND boot_count = ? ORDER BY sequence", *where
            ):
                if leaf_hash(leaf) == stored_hash:
                    sound.append((sequence, time_s, leaf))
                else:
                    self.database.put_aside("leaf", sequence, "its hash is not the one stored with it", leaf)
            batch = self._chain(epoch, sound, make) if sound else None
            self.database.change("DELETE FROM leaves WHERE epoch = ? AND boot_count = ?", *where)
        self._write_head()
        return batch

    def _chain(self, epoch: OpenEpoch, leaves: Sequence[tuple[int, int, bytes]], make: Callable[[BatchDraft], bytes]) -> StoredBatch:
        number, previous = self.database.counters("next_batch", "previous_hash")
        alerts = self.database.rows("SELECT number, frame FROM alerts ORDER BY number LIMIT ?", MAX_ALERTS)
        first_sequence, first_time_s, _ = leaves[0]
        draft = BatchDraft(
            number=number,
            previous=previous,
            epoch=epoch.epoch,
            boot_count=epoch.boot_count,
            first_sequence=first_sequence,
            leaves=tuple(leaf for _, _, leaf in leaves),
            alerts=tuple(frame for _, frame in alerts),
        )
        frame = make(draft)
        batch = StoredBatch(number, frame_hash(frame), epoch.epoch, first_sequence, len(leaves))
        self.database.change(
            "INSERT INTO batches (number, hash, epoch, boot_count, first_sequence, count, first_time) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(number, batch.hash, epoch.epoch, epoch.boot_count, first_sequence, len(leaves), first_time_s),
        )
        self.database.change("INSERT INTO batch_frames VALUES (?, ?)", number, frame)
        if alerts:
            self.database.change("DELETE FROM alerts WHERE number <= ?", alerts[-1][0])
        self.database.set_counters(next_batch=number + 1, previous_hash=batch.hash)
        return batch

    def wanted(self, count: int) -> list[StoredBatch]:
        """The first `count` batches that the cloud has not receipted, or has asked for again, in the chain's order."""
        return [StoredBatch(*row) for row in self.database.rows(f"{_BATCHES} WHERE wanted ORDER BY number LIMIT ?", count)]

    def frame(self, batch: StoredBatch) -> bytes | None:
        """The batch's bytes; None, and put aside, where they are not what was signed."""
        row = self.database.row("SELECT frame FROM batch_frames WHERE number = ?", batch.number)
        if row is not None and frame_hash(row[0]) == batch.hash:
            return bytes(row[0])
        with self.database.transaction():
            reason = "its bytes are missing" if row is None else "its hash is not the one stored with it"
            self.database.put_aside("batch", batch.number, reason, row[0] if row else b"")
            self._drop(batch.number)
        return None

    def batch_by_hash(self, batch_hash: bytes) -> StoredBatch | None:
        """The batch with that hash, if the buffer still holds it."""
        row = self.database.row(f"{_BATCHES} WHERE hash = ?", batch_hash)
        return StoredBatch(*row) if row else None

    def mark_receipted(self, batch: StoredBatch) -> None:
        """The cloud has it, durably: it may be dropped when space is needed."""
        with self.database.transaction():
            self.database.change("UPDATE batches SET receipted = 1, wanted = 0 WHERE number = ?", batch.number)

    def want_again(self, first_epoch: int, last_epoch: int) -> int:
        """Marks the epochs' batches for sending; how many of them are still held."""
        with self.database.transaction():
            return self.database.change("UPDATE batches SET wanted = 1 WHERE epoch BETWEEN ? AND ?", first_epoch, last_epoch)

    # Alerts and state.

    def add_alert(self, make: Callable[[int], bytes]) -> bytes:
        """Gives an alert its number, and stores what `make` returns for the next batch. Beyond 1,000 that wait, it is not stored."""
        with self.database.transaction():
            (number,) = self.database.counters("next_alert")
            frame = make(number)
            (waiting,) = self.database.row("SELECT count(*) FROM alerts")
            if waiting < MAX_ALERTS_WAITING:
                self.database.change("INSERT INTO alerts VALUES (?, ?)", number, frame)
            self.database.set_counters(next_alert=number + 1)
        return frame

    @property
    def site_state(self) -> SiteState:
        """The state that the site was last in."""
        return SiteState(self.database.counters("site_state")[0])

    def set_site_state(self, state: SiteState) -> None:
        """Remembers the state over a restart."""
        with self.database.transaction():
            self.database.set_counters(site_state=int(state))

    @property
    def told_calibration(self) -> bytes | None:
        """Which boot's wrong calibration was told last; None where none is told or the last was cleared."""
        (told,) = self.database.counters("told_calibration")
        return None if told is None else bytes(told)

    def set_told_calibration(self, told: bytes | None) -> None:
        """Remembers it over a restart."""
        with self.database.transaction():
            self.database.set_counters(told_calibration=told)

    @property
    def lifetimes(self) -> Lifetimes:
        """What the node had counted at the last checkpoint."""
        return Lifetimes(*self.database.counters("lifetime_energy", "lifetime_bus_energy", "lifetime_gas"))

    def set_lifetimes(self, counted: Lifetimes) -> None:
        """A checkpoint: what the node has counted in all its boots."""
        with self.database.transaction():
            self.database.set_counters(lifetime_energy=counted.energy, lifetime_bus_energy=counted.bus_energy, lifetime_gas=counted.gas)

    # Space.

    def depth(self, now_s: int | None = None) -> Depth:
        """How full it is at site time `now_s`; None takes the newest leaf's."""
        leaves, oldest_leaf_s = self.database.row("SELECT count(*), min(time) FROM leaves")
        batches, frames, oldest_batch_s = self.database.row(
            "SELECT count(*), coalesce(sum(count), 0), min(first_time) FROM batches WHERE NOT receipted"
        )
        (droppable_frames,) = self.database.row("SELECT coalesce(sum(count), 0) FROM batches WHERE receipted")
        used_bytes = self.database.used_bytes()
        left_bytes = max(0, self.limit_bytes - used_bytes + droppable_frames * LEAF_BYTES)
        oldest_s = min((time_s for time_s in (oldest_leaf_s, oldest_batch_s) if time_s is not None), default=None)
        now = self.last_time_s if now_s is None else now_s
        return Depth(
            frames=leaves + frames,
            batches=batches,
            oldest_age_s=0 if oldest_s is None else max(0, now - oldest_s),
            hours_left=min(MAX_HOURS, left_bytes * EPOCH_S // (BATCH_BYTES * 3600)),
            used_bytes=used_bytes,
        )

    def count_set_aside(self) -> int:
        """How many records lie apart."""
        return int(self.database.row("SELECT count(*) FROM set_aside")[0])

    def make_room(self, needed_bytes: int) -> None:
        """Drops receipted batches, oldest first, until there is room. BufferFullError where that is not enough."""
        with self.database.transaction():
            while (used_bytes := self.database.used_bytes()) + needed_bytes > self.limit_bytes:
                row = self.database.row("SELECT number FROM batches WHERE receipted ORDER BY number LIMIT 1")
                if row is None:
                    raise BufferFullError(
                        f"{used_bytes} of {self.limit_bytes} bytes are used, all by frames without a receipt: restore the uplink, "
                        "or raise THERMOGEN_BUFFER_MB; until then new frames stay in the node, which keeps 21 minutes of them"
                    )
                _log.info("batch %d is receipted and makes room", row[0])
                self._drop(row[0])

    def _drop(self, number: int) -> None:
        self.database.change("DELETE FROM batch_frames WHERE number = ?", number)
        self.database.change("DELETE FROM batches WHERE number = ?", number)

    def _write_head(self) -> None:
        boot_count, next_batch, next_sequence, previous = self.database.counters(
            "boot_count", "next_batch", "next_sequence", "previous_hash"
        )
        try:
            write_head(self.head_path, ChainHead(boot_count, next_batch, next_sequence, previous.hex()))
        except OSError as error:
            _log.error("%s could not be written: %s", self.head_path, error)  # a second copy: the transaction is what counts


def _fields(leaf: bytes) -> tuple[int, int, int]:
    """Sequence, time and boot count of a leaf."""

    def number(offset: int, size: int) -> int:
        return int.from_bytes(leaf[offset : offset + size], "big")

    boot_count = FIELD["boot_count"]
    return number(HEADER_OFFSET["sequence"], 4), number(HEADER_OFFSET["time"], 4), number(boot_count.offset, boot_count.size)
