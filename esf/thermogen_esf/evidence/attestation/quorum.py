"""What becomes of a day: from the statements heard to one named state, which is what is stored and shown.

The order is that of what is worst: two seals, roots that disagree, a dissent, no quorum, claims apart, off the baseline, a methodology that
cannot be applied. Only `attested` mints by itself.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from .draw import MAX_ATTEMPTS, WINDOW_S
from .odds import QUORUM, needed_for_witnessed
from .statement import Heard, Opinion, Statement, Why

CLAIM_SPREAD_PERCENT = 5
BASELINE_PERCENT = 20
BASELINE_DAYS = 30


class DayState(enum.StrEnum):
    """A day's state. A published code never changes its meaning."""

    WAITING_FOR_BEACON = "waiting-for-beacon"
    """The root is in the log; no beacon of a later checkpoint draws yet."""
    COLLECTING = "collecting"
    """The window is open."""
    ATTESTED = "attested"
    DEFERRED = "deferred"
    """No quorum within the window: the next beacon draws again. It flags connectivity; who was drawn and silent nobody can know."""
    REVIEW = "review"
    """A valid dissent, or no quorum in the last attempt: for people to look into. The epoch that was named is kept. It mints nothing, and
    nobody's decision changes that."""
    ROOTS_DISAGREE = "roots-disagree"
    """Rejected: the log has two roots for the day, or a witness's own root differs. To be investigated."""
    CLAIMS_DISAGREE = "claims-disagree"
    """Claims lie 5 % or more apart: reviewed by a person, minted at the lowest."""
    OFF_BASELINE = "off-baseline"
    """More than 20 % off the mean of the 30 days before, or fewer than 30 days: a person approves, nothing mints by itself."""
    METHODOLOGY_ERROR = "methodology-error"
    """Rejected: the methodology cannot be applied. A misconfiguration."""
    SUSPENDED = "suspended"
    """The key that sealed the day sealed an epoch twice: nothing of it is believed, nor of the site until a list gives it another key."""


class Label(enum.StrEnum):
    """How strong an attestation is."""

    WITNESSED = "witnessed"
    """So many agree that a tenth of the sites and a log that drops all other statements reach it on one of 10,000 days at most."""
    PEER_CHECKED = "peer-checked"
    """A quorum, and not so many; or a fleet so small that all are drawn, so that everybody knew the witnesses before."""


@dataclass(frozen=True)
class Findings:
    """What is known of a day besides its statements."""

    sites: int
    """Sites of the trust list."""
    attempt: int
    drawn_at: int | None
    """Unix seconds of the beacon's checkpoint; None while there is none."""
    now: int
    """Unix seconds up to which the log is known: its newest checkpoint's."""
    history_mj: Sequence[int]
    """Energy of each of the site's attested days before this one, oldest first."""
    two_seals: bool = False
    two_roots: bool = False
    methodology_error: str = ""
    """Why the methodology cannot be applied; empty where it can."""


@dataclass(frozen=True)
class Outcome:
    """A day's state and what it was decided on."""

    state: DayState
    detail: str
    label: Label | None = None
    agreeing: int = 0
    received: int = 0
    """Valid statements within the window."""
    epoch: int | None = None
    """That a dissent named."""
    energy_mj: int | None = None
    """Lowest claim, which is what is minted at."""
    gas: int | None = None
    """Lowest claim."""


def decide(heard: Sequence[Heard], findings: Findings) -> Outcome:
    """The state of a day. `heard` is in the log's order: of a witness's agreements and abstentions, the first counts."""
    valid = [each for each in heard if each.valid]
    return _rejected(valid, findings) or _dissent(valid, findings) or _without_quorum(valid, findings) or _with_quorum(valid, findings)


def _rejected(valid: Sequence[Heard], findings: Findings) -> Outcome | None:
    if findings.two_seals:
        return Outcome(DayState.SUSPENDED, "the site's VRF key sealed an epoch twice")
    if findings.two_roots:
        return Outcome(DayState.ROOTS_DISAGREE, "the log has two roots for this day")
    differing = next((each.statement for each in valid if each.statement and each.statement.why is Why.ROOT_DIFFERS), None)
    if differing is not None:
        text = f"witness {differing.witness.hex()} has another root for epoch {differing.epoch}"
        return Outcome(DayState.ROOTS_DISAGREE, text, epoch=differing.epoch)
    return None


def _dissent(valid: Sequence[Heard], findings: Findings) -> Outcome | None:
    """A dissent counts whenever it comes: the window bounds agreement, not doubt."""
    for each in valid:
        statement = each.statement
        if statement is not None and statement.opinion is Opinion.DISSENT:
            late = "" if _in_window(each, findings) else ", after the window"
            text = f"witness {statement.witness.hex()} dissents{late}: {statement.why} in epoch {statement.epoch}"
            return Outcome(DayState.REVIEW, text, epoch=statement.epoch)
    return None


