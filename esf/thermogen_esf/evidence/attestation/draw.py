"""The draw: which sites witness a day, by a proof that each makes for itself and anybody can check.

A site is drawn where the first half of its output over (its own identity, day, day root, beacon), read as a big-endian number, lies below
2^256 × 16 / eligible sites; where 16 or fewer are eligible, all are drawn. A threshold and not the lowest few: whether a site is drawn then
depends on its own proof alone, so that nobody who keeps a witness's answer back moves another one up.

The beacon is made by a later checkpoint than the one in which the day's root is first in the log, so that the root was fixed before anybody
could know who would be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ... import vrf
from ...vrf_inputs import HASH_BYTES, draw_input
from ..check import Check, Reason, passed, refused
from .enrolment import Enrolment
from .log import Checkpoint

EXPECTED_WITNESSES = 16
"""Sites drawn in the mean, where more are eligible."""
WINDOW_S = 300
"""Seconds after the beacon's checkpoint within which a statement must be in the log to count towards a quorum."""
NEXT_ATTEMPT_S = 900
"""Seconds after a beacon that found no quorum before another is used: the next epoch."""
MAX_ATTEMPTS = 4
"""Draws for one day root; then it is for people. Each more is another chance for colluders."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What witnesses are drawn for."""

    site: bytes
    """Identity of the site whose day it is, 8 bytes."""
    day: int
    """Days since 1970-01-01, UTC."""
    root: bytes
    """Root over the day's seals, 32 bytes."""
    beacon_number: int
    """Number of the checkpoint that made the beacon; its `beacons` is another."""
    beacon: bytes

    @property
    def given(self) -> bytes:
        """What a node's host gives to its gateware, which puts prefix and its own identity before it: day, root, beacon; 68 bytes."""
        return self.day.to_bytes(4, "big") + self.root + self.beacon

    def input_of(self, witness: bytes) -> bytes:
        """What the node of this identity proves, 84 bytes."""
        return draw_input({"site": witness, "day": self.day.to_bytes(4, "big"), "root": self.root, "beacon": self.beacon})


def eligible(site_count: int) -> int:
    """Sites that can be drawn for a day: all enrolled but its own."""
    return max(0, site_count - 1)


def threshold(eligible_sites: int) -> int:
    """Below this number, out of 2^256, an output is drawn."""
    everybody: int = 1 << 8 * HASH_BYTES
    return everybody if eligible_sites <= EXPECTED_WITNESSES else everybody * EXPECTED_WITNESSES // eligible_sites


def is_drawn(output: bytes, eligible_sites: int) -> bool:
    """Whether a draw's output, 64 bytes, makes its site a witness."""
    return int.from_bytes(output[:HASH_BYTES], "big") < threshold(eligible_sites)


def judge_draw(witness: Enrolment, proof: bytes, drawing: Drawing, site_count: int) -> Check:
    """Whether a witness was drawn. `site_count` is the trust list's."""
    name = "witness drawn"
    if witness.identity == drawing.site:
        return refused(name, Reason.OWN_WITNESS, f"{witness.name} witnesses itself")
    output = vrf.verify(witness.vrf_key, drawing.input_of(witness.identity), proof)
    if output is None:
        text = f"not a proof by {witness.name}'s VRF key {witness.vrf_key.hex()} for this day, root and beacon"
        return refused(name, Reason.NOT_DRAWN, text, beacon=drawing.beacon_number)
    sites = eligible(site_count)
    if not is_drawn(output, sites):
        return refused(name, Reason.NOT_DRAWN, f"{witness.name}'s output {output[:8].hex()}… is not below the threshold", eligible=sites)
    text = f"{witness.name} by the beacon of checkpoint {drawing.beacon_number}, {sites} eligible"
    return passed(name, text, eligible=sites, beacon=drawing.beacon_number)


def drawing_checkpoint(chain: Sequence[Checkpoint], index: int, attempt: int = 1) -> Checkpoint | None:
    """The checkpoint whose beacon draws for the day root at entry `index`, or None while there is none.

    `chain` are successive checkpoints that begin at or before the first that holds the entry. Attempt 1 is the first later checkpoint
    that makes a beacon; each further attempt is the first such one a quarter of an hour or more after the one before it.
    """
    holding = next((each for each in chain if each.size > index), None)
    if holding is None or not 1 <= attempt <= MAX_ATTEMPTS:
        return None
    found, earliest = None, 0
    usable = iter(each for each in chain if each.number > holding.number and each.draws)
    for _ in range(attempt):
        found = next((each for each in usable if each.time >= earliest), None)
        if found is None:
            return None
        earliest = found.time + NEXT_ATTEMPT_S
    return found


def judge_drawing(drawing: Drawing, chain: Sequence[Checkpoint], index: int, attempt: int) -> Check:
    """Whether a drawing's beacon is the one that the log's checkpoints give for the day root at entry `index`.

    `chain` begins with the last checkpoint before the entry, or with checkpoint 0, and each names the one before it.
    """
    name = "beacon after the root"
    numbers = {"index": index, "attempt": attempt, "beacon": drawing.beacon_number}
    if not chain or any((later.number, later.previous) != (earlier.number + 1, earlier.hash) for earlier, later in pairwise(chain)):
        return refused(name, Reason.LOG_FORKED, "the checkpoints do not follow on one another", **numbers)
    if chain[0].number != 0 and chain[0].size > index:
        text = f"the root was in the log before checkpoint {chain[0].number}, the first shown: an earlier beacon may be its"
        return refused(name, Reason.WRONG_BEACON, text, **numbers)
    found = drawing_checkpoint(chain, index, attempt)
    if found is None or (found.number, found.beacon) != (drawing.beacon_number, drawing.beacon):
        wanted = "there is none yet" if found is None else f"it is that of checkpoint {found.number}, {found.beacon.hex()}"
        drawn = f"drawn with that of checkpoint {drawing.beacon_number}, {drawing.beacon.hex()}"
        text = f"the beacon of attempt {attempt} after entry {index}: {wanted}; {drawn}"
        return refused(name, Reason.WRONG_BEACON, text, **numbers)
    text = f"beacon {found.beacons}, of checkpoint {found.number} at {found.time}, is that of attempt {attempt} after entry {index}"
    return passed(name, text, time_s=found.time, **numbers)
