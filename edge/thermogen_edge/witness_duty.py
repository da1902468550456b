"""This site's duty as a witness: what is announced is drawn for, what is drawn is fetched and judged, what is found is said in time.

    announced ──▶ drawn ──▶ fetching ──▶ judging ──▶ said
        └─ not drawn          └─ the window ends: an abstention

A broker can write all that comes here. What it made up is not judged: neither seals that are not proven and chained, since no log holds
them, nor batches that the site did not sign for the epoch. It can keep back, and then this site abstains.

Judging a day takes a second or more: it is done on a thread of its own, and everything else in the daemon's own. Nothing is kept over a
restart: the cloud announces a drawing again while its window is open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from thermogen_esf import vrf
from thermogen_esf.evidence.attestation.day import judge_day
from thermogen_esf.evidence.attestation.draw import WINDOW_S, Drawing, eligible, is_drawn
from thermogen_esf.evidence.attestation.enrolment import Enrolment
from thermogen_esf.evidence.attestation.exchange import Announcement, ExchangeError, encode_request, parse_published
from thermogen_esf.evidence.attestation.recompute import signed_for
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.signatures import SigningKey

from .attestation_trust import AttestationTrust
from .buffer.outbox import Outbox
from .sealer import Sealer
from .witness import FetchError, Witness

_log = logging.getLogger(__name__)

STATEMENT, FETCH = "statement", "fetch"
"""The topics' last levels."""
MOST_DUTIES = 4
"""Days that are witnessed at once: some 20 MB. One more is left to the other witnesses."""
AT_ONCE = 4
"""Epochs that are asked for at a time."""
MOST_DIFFERENT = 2
"""Batches of an epoch that are kept: two are as wrong as eight."""
SPARE_S = 60
"""Before the window's end: a statement has to be in a checkpoint by then. As much may the clocks of cloud and site differ."""
MOST_REMEMBERED = 1_000


@dataclass(frozen=True)
class _Proven:
    """The proof that the node gave, for the witness that asks for it again."""

    proof: bytes

    def draw(self, drawing: Drawing) -> bytes:  # noqa: ARG002  it was proven for this one
        return self.proof


@dataclass
class _Duty:
    announced: Announcement
    proof: bytes | None = None
    batches: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    judged: Future[Signed | None] | None = None

    @property
    def missing(self) -> list[int]:
        return [seal.epoch for seal in self.announced.day.seals if seal.epoch not in self.batches]


