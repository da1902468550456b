"""What is done with each message that arrives: it is on the disk when the method returns, whatever it was.

Every method may be called again with the same bytes, in any order and by several threads: the outcome is that of one call. A message
that cannot be read is put aside with the reason; nothing here waits for another message or refuses to take one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session
from thermogen_esf import frames
from thermogen_esf.points import TimeQuality
from thermogen_esf.scada import event_of
from thermogen_esf.signatures import SigningKey

from .attesting import Attestor, NotAttestedError
from .registry import Acknowledgement, Alert, Batch, BatchStatus, LiveFrame, Quarantined, Receipt, Registry, ScadaFrame, ScadaWrite, Site
from .trust_file import TrustFile

KEPT_A_SITE = 1_000
"""Unreadable messages of a site that are remembered, newest first, but for those that were receipted: they stay, whole."""
MOST_KEPT_BYTES = 131_072
"""Of one unreadable message: twice the largest frame. A larger one is remembered by hash and reason alone, and never receipted."""

NOT_DECIDED: dict[str, object] = {"name": "judged", "passed": None, "detail": "not judged yet", "reason": None, "numbers": {}}


_MOST_MW = 10**12
"""Claims of more are shown as this much: what arrives is judged elsewhere."""


class _UnreadableError(Exception):
    """A message that is not what its topic is for."""


class Intake:
    """Takes messages of sites into the registry. `clock` gives Unix seconds, UTC. Threads may share it."""

    def __init__(
        self, registry: Registry, key: SigningKey, trust: TrustFile, clock: Callable[[], int], attestor: Attestor | None = None
    ) -> None:
        """`attestor` takes seals and statements; None where this cloud does not attest."""
        self._attestor = attestor
        self._registry = registry
        self._key = key
        self._trust = trust
        self._clock = clock

    def batch(self, sender: str, message: bytes) -> bytes | None:
        """Stores a batch, or whatever came in its place, and returns the receipt frame for `sender`: the same one on a repeat.

        None where it is too large to keep: a receipt means that every byte is stored, and stays so.
        """
        digest = frames.frame_hash(message)
        with self._registry.reading() as session:
            given = _receipt(session, sender, digest)
        if given is not None:
            return given
        try:
            batch, unreadable = _decoded(message, frames.Batch), ""
        except _UnreadableError as error:
            batch, unreadable = None, str(error)
        with self._registry.writing() as session:
            given = _receipt(session, sender, digest)
            if given is not None:
                return given
            self._seen(session, sender)
            if batch is not None:
                session.execute(insert(Batch).values(**self._row(sender, message, batch)).on_conflict_do_nothing())
            else:
                self._put_aside(session, sender, "batch", message, unreadable)
                if not _kept_whole(message):
                    return None
            number = 1 + (session.scalar(select(func.max(Receipt.number))) or 0)
            frame = self._sign(sender, number, digest, batch)
            session.add(Receipt(number=number, site=sender, batch_hash=digest, frame=frame))
            return frame

    def live(self, sender: str, message: bytes) -> None:
        """Keeps the newest live frame of `sender`, in site time: no second is lived twice, so that one not newer is a repeat or late."""
        try:
            frame = _decoded(message, frames.Telemetry)
            if not frame.header.live:
                raise _UnreadableError("telemetry without the live flag: evidence comes in batches")
            _own(sender, frame.header)
        except _UnreadableError as error:
            return self._refuse(sender, "live", message, str(error))
        row = {"site": sender, "time": frame.header.time, "received_at": self._clock(), "frame": message}
        with self._registry.writing() as session:
            self._seen(session, sender)
            newest = insert(LiveFrame).values(**row)
            newer = LiveFrame.time < newest.excluded.time
            session.execute(newest.on_conflict_do_update(index_elements=["site"], set_=row, where=newer))
        return None

    def alert(self, sender: str, message: bytes) -> None:
        """Stores an alert; the same alert again, by itself or in a batch, changes nothing."""
        try:
            alert = _decoded(message, frames.Alert)
            _own(sender, alert.header)
        except _UnreadableError as error:
            return self._refuse(sender, "alert", message, str(error))
        with self._registry.writing() as session:
            self._seen(session, sender)
            store_alert(session, sender, alert, self._clock())
        return None

    def acknowledgement(self, sender: str, message: bytes) -> None:
        """Stores a site's answer to a command, once per command and result."""
        try:
            answer = _decoded(message, frames.Acknowledgement)
            _own(sender, answer.header)
            self._signed(sender, answer, message)
        except _UnreadableError as error:
            return self._refuse(sender, "ack", message, str(error))
        row = {
            "site": sender,
            "command": answer.command_sequence,
            "result": int(answer.result),
            "text": answer.text,
            "received_at": self._clock(),
            "frame": message,
        }
        with self._registry.writing() as session:
            self._seen(session, sender)
            session.execute(insert(Acknowledgement).values(**row).on_conflict_do_nothing())
        return None

    def writes(self, sender: str, message: bytes) -> bytes | None:
        """Stores what SCADA wrote to a site and returns the receipt for it: the same one on a repeat. None where the site did not sign
        it."""
        digest = frames.frame_hash(message)
        try:
            writes = _decoded(message, frames.Writes)
            _own(sender, writes.header)
            self._signed(sender, writes, message)
        except _UnreadableError as error:
            self._refuse(sender, "writes", message, str(error))
            return None
        with self._registry.writing() as session:
            given = _receipt(session, sender, digest)
            if given is not None:
                return given
            self._seen(session, sender)
            session.execute(insert(ScadaFrame).values(hash=digest, site=sender, frame=message).on_conflict_do_nothing())
            for place, data in enumerate(writes.events):
                event = event_of(data)
                row = {
                    "site": sender,
                    "boot_count": writes.boot_count,
                    "event": writes.first_event + place,
                    "time": event.time_s,
                    "client": event.ip,
                    "address": event.address,
                    "old": event.old,
                    "new": event.new,
                    "kind": int(event.kind),
                    "count": event.count,
                    "received_at": self._clock(),
                    "frame": digest,
                }
                session.execute(insert(ScadaWrite).values(**row).on_conflict_do_nothing())
            number = 1 + (session.scalar(select(func.max(Receipt.number))) or 0)
            frame = self._sign(sender, number, digest, None)
            session.add(Receipt(number=number, site=sender, batch_hash=digest, frame=frame))
            return frame

    def seals(self, sender: str, message: bytes) -> bytes | None:
        """Stores seals of an enrolled site and returns the receipt for them: the same one on a repeat. None where one is not proven."""
        return self._attested(sender, "seals", message, None if self._attestor is None else self._attestor.take_seals)

    def statement(self, sender: str, message: bytes) -> bytes | None:
        """Stores a witness's statement, valid or not, and returns the receipt for it. None where it counts for nothing or is none."""
        return self._attested(sender, "statement", message, None if self._attestor is None else self._attestor.take_statement)

    def _attested(self, sender: str, topic: str, message: bytes, take: Callable[[bytes], bool | None] | None) -> bytes | None:
        digest = frames.frame_hash(message)
        try:
            if take is None:
                raise NotAttestedError("this cloud does not attest: `thermogen-cloud adopt-trust` gives it a trust list")
            if take(message) is False:
                return None
        except NotAttestedError as error:
            self._refuse(sender, topic, message, str(error))
            return None
        with self._registry.writing() as session:
            given = _receipt(session, sender, digest)
            if given is not None:
                return given
            self._seen(session, sender)
            number = 1 + (session.scalar(select(func.max(Receipt.number))) or 0)
            frame = self._sign(sender, number, digest, None)
            session.add(Receipt(number=number, site=sender, batch_hash=digest, frame=frame))
            return frame

    def _signed(self, sender: str, frame: frames.Acknowledgement | frames.Writes, message: bytes) -> None:
        keys = self._trust.current().sites_named(frame.header.site)
        if not any(frames.verify_frame(frame, key.public_key, message) for key in keys):
            raise _UnreadableError(f"not signed by a key of {sender} that the trust list names")

    def _row(self, sender: str, message: bytes, batch: frames.Batch) -> dict[str, object]:
        return {
            "hash": frames.frame_hash(message),
            "identity": batch.header.site,
            "sender": sender,
            "number": batch.header.sequence,
            "epoch": batch.epoch,
            "previous": batch.previous,
            "root": batch.root,
            "boot_count": batch.boot_count,
            "first_sequence": batch.first_sequence,
            "frame_count": len(batch.leaves),
            "alert_count": len(batch.alerts),
            "sealed_at": batch.header.time,
            "received_at": self._clock(),
            "mean_power_mw": _mean_power_mw(batch),
            "status": BatchStatus.STORED,
            "checks": [NOT_DECIDED],
            "body": message,
        }

    def _sign(self, sender: str, number: int, digest: bytes, batch: frames.Batch | None) -> bytes:
        header = frames.Header(frames.site_identity(sender), number, self._clock(), TimeQuality.FREE_RUNNING)
        epoch, first, last = (0, 0, 0) if batch is None else (batch.epoch, batch.first_sequence, batch.last_sequence)
        return frames.encode(frames.sign_frame(frames.Receipt(header, digest, epoch, first, last), self._key))

    def put_aside(self, sender: str, topic: str, message: bytes, reason: str) -> None:
        """Keeps a message that met a fault of this program, with the reason; it gets no receipt."""
        self._refuse(sender, topic, message, reason)

    def _refuse(self, sender: str, topic: str, message: bytes, reason: str) -> None:
        with self._registry.writing() as session:
            self._put_aside(session, sender, topic, message, reason)

    def _put_aside(self, session: Session, sender: str, topic: str, message: bytes, reason: str) -> None:
        number = 1 + (session.scalar(select(func.max(Quarantined.number))) or 0)
        row = {
            "number": number,
            "site": sender,
            "topic": topic,
            "hash": hashlib.sha3_256(message).digest(),
            "size": len(message),
            "reason": reason[:500],
            "received_at": self._clock(),
            "body": message if _kept_whole(message) else None,
        }
        session.execute(insert(Quarantined).values(**row).on_conflict_do_nothing())
        not_receipted = (Quarantined.site == sender, or_(Quarantined.topic != "batch", Quarantined.body.is_(None)))
        oldest_kept = select(Quarantined.number).where(*not_receipted).order_by(Quarantined.number.desc()).offset(KEPT_A_SITE - 1).limit(1)
        session.execute(delete(Quarantined).where(*not_receipted, Quarantined.number < oldest_kept.scalar_subquery()))

    def _seen(self, session: Session, sender: str) -> None:
        now = self._clock()
        row = {"name": sender, "identity": frames.site_identity(sender), "first_seen": now, "last_seen": now}
        session.execute(insert(Site).values(**row).on_conflict_do_update(index_elements=["name"], set_={"last_seen": now}))


