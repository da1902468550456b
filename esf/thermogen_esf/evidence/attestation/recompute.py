"""A day's evidence, done again: what a witness does before it says anything, and a verifier after everybody did.

From the sealed day, the site's enrolment and the batches: whether each sealed epoch has the one batch that its seal is of, whether the
batches are believed, and the energy and gas that they come to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...frames import FrameError, verify_frame
from ..belief import judge_batch
from ..check import Check, Reason, passed, refused
from ..consistency import judge_consistency, judge_repetition
from ..mint import counted, runs
from ..opened import OpenedBatch
from ..plausibility import judge_run
from ..trust import TrustList
from .chain import adjoining
from .day import Day, judge_day
from .enrolment import Enrolment
from .seal import Seal
from .statement import Claims, Opinion, Why

_HASHES = ("profile_hash", "calibration_hash")


@dataclass(frozen=True)
class Recomputed:
    """What came out for a day."""

    opinion: Opinion
    why: Why | None
    epoch: int | None
    """That is wrong, or whose batch is missing; where a run is wrong as a whole, its first."""
    claims: Claims | None
    """None unless all agrees."""
    checks: tuple[Check, ...]
    batches: tuple[OpenedBatch, ...]
    """Of the sealed epochs, as far as they could be opened, in order."""


def recompute_day(
    day: Day, site: Enrolment, trust: TrustList, batches: Mapping[int, Sequence[bytes]], seals: Sequence[Check] | None = None
) -> Recomputed:
    """Recompute a day from all batches that were published for it, by epoch.

    `trust` is the trust list in the form that batches are judged by (`FleetTrust.as_batch_trust`), with this site; `seals` is what
    `judge_day` answered for the day, where that was asked already.
    """
    checks = judge_day(day, site.vrf_key) if seals is None else list(seals)
    fault = next((check for check in checks if not check.passed), None)
    if fault is not None:
        first, last = day.seals[0].epoch, day.seals[-1].epoch
        inside = min(max(fault.numbers.get("epoch", first), first), last)  # what surrounds the day is named by its edge
        return Recomputed(Opinion.DISSENT, Why.SEAL_REFUSED, inside, None, tuple(checks), ())
    opened: list[OpenedBatch] = []
    for seal in day.seals:
        published = batches.get(seal.epoch, ())
        if not published:
            return Recomputed(Opinion.ABSTAIN, Why.NOT_FETCHED, seal.epoch, None, tuple(checks), tuple(opened))
        why = _judge_epoch(seal, site, trust, published, opened, checks)
        if why is not None:
            return Recomputed(Opinion.DISSENT, why, seal.epoch, None, tuple(checks), tuple(opened))
    found = sealed_runs(day.seals, opened)
    epoch = _judge_runs(found, site, checks)
    if epoch is not None:
        return Recomputed(Opinion.DISSENT, Why.IMPLAUSIBLE, epoch, None, tuple(checks), tuple(opened))
    return Recomputed(Opinion.AGREE, None, None, claims_of(found), tuple(checks), tuple(opened))


def claims_of(found: Sequence[Sequence[OpenedBatch]]) -> Claims:
    """What runs of batches claim."""
    return Claims(counted(found, "electrical_energy"), counted(found, "gas_volume"))


def sealed_runs(seals: Sequence[Seal], batches: Sequence[OpenedBatch]) -> list[list[OpenedBatch]]:
    """The contiguous runs over which counters are credited: the batches of chained seals, both in order of epoch, one batch a seal.

    A batch goes on where the host signed that it does and the node sealed that it does. Boot count, sequence and batch link are the host's,
    who may restart the node, raise its counters before it measures with the enrolled calibration, and go on as if nothing had been.
    """
    sealed = {seal.epoch: seal for seal in seals}
    return runs(batches, lambda batch, before: batch.continues(before) and adjoining(sealed[before.epoch], sealed[batch.epoch]))


def _judge_epoch(
    seal: Seal, site: Enrolment, trust: TrustList, published: Sequence[bytes], opened: list[OpenedBatch], checks: list[Check]
) -> Why | None:
    """Judge one epoch's batches; why it is to be dissented from, or None."""
    if len(set(published)) > 1:
        text = f"{len(set(published))} different batches are published for epoch {seal.epoch}"
        checks.append(refused("one batch", Reason.WRONG_BATCH, text, epoch=seal.epoch))
        return Why.TWO_BATCHES
    try:
        batch = OpenedBatch.open(published[0])
    except FrameError as error:
        checks.append(refused("batch reads", Reason.UNREADABLE, str(error), epoch=seal.epoch))
        return Why.BATCH_REFUSED
    sealed = judge_sealed(seal, batch, site)
    checks += sealed
    if not all(check.passed for check in sealed):
        return Why.ROOT_DIFFERS if any(check.reason is Reason.ROOT_DIFFERS for check in sealed) else Why.BATCH_REFUSED
    before = opened[-1] if opened and opened[-1].number == batch.number - 1 else None
    verdict = judge_batch(batch, trust, before)
    opened.append(batch)
    checks += verdict.checks
    if verdict.believed:
        return None
    return Why.IMPLAUSIBLE if all(check.reason in PHYSICS for check in verdict.refusals) else Why.BATCH_REFUSED


