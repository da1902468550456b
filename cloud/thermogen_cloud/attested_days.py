"""What became of each site's days, stored: every failure has its state, and doubt is never taken back by the program.

    waiting-for-beacon ─▶ collecting ─▶ attested, claims-disagree, off-baseline, methodology-error, deferred
    any of them ─▶ review, roots-disagree, suspended

The last three stay. `deferred` stays too: the next attempt is a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import and_, or_, select
from thermogen_esf.evidence.attestation.quorum import DayState, Findings, Outcome, decide
from thermogen_esf.evidence.attestation.statement import Heard

from .registry import AttestedDay, AttestedMint, AttestedMintState, Registry

FOR_PEOPLE = frozenset((DayState.REVIEW, DayState.ROOTS_DISAGREE, DayState.SUSPENDED))
"""States that the program does not leave."""
UNDECIDED = frozenset((DayState.WAITING_FOR_BEACON, DayState.COLLECTING))
OPEN = UNDECIDED | {DayState.DEFERRED}
"""States of a day on which something more will come."""


class AttestedDays:
    """The days in the registry."""

    def __init__(self, registry: Registry, clock: Callable[[], int]) -> None:
        self._registry = registry
        self._clock = clock

    def decide(self, site: str, day: int, heard: Sequence[Heard], findings: Findings) -> AttestedDay:
        """Decides a day from what was heard so far and stores its state; what is stored then."""
        outcome = decide(heard, findings)
        with self._registry.writing() as session:
            row = session.get(AttestedDay, (site, day, findings.attempt))
            if row is None:
                row = AttestedDay(site=site, day=day, attempt=findings.attempt)
                session.add(row)
            elif not _may_follow(row.state, outcome.state):
                return row
            _fill(row, outcome, self._clock())
            return row

    def of(self, site: str) -> list[AttestedDay]:
        """A site's days and attempts, newest first."""
        with self._registry.reading() as session:
            chosen = select(AttestedDay).where(AttestedDay.site == site).order_by(AttestedDay.day.desc(), AttestedDay.attempt.desc())
            return list(session.scalars(chosen))

    def in_state(self, state: DayState) -> list[AttestedDay]:
        """The attempts that are in a state, oldest day first."""
        with self._registry.reading() as session:
            chosen = select(AttestedDay).where(AttestedDay.state == state).order_by(AttestedDay.day, AttestedDay.site)
            return list(session.scalars(chosen))

    def settled(self, site: str, day: int) -> bool:
        """Whether an attempt came to an end that is not another attempt."""
        with self._registry.reading() as session:
            chosen = select(AttestedDay.state).where(AttestedDay.site == site, AttestedDay.day == day)
            return any(state not in OPEN for state in session.scalars(chosen))

    def undecided(self) -> list[tuple[str, int]]:
        """Site and day of those that wait: to be drawn for, for their window to end, or to be drawn for again; oldest day first."""
        with self._registry.reading() as session:
            days = session.execute(select(AttestedDay.site, AttestedDay.day, AttestedDay.state)).all()
        settled = {(site, day) for site, day, state in days if state not in OPEN}
        return sorted({(site, day) for site, day, _ in days} - settled, key=lambda each: each[::-1])

    def history_mj(self, site: str, day: int) -> list[int]:
        """Energies of the site's days before a day, oldest first, at most 30: its baseline.

        A day counts where it was attested, and where it was off its baseline and a person approved its mint.
        """
        approved = AttestedMint.state.in_((AttestedMintState.MINTING, AttestedMintState.MINTED))
        by_a_person = select(AttestedMint.day).where(AttestedMint.site == site, approved)
        off = and_(AttestedDay.state == DayState.OFF_BASELINE, AttestedDay.day.in_(by_a_person))
        with self._registry.reading() as session:
            chosen = (
                select(AttestedDay.energy_mj)
                .where(AttestedDay.site == site, AttestedDay.day < day, or_(AttestedDay.state == DayState.ATTESTED, off))
                .order_by(AttestedDay.day.desc())
                .limit(30)
            )
            return [energy for energy in session.scalars(chosen) if energy is not None][::-1]


def _may_follow(stored: DayState, found: DayState) -> bool:
    if stored in FOR_PEOPLE:
        return found is DayState.SUSPENDED
    return stored in UNDECIDED or found in FOR_PEOPLE


def _fill(row: AttestedDay, outcome: Outcome, now: int) -> None:
    row.state, row.detail, row.epoch = outcome.state, outcome.detail[:500], outcome.epoch
    row.label = None if outcome.label is None else outcome.label.value
    row.agreeing, row.received = outcome.agreeing, outcome.received
    row.energy_mj, row.gas = outcome.energy_mj, outcome.gas
    row.changed_at = now