def _in_window(each: Heard, findings: Findings) -> bool:
    return findings.drawn_at is not None and findings.drawn_at <= each.logged_at <= findings.drawn_at + WINDOW_S


def _without_quorum(valid: Sequence[Heard], findings: Findings) -> Outcome | None:
    if findings.drawn_at is None:
        return Outcome(DayState.WAITING_FOR_BEACON, "no beacon of a checkpoint after the root's draws yet")
    received, agreeing, operators = _counted(valid, findings)
    text = f"{agreeing} of {received} statements agree, of {operators} operators"
    enough = agreeing >= QUORUM and 3 * agreeing >= 2 * received and operators > 1
    if findings.now < findings.drawn_at + WINDOW_S:
        return Outcome(DayState.COLLECTING, text, agreeing=agreeing, received=received)
    if enough:
        return None
    wanted = f"{text}; a quorum is {QUORUM} and two thirds, of more than one operator"
    if findings.attempt < MAX_ATTEMPTS:
        return Outcome(DayState.DEFERRED, wanted, agreeing=agreeing, received=received)
    return Outcome(DayState.REVIEW, f"{wanted}, in the last of {MAX_ATTEMPTS} attempts", agreeing=agreeing, received=received)


def _first_in_window(valid: Sequence[Heard], findings: Findings) -> list[tuple[Statement, str]]:
    """Of each witness its first statement within the window, and its operator."""
    first: dict[bytes, tuple[Statement, str]] = {}
    for each in valid:
        if each.statement is not None and _in_window(each, findings):
            first.setdefault(each.statement.witness, (each.statement, each.operator))
    return list(first.values())


def _counted(valid: Sequence[Heard], findings: Findings) -> tuple[int, int, int]:
    """Witnesses heard in the window, those who agree, and the operators of those."""
    first = _first_in_window(valid, findings)
    operators = [operator for statement, operator in first if statement.opinion is Opinion.AGREE]
    return len(first), len(operators), len(set(operators))


def _with_quorum(valid: Sequence[Heard], findings: Findings) -> Outcome:
    received, agreeing, operators = _counted(valid, findings)
    claims = [statement.claims for statement, _ in _first_in_window(valid, findings) if statement.claims is not None]
    energies, volumes = [each.energy_mj for each in claims], [each.gas for each in claims]
    energy, gas = min(energies), min(volumes)
    least = needed_for_witnessed(findings.sites)
    label = Label.WITNESSED if least is not None and agreeing >= least else Label.PEER_CHECKED

    def outcome(state: DayState, detail: str) -> Outcome:
        return Outcome(state, detail, label, agreeing, received, None, energy, gas)

    if findings.methodology_error:
        return outcome(DayState.METHODOLOGY_ERROR, findings.methodology_error)
    if claims_disagree(energies) or claims_disagree(volumes):
        text = f"claims from {energy} to {max(energies)} mJ and {gas} to {max(volumes)} of gas lie {CLAIM_SPREAD_PERCENT} % or more apart"
        return outcome(DayState.CLAIMS_DISAGREE, text)
    off = off_baseline(energy, findings.history_mj)
    if off:
        return outcome(DayState.OFF_BASELINE, off)
    return outcome(DayState.ATTESTED, f"{agreeing} of {received} statements agree, of {operators} operators")


def claims_disagree(claims: Sequence[int]) -> bool:
    """Whether (max − min) / mean is 5 % or more. Claims that are all zero agree; zero and something else do not."""
    return (
        bool(claims)
        and max(claims) != min(claims)
        and 100 * (max(claims) - min(claims)) * len(claims) >= CLAIM_SPREAD_PERCENT * sum(claims)
    )


def off_baseline(energy_mj: int, history_mj: Sequence[int]) -> str:
    """Why a day is off the mean of the 30 attested days before it; empty where it is not. A mean of zero fits zero only."""
    if len(history_mj) < BASELINE_DAYS:
        return f"{len(history_mj)} days are attested before this one; a baseline needs {BASELINE_DAYS}"
    recent = sum(history_mj[-BASELINE_DAYS:])
    if 100 * abs(energy_mj * BASELINE_DAYS - recent) > BASELINE_PERCENT * recent:
        return f"{energy_mj} mJ is more than {BASELINE_PERCENT} % off {recent // BASELINE_DAYS} mJ, the mean of {BASELINE_DAYS} days"
    return ""