class WitnessDuty:
    """Witnesses the days for which this site is drawn. `clock` gives Unix seconds; `publish` sends to the cloud, or says that it cannot."""

    def __init__(
        self,
        site: bytes,
        key: SigningKey,
        sealer: Sealer,
        trust: AttestationTrust,
        outbox: Outbox,
        publish: Callable[[str, bytes], bool],
        clock: Callable[[], int],
    ) -> None:
        self._site = site
        self._key = key
        self._sealer = sealer
        self._trust = trust
        self._outbox = outbox
        self._publish = publish
        self._clock = clock
        self._duties: dict[Drawing, _Duty] = {}
        self._done: dict[Drawing, None] = {}
        self._judging = ThreadPoolExecutor(1, "witness")

    def announced(self, message: bytes) -> None:
        """Takes an announcement; one that is not of a site of the trust list or not of its seals, is over, or was taken already changes
        nothing."""
        try:
            announced = Announcement.parse(message)
        except ExchangeError as error:
            _log.warning("a drawing that was announced is none: %s", error)
            return
        drawing, named = announced.drawing, self._trust.sites.get(announced.site)
        if drawing in self._duties or drawing in self._done or drawing.site == self._site:
            return
        if named is None or named.identity != drawing.site:
            _log.warning("a drawing is announced for %s, which the trust list does not enrol", announced.site)
        elif len(self._duties) >= MOST_DUTIES:
            _log.warning("%d days are being witnessed; day %d of %s is left to others", MOST_DUTIES, drawing.day, announced.site)
        elif self._clock() < announced.until - SPARE_S:
            self._take(announced, named)

    def _take(self, announced: Announcement, named: Enrolment) -> None:
        wrong = next((check for check in judge_day(announced.day, named.vrf_key) if not check.passed), None)
        if wrong is not None:
            _log.warning("day %d of %s is announced with seals that are not the log's: %s", announced.day.number, named.name, wrong.detail)
            return
        latest = self._clock() + WINDOW_S + SPARE_S
        self._duties[announced.drawing] = _Duty(replace(announced, until=min(announced.until, latest)))

    def published(self, message: bytes) -> None:
        """Takes the batches of an epoch that were asked for; where the site signed none of them they are asked for again."""
        try:
            site, epoch, batches = parse_published(message)
        except ExchangeError as error:
            _log.warning("batches that were asked for do not read: %s", error)
            return
        for duty in self._duties.values():
            if duty.announced.drawing.site != site or epoch not in duty.asked or epoch in duty.batches or not batches:
                continue
            signed = signed_for(self._trust.sites[duty.announced.site], epoch, batches)
            if signed:
                duty.batches[epoch] = signed[:MOST_DIFFERENT]
            else:
                _log.warning("what came for epoch %d of %s was not signed by it", epoch, duty.announced.site)
                duty.asked.discard(epoch)

    def step(self) -> None:
        """Moves every duty on. HostLinkError where the node does not answer: it is asked again."""
        for drawing, duty in list(self._duties.items()):
            if duty.judged is not None:
                self._say(drawing, duty)
            elif duty.proof is None:
                self._draw(drawing, duty)
            elif not duty.missing or self._clock() >= duty.announced.until - SPARE_S:
                duty.judged = self._judging.submit(self._judge, duty, duty.proof, dict(duty.batches))
            else:
                self._fetch(duty)

    def close(self) -> None:
        """Lets go of the thread."""
        self._judging.shutdown(cancel_futures=True)

    def _draw(self, drawing: Drawing, duty: _Duty) -> None:
        if self._clock() >= duty.announced.until - SPARE_S:
            self._finish(drawing)  # whether it was drawn nobody knows, and nobody needs to
            return
        proof = self._sealer.draw(drawing.given)
        if proof is None:
            return
        if is_drawn(vrf.output(proof), eligible(self._trust.trust.site_count)):
            _log.info("drawn to witness day %d of %s", drawing.day, duty.announced.site)
            duty.proof = proof
        else:
            self._finish(drawing)

    def _fetch(self, duty: _Duty) -> None:
        under_way = duty.asked & set(duty.missing)
        for epoch in duty.missing:
            if len(under_way) >= AT_ONCE:
                return
            if epoch in duty.asked:
                continue
            duty.asked.add(epoch)
            if not self._publish(FETCH, encode_request(duty.announced.drawing.site, epoch)):
                duty.asked.discard(epoch)
                return
            under_way.add(epoch)

    def _judge(self, duty: _Duty, proof: bytes, batches: dict[int, tuple[bytes, ...]]) -> Signed | None:
        """On the thread: nothing but what it was given."""
        announced, now = duty.announced, self._clock()

        def fetched(epoch: int) -> tuple[bytes, ...]:
            if epoch not in batches:
                raise FetchError(f"nothing came for epoch {epoch}")
            return batches[epoch]

        witness = Witness(self._site, _Proven(proof), self._key, lambda: now)
        drawn = self._trust.sites[announced.site]
        return witness.consider(announced.drawing, announced.day, drawn, self._trust.trust, fetched, announced.until)

    def _say(self, drawing: Drawing, duty: _Duty) -> None:
        if duty.judged is None or not duty.judged.done():
            return
        self._finish(drawing)
        try:
            signed = duty.judged.result()
        except Exception:
            _log.exception("day %d of %s could not be judged", drawing.day, duty.announced.site)  # our mistake: nothing is said
            return
        if signed is not None:
            self._outbox.store(STATEMENT, signed.encode())

    def _finish(self, drawing: Drawing) -> None:
        self._duties.pop(drawing, None)
        self._done[drawing] = None
        while len(self._done) > MOST_REMEMBERED:
            del self._done[next(iter(self._done))]
