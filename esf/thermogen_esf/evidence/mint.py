"""Mint requests: which epochs of a site become how many tonnes.

The energy of a request is the sum, over its contiguous runs of batches, of the counter at the run's last leaf minus the counter at its
first leaf. Counters of different boots are never subtracted, and what lies between two runs is not claimed. The amount is one exact
division, rounded down, whose remainder is carried to the site's next request under the same methodology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, ClassVar

from ..hostlink import EPOCH_S
from .canonical import Value
from .check import Check, Reason, passed, refused, undecided
from .document import Document
from .errors import EvidenceError
from .methodology import Methodology
from .opened import OpenedBatch
from .record import Record
from .trust import NAME

MAX_EPOCHS = 31 * 96
"""A month of quarter-hours."""

SERIAL = r"SC-[0-9]{4}-TZ-[0-9]{6,9}"
"""`SC-2026-TZ-000001` is the first credit of vintage 2026."""


class MintError(EvidenceError):
    """Bytes that are not a mint request, or a request that cannot be made; the text has the numbers."""


class BelowLeastMintError(MintError):
    """The energy is worth less than the methodology's least mint; request more epochs at once."""


@dataclass(frozen=True, slots=True)
class EpochClaim:
    """An epoch and the one batch that backs it."""

    epoch: int
    batch: bytes
    """Hash of the batch, 32 bytes."""


@dataclass(frozen=True, slots=True)
class MintRequest(Document):
    """What an approver approves and the ledger mints. MintError for fields that cannot be."""

    what: ClassVar[str] = "mint request"
    error: ClassVar[type[EvidenceError]] = MintError

    demonstration: bool
    """True: neither sealed nor witnessed, worth nothing outside a demonstration."""
    site: str
    methodology: str
    methodology_hash: bytes
    epochs: tuple[EpochClaim, ...]
    energy_mj: int
    amount: int
    """1e-6 t CO2e."""
    carry_in: int
    """Parts of a unit left over by the previous request; see Methodology.parts_per_unit."""
    carry_out: int
    """Parts of a unit left over by this one."""
    vintage: int
    """Calendar year, UTC, in which all the epochs lie."""
    serial: str
    previous: bytes | None
    """Hash of the site's previous minted request under this methodology; None for the first, whose carry_in is 0."""

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "demonstration": self.demonstration,
            "site": self.site,
            "methodology": {"id": self.methodology, "hash": self.methodology_hash.hex()},
            "epochs": [{"epoch": claim.epoch, "batch": claim.batch.hex()} for claim in self.epochs],
            "energy_mj": self.energy_mj,
            "amount": self.amount,
            "carry_in": self.carry_in,
            "carry_out": self.carry_out,
            "vintage": self.vintage,
            "serial": self.serial,
            "previous": None if self.previous is None else self.previous.hex(),
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        methodology = record.record("methodology")
        fields = {
            "demonstration": record.boolean("demonstration"),
            "site": record.text("site", pattern=NAME),
            "methodology": methodology.text("id", 40),
            "methodology_hash": methodology.octets("hash", 32),
            "epochs": tuple(_read_claim(entry) for entry in record.records("epochs", MAX_EPOCHS)),
            "energy_mj": record.integer("energy_mj"),
            "amount": record.integer("amount", 1),
            "carry_in": record.integer("carry_in"),
            "carry_out": record.integer("carry_out"),
            "vintage": record.integer("vintage", 2000, 2200),
            "serial": record.text("serial", pattern=SERIAL),
            "previous": record.octets_or_none("previous", 32),
        }
        methodology.end()
        return fields


def _read_claim(record: Record) -> EpochClaim:
    claim = EpochClaim(record.integer("epoch", 0, 2**32 - 1), record.octets("batch", 32))
    record.end()
    return claim


def serial(vintage: int, number: int) -> str:
    """The serial of a vintage's credit `number`, from 1."""
    return f"SC-{vintage:04}-TZ-{number:06}"


def vintage_of_epoch(epoch: int) -> int:
    """The calendar year, UTC, in which an epoch begins."""
    return datetime.fromtimestamp(epoch * EPOCH_S, UTC).year


def runs(
    batches: Sequence[OpenedBatch], continues: Callable[[OpenedBatch, OpenedBatch], bool] = OpenedBatch.continues
) -> list[list[OpenedBatch]]:
    """Batches in the given order, split where one does not directly continue the one before it.

    `continues` says so of a batch and the one before it. By default it is what the host signed of them: for evidence that is sealed it is
    not enough, see `attestation.recompute.sealed_runs`.
    """
    found: list[list[OpenedBatch]] = []
    for batch in batches:
        if found and continues(batch, found[-1][-1]):
            found[-1].append(batch)
        else:
            found.append([batch])
    return found


