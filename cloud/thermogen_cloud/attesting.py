"""Attestation, from seals that arrive to a day's state: what comes is stored, then logged, then drawn for and decided.

    seal ─▶ log ─▶ day root, once a later day's seal is there ─▶ checkpoint, beacon ─▶ drawing ─▶ statements ─▶ log ─▶ state

Every step reads what is on the disk and may be made again: a crash between any two leaves the rest for the next round. The rules are
`thermogen_esf.evidence.attestation`'s; what is added here is the order of things and what only a registry knows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha3_256
from itertools import groupby, pairwise

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session
from thermogen_esf.evidence.attestation.day import Day, judge_day
from thermogen_esf.evidence.attestation.draw import MAX_ATTEMPTS, WINDOW_S, Drawing, drawing_checkpoint
from thermogen_esf.evidence.attestation.exchange import Announcement, ExchangeError, encode_seals, parse_seals
from thermogen_esf.evidence.attestation.log import Checkpoint, day_entry, seal_entry, statement_entry, trust_entry
from thermogen_esf.evidence.attestation.quorum import DayState, Findings
from thermogen_esf.evidence.attestation.seal import ENCODED_BYTES, EPOCHS_A_DAY, NO_PREVIOUS, Seal
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Heard, Opinion, Statement, judge_statement
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.frames import site_identity

from .attestation_log import AttestationLog
from .attestation_trust import AttestationTrust, SignedList
from .attested_days import AttestedDays
from .methodology_choices import MethodologyChoiceError, MethodologyChoices
from .registry import LoggedDay, Registry, StoredSeal, StoredStatement

log = logging.getLogger(__name__)

WATCHED_DAYS = 31
"""Newest days that a start looks at again although they are decided."""
REFUSED_A_WITNESS = 100
"""Newest refused statements in one witness's name that are kept."""


class NotAttestedError(Exception):
    """A message that is no seal or statement of a site that the trust list enrols."""


@dataclass(frozen=True)
class Open:
    """One attempt to attest a logged day."""

    row: LoggedDay
    day: Day
    attempt: int
    drawn: Checkpoint | None
    """The checkpoint whose beacon draws; None while there is none."""
    trust: SignedList

    @property
    def drawing(self) -> Drawing | None:
        """What witnesses are drawn for."""
        if self.drawn is None:
            return None
        return Drawing(self.day.site, self.day.number, self.day.root, self.drawn.number, self.drawn.beacon)


