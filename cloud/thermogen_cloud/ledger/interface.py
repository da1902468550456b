"""What the rest of the cloud asks of a ledger. Amounts are whole 1e-6 t."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..errors import CloudError


class LedgerRefusedError(CloudError):
    """The ledger did not execute a transaction; nothing changed."""

    def __init__(self, what: str, remedy: str = "read the ledger's reason; what was asked for did not happen") -> None:
        super().__init__(what, remedy)


class AlreadyIssuedError(LedgerRefusedError):
    """The block's account exists: the ledger mints a request once."""


class NotIssuedError(LedgerRefusedError):
    """There is no block at that address."""


class NotEnoughHeldError(LedgerRefusedError):
    """More was to be burnt than the holder has."""


@dataclass(frozen=True, slots=True)
class CreditBlock:
    """A block of credits to issue: everything about it that the ledger shows."""

    request_hash: bytes
    amount: int
    metadata: Mapping[str, str]
    """`name`, `symbol`, `uri` and further fields; together at most some 450 bytes, what one transaction holds."""


@dataclass(frozen=True, slots=True)
class IssuedBlock:
    """A block as the ledger holds it."""

    program: str
    """The token program, base58, as all addresses."""
    base: str
    """The account that the mint account's address is derived from."""
    seed: str
    mint: str
    """The block's mint account."""
    holder: str
    amount: int
    """What was issued."""
    transaction: str
    """Signature of the transaction that issued it, base58."""
    metadata: Mapping[str, str]
    """As the mint account says."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Where a block's credits are: held + retired + cancelled = issued."""

    issued: int
    supply: int
    """What the ledger says exists."""
    held: int
    """The sum of every account that holds the block's credits."""
    retired: int
    cancelled: int


class Ledger(Protocol):
    """A ledger of credit blocks. Every change is on the disk when its method returns."""

    @property
    def base(self) -> str:
        """The account that blocks' addresses are derived from."""

    def find(self, request_hash: bytes) -> IssuedBlock | None:
        """The block of a request, None where the ledger has none: what a recovery asks before it repeats anything."""

    def issue(self, block: CreditBlock) -> IssuedBlock:
        """Issues the full supply at once and for ever; AlreadyIssuedError on a repeat."""

    def address(self, request_hash: bytes) -> str:
        """Where a request's block is, or would be."""

    def holdings(self) -> dict[str, Holding]:
        """Where the credits of every block are, at one instant, by the block's address."""

    def retire(self, mint: str, amount: int, reference: bytes) -> None:
        """The holder burns; at most once for a `reference` of 32 bytes."""

    def cancel(self, mint: str, amount: int, reference: bytes) -> None:
        """The permanent delegate burns, whoever holds; at most once for a `reference` of 32 bytes."""
