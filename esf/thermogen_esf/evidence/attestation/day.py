"""A site's UTC day: the seals of its epochs under one Merkle root, closed by the first seal of a later day.

A leaf of the day's tree is a seal's input and its output (106 + 64 bytes) and not its proof: a key's holder can write many proofs of
one output, and would thereby choose among roots. Input and output leave no choice, so that a set of seals has one root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...merkle import inclusion_proof, root
from ..check import Check, Reason, passed, refused
from ..errors import EvidenceError
from .chain import judge_chain
from .seal import EPOCHS_A_DAY, Seal


class DayError(EvidenceError):
    """Seals that are not a day of one site."""


@dataclass(frozen=True)
class Day:
    """The seals of one site's day in order of epoch, and the seal that closed it. DayError where they are not that."""

    seals: tuple[Seal, ...]
    """1 to 96."""
    closing: Seal
    """The site's first seal of a later day."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.seals) <= EPOCHS_A_DAY:
            raise DayError(f"a day has 1 to {EPOCHS_A_DAY} seals, here are {len(self.seals)}")
        if {(seal.site, seal.day) for seal in self.seals} != {(self.site, self.number)}:
            raise DayError("the seals are of more than one site or day")
        if self.closing.site != self.site or self.closing.day <= self.number:
            raise DayError(f"a seal of epoch {self.closing.epoch} does not close day {self.number} of this site")

    @property
    def site(self) -> bytes:
        """Identity, 8 bytes."""
        return self.seals[0].site

    @property
    def number(self) -> int:
        """Days since 1970-01-01, UTC."""
        return self.seals[0].day

    @property
    def root(self) -> bytes:
        """The day's root, 32 bytes."""
        return root([day_leaf(seal) for seal in self.seals])

    def inclusion(self, index: int) -> list[bytes]:
        """The proof that seal `index` is under the root; IndexError where there is none."""
        return inclusion_proof([day_leaf(seal) for seal in self.seals], index)


def day_leaf(seal: Seal) -> bytes:
    """What the day's tree holds of a seal, 170 bytes."""
    return seal.alpha + seal.output


def judge_day(day: Day, vrf_key: bytes) -> list[Check]:
    """Whether every seal of a day and the one that closed it is proven by the site's VRF key, and they follow on one another."""
    everything: Sequence[Seal] = (*day.seals, day.closing)
    checks = [judge_chain(everything)]
    for seal in everything:
        if not seal.proven_by(vrf_key):
            text = f"the seal of epoch {seal.epoch} is not proven by the site's VRF key {vrf_key.hex()}"
            return [*checks, refused("seals proven", Reason.BAD_SEAL, text, epoch=seal.epoch)]
    return [*checks, passed("seals proven", f"{len(everything)} seals by the site's VRF key {vrf_key.hex()}", seals=len(everything))]


def epochs_of(day: int) -> range:
    """The epochs of a UTC day."""
    return range(day * EPOCHS_A_DAY, (day + 1) * EPOCHS_A_DAY)
