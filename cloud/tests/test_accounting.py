"""The books balance after every step, and a registry and a ledger that were changed apart are noticed."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from thermogen_cloud.accounting import Accounts, UnbalancedBooksError, balanced
from thermogen_cloud.ledger import CreditBlock
from thermogen_cloud.registry import Credit

METHODOLOGY = "TZ-DISPLACED-GRID"


@pytest.fixture
def credit(cloud, site):
    """A minted credit."""
    first = site.epoch
    for batch in site.batches(2):
        cloud.receive(batch)
    cloud.approve(cloud.minting.request(site.name, first, first + 1, METHODOLOGY))
    with cloud.registry.reading() as session:
        return session.scalars(select(Credit)).one()


def change(cloud, statement):
    with cloud.registry.writing() as session:
        session.connection().exec_driver_sql(statement)


def test_retired_and_cancelled_credits_stay_in_the_books(cloud, credit):
    cloud.ledger.retire(credit.mint, 700, b"a" * 32)
    cloud.ledger.cancel(credit.mint, 300, b"b" * 32)
    assert balanced(cloud.registry, cloud.ledger) == Accounts(credit.amount, credit.amount - 1_000, 700, 300)


def test_a_registry_that_says_another_amount_is_noticed(cloud, credit):
    change(cloud, "UPDATE credits SET amount = amount + 1")
    with pytest.raises(UnbalancedBooksError, match=credit.serial):
        balanced(cloud.registry, cloud.ledger)


def test_a_registry_that_was_restored_without_its_ledger_is_noticed(cloud, credit):
    change(cloud, "UPDATE credits SET mint = 'nowhere'")
    with pytest.raises(UnbalancedBooksError, match=r"is not on the ledger.*belongs to no credit"):
        balanced(cloud.registry, cloud.ledger)


def test_a_block_that_no_credit_knows_is_noticed(cloud):
    metadata = {"name": "SC-2026-TZ-000009", "symbol": "TCO2E", "uri": "esf:"}
    cloud.ledger.issue(CreditBlock(b"\7" * 32, 5, metadata))
    with pytest.raises(UnbalancedBooksError, match="belongs to no credit"):
        balanced(cloud.registry, cloud.ledger)
