"""What goes to witnesses: open drawings to every enrolled site, and to those that ask the batches of a drawn day.

An announcement that gets lost is made again each round while its window is open; a site that was told twice answers once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy import select
from thermogen_esf.evidence.attestation.exchange import ExchangeError, encode_published, parse_request
from thermogen_esf.hostlink import EPOCH_S

from .attesting import Attestor
from .errors import OperatorError
from .registry import Batch, Registry

log = logging.getLogger(__name__)

Publish = Callable[[str, str, bytes], None]
"""Site, last level of the topic, payload; OperatorError while there is no link."""


class Drawings:
    """Speaks with the sites that may be drawn."""

    def __init__(self, attestor: Attestor, registry: Registry, publish: Publish) -> None:
        self._attestor = attestor
        self._registry = registry
        self._publish = publish

    def announce(self) -> None:
        """Tells every enrolled site but the day's own about the drawings whose windows are open."""
        for announced in self._attestor.announcements():
            content = announced.encode()
            for entry in self._attestor.trust.newest.entries:
                if entry.enrolment.name == announced.site:
                    continue
                try:
                    self._publish(entry.enrolment.name, "drawing", content)
                except OperatorError as error:
                    log.warning("the drawing for %s, day %d, is not announced: %s", announced.site, announced.day.number, error)
                    return

    def fetch(self, sender: str, message: bytes) -> None:
        """Answers a site that asks for an epoch of a day that is being witnessed; anything else is not answered."""
        try:
            site, epoch = parse_request(message)
        except ExchangeError as error:
            log.warning("%s asks for what is no epoch: %s", sender, error)
            return
        drawn = {(each.day.site, each.day.number) for each in self._attestor.announcements()}
        if sender not in self._attestor.trust.newest.by_name or (site, epoch * EPOCH_S // 86_400) not in drawn:
            log.warning("%s asks for epoch %d of %s, which nobody is to witness now", sender, epoch, site.hex())
            return
        self._publish(sender, "published", encode_published(site, epoch, self.published(site, epoch)))

    def published(self, site: bytes, epoch: int) -> list[bytes]:
        """All batches of an epoch that the site itself signed, whatever is thought of them; what others sent in its name is not its."""
        with self._registry.reading() as session:
            rows = session.scalars(
                select(Batch).where(Batch.identity == site, Batch.epoch == epoch).order_by(Batch.received_at, Batch.hash)
            )
            return [row.body for row in rows if row.signed]
