"""The eight methodologies by name: those that compute, what they need, and those that refuse and why.

A rule is one exact division: amount = floor((quantity × parts + carry in) / parts of a unit), the remainder being the carry. A unit is a
gram, 1e-6 t CO2e. What a mint names is the hash of the methodology's canonical JSON; version 1 is read by `methodology`, version 2 here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha3_256
from math import gcd

from .attestation.signed import Signed
from .canonical import Value, parse
from .errors import EvidenceError
from .methodology import BASIS_POINTS, Methodology, MethodologyError, documents, known
from .record import Record
from .trust import ApproverKey, valid_at

VERSION = 2
CUSTOM = "CUSTOM"
ROLE_AUDITOR = "auditor"
METHODOLOGY_CONTEXT = b"thermogen/methodology/v1"
LARGEST_PARTS = 2**64 - 1


class MethodologyRefusedError(MethodologyError):
    """The methodology does not apply, or lacks what it needs: a misconfiguration, not a claim that is too high."""


class Quantity(enum.StrEnum):
    """What a rule credits."""

    ENERGY = "energy"
    """mJ."""
    GAS = "gas"
    """1/86,400 cubic foot at the meter's reference condition."""


@dataclass(frozen=True)
class Rule:
    """A methodology that computes."""

    identifier: str
    revision: int
    title: str
    baseline: str
    """What would have happened otherwise, in a word."""
    statement: str
    evidence: str
    """What shows the baseline."""
    evidence_required: bool
    quantity: Quantity
    parts_per_quantity: int
    parts_per_unit: int
    discount: int
    """1/10000, contained in the parts."""
    least_mint: int
    """1e-6 t CO2e."""
    document: bytes

    @property
    def hash(self) -> bytes:
        """SHA3-256 of the document, 32 bytes."""
        return sha3_256(self.document).digest()

    def amount(self, energy_mj: int, gas: int, carry_in: int, baseline_evidence: bytes | None) -> tuple[int, int]:
        """Units of 1e-6 t CO2e and the parts carried out, 0 <= carry < parts_per_unit.

        `baseline_evidence` is the hash of what shows the baseline. MethodologyRefusedError where it is needed and missing, ValueError for a
        negative quantity or a carry outside its range.
        """
        if self.evidence_required and baseline_evidence is None:
            raise MethodologyRefusedError(
                f"{self.identifier} credits a baseline that is not measured ({self.baseline}) and needs: {self.evidence}"
            )
        value = energy_mj if self.quantity is Quantity.ENERGY else gas
        if value < 0 or not 0 <= carry_in < self.parts_per_unit:
            raise ValueError(f"{value} of {self.quantity} with a carry of {carry_in} of {self.parts_per_unit} parts has no amount")
        return divmod(value * self.parts_per_quantity + carry_in, self.parts_per_unit)


@dataclass(frozen=True)
class Refusal:
    """A methodology that is named and does not compute."""

    identifier: str
    revision: int
    title: str
    reason: str
    document: bytes

    @property
    def hash(self) -> bytes:
        """SHA3-256 of the document, 32 bytes."""
        return sha3_256(self.document).digest()


@cache
def catalogue() -> dict[str, Rule | Refusal]:
    """The newest revision of each methodology of this release, by identifier."""
    found: list[Rule | Refusal] = [_of_version_1(methodology) for methodology in known()]
    found += [read(document) for version, document in documents() if version == VERSION]
    return {each.identifier: each for each in sorted(found, key=lambda each: (each.identifier, each.revision))}


def rule(identifier: str) -> Rule:
    """The rule of that name; MethodologyRefusedError where it refuses, MethodologyError where it is not known."""
    found = catalogue().get(identifier)
    if found is None:
        raise MethodologyError(f"the methodology {identifier!r} is not known; known are {', '.join(catalogue())}")
    if isinstance(found, Refusal):
        raise MethodologyRefusedError(f"{identifier} refuses: {found.reason}")
    return found


