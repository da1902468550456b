"""An attack, tried: one day of a fleet with one thing bent, through witnesses, the day's state and `thermogen-verify`.

Each is tried twice where somebody else could help: with an honest cloud and honest witnesses, and with a cloud and all other sites that say
whatever the attacker needs. Nothing here knows what should come out.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.proof_bundle import ProofBundle
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.evidence.attestation.quorum import BASELINE_DAYS, DayState
from thermogen_esf.evidence.attestation.recompute import claims_of
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Statement
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.evidence.mint import runs
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.frames import FrameError

from ..attested_day import AttestedDay
from ..enrolling import Fleet
from ..node import SealingNode

SITES, EPOCHS, SCALE = 6, 3, 9
MINTS = frozenset((DayState.ATTESTED, DayState.CLAIMS_DISAGREE, DayState.OFF_BASELINE))
"""States with a bundle."""

Consider = Callable[[AttestedDay, SealingNode], Statement | None]


@dataclass(frozen=True)
class World:
    """The fleet that attacks are tried in."""

    seed: int = 0
    sites: int = SITES
    consider: Consider = lambda day, node: day.found_by(node)
    """How a site witnesses: by the rules alone, or a daemon's witness."""

    def fleet(self, sites: int | None = None, operators: int | None = None, **changes: Any) -> Fleet:
        """A fresh one, in which nothing is sealed yet; `changes` are to the first site's enrolment."""
        count = self.sites if sites is None else sites
        fleet = Fleet.of(count, count if operators is None else operators, self.seed)
        fleet.changes = {fleet.nodes[0].name: {"nameplate_w": 1_140 * SCALE, **changes}}
        return fleet

    def day(self, fleet: Fleet | None = None, **changes: Any) -> AttestedDay:
        """A day of its first site, not measured yet, with the site's usual energy before it."""
        day = AttestedDay(fleet or self.fleet(), epochs=EPOCHS, scale=SCALE, consider=self.consider, **changes)
        day.history_mj = (self.usual_mj,) * BASELINE_DAYS
        return day

    @cached_property
    def honest(self) -> AttestedDay:
        """A day without an attack, witnessed: read it, do not bend it."""
        day = self.day()
        day.measure()
        day.witness()
        return day

    @cached_property
    def usual_mj(self) -> int:
        """Energy of an honest day."""
        day = AttestedDay(self.fleet(), epochs=EPOCHS, scale=SCALE)
        day.measure()
        return claimed(day).energy_mj


@dataclass(frozen=True)
class Judged:
    """What somebody came to who judges by himself."""

    believed: bool
    said: str


class Verdict(enum.StrEnum):
    """What an attack comes to."""

    CAUGHT = "caught"
    """A stranger with the pin, the bundle and its companion refuses, whoever else colludes."""
    BY_WITNESSES = "caught by witnesses"
    """Honest witnesses stop it; a quorum that colludes does not."""
    BY_WHO_KEPT = "caught by who kept something"
    """The bundle alone is believed; with a statement, seal, checkpoint or other bundle that somebody kept it is not."""
    MINTS_NOTHING = "mints nothing"
    """It costs credits or time and makes none."""
    NOT_CAUGHT = "not caught"


@dataclass(frozen=True)
class Trial:
    """What became of an attack, as it ran."""

    witnesses: str = "–"
    state: str = "–"
    bundle: Judged | None = None
    """`thermogen-verify` with the companion, of what the attacker would publish; None where no bundle comes of it."""
    colluding: Judged | None = None
    """The same with the cloud and all other sites colluding; None where that was the attack already."""
    kept: Judged | None = None
    """With what somebody kept that the bundle does not have."""

    @property
    def verdict(self) -> Verdict:
        """From the results alone."""
        stopped = self.bundle is None or not self.bundle.believed
        if self.colluding is not None:
            if not self.colluding.believed:
                return Verdict.CAUGHT
            return Verdict.BY_WITNESSES if stopped else Verdict.NOT_CAUGHT
        if self.bundle is None:
            return Verdict.MINTS_NOTHING
        if stopped:
            return Verdict.CAUGHT
        return Verdict.BY_WHO_KEPT if self.kept is not None and not self.kept.believed else Verdict.NOT_CAUGHT