def counted(found: Sequence[Sequence[OpenedBatch]], counter: str) -> int:
    """What a counter gained within runs: at the last leaf minus at the first leaf of each, in the raw unit of the point."""
    return sum(run[-1].columns.raw[counter][-1] - run[0].columns.raw[counter][0] for run in found)


def energy_of(batches: Sequence[OpenedBatch]) -> int:
    """Electrical energy in mJ that batches in order of epoch come to, by what the host signed of them."""
    return counted(runs(batches), "electrical_energy")


def propose(
    batches: Sequence[OpenedBatch],
    *,
    site: str,
    methodology: Methodology,
    number: int,
    previous: MintRequest | None,
    demonstration: bool,
) -> MintRequest:
    """The request for believed batches of one site, in order of epoch; `number` is the credit's number within its vintage.

    `previous` is the site's last minted request under the same methodology, or None. MintError where the batches cannot be one request,
    BelowLeastMintError where they are worth too little.
    """
    epochs = [batch.epoch for batch in batches]
    if not epochs:
        raise MintError("no batches: a request needs at least one epoch")
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        raise MintError("the batches are not in strictly increasing order of epoch: give each epoch's believed batch once")
    vintages = {vintage_of_epoch(epoch) for epoch in epochs}
    if len(vintages) > 1:
        raise MintError(f"the epochs lie in the years {sorted(vintages)}: make one request for each year")
    if previous is not None and previous.methodology_hash != methodology.hash:
        raise MintError("the previous request is under another methodology: its carry does not count here")
    energy_mj = energy_of(batches)
    if energy_mj < 0:
        raise MintError(f"the counters give {energy_mj} mJ: a counter went back, so the batches are not to be believed")
    carry_in = 0 if previous is None else previous.carry_out
    amount, carry_out = methodology.amount(energy_mj, carry_in)
    if amount < methodology.least_mint:
        raise BelowLeastMintError(
            f"{energy_mj} mJ are worth {tonnes(amount)} t CO2e;"
            f" the least mint of {methodology.identifier} is {tonnes(methodology.least_mint)} t:"
            " wait for more epochs and request them together"
        )
    vintage = vintages.pop()
    return MintRequest(
        demonstration=demonstration,
        site=site,
        methodology=methodology.identifier,
        methodology_hash=methodology.hash,
        epochs=tuple(EpochClaim(batch.epoch, batch.hash) for batch in batches),
        energy_mj=energy_mj,
        amount=amount,
        carry_in=carry_in,
        carry_out=carry_out,
        vintage=vintage,
        serial=serial(vintage, number),
        previous=None if previous is None else previous.hash,
    )


def judge_request(
    request: MintRequest, methodology: Methodology, batches: Sequence[OpenedBatch], previous: MintRequest | None = None
) -> list[Check]:
    """Recompute a request from its batches and its methodology; whether the batches are believed is judged elsewhere.

    `previous` is the previous request where it is at hand and believed; without it the carry of a later request stays undecided.
    """
    return [
        _epochs(request, batches),
        _vintage(request),
        _energy(request, batches),
        _carry_in(request, methodology, previous),
        *_amount(request, methodology),
    ]


def _epochs(request: MintRequest, batches: Sequence[OpenedBatch]) -> Check:
    name = "epochs claimed"
    epochs = [claim.epoch for claim in request.epochs]
    for earlier, later in pairwise(epochs):
        if later <= earlier:
            text = f"epoch {later} follows {earlier}: each epoch is claimed once, in order"
            return refused(name, Reason.WRONG_EPOCHS, text, epoch=later, before=earlier)
    if len(batches) != len(epochs) or not epochs:
        text = f"{len(epochs)} epochs are claimed and {len(batches)} batches are given: one batch backs each"
        return refused(name, Reason.WRONG_EPOCHS, text, epochs=len(epochs), batches=len(batches))
    for index, (claim, batch) in enumerate(zip(request.epochs, batches, strict=True)):
        if claim.batch != batch.hash or claim.epoch != batch.epoch:
            text = (
                f"batch {index} is epoch {batch.epoch} with hash {batch.hash.hex()[:16]}…,"
                f" the request claims epoch {claim.epoch} with {claim.batch.hex()[:16]}…"
            )
            return refused(name, Reason.WRONG_BATCH, text, index=index, epoch=batch.epoch, claimed_epoch=claim.epoch)
    text = f"{len(epochs)} epochs, {epochs[0]} to {epochs[-1]}, each backed by the one batch whose hash the request names"
    return passed(name, text, epochs=len(epochs), first=epochs[0], last=epochs[-1])


