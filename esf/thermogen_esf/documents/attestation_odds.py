"""docs/attestation-odds.md: how likely days find their witnesses, and how likely colluders are enough of them, computed and simulated."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import cache

from ..evidence.attestation.beacon import LEAST_CONTRIBUTORS
from ..evidence.attestation.draw import EXPECTED_WITNESSES, MAX_ATTEMPTS, eligible
from ..evidence.attestation.odds import (
    ODDS_OF,
    PINNED_SHARE_PERCENT,
    QUORUM,
    availability,
    colluders,
    collusion,
    collusion_with_the_log,
    draw_probability,
    needed_for_witnessed,
    nobody_honest,
    possible_beacons,
)
from .markdown import table

FLEETS = (5, 6, 8, 10, 13, 17, 18, 25, 50, 100, 300, 1_000, 3_000, 10_000)
TRIALS = 2_000
SEED = 5

_ONLINE = (0.95, 0.9, 0.7, 0.5)
_SHARES = (5, 10, 20, 33, 50)
_SIMULATED_ONLINE, _SIMULATED_SHARE = 0.7, 50
_USUAL_ONLINE = 0.9


@cache
def odds_document() -> str:
    """The document's text."""
    return "\n\n".join(_parts()) + "\n"


def _parts() -> list[str]:
    sixteen, four, days, share = EXPECTED_WITNESSES, LEAST_CONTRIBUTORS, f"{TRIALS:,} days", f"{PINNED_SHARE_PERCENT} %"
    return [
        "# Odds of witnesses",
        "Written by `thermogen-esf document` from `esf/thermogen_esf/evidence/attestation/odds.py`; do not edit.",
        f"""\
N sites, N − 1 eligible for a day, each drawn by itself with probability min(1, {sixteen} / (N − 1)). Honest sites are online with the
probability given, each by itself; colluders always are, belong to as many operators as they need, and agree to whatever they like. A
quorum is {QUORUM} agreeing and two thirds of what was received; one dissent of an honest witness ends it. Simulated columns are {days}
from seed {SEED}, each site drawn or not, online or not; 0 means none of them.""",
        "## A day finds its quorum",
        _availability_table(),
        f"""\
Of the witnesses that are drawn and online all agree here, and are of two operators. With one operator no day finds a quorum, and who
abstains is missing. A day that finds none is drawn again with the next epoch's beacon, {MAX_ATTEMPTS} times in all.""",
        "## Colluders reach a quorum, the log being honest",
        f"Shares are of the eligible sites, rounded up to whole sites; {_share(_USUAL_ONLINE)} of the honest sites are online.",
        _collusion_table(),
        "## Colluders reach a quorum, the log dropping every honest statement",
        f"""\
Then three drawn colluders are enough, and no quorum of three can be safe and available at once in a large fleet. So an attestation says
how strong it is: `witnessed` from so many agreeing on that {share} of the sites and the log together reach it on one of {ODDS_OF:,}
days at most in any of the {MAX_ATTEMPTS} attempts that dropping gives it, by the beacons that come, and `peer-checked` below; and always
`peer-checked` up to {sixteen + 1} sites, where all are drawn and everybody knew the witnesses before.""",
        _dropping_table(),
        "## A log that chooses among beacons",
        f"""\
Whoever closes checkpoints chooses which of the seals at hand come into which checkpoint, which of these come before a day's root, and
which seals come into none that draws. Of k sites' seals that are not in the log yet, one of each, each next checkpoint that draws takes j,
{four} or more, and each beacon on the way may be the one that draws:""",
        f"    B(k) = Σ C(k, j) (1 + B(k − j)) over j from {four} to k;  B(k) = 0 for k below {four}",
        f"""\
B({four}) = 1 is no choice. Checkpoints over nothing, or over the seals of fewer than {four} sites, give none. Every quarter-hour for
which it keeps seals back gives it another seal of each site, and more choices: **nothing bounds their number but people.** A site sees
that its seals are not in the log, or came late; whoever watches sees seals that came by fewer than {four} at a time, which are in the
log and in no beacon. Here for {share} colluders, who say which of them each beacon draws, {_share(_USUAL_ONLINE)} of the honest sites
being online.""",
        """\
**An otherwise honest log** does not know which honest sites a beacon draws: their nodes prove it. Then (1 − (1 − c)^B(k)) h, with c that
three colluders are drawn and h that no honest witness is:""",
        _grinding_table(
            lambda sites: _tried(
                collusion_with_the_log(sites, PINNED_SHARE_PERCENT), nobody_honest(sites, PINNED_SHARE_PERCENT, _USUAL_ONLINE)
            )
        ),
        """\
**It can ask them.** A drawing is announced unsigned, and a site does not compare its beacon with the log's: whoever is drawn fetches the
day. Each beacon that is asked about is another chance, 1 − (1 − c h)^B(k), and a site that watches sees one day announced with many:""",
        _grinding_table(lambda sites: _tried(collusion(sites, PINNED_SHARE_PERCENT, _USUAL_ONLINE))),
        f"""\
**A log that drops every honest statement too** needs as many colluders drawn as make an attestation `witnessed`, and nobody has to be
asked: the one of {ODDS_OF:,} days is for the beacons that come, and not for one that was chosen. Here in one attempt:""",
        _grinding_table(lambda sites: _tried(collusion_with_the_log(sites, PINNED_SHARE_PERCENT, needed_for_witnessed(sites) or QUORUM))),
    ]