@dataclass(frozen=True)
class Attack:
    """One row of the table."""

    name: str
    what: str
    compromised: str
    """Who must be, for what is tried."""
    run: Callable[[World], Trial] = field(compare=False)
    remark: str = ""


Stage = Callable[[AttestedDay], None]
"""Measures a day in which something is bent."""


def at_a_site(stage: Stage, **enrolment: Any) -> Callable[[World], Trial]:
    """Tries what a site's host, wiring or gateware does."""

    def run(world: World) -> Trial:
        alone = world.day(world.fleet(**enrolment))
        stage(alone)
        alone.witness()
        helped = world.day(world.fleet(**enrolment))
        helped.say = lambda _node, statement: agreeing(helped, statement)
        stage(helped)
        helped.witness()
        helped.history_mj = (claimed(helped).energy_mj,) * BASELINE_DAYS  # a cloud that colludes says what it likes
        bundle = verified(alone) if alone.outcome.state in MINTS else None
        return Trial(said(alone), str(alone.outcome.state), bundle, verified(helped))

    return run


def by_the_cloud(forge: Callable[[AttestedDay], tuple[ProofBundle, dict[str, Any]]]) -> Callable[[World], Trial]:
    """Tries a bundle that a cloud makes of an honest day; with it goes what else the verifier is given."""

    def run(world: World) -> Trial:
        day = world.honest
        bundle, given = forge(day)
        return Trial(said(day), str(day.outcome.state), judged_bundle(day, bundle, **given))

    return run


def attested(day: AttestedDay) -> Trial:
    """What became of a day that was staged and witnessed."""
    return Trial(said(day), str(day.outcome.state), verified(day) if day.outcome.state in MINTS else None)


def heard_late(day: AttestedDay, time: Callable[[AttestedDay], int]) -> Trial:
    """All who are drawn find the day as it was, and are heard only behind a checkpoint at that `time` of the day as it then stands."""
    day.say = lambda _node, _statement: None
    day.measure()
    day.witness()
    for node in day.fleet.nodes[1:]:
        found = day.found_by(node)
        if found is not None:
            day.publish(node, found)
    day.chain.append(day.log.checkpoint(time(day)))
    return attested(day)


def said(day: AttestedDay) -> str:
    """What the witnesses said, counted."""
    statements = [Statement.parse(signed.document) for _, signed, _ in day.statements]
    counted = Counter(f"{each.opinion}{f' {each.why}' if each.why else ''}" for each in statements)
    return ", ".join(f"{count} {what}" for what, count in sorted(counted.items())) or "nobody"


def verified(day: AttestedDay, attestation: Attestation | None = None) -> Judged:
    """What `thermogen-verify` says of a day's bundle and companion."""
    try:
        return judged_bundle(day, day.bundle(attestation))
    except (EvidenceError, AssertionError) as error:  # no attestation can be made of it, whoever tries
        return Judged(False, str(error).partition("\n")[0] if isinstance(error, EvidenceError) else f"{day.outcome.state}")


def judged_bundle(day: AttestedDay, bundle: ProofBundle, **given: Any) -> Judged:
    """What `thermogen-verify` says of a bundle with its companion and what else is given."""
    report = verify_proof(bundle.encode(), day.fleet.root, **{"frames": day.frames(), **given})
    if report.believed:
        return Judged(True, "believed")
    wrong = report.first_wrong
    assert wrong is not None, "what is not believed has something wrong"
    return Judged(False, f"step {report.steps[-1].title}: {wrong.reason}")


def agreeing(day: AttestedDay, statement: Statement) -> Statement:
    """What a witness says who colludes: whatever the published leaves come to, forged or not."""
    return Statement(statement.drawing, statement.witness, statement.proof, Opinion.AGREE, None, None, claimed(day), statement.time)


def claimed(day: AttestedDay) -> Claims:
    """Energy and gas by the leaves of a day and what its host says of them, whatever is wrong with that."""
    opened = []
    for batch in day.batches.values():
        try:
            opened.append(OpenedBatch.open(batch))
        except FrameError:
            continue
    return claims_of(runs(opened))
