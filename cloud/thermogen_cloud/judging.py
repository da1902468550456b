"""The step between stored and believed: each batch is judged once everything that its judgement needs has arrived.

The rules are `thermogen_esf.evidence`'s. What is added here is what only a registry can know: that no other batch of the same epoch or
number is believed already.

    stored ──▶ believed
       └─────▶ refused

Both ends are final. A batch whose predecessor has not arrived stays stored; the predecessor's arrival judges it again. A crash
in between, or a fault, leaves it stored: the receiver has all that is stored judged again at each connection and each minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session
from thermogen_esf import frames
from thermogen_esf.evidence.belief import Verdict, verify_batch

from .intake import store_alert
from .registry import Batch, BatchStatus, Registry
from .trust_file import TrustFile

log = logging.getLogger(__name__)


class Judge:
    """Judges stored batches. Threads may share it; one judges at a time."""

    def __init__(self, registry: Registry, trust: TrustFile, clock: Callable[[], int]) -> None:
        self._registry = registry
        self._trust = trust
        self._clock = clock
        self._lock = threading.Lock()

    def judge_arrived(self, message: bytes) -> None:
        """Judges the batch that these bytes are, and those that waited for it."""
        self._judge_from([frames.frame_hash(message)])

    def judge_waiting(self) -> None:
        """Judges every batch that is stored only: what a crash left, or a fault that has passed since."""
        with self._registry.reading() as session:
            waiting = session.scalars(select(Batch.hash).where(Batch.status == BatchStatus.STORED).order_by(Batch.identity, Batch.number))
            hashes = list(waiting)
        self._judge_from(hashes)

    def _judge_from(self, hashes: list[bytes]) -> None:
        with self._lock:
            queue = hashes[::-1]
            while queue:
                digest = queue.pop()
                try:
                    self._judge(digest)
                    queue += self._waiting_for(digest)
                except Exception:
                    # Our fault, not the batch's: it stays stored, the next ones are judged, `judge_waiting` tries again.
                    log.exception("batch %s could not be judged", digest.hex())

    def _judge(self, digest: bytes) -> None:
        with self._registry.reading() as session:
            batch = session.get(Batch, digest)
            if batch is None or batch.status is not BatchStatus.STORED:
                return
            verdict = verify_batch(batch.body, self._trust.current(), self._before(session, batch))
        checks: list[dict[str, Any]] = [check.to_json() for check in verdict.checks]
        with self._registry.writing() as session:
            batch = session.get_one(Batch, digest)
            if batch.status is not BatchStatus.STORED:
                return
            status = _status(verdict)
            if status is BatchStatus.BELIEVED:
                only = _only_one(session, batch)
                checks.append(only)
                status = BatchStatus.BELIEVED if only["passed"] else BatchStatus.REFUSED
            batch.status, batch.checks = status, checks
            if status is BatchStatus.BELIEVED and verdict.site is not None and verdict.batch is not None:
                for alert in verdict.batch.frame.alerts:
                    store_alert(session, verdict.site.name, alert, self._clock())
        log.info("epoch %d, batch %s: %s", batch.epoch, digest.hex(), status.value)

    def _before(self, session: Session, batch: Batch) -> bytes | None:
        """The batch before this one: the one that it names, else a believed one of that number, with which it then disagrees.

        A batch that is neither named nor believed may be anybody's: it decides nothing.
        """
        candidates = (
            select(Batch)
            .where(Batch.identity == batch.identity, Batch.number == batch.number - 1)
            .where(or_(Batch.hash == batch.previous, Batch.status == BatchStatus.BELIEVED))
            .order_by((Batch.hash == batch.previous).desc())
        )
        found = session.scalars(candidates).first()
        return None if found is None else found.body

    def _waiting_for(self, digest: bytes) -> list[bytes]:
        with self._registry.reading() as session:
            arrived = session.get(Batch, digest)
            if arrived is None:
                return []
            next_ones = select(Batch.hash).where(
                Batch.identity == arrived.identity, Batch.number == arrived.number + 1, Batch.status == BatchStatus.STORED
            )
            return list(session.scalars(next_ones))


def _status(verdict: Verdict) -> BatchStatus:
    if not verdict.believed:
        return BatchStatus.REFUSED
    return BatchStatus.BELIEVED if verdict.complete else BatchStatus.STORED


def _only_one(session: Session, batch: Batch) -> dict[str, Any]:
    """Whether the registry believes no other batch of this epoch or number."""
    same = or_(Batch.epoch == batch.epoch, Batch.number == batch.number)
    other = session.scalars(select(Batch).where(and_(Batch.identity == batch.identity, Batch.status == BatchStatus.BELIEVED, same))).first()
    if other is None:
        return {
            "name": "only one of its epoch",
            "passed": True,
            "detail": f"no other batch of epoch {batch.epoch} or number {batch.number} is believed",
            "reason": None,
            "numbers": {},
        }
    return {
        "name": "only one of its epoch",
        "passed": False,
        "detail": f"batch {other.number} of epoch {other.epoch}, {other.hash.hex()}, is believed already",
        "reason": "overlap",
        "numbers": {"epoch": other.epoch, "number": other.number},
    }
