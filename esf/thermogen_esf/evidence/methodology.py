"""Methodologies: how energy becomes tonnes, as hashed data.

Each is a JSON file of this package that names its baseline and every constant with its source. A mint names the SHA3-256 of the file's
canonical JSON, and a verifier believes only the methodologies that it was released with: a bundle's copy is compared, never trusted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha3_256
from importlib import resources

from .canonical import Value, canonical, parse
from .errors import EvidenceError
from .record import Record

VERSION = 1
BASIS_POINTS = 10_000


class MethodologyError(EvidenceError):
    """A methodology that is not known, or a file that is not one."""


@dataclass(frozen=True)
class Methodology:
    """A methodology that credits electrical energy at a constant factor with a constant discount."""

    identifier: str
    revision: int
    title: str
    baseline: str
    """What would have happened otherwise, in a word, for instance `displaced-grid-power`."""
    statement: str
    """The baseline in a sentence."""
    grid_emission_factor: int
    """g CO2e/kWh."""
    conservative_discount: int
    """1/10000."""
    energy_per_kwh: int
    """mJ/kWh."""
    least_mint: int
    """1e-6 t CO2e."""
    document: bytes
    """The whole methodology in canonical JSON."""

    @property
    def hash(self) -> bytes:
        """SHA3-256 of the document, 32 bytes."""
        return sha3_256(self.document).digest()

    @property
    def parts_per_mj(self) -> int:
        """Parts of a unit (of which a unit has `parts_per_unit`) that one mJ is worth."""
        return self.grid_emission_factor * (BASIS_POINTS - self.conservative_discount)

    @property
    def parts_per_unit(self) -> int:
        """Parts in one unit of 1e-6 t CO2e (a gram): every whole number of mJ is a whole number of parts."""
        return self.energy_per_kwh * BASIS_POINTS

    def amount(self, energy_mj: int, carry_in: int) -> tuple[int, int]:
        """Units of 1e-6 t CO2e for an energy and the parts carried in, and the parts carried out.

        Exact integers: the division's floor is the only rounding, and its remainder is the carry, 0 <= carry < parts_per_unit.
        ValueError for a negative energy or a carry outside that range.
        """
        if energy_mj < 0:
            raise ValueError(f"an energy of {energy_mj} mJ has no amount")
        if not 0 <= carry_in < self.parts_per_unit:
            raise ValueError(f"a carry of {carry_in} parts is not below one unit of {self.parts_per_unit}")
        return divmod(energy_mj * self.parts_per_mj + carry_in, self.parts_per_unit)

    @classmethod
    def parse(cls, document: bytes) -> Methodology:
        """The methodology that canonical JSON describes; MethodologyError where it does not."""
        try:
            return _read(Record(parse(document), "methodology"), document)
        except EvidenceError as error:
            raise MethodologyError(f"not a methodology of version {VERSION}: {error}") from None


def known() -> tuple[Methodology, ...]:
    """The methodologies of this release, by identifier and revision."""
    return _known()


def by_hash(digest: bytes) -> Methodology:
    """The known methodology with this hash; MethodologyError where there is none."""
    for methodology in _known():
        if methodology.hash == digest:
            return methodology
    raise MethodologyError(f"no methodology of this release has the hash {digest.hex()}; known are {_listing()}")


def by_identifier(identifier: str) -> Methodology:
    """The newest revision of a known methodology; MethodologyError where there is none."""
    revisions = [methodology for methodology in _known() if methodology.identifier == identifier]
    if not revisions:
        raise MethodologyError(f"the methodology {identifier!r} is not known; known are {_listing()}")
    return max(revisions, key=lambda methodology: methodology.revision)


@cache
def _known() -> tuple[Methodology, ...]:
    found = [Methodology.parse(document) for version, document in documents() if version == VERSION]
    return tuple(sorted(found, key=lambda methodology: (methodology.identifier, methodology.revision)))


def documents() -> tuple[tuple[int, bytes], ...]:
    """Version and canonical JSON of every methodology of this release; version 2 is read by `catalogue`."""
    folder = resources.files(__package__) / "methodologies"
    read = [
        json.loads(file.read_text("utf-8")) for file in sorted(folder.iterdir(), key=lambda file: file.name) if file.name.endswith(".json")
    ]
    return tuple((value["version"], canonical(value)) for value in read)


def _listing() -> str:
    return ", ".join(f"{methodology.identifier} ({methodology.hash.hex()[:16]}…)" for methodology in _known())


def _read(record: Record, document: bytes) -> Methodology:
    record.integer("version", VERSION, VERSION)
    identifier = record.text("id", 40, r"[A-Z0-9][A-Z0-9.-]*")
    revision = record.integer("revision", 1, 10_000)
    title = record.text("title")
    baseline = record.record("baseline")
    kind = baseline.text("kind", 40)
    statement = baseline.text("statement", 1000)
    baseline.text("evidence", 1000)
    baseline.end()
    record.text("quantity")
    constants: dict[str, int] = {}
    for entry in record.records("constants", 100):
        constants[entry.text("name", 40)] = entry.integer("value")
        entry.text("unit", 40)
        entry.text("source", 1000)
        entry.end()
    record.text("formula", 1000)
    record.end()
    values: dict[str, Value] = dict(constants)
    numbers = Record(values, "constants")
    methodology = Methodology(
        identifier=identifier,
        revision=revision,
        title=title,
        baseline=kind,
        statement=statement,
        grid_emission_factor=numbers.integer("grid_emission_factor", 1, 10_000),
        conservative_discount=numbers.integer("conservative_discount", 0, BASIS_POINTS - 1),
        energy_per_kwh=numbers.integer("energy_per_kwh", 1),
        least_mint=numbers.integer("least_mint", 1),
        document=document,
    )
    numbers.end()
    return methodology