def _availability_table() -> str:
    heads = ["sites", *(f"{_share(online)} online" for online in _ONLINE), f"simulated at {_share(_SIMULATED_ONLINE)}"]
    rows = []
    for sites in FLEETS:
        found = sum(online >= QUORUM for online, _ in _days(sites, 0, _SIMULATED_ONLINE)) / TRIALS
        rows.append([f"{sites:,}", *(_percent(availability(sites, online)) for online in _ONLINE), _percent(found)])
    return table(heads, rows)


def _collusion_table() -> str:
    heads = ["sites", *(f"{share} % collude" for share in _SHARES), f"simulated at {_SIMULATED_SHARE} %"]
    rows = []
    for sites in FLEETS:
        false = colluders(sites, _SIMULATED_SHARE)
        reached = sum(colluding >= QUORUM and not honest for honest, colluding in _days(sites, false, _USUAL_ONLINE)) / TRIALS
        rows.append([f"{sites:,}", *(_chance(collusion(sites, share, _USUAL_ONLINE)) for share in _SHARES), _chance(reached)])
    return table(heads, rows)


def _dropping_table() -> str:
    heads = [
        "sites",
        *(f"three, {share} % collude" for share in (1, 5, 10, 20)),
        "agreeing for `witnessed`",
        f"reached by {PINNED_SHARE_PERCENT} % in {MAX_ATTEMPTS} attempts",
        *(f"`witnessed` with {_share(online)} online" for online in _ONLINE[:3]),
    ]
    rows = []
    for sites in FLEETS:
        least = needed_for_witnessed(sites)
        strong = ["never", "", "", "", ""]
        if least is not None:
            reached = _tried(collusion_with_the_log(sites, PINNED_SHARE_PERCENT, least))(MAX_ATTEMPTS)
            strong = [str(least), _chance(reached), *(_percent(availability(sites, online, least)) for online in _ONLINE[:3])]
        rows.append([f"{sites:,}", *(_chance(collusion_with_the_log(sites, share)) for share in (1, 5, 10, 20)), *strong])
    return table(heads, rows)


def _tried(once: float, besides: float = 1.0) -> Callable[[int], float]:
    """The chance with so many beacons to choose from, `once` being that of one, and `besides` that of what cannot be chosen."""
    return lambda beacons: besides if once >= 1 else -math.expm1(beacons * math.log1p(-once)) * besides


def _grinding_table(chance: Callable[[int], Callable[[int], float]]) -> str:
    held = (4, 6, 8, 12, 16)
    found = {f"{sites:,}": chance(sites) for sites in (25, 100, 1_000, 10_000)}
    rows = [[sites, *(_chance(of_beacons(possible_beacons(each))) for each in held)] for sites, of_beacons in found.items()]
    return table(["sites", *(f"k = {each}, B = {possible_beacons(each):,}" for each in held)], rows)


def _days(sites: int, false: int, online: float) -> Iterator[tuple[int, int]]:
    """Honest witnesses online, and colluding ones, of simulated days; sites 0 to false − 1 collude."""
    # Only a simulation: the same days for whoever makes the document again.
    chance = random.Random(f"{SEED} {sites} {false} {online}")  # noqa: S311
    count, probability = eligible(sites), draw_probability(eligible(sites))
    for _ in range(TRIALS):
        honest = colluding = 0
        for site in _drawn(chance, count, probability):
            if site < false:
                colluding += 1
            elif chance.random() < online:
                honest += 1
        yield honest, colluding


def _drawn(chance: random.Random, count: int, probability: float) -> Iterator[int]:
    """The sites that are drawn, each by itself with this probability; the gaps between them are geometric."""
    site = -1
    while True:
        site += 1 if probability >= 1 else 1 + int(math.log(1 - chance.random()) / math.log1p(-probability))
        if site >= count:
            return
        yield site


def _share(of_one: float) -> str:
    return f"{100 * of_one:.0f} %"


def _percent(probability: float) -> str:
    return f"{100 * probability:.2f} %"


def _chance(probability: float) -> str:
    return "0" if probability == 0 else f"{probability:.1e}" if probability < 0.01 else f"{100 * probability:.1f} %"