class Attestor:
    """Attests the days of the sites that the trust list enrols. Threads may share it; one makes a round at a time."""

    def __init__(
        self, registry: Registry, log_: AttestationLog, trust: AttestationTrust, methodologies: MethodologyChoices, clock: Callable[[], int]
    ) -> None:
        self._registry = registry
        self._log = log_
        self._trust = trust
        self._methodologies = methodologies
        self._clock = clock
        self._days = AttestedDays(registry, clock)
        self._lock = threading.Lock()
        self._frozen: dict[bytes, int] = {}
        self._tell_keys()
        self._looked = False
        """Whether the newest days were looked at since the start: a crash may have come between a statement and its decision."""
        self.waiting: dict[tuple[str, int], str] = {}
        """Days that cannot be closed yet although a later day's seal is there, by site and day: why."""

    @property
    def trust(self) -> AttestationTrust:
        """Whom it believes."""
        return self._trust

    def renew(self, trust: AttestationTrust) -> None:
        """Believes these lists from now on: those that it has and newer ones."""
        with self._lock:
            self._trust = trust

    @property
    def days(self) -> AttestedDays:
        """What became of the days."""
        return self._days

    @property
    def log(self) -> AttestationLog:
        """The log."""
        return self._log

    def take_seals(self, message: bytes) -> None:
        """Stores the seals of a message; NotAttestedError, and nothing is stored, unless each is proven by a key of an enrolled site.

        A key that a former list had for the site will do: its seals may come late, and a second one of an epoch counts whenever it comes.
        """
        try:
            seals = parse_seals(message)
        except ExchangeError as error:
            raise NotAttestedError(str(error)) from None
        rows = []
        for seal in seals:
            entry = self._trust.newest.by_identity.get(seal.site)
            if entry is None:
                raise NotAttestedError(f"the seal of epoch {seal.epoch} is of site {seal.site.hex()}, which the trust list does not enrol")
            key = self._prover(seal)
            if key is None:
                raise NotAttestedError(f"the seal of epoch {seal.epoch} is not proven by a VRF key of {entry.enrolment.name}")
            digest = sha3_256(seal.alpha).digest()
            rows.append({"vrf_key": key, "input_hash": digest, "site": seal.site, "epoch": seal.epoch, "seal": seal.encode()})
        with self._registry.writing() as session:
            for row in rows:
                session.execute(insert(StoredSeal).values(**row, logged=False, received_at=self._clock()).on_conflict_do_nothing())

    def take_statement(self, message: bytes) -> bool:
        """Stores what an enrolled witness says of a drawing, with why it counts for nothing where it does: False then.

        A valid one takes the place of a copy that was refused. Of a witness and drawing one agreement or abstention counts and one
        dissent, the first of each: others are not kept. NotAttestedError, and nothing is kept, where nothing was drawn, where the
        list does not enrol the witness, and where it is no statement.
        """
        try:
            signed = Signed.parse(message)
            statement = Statement.parse(signed.document)
        except EvidenceError as error:
            raise NotAttestedError(str(error)) from None
        drawing = statement.drawing
        row = {
            "document_hash": statement.hash,
            "site": drawing.site,
            "day": drawing.day,
            "beacon_number": drawing.beacon_number,
            "witness": statement.witness,
            "signed": message,
            "refused": self._refusal(signed, statement)[:500],
            "received_at": self._clock(),
        }
        with self._registry.writing() as session:
            if row["refused"]:
                session.execute(insert(StoredStatement).values(**row).on_conflict_do_nothing())
                _forget_refused(session, statement.witness)
            elif not _said_before(session, statement):
                changed = {name: row[name] for name in ("signed", "refused", "received_at")}
                refused = StoredStatement.refused != ""
                stored = insert(StoredStatement).values(**row)
                session.execute(stored.on_conflict_do_update(index_elements=["document_hash"], set_=changed, where=refused))
        return not row["refused"]

    def _refusal(self, signed: Signed, statement: Statement) -> str:
        attempt = next(
            (each for each in self._attempts(statement.drawing.site, statement.drawing.day) if each.drawing == statement.drawing), None
        )
        if attempt is None or attempt.drawn is None:
            raise NotAttestedError(
                f"nothing was drawn for day {statement.drawing.day} and this root with beacon {statement.drawing.beacon_number}"
            )
        witness = attempt.trust.by_identity.get(statement.witness)
        if witness is None:
            raise NotAttestedError(f"the trust list does not enrol the witness {statement.witness.hex()}")
        heard = judge_statement(signed, statement.drawing, witness, attempt.trust.trust, attempt.drawn.time, attempt.drawn.time)
        return "; ".join(f"{check.name}: {check.detail}" for check in heard.checks if check.passed is False)

    def round(self) -> None:
        """Logs what is stored, closes days and a checkpoint, and decides what can be decided."""
        with self._lock:
            self._end_interrupted()
            self._log_seals()
            self._freeze()
            self._log_seals()
            self._log_statements()
            self._close_days(self._suspend())
            self._close_checkpoint()
            self._decide()

    def _end_interrupted(self) -> None:
        """Closes the checkpoint of a round that was cut off: else its days would come into one with seals that they were closed without."""
        if len(self._log) > (0 if self._log.last is None else self._log.last.size):
            self._checkpoint()

    def announcements(self) -> list[Announcement]:
        """The drawings whose windows are open."""
        found = []
        for row in self._days.in_state(DayState.COLLECTING):
            for each in self._attempts(site_identity(row.site), row.day):
                if each.attempt == row.attempt and each.drawn is not None:
                    found.append(Announcement(row.site, each.drawn.number, each.drawn.beacon, each.drawn.time + WINDOW_S, each.day))
        return found

    def attempts(self, site: bytes, day: int) -> list[Open]:
        """The attempts to attest a site's day that there can be by now, the first first."""
        return self._attempts(site, day)

    def frozen_at(self, each: SignedList) -> int:
        """The index of a list's entry in the log."""
        return self._frozen[each.trust.hash]

    def heard(self, attempt: Open) -> list[tuple[StoredStatement, Heard]]:
        """The statements of an attempt that are in the log, in its order, judged."""
        drawing, found = attempt.drawing, []
        if drawing is None or attempt.drawn is None:
            return []
        with self._registry.reading() as session:
            chosen = (
                select(StoredStatement)
                .where(StoredStatement.site == drawing.site, StoredStatement.day == drawing.day)
                .where(StoredStatement.beacon_number == drawing.beacon_number, StoredStatement.entry.is_not(None))
                .order_by(StoredStatement.entry)
            )
            rows = session.scalars(chosen).all()
        for row in rows:
            witness = attempt.trust.by_identity.get(row.witness)
            logged_at = None if row.entry is None else self._log.logged_at(row.entry)
            if witness is not None and logged_at is not None:
                signed = Signed.parse(row.signed)
                found.append((row, judge_statement(signed, drawing, witness, attempt.trust.trust, attempt.drawn.time, logged_at)))
        return found

    def suspended(self, day: Day) -> bool:
        """Whether the VRF key that sealed a day has sealed an epoch twice, so that nothing of that key is minted."""
        key = self._prover(day.seals[0])
        return key is not None and self.suspended_key(key)

    def suspended_key(self, vrf_key: bytes) -> bool:
        """Whether a VRF key has sealed an epoch twice: both seals are proven, or they would not be stored."""
        with self._registry.reading() as session:
            twice = select(StoredSeal.epoch).where(StoredSeal.vrf_key == vrf_key).group_by(StoredSeal.epoch).having(func.count() > 1)
            return session.scalars(twice.limit(1)).first() is not None

    def suspended_sites(self) -> frozenset[str]:
        """Names of the sites whose VRF key in the newest list is suspended."""
        twice = select(StoredSeal.vrf_key).group_by(StoredSeal.vrf_key, StoredSeal.epoch).having(func.count() > 1)
        with self._registry.reading() as session:
            keys = set(session.scalars(twice))
        return frozenset(name for name, entry in self._trust.newest.by_name.items() if entry.enrolment.vrf_key in keys)

    def _prover(self, seal: Seal) -> bytes | None:
        """The VRF key of the seal's site, now or under a former list, that proved it."""
        return next((key for key in self._trust.vrf_keys(seal.site) if seal.proven_by(key)), None)

    def _tell_keys(self) -> None:
        """Says of each seal in a registry of before which key proved it."""
        with self._registry.reading() as session:
            rows = session.execute(select(StoredSeal.input_hash, StoredSeal.seal).where(StoredSeal.vrf_key == b"")).all()
        known = [(digest, key) for digest, seal in rows if (key := self._prover(Seal.decode(seal))) is not None]
        if known:
            with self._registry.writing() as session:
                for digest, key in known:
                    of_before = (StoredSeal.vrf_key == b"", StoredSeal.input_hash == digest)
                    session.execute(update(StoredSeal).where(*of_before).values(vrf_key=key))

    def _freeze(self) -> None:
        """Puts each new list into the log, and closes a checkpoint at once: no draw uses the list before it."""
        new = False
        for each in self._trust.lists:
            if each.trust.hash not in self._frozen:
                entry = trust_entry(each.trust.hash)
                known = self._log.index_of(entry)
                new = new or known is None
                self._frozen[each.trust.hash] = self._log.append([entry])[0] if known is None else known
        if new:
            self._checkpoint()

    @property
    def _in_force(self) -> SignedList | None:
        """The list by which the next checkpoint's beacon draws: the newest in a checkpoint. None before the first."""
        size = 0 if self._log.last is None else self._log.last.size
        return next((each for each in reversed(self._trust.lists) if self._frozen.get(each.trust.hash, size) < size), None)

    def _log_seals(self) -> None:
        """Logs the seals that the list in force enrols the keys of: with any other, nobody could recompute the beacon by that list."""
        in_force = self._in_force
        if in_force is None:
            return
        with self._registry.reading() as session:
            rows = session.scalars(select(StoredSeal).where(StoredSeal.logged.is_(False)).order_by(StoredSeal.site, StoredSeal.epoch)).all()
        rows = [row for row in rows if (row.site, row.vrf_key) in in_force.vrf_keys]
        if not rows:
            return
        keys = [(row.vrf_key, row.input_hash) for row in rows]

        def mark(session: Session, _indices: range) -> None:
            for key, digest in keys:
                of_key = (StoredSeal.vrf_key == key, StoredSeal.input_hash == digest)
                session.execute(update(StoredSeal).where(*of_key).values(logged=True))

        self._log.append([seal_entry(Seal.decode(row.seal)) for row in rows], mark)

    def _log_statements(self) -> None:
        with self._registry.reading() as session:
            unlogged = select(StoredStatement).where(StoredStatement.entry.is_(None), StoredStatement.refused == "")
            rows = session.scalars(unlogged.order_by(StoredStatement.received_at, StoredStatement.document_hash)).all()
        if not rows:
            return

        def place(session: Session, indices: range) -> None:
            for row, index in zip(rows, indices, strict=True):
                session.execute(update(StoredStatement).where(StoredStatement.document_hash == row.document_hash).values(entry=index))

        self._log.append([statement_entry(row.document_hash) for row in rows], place)

    def _close_days(self, suspended: Collection[bytes]) -> None:
        for entry in () if self._in_force is None else self._in_force.entries:
            site = entry.enrolment
            if site.vrf_key in suspended:
                continue
            with self._registry.reading() as session:
                logged = set(session.scalars(select(LoggedDay.day).where(LoggedDay.site == site.identity)))
                since = StoredSeal.epoch >= EPOCHS_A_DAY * (max(logged, default=0) - WATCHED_DAYS)
                stored = select(StoredSeal.vrf_key, StoredSeal.seal, StoredSeal.logged).where(StoredSeal.site == site.identity, since)
                rows = session.execute(stored).all()
            # A seal that came since the seals were logged is the next round's: a day's are in the log before the day is.
            seals = [Seal.decode(data) for key, data, in_log in rows if key == site.vrf_key and in_log]
            former = {Seal.decode(data).day for key, data, _ in rows if key != site.vrf_key}
            for number in former - logged - {seal.day for seal in seals}:
                self.waiting[site.name, number] = "sealed by a VRF key that the trust list does not have for the site"
            for number, day in _closable(seals, logged):
                if isinstance(day, str):
                    self.waiting[site.name, number] = day
                    continue
                wrong = next((check for check in judge_day(day, site.vrf_key) if not check.passed), None)
                if wrong is not None:
                    # What is missing may still be on its way: the day is not closed, and the page says why.
                    self.waiting[site.name, number] = f"{wrong.name}: {wrong.detail}"
                    continue
                self.waiting.pop((site.name, number), None)
                self._log_day(day)

    def _log_day(self, day: Day) -> None:
        opening = b"" if day.opening is None else day.opening.encode()
        seals = encode_seals((*day.seals, day.closing))

        def store(session: Session, indices: range) -> None:
            row = LoggedDay(entry=indices[0], site=day.site, day=day.number, root=day.root, opening=opening, seals=seals)
            session.add(row)

        self._log.append([day_entry(day)], store)

    def _suspend(self) -> frozenset[bytes]:
        """The VRF keys that sealed an epoch twice; the days on which they did are suspended."""
        of_epoch = (StoredSeal.vrf_key, StoredSeal.epoch)
        with self._registry.reading() as session:
            twice = select(StoredSeal.site, *of_epoch).where(StoredSeal.vrf_key != b"").group_by(*of_epoch).having(func.count() > 1)
            found = session.execute(twice).all()
        for site, _, epoch in found:
            entry = self._trust.newest.by_identity.get(site)
            if entry is not None:
                findings = Findings(self._trust.newest.trust.site_count, 1, None, self._clock(), (), two_seals=True)
                self._days.decide(entry.enrolment.name, epoch // EPOCHS_A_DAY, (), findings)
        return frozenset(key for _, key, _ in found)

    def _close_checkpoint(self) -> None:
        last = self._log.last
        if last is None or len(self._log) > last.size or self._window_ended(last.time):
            self._checkpoint()

    def _window_ended(self, since: int) -> bool:
        """Whether the window of an undecided day's drawing has ended since then: what is decided is what a checkpoint after it holds.

        For nothing else is one closed over nothing: a bundle carries every one from its day's root on.
        """
        now = self._clock()
        for name, day in self._days.undecided():
            newest = self._attempts(site_identity(name), day)[-1:]
            if any(each.drawn is not None and since < each.drawn.time + WINDOW_S <= now for each in newest):
                return True
        return False

    def _checkpoint(self) -> None:
        last = self._log.last
        self._log.checkpoint(max(self._clock(), 0 if last is None else last.time))

    def _decide(self) -> None:
        with self._registry.reading() as session:
            rows = session.execute(select(LoggedDay.site, LoggedDay.day).distinct()).all()
            statements = select(StoredStatement.site, StoredStatement.day).where(StoredStatement.entry >= self._before_last()).distinct()
            woken = {(site, day) for site, day in session.execute(statements)}
        newest = max((day for _, day in rows), default=0)
        for site, day in rows:
            name = self._trust.name_of(site)
            if name is None:
                continue
            recent = not self._looked and day > newest - WATCHED_DAYS
            if recent or (site, day) in woken or not self._days.settled(name, day):
                try:
                    self._decide_day(name, site, day)
                except MethodologyChoiceError as error:
                    log.error("day %d of %s is not decided: %s; %s", day, name, error, error.remedy)
        self._looked = True

    def _before_last(self) -> int:
        """Entries from here on are newer than the checkpoint before the last."""
        last = self._log.last
        if last is None or last.number == 0:
            return 0
        (before,) = self._log.published(last.number - 1, last.number - 1)
        return Checkpoint.parse(before.document).size

    def _decide_day(self, name: str, site: bytes, day: int) -> None:
        now = self._log.last
        assert now is not None, "a checkpoint was closed before"
        two_roots = self._roots(site, day) > 1
        for attempt in self._attempts(site, day):
            drawn_at = None if attempt.drawn is None else attempt.drawn.time
            findings = Findings(
                sites=attempt.trust.trust.site_count,
                attempt=attempt.attempt,
                drawn_at=drawn_at,
                now=now.time,
                history_mj=self._days.history_mj(name, day),
                two_seals=self.suspended(attempt.day),
                two_roots=two_roots,
                methodology_error=self._methodology_error(name, attempt),
            )
            row = self._days.decide(name, day, [heard for _, heard in self.heard(attempt)], findings)
            if row.state is not DayState.DEFERRED:
                return

    def _methodology_error(self, name: str, attempt: Open) -> str:
        if attempt.drawn is None:
            return ""  # whose auditors count is not known before
        try:
            self._methodologies.chosen(name, attempt.day.number, attempt.trust.trust.approvers, attempt.drawn.time)
        except EvidenceError as error:
            return str(error)
        return ""

    def _roots(self, site: bytes, day: int) -> int:
        with self._registry.reading() as session:
            return len(set(session.scalars(select(LoggedDay.root).where(LoggedDay.site == site, LoggedDay.day == day))))

    def _attempts(self, site: bytes, day: int) -> list[Open]:
        with self._registry.reading() as session:
            first = select(LoggedDay).where(LoggedDay.site == site, LoggedDay.day == day).order_by(LoggedDay.entry).limit(1)
            row = session.scalars(first).first()
        if row is None:
            return []
        *seals, closing = sealed_in(row)
        of_day = Day(tuple(seals), closing, Seal.decode(row.opening) if row.opening else None)
        entry, found = row.entry, list[Open]()
        chain = self._log.chain_around(entry, lambda chain: drawing_checkpoint(chain, entry, MAX_ATTEMPTS) is not None)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            drawn = drawing_checkpoint(chain, row.entry, attempt)
            if drawn is None and attempt > 1:
                break
            found.append(Open(row, of_day, attempt, drawn, self._list_before(chain, drawn)))
            if drawn is None:
                break
        return found

    def _list_before(self, chain: Sequence[Checkpoint], drawn: Checkpoint | None) -> SignedList:
        """The newest list that was in the log before a beacon's checkpoint."""
        before = next((each.size for each in chain if drawn is not None and each.number == drawn.number - 1), len(self._log))
        frozen = [each for each in self._trust.lists if self._frozen.get(each.trust.hash, before) < before]
        return frozen[-1] if frozen else self._trust.newest


def _said_before(session: Session, statement: Statement) -> bool:
    """Whether the witness's word of this kind, doubt or not, is there for the drawing."""
    drawing = statement.drawing
    of_witness = (StoredStatement.witness == statement.witness, StoredStatement.refused == "")
    of_drawing = (
        StoredStatement.site == drawing.site, StoredStatement.day == drawing.day, StoredStatement.beacon_number == drawing.beacon_number
    )  # fmt: skip
    stored = session.scalars(select(StoredStatement.signed).where(*of_drawing, *of_witness))
    doubts = statement.opinion is Opinion.DISSENT
    return any((Statement.parse(Signed.parse(each).document).opinion is Opinion.DISSENT) == doubts for each in stored)


def _forget_refused(session: Session, witness: bytes) -> None:
    """Keeps the newest refused statements in a witness's name: anybody can send more."""
    refused = (StoredStatement.witness == witness, StoredStatement.refused != "")
    newest = select(StoredStatement.document_hash).where(*refused).order_by(StoredStatement.received_at.desc()).limit(REFUSED_A_WITNESS)
    session.execute(delete(StoredStatement).where(*refused, StoredStatement.document_hash.not_in(newest)))


def sealed_in(row: LoggedDay) -> tuple[Seal, ...]:
    """A logged day's seals in order, the closing one last: one more than a message may have."""
    return tuple(Seal.decode(row.seals[start : start + ENCODED_BYTES]) for start in range(0, len(row.seals), ENCODED_BYTES))


def _closable(seals: Iterable[Seal], logged: Collection[int]) -> list[tuple[int, Day | str]]:
    """The days that are not logged and that a later day's seal closes, oldest first; text where a day's seals are none."""
    ordered = sorted(seals, key=lambda seal: (seal.boot_count, seal.epoch))
    by_day = [(day, tuple(group)) for day, group in groupby(ordered, key=lambda seal: seal.day)]
    found: list[tuple[int, Day | str]] = []
    before: Seal | None = None
    for (day, of_day), (_, after) in pairwise(by_day):
        if day not in logged:
            try:
                found.append((day, Day(of_day, after[0], None if of_day[0].previous == NO_PREVIOUS else before)))
            except EvidenceError as error:
                found.append((day, str(error)))
        before = of_day[-1]
    return found