def store_alert(session: Session, site: str, alert: frames.Alert, received_at: int) -> None:
    """One row for one alert, however often and by whichever way it comes."""
    row = {
        "hash": frames.frame_hash(frames.encode(alert)),
        "site": site,
        "time": alert.header.time,
        "code": alert.code,
        "severity": int(alert.severity),
        "raised": alert.raised,
        "point": alert.point,
        "value": alert.value,
        "threshold": alert.threshold,
        "text": alert.text,
        "received_at": received_at,
    }
    session.execute(insert(Alert).values(**row).on_conflict_do_nothing())


_Kind = TypeVar("_Kind", frames.Batch, frames.Telemetry, frames.Alert, frames.Acknowledgement, frames.Writes)


def _decoded(message: bytes, kind: type[_Kind]) -> _Kind:
    try:
        frame = frames.decode(message)
    except frames.FrameError as error:
        raise _UnreadableError(f"cannot be read: {error}") from error
    if not isinstance(frame, kind):
        raise _UnreadableError(f"{frame.type.name.lower()} where {kind.type.name.lower()} belongs")
    return frame


def _kept_whole(message: bytes) -> bool:
    return len(message) <= MOST_KEPT_BYTES


def _own(sender: str, header: frames.Header) -> None:
    if header.site != frames.site_identity(sender):
        raise _UnreadableError(f"names the site {header.site.hex()}, which is not {sender}")


def _receipt(session: Session, sender: str, digest: bytes) -> bytes | None:
    return session.scalar(select(Receipt.frame).where(Receipt.site == sender, Receipt.batch_hash == digest))


def _mean_power_mw(batch: frames.Batch) -> int:
    """For the page: energy over time from the first leaf to the last; 0 where the leaves do not say."""
    try:
        first, last = frames.Telemetry(batch.leaves[0]), frames.Telemetry(batch.leaves[-1])
    except frames.FrameError:
        return 0
    seconds = last.header.time - first.header.time
    if seconds <= 0:
        return last.raw["channel_power"]
    mean = (last.raw["electrical_energy"] - first.raw["electrical_energy"]) // seconds
    return max(-_MOST_MW, min(mean, _MOST_MW))
