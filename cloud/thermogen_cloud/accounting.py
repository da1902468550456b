"""The books: held + retired + cancelled = issued, block by block, the ledger's accounts against the registry."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from .errors import CloudError
from .ledger import Holding, Ledger
from .registry import AttestedMint, AttestedMintState, Credit, MintRequest, MintState, Registry


class UnbalancedBooksError(CloudError):
    """Registry and ledger disagree. Nothing that this program does leads here: a file was changed or restored without the other."""

    def __init__(self, discrepancies: list[str]) -> None:
        super().__init__(
            "; ".join(discrepancies),
            "stop approving; restore registry.sqlite and ledger.sqlite from one backup, and compare both with the bundles",
        )


@dataclass(frozen=True, slots=True)
class Accounts:
    """Totals in 1e-6 t."""

    issued: int
    held: int
    retired: int
    cancelled: int


def balanced(registry: Registry, ledger: Ledger) -> Accounts:
    """The totals, after every block was checked; UnbalancedBooksError names each that is wrong."""
    before = _credits(registry)
    holdings = ledger.holdings()
    after = _credits(registry)
    with registry.reading() as session:
        minting = session.scalars(select(MintRequest.hash).where(MintRequest.state == MintState.MINTING))
        attested = session.scalars(select(AttestedMint.attestation).where(AttestedMint.state == AttestedMintState.MINTING))
        under_way = {ledger.address(request) for request in (*minting, *attested)}
    wrong = [f"credit {credit.serial} is not on the ledger" for mint, credit in before.items() if mint not in holdings]
    totals = Accounts(0, 0, 0, 0)
    for mint, holding in holdings.items():
        if mint not in after:
            # Between the ledger's commit and the registry's, or such a mint waiting for its recovery.
            if mint not in under_way and mint not in _credits(registry):
                wrong.append(f"block {mint} on the ledger belongs to no credit")
            continue
        wrong += _wrong(after[mint], holding)
        totals = Accounts(
            totals.issued + after[mint].amount,
            totals.held + holding.held,
            totals.retired + holding.retired,
            totals.cancelled + holding.cancelled,
        )
    if wrong:
        raise UnbalancedBooksError(wrong)
    return totals


def _wrong(credit: Credit | AttestedMint, holding: Holding) -> list[str]:
    wrong = []
    if holding.issued != credit.amount:
        wrong.append(f"credit {credit.serial} is of {credit.amount}, the ledger issued {holding.issued}")
    if holding.held != holding.supply:
        wrong.append(f"credit {credit.serial}: {holding.held} are held of a supply of {holding.supply}")
    if holding.held + holding.retired + holding.cancelled != credit.amount:
        sums = f"held {holding.held} + retired {holding.retired} + cancelled {holding.cancelled}"
        wrong.append(f"credit {credit.serial}: {sums} is not {credit.amount}")
    return wrong


def _credits(registry: Registry) -> dict[str, Credit | AttestedMint]:
    with registry.reading() as session:
        attested = session.scalars(select(AttestedMint).where(AttestedMint.state == AttestedMintState.MINTED))
        by_mint: dict[str, Credit | AttestedMint] = {credit.mint: credit for credit in session.scalars(select(Credit))}
        return by_mint | {row.mint: row for row in attested if row.mint is not None}