def _judge_runs(found: Sequence[Sequence[OpenedBatch]], site: Enrolment, checks: list[Check]) -> int | None:
    """Judge what single epochs do not show; the epoch that is wrong, which is a run's first where the run is as a whole, or None."""
    for run in found:
        judged = [*judge_run(run, site.site_key), *judge_consistency(run, site.site_key)]
        checks += judged
        fault = next((check for check in judged if not check.passed), None)
        if fault is not None:
            return fault.numbers.get("epoch", run[0].epoch)
    repeated = judge_repetition([batch for run in found for batch in run])
    checks.append(repeated)
    return None if repeated.passed else repeated.numbers["epoch"]


def signed_for(site: Enrolment, epoch: int, published: Sequence[bytes]) -> tuple[bytes, ...]:
    """Of what came for an epoch, what the site signed for it, each once: the rest anybody on the way could have written."""
    return tuple(data for data in dict.fromkeys(published) if _is_signed_for(site, epoch, data))


def _is_signed_for(site: Enrolment, epoch: int, data: bytes) -> bool:
    try:
        batch = OpenedBatch.open(data)
    except FrameError:
        return False
    return (batch.site, batch.epoch) == (site.identity, epoch) and verify_frame(batch.frame, site.public_key, data)


PHYSICS = frozenset((Reason.ABOVE_NAMEPLATE, Reason.ABOVE_HEAT, Reason.ABOVE_GAS, Reason.ABOVE_SHUNT))
"""Refusals that say: physics does not allow it."""


def judge_sealed(seal: Seal, batch: OpenedBatch, site: Enrolment) -> list[Check]:
    """Whether a batch is the one that a seal is of: site, epoch, root, leaves, profile and calibration."""
    return [_same_root(seal, batch), _same_set_up(seal, batch, site)]


def _same_root(seal: Seal, batch: OpenedBatch) -> Check:
    name, numbers = "batch is the sealed one", {"epoch": seal.epoch, "leaves": len(batch.frame.leaves), "sealed_leaves": seal.leaf_count}
    sealed, there = (
        (seal.site, seal.epoch, seal.root, seal.leaf_count),
        (batch.site, batch.epoch, batch.frame.root, len(batch.frame.leaves)),
    )
    if sealed != there:
        text = (
            f"sealed is root {seal.root.hex()} over {seal.leaf_count} leaves of epoch {seal.epoch};"
            f" the batch is of epoch {batch.epoch}, root {batch.frame.root.hex()} over {len(batch.frame.leaves)} leaves"
        )
        return refused(name, Reason.ROOT_DIFFERS, text, **numbers)
    return passed(name, f"root {seal.root.hex()} over {seal.leaf_count} leaves", **numbers)


def _same_set_up(seal: Seal, batch: OpenedBatch, site: Enrolment) -> Check:
    name = "profile and calibration enrolled"
    for what in _HASHES:
        enrolled, sealed = getattr(site, what), getattr(seal, what)
        in_leaves = {value.to_bytes(8, "big") for value in batch.columns.raw[what]}
        if sealed != enrolled or in_leaves != {enrolled}:
            found = ", ".join(sorted(each.hex() for each in {sealed, *in_leaves} - {enrolled}))
            text = f"{what.replace('_', ' ')} {found} in epoch {seal.epoch}; enrolled is {enrolled.hex()}"
            return refused(name, Reason.WRONG_SET_UP, text, epoch=seal.epoch)
    return passed(name, f"profile {site.profile_hash.hex()}, calibration {site.calibration_hash.hex()}", epoch=seal.epoch)
