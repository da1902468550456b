"""The log of attestation on disk: entries and checkpoints that only grow, whatever stops the program between two lines.

An entry is in the log once its commit returns. A checkpoint is computed from committed entries, signed, and published only after it is
committed itself, so that no two checkpoints of one number are ever seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from thermogen_esf.evidence.attestation.log import Checkpoint, Log, check_entry
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.signatures import SigningKey

from .errors import OperatorError
from .registry import LogEntry, Registry, StoredCheckpoint

CHECKPOINTS_AT_ONCE = 120
"""Two hours of them, where one is made a minute: as long as four attempts take."""


class UnreadableLogError(OperatorError):
    """The newest checkpoint is damaged, or none of this release's: no other can follow on it."""


class AttestationLog:
    """The log in the registry. Threads may share it; one process writes it."""

    def __init__(self, registry: Registry, root_keys: bytes, key: SigningKey) -> None:
        """`root_keys` is the hash of the root keys, from which the first beacon is made; `key` is the cloud's.

        UnreadableLogError, and nothing is changed, where the newest checkpoint is none that another can follow on.
        """
        self._registry = registry
        self._key = key
        self._lock = threading.Lock()
        with registry.reading() as session:
            entries = list(session.scalars(select(LogEntry.entry).order_by(LogEntry.number)))
            signed = session.scalars(select(StoredCheckpoint.signed).order_by(StoredCheckpoint.number.desc())).first()
        self._log = Log(root_keys, entries, None if signed is None else _newest(signed))

    def __len__(self) -> int:
        return len(self._log)

    @property
    def last(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return self._log.last

    def append(self, entries: Sequence[bytes], and_store: Callable[[Session, range], None] = lambda _session, _indices: None) -> range:
        """Appends entries together or not at all, and gives their indices; LogError for an entry of no kind, and nothing is appended.

        `and_store` writes what belongs to them in the same transaction.
        """
        for entry in entries:
            check_entry(entry)
        with self._lock:
            with self._registry.writing() as session:
                first = session.scalar(select(func.count()).select_from(LogEntry)) or 0
                session.add_all(LogEntry(number=first + place, entry=entry) for place, entry in enumerate(entries))
                and_store(session, range(first, first + len(entries)))
            for entry in entries:
                self._log.append(entry)
            return range(first, first + len(entries))

    def index_of(self, entry: bytes) -> int | None:
        """Where an entry is first, or None: a seal, a day's root or a statement is put in once."""
        with self._registry.reading() as session:
            return session.scalar(select(func.min(LogEntry.number)).where(LogEntry.entry == entry))

    def checkpoint(self, time: int) -> Signed:
        """Closes the next checkpoint; LogError where the time goes back. It is on the disk when this returns."""
        with self._lock:
            signed = self._log.next_checkpoint(time).sign(self._key)
            checkpoint = Checkpoint.parse(signed.document)
            with self._registry.writing() as session:
                session.add(StoredCheckpoint(number=checkpoint.number, size=checkpoint.size, signed=signed.encode()))
            self._log.accept(checkpoint)
            return signed

    def published(self, first: int, last: int) -> list[Signed]:
        """The checkpoints with these numbers, both included, as they were signed."""
        with self._registry.reading() as session:
            chosen = select(StoredCheckpoint.signed).where(StoredCheckpoint.number.between(first, last)).order_by(StoredCheckpoint.number)
            return [Signed.parse(data) for data in session.scalars(chosen)]

    def chain_around(self, index: int, enough: Callable[[list[Checkpoint]], bool]) -> list[Checkpoint]:
        """Successive checkpoints from the last one before entry `index`, or from the first, until they are enough or there are no more.

        None while none holds the entry. They are read some at a time: of an old day few are needed.
        """
        with self._registry.reading() as session:
            holding = session.scalar(select(func.min(StoredCheckpoint.number)).where(StoredCheckpoint.size > index))
        chain: list[Checkpoint] = []
        if holding is None or self.last is None:
            return chain
        for first in range(max(0, holding - 1), self.last.number + 1, CHECKPOINTS_AT_ONCE):
            chain += [Checkpoint.parse(each.document) for each in self.published(first, first + CHECKPOINTS_AT_ONCE - 1)]
            if enough(chain):
                break
        return chain

    def logged_at(self, index: int) -> int | None:
        """Time of the first checkpoint that holds entry `index`; None while there is none."""
        with self._registry.reading() as session:
            holding = select(StoredCheckpoint.signed).where(StoredCheckpoint.size > index).order_by(StoredCheckpoint.number).limit(1)
            signed = session.scalars(holding).first()
        return None if signed is None else Checkpoint.parse(Signed.parse(signed).document).time

    def between(self, first: int, last: int) -> list[bytes]:
        """The entries with these indices, the last not included."""
        with self._registry.reading() as session:
            chosen = select(LogEntry.entry).where(LogEntry.number >= first, LogEntry.number < last).order_by(LogEntry.number)
            return list(session.scalars(chosen))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that entry `index` is in the log of `size` entries."""
        return self._log.inclusion(index, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the log of `new` entries begins with that of `old`."""
        return self._log.consistency(old, new)


def _newest(signed: bytes) -> Checkpoint:
    try:
        return Checkpoint.parse(Signed.parse(signed).document)
    except EvidenceError as error:
        raise UnreadableLogError(
            f"the log of attestation cannot go on: its newest checkpoint is unreadable: {error}",
            "where another release wrote it, serve this directory with that release, whose thermogen-verify believes its bundles, and begin"
            " another directory and log for this one with `thermogen-cloud init` and `thermogen-cloud adopt-trust`; where the registry is"
            " damaged, restore it from a backup",
        ) from error
