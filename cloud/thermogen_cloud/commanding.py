"""Commands to sites: numbered, signed, bounded in time, and on the disk before they are sent.

Only asking again for batches is offered here. It changes nothing at a site; commands that act on power need more than a viewer's password.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from thermogen_esf import frames
from thermogen_esf.points import TimeQuality
from thermogen_esf.signatures import SigningKey

from . import refusals
from .registry import Batch, Command, LiveFrame, Registry
from .trust_file import TrustFile

TTL_S = 86_400
"""Life of a command in site time: long enough for an outage of the uplink, short enough to be forgotten."""


class Commanding:
    """Makes commands and hands them to `publish(site, topic's last level, payload)`. Threads may share it."""

    def __init__(
        self, registry: Registry, trust: TrustFile, key: SigningKey, publish: Callable[[str, str, bytes], None], clock: Callable[[], int]
    ) -> None:
        self._registry = registry
        self._trust = trust
        self._key = key
        self._publish = publish
        self._clock = clock

    def resend(self, site: str, first_epoch: int, last_epoch: int) -> int:
        """Asks a site for the batches of an inclusive range of epochs again; the command's number.

        UnknownSiteError; OperatorError where there is no connection to send it by: then the number is used up and nothing was sent.
        """
        if not self._trust.current().sites_named(frames.site_identity(site)):
            raise refusals.UnknownSiteError(site)
        with self._registry.writing() as session:
            number = 1 + (session.scalar(select(func.max(Command.number))) or 0)
            header = frames.Header(frames.site_identity(site), number, self._site_time(session, site), TimeQuality.FREE_RUNNING)
            command = frames.Command(header, frames.CommandCode.RESEND_BATCHES, TTL_S, (first_epoch, last_epoch))
            data = frames.encode(frames.sign_frame(command, self._key))
            session.add(
                Command(
                    number=number,
                    site=site,
                    code=int(command.code),
                    first_argument=first_epoch,
                    second_argument=last_epoch,
                    expires_at=command.expires_at,
                    made_at=self._clock(),
                    frame=data,
                )
            )
        self._publish(site, "command", data)
        return number

    def _site_time(self, session: Session, site: str) -> int:
        """The site's own newest time, by which it judges a command's age; the wall clock where it has never been heard of."""
        live = session.scalar(select(LiveFrame.time).where(LiveFrame.site == site))
        batches = select(Batch).where(Batch.identity == frames.site_identity(site)).order_by(Batch.sealed_at.desc())
        # Others can send batches in its name, of any time: a command dated by one of those would never expire.
        sealed = next((batch.sealed_at for batch in session.scalars(batches) if batch.signed), None)
        return max((time for time in (live, sealed) if time is not None), default=self._clock())