def _vintage(request: MintRequest) -> Check:
    name = "vintage and serial"
    years = {vintage_of_epoch(claim.epoch) for claim in request.epochs}
    if years != {request.vintage} or not request.serial.startswith(f"SC-{request.vintage:04}-"):
        text = f"vintage {request.vintage}, serial {request.serial}, epochs in {sorted(years)}"
        return refused(name, Reason.WRONG_VINTAGE, text, vintage=request.vintage)
    return passed(name, f"{request.serial}: all epochs lie in {request.vintage}", vintage=request.vintage)


def _energy(request: MintRequest, batches: Sequence[OpenedBatch]) -> Check:
    name = "energy recomputed"
    recomputed = energy_of(batches)
    count = len(runs(batches))
    numbers = {"claimed_mj": request.energy_mj, "recomputed_mj": recomputed, "runs": count}
    if recomputed != request.energy_mj:
        text = f"the leaves' counters give {recomputed} mJ in {count} contiguous runs, the request claims {request.energy_mj} mJ"
        return refused(name, Reason.WRONG_ENERGY, text, **numbers)
    return passed(name, f"{recomputed} mJ from the leaves' counters, in {count} contiguous run{'s' if count > 1 else ''}", **numbers)


def _carry_in(request: MintRequest, methodology: Methodology, previous: MintRequest | None) -> Check:
    name = "carry from the previous request"
    numbers = {"carry_in_parts": request.carry_in, "parts_per_unit": methodology.parts_per_unit}
    if request.carry_in >= methodology.parts_per_unit:
        text = f"carries {request.carry_in} parts in; less than one unit of {methodology.parts_per_unit} parts can be left over"
        return refused(name, Reason.WRONG_CARRY, text, **numbers)
    if request.previous is None:
        if request.carry_in:
            return refused(name, Reason.WRONG_CARRY, f"names no previous request and carries {request.carry_in} parts in", **numbers)
        return passed(name, "the site's first request under this methodology: nothing is carried in", **numbers)
    if previous is None:
        text = (
            f"{request.carry_in} of {methodology.parts_per_unit} parts, less than one unit,"
            f" are taken from request {request.previous.hex()}, whose bundle was not given"
        )
        return undecided(name, text, **numbers)
    wrong = _differences(request, previous)
    if wrong:
        return refused(name, Reason.WRONG_CARRY, f"does not follow on the previous request given: {wrong}", **numbers)
    return passed(
        name, f"{request.carry_in} of {methodology.parts_per_unit} parts, as request {request.previous.hex()} left over", **numbers
    )


def _differences(request: MintRequest, previous: MintRequest) -> str:
    if request.previous != previous.hash:
        return f"that one is {previous.hash.hex()}"
    if (request.site, request.methodology_hash) != (previous.site, previous.methodology_hash):
        return f"that one is of site {previous.site} under {previous.methodology}"
    if request.carry_in != previous.carry_out:
        return f"it left {previous.carry_out} parts over, {request.carry_in} are carried in"
    if {claim.epoch for claim in request.epochs} & {claim.epoch for claim in previous.epochs}:
        return "both claim the same epochs"
    return ""


def _amount(request: MintRequest, methodology: Methodology) -> list[Check]:
    name = "amount recomputed"
    if request.carry_in >= methodology.parts_per_unit:
        return [refused(name, Reason.WRONG_AMOUNT, "cannot be computed with that carry")]
    amount, carry_out = methodology.amount(request.energy_mj, request.carry_in)
    numbers = {"claimed": request.amount, "recomputed": amount, "carry_out_claimed_parts": request.carry_out, "carry_out_parts": carry_out}
    if (amount, carry_out) != (request.amount, request.carry_out):
        text = (
            f"{methodology.identifier} gives {tonnes(amount)} t CO2e and leaves {carry_out} parts over;"
            f" the request claims {tonnes(request.amount)} t and {request.carry_out} parts"
        )
        return [refused(name, Reason.WRONG_AMOUNT, text, **numbers)]
    factor = f"{methodology.grid_emission_factor} g/kWh less {methodology.conservative_discount / 100:g} %"
    checks = [
        passed(name, f"{request.energy_mj} mJ × {factor} = {tonnes(amount)} t CO2e, rounded down, {carry_out} parts left over", **numbers)
    ]
    least = methodology.least_mint
    if amount < least:
        checks.append(
            refused("least mint", Reason.BELOW_LEAST_MINT, f"{tonnes(amount)} t is below {tonnes(least)} t", amount=amount, least=least)
        )
    else:
        checks.append(passed("least mint", f"at least {tonnes(least)} t", amount=amount, least=least))
    return checks


def tonnes(units: int) -> str:
    """Units of 1e-6 t CO2e as decimal text in tonnes: `0.001446`."""
    return f"{units // 1_000_000}.{units % 1_000_000:06}"
