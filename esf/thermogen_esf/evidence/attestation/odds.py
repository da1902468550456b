"""How likely a day finds its witnesses, and how likely colluders are enough of them.

N sites, of which N − 1 are eligible for a day. Each is drawn by itself with the threshold's probability. Honest sites are online with a
given probability, each by itself; colluders always are, belong to as many operators as they need, and say what they agreed on.
"""

from __future__ import annotations

from functools import cache
from math import comb, exp, lgamma, log, log1p

from .beacon import LEAST_CONTRIBUTORS
from .draw import EXPECTED_WITNESSES, MAX_ATTEMPTS, eligible

QUORUM = 3
"""Agreeing witnesses at least."""
PINNED_SHARE_PERCENT = 10
"""Colluders, of the eligible sites, that the label `witnessed` withstands."""
ODDS_OF = 10_000
"""Days of which one at most is so reached in any attempt, when moreover the log drops every honest statement, and has chosen no beacon."""


def draw_probability(eligible_sites: int) -> float:
    """With which an eligible site is drawn."""
    return 1.0 if eligible_sites <= EXPECTED_WITNESSES else EXPECTED_WITNESSES / eligible_sites


def at_least(count: int, probability: float, least: int) -> float:
    """That of so many, each by itself with this probability, at least `least` come; relative error below 1e-9."""
    if probability >= 1.0:
        return float(count >= least)
    # Upwards from the least: small results are sums of small terms, not differences of large ones.
    return min(1.0, 0.0 + sum(_exactly(count, probability, number) for number in range(max(0, least), min(count, least + _TERMS) + 1)))


_TERMS = 200
"""Of some 16 expected; what lies beyond is below 1e-100."""


def _exactly(count: int, probability: float, number: int) -> float:
    choices = lgamma(count + 1) - lgamma(number + 1) - lgamma(count - number + 1)
    return exp(choices + number * log(probability) + (count - number) * log1p(-probability))


def colluders(sites: int, share_percent: int) -> int:
    """Sites of the eligible that a share comes to, rounded up."""
    return -(-eligible(sites) * share_percent // 100)


def availability(sites: int, online: float, least: int = QUORUM) -> float:
    """That at least `least` honest witnesses are drawn and online, where all are honest."""
    count = eligible(sites)
    return at_least(count, draw_probability(count) * online, least)


def collusion(sites: int, share_percent: int, online: float) -> float:
    """That colluders reach a quorum with an honest log: three or more are drawn, and no honest witness who would dissent is."""
    return collusion_with_the_log(sites, share_percent) * nobody_honest(sites, share_percent, online)


def nobody_honest(sites: int, share_percent: int, online: float) -> float:
    """That no honest site is drawn and online."""
    count = eligible(sites)
    return (1.0 - draw_probability(count) * online) ** (count - colluders(sites, share_percent))


def collusion_with_the_log(sites: int, share_percent: int, least: int = QUORUM) -> float:
    """That `least` colluders are drawn: all it takes where the log drops every honest statement too."""
    return at_least(colluders(sites, share_percent), draw_probability(eligible(sites)), least)


@cache
def possible_beacons(sites: int) -> int:
    """Beacons among which whoever closes checkpoints chooses, with one seal at hand of each of so many sites that is not in the log yet.

    Each next checkpoint that draws takes some of them, four at least, and the beacon of each is one by which the day may be drawn: before
    the first and after which of them its root is logged is chosen too. 0 with fewer sites, since nothing draws then.
    """
    taken = range(LEAST_CONTRIBUTORS, sites + 1)
    return sum(comb(sites, each) * (1 + possible_beacons(sites - each)) for each in taken)


@cache
def needed_for_witnessed(sites: int) -> int | None:
    """Agreeing witnesses from which on an attestation is labelled `witnessed`; None where the draw chose nobody, because all are drawn.

    The least number, three or more, that a tenth of the eligible sites, with the log's help, reaches on one of 10,000 days at most: a log
    that drops statements has four attempts, and their chances are added. In exact integers: with k colluders of E eligible,
    E^k − Σ C(k, j) 16^j (E − 16)^(k − j) over j below it, times 40,000, is at most E^k.
    """
    count = eligible(sites)
    if count <= EXPECTED_WITNESSES:
        return None
    false = colluders(sites, PINNED_SHARE_PERCENT)
    drawn, not_drawn, everything = EXPECTED_WITNESSES, count - EXPECTED_WITNESSES, count**false
    rest, least = everything, 0
    while least < QUORUM or rest * ODDS_OF * MAX_ATTEMPTS > everything:
        rest -= comb(false, least) * drawn**least * not_drawn ** (false - least) if least <= false else 0
        least += 1
    return least
