"""Messages of attestation that wait for the cloud's receipt: seals and a witness's statements, each as it is sent."""

from __future__ import annotations

from thermogen_esf.frames import frame_hash

from .database import Database

SEALS = "seals"
"""The kind of a seal: its topic's last level."""
MOST_KEPT = 4_000
"""Forty days of seals; beyond, the oldest give way: without the rest of their day they are worth nothing."""


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
    def last_seal(self) -> bytes | None:
        """The seal that was stored last, or passed over, whether or not it was receipted since; None before the first."""
        (seal,) = self._database.counters("last_seal")
        return None if seal is None else bytes(seal)

    def store_seal(self, seal: bytes) -> None:
        """Keeps a seal, and that it was the last."""
        with self._database.transaction():
            self.store(SEALS, seal)
            self.pass_over_seal(seal)

    def pass_over_seal(self, seal: bytes) -> None:
        """Remembers a seal as the last without keeping it for the cloud."""
        with self._database.transaction():
            self._database.set_counters(last_seal=seal)

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
