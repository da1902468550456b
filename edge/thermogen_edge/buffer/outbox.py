"""Messages of attestation that wait for the cloud's receipt: seals and a witness's statements, each as it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thermogen_esf.frames import frame_hash
from thermogen_esf.hostlink_seal import KeptSeal

from .database import Database

SEALS = "seals"
"""The kind of a seal: its topic's last level."""
MOST_KEPT = 4_000
"""Forty days of seals; beyond, the oldest give way: without the rest of their day they are worth nothing."""


@dataclass(frozen=True, slots=True)
class SealProgress:
    """How far the node's seals are known, whether or not they were receipted since. All None before the first."""

    last: bytes | None
    """The newest that was stored."""
    taken: KeptSeal | None
    """The last that was taken from the node: stored, or passed over as none of this site's."""
    told_lost_up_to: int | None
    """The epoch up to which lost seals were told."""
    looked_back_in: int | None
    """The node's boot in which it was asked, before it sealed, what it had sealed before."""


class Outbox:
    """The buffer's side of attestation. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, kind: str, message: bytes) -> None:
        """Keeps a message; the same again changes nothing."""
        with self._database.transaction():
            self._database.change("INSERT OR IGNORE INTO outbox (hash, kind, message) VALUES (?, ?, ?)", frame_hash(message), kind, message)
            oldest = "SELECT number FROM outbox ORDER BY number DESC LIMIT 1 OFFSET ?"
            self._database.change(f"DELETE FROM outbox WHERE number <= ({oldest})", MOST_KEPT)  # noqa: S608  the query is ours

    @property
    def seal_progress(self) -> SealProgress:
        """As of the last `store_seals`."""
        last, taken, number, told, looked = self._database.counters(
            "last_seal", "taken_seal", "taken_number", "told_lost_up_to", "looked_back_in"
        )
        return SealProgress(last, None if taken is None else KeptSeal(number, taken), told, looked)

    def store_seals(self, seals: Sequence[bytes], progress: SealProgress) -> None:
        """Keeps seals, and how far they are known with them."""
        taken = progress.taken
        with self._database.transaction():
            for seal in seals:
                self.store(SEALS, seal)
            self._database.set_counters(
                last_seal=progress.last,
                taken_seal=None if taken is None else taken.data,
                taken_number=None if taken is None else taken.number,
                told_lost_up_to=progress.told_lost_up_to,
                looked_back_in=progress.looked_back_in,
            )

    def waiting(self, count: int) -> list[tuple[int, str, bytes]]:
        """The first `count` messages without a receipt: number, topic's last level, bytes."""
        found = self._database.rows("SELECT number, kind, message FROM outbox ORDER BY number LIMIT ?", count)
        return [(number, kind, message) for number, kind, message in found]

    def next(self, kind: str, after: int, count: int) -> list[tuple[int, bytes]]:
        """`count` messages of a kind, those after number `after` first and then those up to it: number, bytes."""
        order = "SELECT number, message FROM outbox WHERE kind = ? ORDER BY number <= ?, number LIMIT ?"
        return [(number, message) for number, message in self._database.rows(order, kind, after, count)]

    def receipted(self, hash_: bytes) -> bool:
        """Lets go of the message with that hash; whether there was one."""
        with self._database.transaction():
            return self._database.change("DELETE FROM outbox WHERE hash = ?", hash_) > 0