def custom(signed: Signed, auditors: Sequence[ApproverKey], time: int) -> Rule:
    """The rule of somebody's own methodology, which an auditor of the trust list signed and whose key is valid at a time.

    MethodologyRefusedError where nobody did, MethodologyError where the document is none.
    """
    for key in auditors:
        signs = key.role == ROLE_AUDITOR and valid_at(key, time)
        if signs and signed.signed_by(key.public_key, key.key_id, METHODOLOGY_CONTEXT):
            found = read(signed.document)
            if not isinstance(found, Rule) or found.identifier != CUSTOM:
                raise MethodologyRefusedError(f"a methodology of one's own computes and is called {CUSTOM}, this is {found.identifier}")
            return found
    raise MethodologyRefusedError(f"no {ROLE_AUDITOR} of the trust list at {time} has signed this methodology")


def read(document: bytes) -> Rule | Refusal:
    """The methodology that canonical JSON of version 2 describes; MethodologyError where it does not."""
    try:
        record = Record(parse(document), "methodology")
        record.integer("version", VERSION, VERSION)
        identifier, revision = record.text("id", 40, r"[A-Z0-9][A-Z0-9.-]*"), record.integer("revision", 1, 10_000)
        title, kind = record.text("title"), record.text("kind", pattern="methane|electrical|refuses|custom")
        if kind in ("refuses", "custom"):
            refusal = Refusal(identifier, revision, title, record.text("refusal", 1000), document)
            record.text("source", 1000)
            record.end()
            return refusal
        return _read_rule(record, identifier, revision, title, kind, document)
    except MethodologyError:
        raise
    except EvidenceError as error:
        raise MethodologyError(f"not a methodology of version {VERSION}: {error}") from None


def _read_rule(record: Record, identifier: str, revision: int, title: str, kind: str, document: bytes) -> Rule:
    baseline = record.record("baseline")
    name, statement, evidence = baseline.text("kind", 40), baseline.text("statement", 1000), baseline.text("evidence", 1000)
    baseline.end()
    evidence_required = record.boolean("evidence_required")
    record.text("quantity")
    values: dict[str, Value] = {}
    for entry in record.records("constants", 100):
        values[entry.text("name", 40)] = entry.integer("value")
        entry.text("unit", 40)
        entry.text("source", 1000)
        entry.end()
    record.text("formula", 1000)
    record.end()
    constants = Record(values, "constants")
    discount, least_mint = constants.integer("conservative_discount", 0, BASIS_POINTS - 1), constants.integer("least_mint", 1)
    parts, of_unit = (_methane if kind == "methane" else _electrical)(constants, BASIS_POINTS - discount)
    constants.end()
    common = gcd(parts, of_unit)
    if of_unit // common > LARGEST_PARTS:
        raise MethodologyError(f"{identifier} divides by {of_unit // common}: a carry of it does not fit 64 bits")
    quantity = Quantity.GAS if kind == "methane" else Quantity.ENERGY
    return Rule(
        identifier,
        revision,
        title,
        name,
        statement,
        evidence,
        evidence_required,
        quantity,
        parts // common,
        of_unit // common,
        discount,
        least_mint,
        document,
    )


def _methane(constants: Record, kept: int) -> tuple[int, int]:
    methane = constants.integer("methane_per_cubic_foot", 1, 50_000_000)
    raw = constants.integer("raw_per_cubic_foot", 1)
    warming = 1_000 * constants.integer("global_warming_potential", 3, 100) - constants.integer("combustion_co2", 2_743, 3_000)
    escapes = BASIS_POINTS - constants.integer("destruction_efficiency", 0, BASIS_POINTS)
    return methane * escapes * warming * kept, raw * 10**6 * BASIS_POINTS * 1_000 * BASIS_POINTS


def _electrical(constants: Record, kept: int) -> tuple[int, int]:
    return constants.integer("emission_factor", 1, 10_000) * kept, constants.integer("energy_per_kwh", 1) * BASIS_POINTS


def _of_version_1(methodology: Methodology) -> Rule:
    evidence = Record(parse(methodology.document), "methodology").record("baseline").text("evidence", 1000)
    return Rule(
        methodology.identifier,
        methodology.revision,
        methodology.title,
        methodology.baseline,
        methodology.statement,
        evidence,
        False,
        Quantity.ENERGY,
        methodology.parts_per_mj,
        methodology.parts_per_unit,
        methodology.conservative_discount,
        methodology.least_mint,
        methodology.document,
    )
