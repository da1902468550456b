"""What SCADA wrote to the node: events until they are signed into a frame, frames until the cloud has receipted them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thermogen_esf.frames import frame_hash
from thermogen_esf.scada import EVENT_RING, WriteEvent, event_of

from .database import Database


@dataclass(frozen=True, slots=True)
class WritesDraft:
    """What a new frame is made of."""

    number: int
    boot_count: int
    first_event: int
    events: tuple[bytes, ...]


class WriteLog:
    """The buffer's side of SCADA's writes. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, boot_count: int, first_event: int, events: Sequence[bytes]) -> int:
        """Stores events of a boot, numbered from `first_event` on; how many were new."""
        with self._database.transaction():
            return sum(
                self._database.change("INSERT OR IGNORE INTO write_events VALUES (?, ?)", _key(boot_count, first_event + place), event)
                for place, event in enumerate(events)
                if not self._told(boot_count, first_event + place)
            )

    def waiting(self) -> list[WriteEvent]:
        """The events that no frame carries yet, oldest first; what cannot be read as one is put aside."""
        events = []
        with self._database.transaction():
            for key, data in self._database.rows("SELECT key, event FROM write_events ORDER BY key"):
                try:
                    events.append(event_of(data))
                except ValueError as error:
                    self._database.put_aside("event of SCADA", key & 0xFFFF_FFFF, str(error), data)
                    self._database.change("DELETE FROM write_events WHERE key = ?", key)
        return events

    def seal(self, make: Callable[[WritesDraft], bytes]) -> bool:
        """Makes the next frame of the oldest events that follow each other; False where none wait."""
        with self._database.transaction():
            rows = self._database.rows("SELECT key, event FROM write_events ORDER BY key LIMIT ?", EVENT_RING)
            if not rows:
                return False
            first = rows[0][0]
            run = [event for place, (key, event) in enumerate(rows) if key == first + place]
            # In a mended database the counters may be behind the frames.
            (number,) = self._database.row("SELECT max(next_writes, (SELECT coalesce(max(number) + 1, 0) FROM write_frames)) FROM counters")
            frame = make(WritesDraft(number, first >> 32, first & 0xFFFF_FFFF, tuple(run)))
            self._database.change("INSERT INTO write_frames VALUES (?, ?, ?)", number, frame_hash(frame), frame)
            self._database.change("DELETE FROM write_events WHERE key < ?", first + len(run))
            self._database.set_counters(next_writes=number + 1, told_event=first + len(run))
        return True

    def frames(self, count: int) -> list[tuple[int, bytes]]:
        """The first `count` frames without a receipt: number and bytes."""
        return [
            (number, frame)
            for number, frame in self._database.rows("SELECT number, frame FROM write_frames ORDER BY number LIMIT ?", count)
        ]

    def frame_bytes(self) -> int:
        """What the frames without a receipt take."""
        return int(self._database.row("SELECT coalesce(sum(length(frame)), 0) FROM write_frames")[0])

    def receipted(self, hash_: bytes) -> bool:
        """Lets go of the frame with that hash; whether there was one."""
        with self._database.transaction():
            return self._database.change("DELETE FROM write_frames WHERE hash = ?", hash_) > 0

    def _told(self, boot_count: int, event: int) -> bool:
        (told,) = self._database.counters("told_event")
        return _key(boot_count, event) < int(told)


def _key(boot_count: int, event: int) -> int:
    return boot_count << 32 | event & 0xFFFF_FFFF
