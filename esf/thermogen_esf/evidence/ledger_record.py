"""The ledger's record of a mint, as a bundle carries it: which account, how much, in which transaction, marked with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .canonical import Value
from .check import Check, Reason, passed, refused
from .document import Document
from .errors import EvidenceError
from .ledger_address import ADDRESS_BYTES, TOKEN_2022_PROGRAM_ID, TRANSACTION_SIGNATURE_BYTES, decode, mint_address, mint_seed
from .mint import MintRequest, tonnes
from .record import Record

DECIMALS = 6
"""Decimals of a credit's token: 1,000,000 are 1 t CO2e."""

SYMBOL = "TCO2E"


class LedgerRecordError(EvidenceError):
    """Bytes that are not a ledger record, or fields that cannot be one."""


@dataclass(frozen=True, slots=True)
class LedgerRecord(Document):
    """A credit's mint account as its creating transaction left it. LedgerRecordError for fields that cannot be."""

    what: ClassVar[str] = "ledger record"
    error: ClassVar[type[EvidenceError]] = LedgerRecordError

    program: str
    """Token program, base58."""
    base: str
    """Paying account from which the address is derived, base58."""
    seed: str
    mint: str
    """Mint account, base58."""
    supply: int
    """1e-6 t CO2e."""
    decimals: int
    transaction: str
    """First signature of the transaction, base58."""
    metadata: tuple[tuple[str, str], ...]
    """Metadata as (field, text), ordered by field: `name`, `symbol`, `uri` and the additional ones."""

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "program": self.program,
            "base": self.base,
            "seed": self.seed,
            "mint": self.mint,
            "supply": self.supply,
            "decimals": self.decimals,
            "transaction": self.transaction,
            "metadata": [{"field": field, "text": text} for field, text in self.metadata],
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        return {
            "program": _address(record, "program", ADDRESS_BYTES),
            "base": _address(record, "base", ADDRESS_BYTES),
            "seed": record.text("seed", pattern="[0-9a-f]{32}"),
            "mint": _address(record, "mint", ADDRESS_BYTES),
            "supply": record.integer("supply"),
            "decimals": record.integer("decimals", 0, 255),
            "transaction": _address(record, "transaction", TRANSACTION_SIGNATURE_BYTES),
            "metadata": tuple(_read_metadata(entry) for entry in record.records("metadata", 32)),
        }


def _address(record: Record, name: str, size: int) -> str:
    text = record.text(name)
    decode(text, size)
    return text


def _read_metadata(record: Record) -> tuple[str, str]:
    field = record.text("field", 40), record.text("text")
    record.end()
    return field


def expected_metadata(request: MintRequest) -> tuple[tuple[str, str], ...]:
    """The metadata that a request's mint account carries, ordered by field: what a holder sees without any bundle."""
    return tuple(
        sorted(
            {
                "name": request.serial,
                "symbol": SYMBOL,
                "uri": f"esf:{request.hash.hex()}",
                "site": request.site,
                "vintage": str(request.vintage),
                "methodology": request.methodology,
                "demonstration": "true" if request.demonstration else "false",
            }.items()
        )
    )


def judge_ledger(record: LedgerRecord, request: MintRequest) -> list[Check]:
    """Whether the record is of this request's mint: address, supply, metadata. That the ledger holds it is not decided here."""
    return [_address_check(record, request), _supply(record, request), _metadata(record, request)]


def _address_check(record: LedgerRecord, request: MintRequest) -> Check:
    name = "ledger address recomputed"
    seed, address = mint_seed(request.hash), mint_address(record.base, request.hash)
    if (record.program, record.seed, record.mint) != (TOKEN_2022_PROGRAM_ID, seed, address):
        text = (
            f"the request's hash gives {address} with seed {seed} under {TOKEN_2022_PROGRAM_ID};"
            f" the record says {record.mint} with {record.seed} under {record.program}"
        )
        return refused(name, Reason.WRONG_ADDRESS, text)
    return passed(name, f"{address} follows from the request's hash and {record.base}")


def _supply(record: LedgerRecord, request: MintRequest) -> Check:
    name = "supply equals amount"
    numbers = {"supply": record.supply, "amount": request.amount, "decimals": record.decimals}
    if record.supply != request.amount or record.decimals != DECIMALS:
        text = f"supply {record.supply} with {record.decimals} decimals; the request's amount is {request.amount} with {DECIMALS}"
        return refused(name, Reason.WRONG_SUPPLY, text, **numbers)
    return passed(name, f"{tonnes(record.supply)} t CO2e", **numbers)


def _metadata(record: LedgerRecord, request: MintRequest) -> Check:
    name = "ledger metadata"
    expected = expected_metadata(request)
    if record.metadata != expected:
        wrong = sorted({field for field, _ in set(expected) ^ set(record.metadata)}) or ["their order"]
        return refused(name, Reason.WRONG_METADATA, f"differs from the request in {', '.join(wrong)}")
    return passed(name, f"{len(expected)} fields follow from the request: {', '.join(field for field, _ in expected)}")
