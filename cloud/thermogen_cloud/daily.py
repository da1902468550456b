"""A mint a day: once a day of a site is complete, its mint is requested, so that an approver finds it waiting.

A day is complete when every batch of it that the site sent is believed, and one of a later day too: batches are believed in their
order, so that nothing of the day is on its way any more. Days are UTC, as the epochs are.

What was done is read from the requests themselves: a day of which any epoch was ever requested, by hand or by this, whatever was
decided, is left alone. While a request of the site waits, no other is made: it would carry the same remainder and be stale after it.
"""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session
from thermogen_esf import frames
from thermogen_esf.hostlink import EPOCH_S

from .errors import RefusedError
from .minting import UNDER_WAY, Minting
from .registry import Batch, BatchStatus, ConsumedEpoch, MintRequest, MintState, Registry
from .trust_file import TrustFile

log = logging.getLogger(__name__)

EPOCHS_A_DAY = 86_400 // EPOCH_S


class DailyRequests:
    """Requests the mints of complete days."""

    def __init__(self, registry: Registry, trust: TrustFile, minting: Minting, methodology: str) -> None:
        """Sites that `minting` mints by attested day are left to that."""
        self._registry = registry
        self._trust = trust
        self._minting = minting
        self._methodology = methodology
        self._refused: set[tuple[str, int]] = set()

    def request(self) -> None:
        """Requests, for each site, the mint of its oldest complete day that nobody requested. A refusal is logged, once a process."""
        for site in sorted({key.name for key in self._trust.current().sites} - self._minting.attested()):
            for day, first, last in self._complete_days(site):
                try:
                    digest = self._minting.request(site, first, last, self._methodology)
                except RefusedError as error:
                    self._refused.add((site, day))
                    log.warning("the mint of %s, epochs %d to %d, is not requested: %s; %s", site, first, last, error, error.remedy)
                else:
                    log.info("requested the mint of %s, epochs %d to %d: %s", site, first, last, digest.hex())
                    break

    def _complete_days(self, site: str) -> list[tuple[int, int, int]]:
        """Day, first and last epoch of each day that can be requested, oldest first; none while a request of the site waits."""
        with self._registry.reading() as session:
            undecided = MintRequest.state.in_((MintState.REQUESTED, *UNDER_WAY))
            if session.scalars(select(MintRequest.hash).where(MintRequest.site == site, undecided)).first() is not None:
                return []
            of_site = (Batch.identity == frames.site_identity(site), Batch.status == BatchStatus.BELIEVED)
            used = select(ConsumedEpoch.epoch).where(ConsumedEpoch.site == site)
            epochs = session.scalars(select(Batch.epoch).where(*of_site, Batch.epoch.not_in(used)).order_by(Batch.epoch)).all()
            days: dict[int, list[int]] = {}
            for epoch in epochs:
                days.setdefault(epoch // EPOCHS_A_DAY, []).append(epoch)
            newest = session.scalars(select(Batch.epoch).where(*of_site).order_by(Batch.epoch.desc())).first()
            return [
                (day, of_day[0], of_day[-1])
                for day, of_day in days.items()
                if newest is not None
                and day < newest // EPOCHS_A_DAY
                and (site, day) not in self._refused
                and _untouched(session, site, day)
            ]


def _untouched(session: Session, site: str, day: int) -> bool:
    """Whether nobody requested an epoch of the day, and nothing that the site sent for it is other than believed."""
    begin, end = day * EPOCHS_A_DAY, (day + 1) * EPOCHS_A_DAY - 1
    overlapping = select(MintRequest.hash).where(MintRequest.site == site, MintRequest.first_epoch <= end, MintRequest.last_epoch >= begin)
    if session.scalars(overlapping).first() is not None:
        return False
    rows = session.scalars(select(Batch).where(Batch.identity == frames.site_identity(site), Batch.epoch.between(begin, end)))
    # What others sent in its name, and is refused for that, must not hold a day up.
    return all(row.status is BatchStatus.BELIEVED or (row.status is BatchStatus.REFUSED and not row.signed) for row in rows)
