"""A witness: whether this site is drawn for another's day, and what it then says of it.

It runs beside the daemon or on an operator's or auditor's host, wherever the link carries a day's batches within five minutes. What it says
is decided by `thermogen_esf.evidence.attestation`; here is what needs a node, a link and a clock. The node proves the draw; nothing here
holds its key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from thermogen_esf import vrf
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.draw import Drawing, eligible, is_drawn
from thermogen_esf.evidence.attestation.enrolment import Enrolment
from thermogen_esf.evidence.attestation.recompute import recompute_day
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Statement, Why
from thermogen_esf.evidence.attestation.trust import FleetTrust
from thermogen_esf.signatures import SigningKey


class DrawingNode(Protocol):
    """The gateware's second use of its VRF key."""

    def draw(self, drawing: Drawing) -> bytes:
        """The proof over the node's own identity and `drawing.given`, 80 bytes."""


class FetchError(Exception):
    """A day's batches cannot be had."""


Fetch = Callable[[int], Sequence[bytes]]
"""All batches that are published for an epoch of the drawn site; FetchError where that cannot be found out."""


@dataclass(frozen=True)
class Witness:
    """This site as a witness."""

    site: bytes
    """Its identity, 8 bytes."""
    node: DrawingNode
    key: SigningKey
    """The daemon's, which signs statements."""
    clock: Callable[[], int]
    """Unix seconds."""

    def consider(self, drawing: Drawing, day: Day, drawn: Enrolment, trust: FleetTrust, fetch: Fetch, until: int) -> Signed | None:
        """The signed statement on a drawing, or None where this site is not drawn for it.

        `day` are the seals that the log has for the day, `drawn` the site whose day it is, `until` the second by which the statement
        must be made. Nothing is fetched before the draw.
        """
        if drawing.site == self.site:
            return None
        proof = self.node.draw(drawing)
        if not is_drawn(vrf.output(proof), eligible(trust.site_count)):
            return None
        opinion, why, epoch, claims = self._judge(drawing, day, drawn, trust, fetch, until)
        return Statement(drawing, self.site, proof, opinion, why, epoch, claims, self.clock()).sign(self.key)

    def _judge(
        self, drawing: Drawing, day: Day, drawn: Enrolment, trust: FleetTrust, fetch: Fetch, until: int
    ) -> tuple[Opinion, Why | None, int | None, Claims | None]:
        if (day.site, day.number, day.root) != (drawing.site, drawing.day, drawing.root):
            return Opinion.DISSENT, Why.ROOT_DIFFERS, drawing.day * 96, None
        batches: dict[int, Sequence[bytes]] = {}
        for seal in day.seals:
            if self.clock() >= until:
                return Opinion.ABSTAIN, Why.NOT_IN_TIME, None, None
            try:
                batches[seal.epoch] = fetch(seal.epoch)
            except FetchError:
                return Opinion.ABSTAIN, Why.NOT_FETCHED, None, None
        found = recompute_day(day, drawn, trust.as_batch_trust([drawn.site_key]), batches)
        return found.opinion, found.why, found.epoch if found.opinion is Opinion.DISSENT else None, found.claims
