"""Which epochs a site sealed, as the chain of its seals shows it.

Within a boot, a seal names the one before it, so that whoever withholds one withholds all that follow or is seen. From one boot to the next
only the boot count goes on: how many seals of an ended boot were withheld at its end cannot be seen, and a gap says so.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..check import Check, Reason, passed, refused
from .seal import NO_PREVIOUS, Seal


class Missing(enum.StrEnum):
    """Why epochs between two seals have none."""

    NOT_SEALED = "not-sealed"
    """The later seal names the earlier one: the node made none between them."""
    RESTART = "restart"
    """The node restarted between them: it made none, or those at the end of the boot were withheld."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Epochs without a seal between two that are there, both ends included."""

    first: int
    last: int
    missing: Missing


def gaps(seals: Sequence[Seal]) -> tuple[Gap, ...]:
    """The gaps in a chain that `judge_chain` believes."""
    return tuple(
        Gap(earlier.epoch + 1, later.epoch - 1, Missing.NOT_SEALED if later.boot_count == earlier.boot_count else Missing.RESTART)
        for earlier, later in pairwise(seals)
        if later.epoch > earlier.epoch + 1
    )


def adjoining(earlier: Seal, later: Seal) -> bool:
    """Whether nothing lies between two seals of a chain that `judge_chain` believes: they are of one boot, and of two epochs in a row."""
    return later.boot_count == earlier.boot_count and later.epoch == earlier.epoch + 1


def judge_chain(seals: Sequence[Seal]) -> Check:
    """Whether seals of one site, in the order claimed, follow on one another; what each proves is judged elsewhere."""
    name = "seals chained"
    for index, (earlier, later) in enumerate(pairwise(seals), 1):
        fault = _fault(earlier, later)
        if fault is not None:
            reason, text = fault
            return refused(name, reason, f"seal {index}, of epoch {later.epoch}: {text}", epoch=later.epoch, before=earlier.epoch)
    found = gaps(seals)
    missing = sum(gap.last - gap.first + 1 for gap in found)
    text = f"{len(seals)} seals, {missing} epochs between them without one"
    if found:
        text += ": " + ", ".join(f"{gap.first} to {gap.last} {gap.missing}" for gap in found)
    return passed(name, text, seals=len(seals), missing=missing, restarts=sum(gap.missing is Missing.RESTART for gap in found))


def _fault(earlier: Seal, later: Seal) -> tuple[Reason, str] | None:
    if later.site != earlier.site:
        return Reason.OTHER_SITE, f"is of site {later.site.hex()}, the one before of {earlier.site.hex()}"
    if later.epoch == earlier.epoch:
        return Reason.TWO_SEALS, "the epoch is sealed twice"
    if later.epoch < earlier.epoch:
        return Reason.WRONG_EPOCHS, f"comes after epoch {earlier.epoch}"
    if later.boot_count < earlier.boot_count:
        return Reason.WRONG_BOOT, f"boot {later.boot_count} after boot {earlier.boot_count}: the counter only goes up"
    wanted = earlier.link if later.boot_count == earlier.boot_count else NO_PREVIOUS
    if later.previous != wanted:
        text = f"names {later.previous.hex()} of boot {later.boot_count} where {wanted.hex()} is at hand: one between them is withheld"
        return Reason.SEAL_WITHHELD, text
    return None


def two_seals(seals: Iterable[Seal]) -> tuple[Seal, Seal] | None:
    """Two seals of a site that say different things of one epoch, or None.

    Where both are proven the site is suspended: an honest node moves its counter before it seals and makes no second. Two proofs of
    the same fields are one seal.
    """
    first: dict[tuple[bytes, int], Seal] = {}
    for seal in seals:
        known = first.setdefault((seal.site, seal.epoch), seal)
        if known.alpha != seal.alpha:
            return known, seal
    return None
