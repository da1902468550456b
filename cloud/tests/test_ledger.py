"""The ledger mints a request once and for ever, and its file is the chain: whatever process comes next finds the same."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thermogen_cloud.errors import StorageFullError
from thermogen_cloud.ledger import AlreadyIssuedError, CreditBlock, LedgerRefusedError, NotEnoughHeldError, NotIssuedError, Token2022Ledger
from thermogen_cloud.ledger.instructions import MintAccount, parse
from thermogen_cloud.ledger.store import LedgerUnreadableError
from thermogen_esf.evidence.ledger_address import TOKEN_2022_PROGRAM_ID, mint_address, mint_seed

AUTHORITY, HOLDER = b"\1" * 32, b"\2" * 32
LARGEST_TRANSACTION = 1232


def block(number=1, amount=1_446, site="tz-wellpad-alpha-01"):
    digest = hashlib.sha3_256(b"request %d" % number).digest()
    metadata = {
        "name": f"SC-2026-TZ-{number:06}",
        "symbol": "TCO2E",
        "uri": f"esf:{digest.hex()}",
        "site": site,
        "vintage": "2026",
        "methodology": "TZ-DISPLACED-GRID",
        "demonstration": "true",
    }
    return CreditBlock(digest, amount, metadata)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(file):
    ledger = Token2022Ledger(file, AUTHORITY, HOLDER)
    yield ledger
    ledger.close()


def test_a_block_is_issued_whole_with_its_metadata_at_the_address_that_follows_from_its_request(ledger):
    wanted = block()
    issued = ledger.issue(wanted)
    assert issued.mint == mint_address(ledger.base, wanted.request_hash) == ledger.address(wanted.request_hash)
    assert (issued.program, issued.seed, issued.amount) == (TOKEN_2022_PROGRAM_ID, mint_seed(wanted.request_hash), 1_446)
    assert issued.metadata == wanted.metadata
    holding = ledger.holdings()[issued.mint]
    assert (holding.issued, holding.supply, holding.held, holding.retired, holding.cancelled) == (1_446, 1_446, 1_446, 0, 0)


def test_the_same_request_is_issued_once_and_the_chain_itself_says_so(ledger):
    issued = ledger.issue(block())
    with pytest.raises(AlreadyIssuedError):
        ledger.issue(block())
    with pytest.raises(AlreadyIssuedError):
        ledger.issue(block(amount=9_999))
    assert ledger.holdings()[issued.mint].supply == 1_446


def test_nobody_can_mint_more_or_rewrite_what_was_issued(ledger, file):
    issued = ledger.issue(block())
    accounts = [parse(row[0]) for row in sqlite3.connect(file).execute("SELECT data FROM accounts")]
    (mint,) = [account for account in accounts if isinstance(account, MintAccount)]
    assert not mint.mintable
    assert mint.metadata == issued.metadata


def test_the_longest_metadata_fits_one_transaction(ledger, monkeypatch):
    sizes = []
    send = ledger._machine.send_transaction

    class Measured:
        def __getattr__(self, name):
            return getattr(machine, name)

        def send_transaction(self, transaction):
            sizes.append(len(bytes(transaction)))
            return send(transaction)

    machine, ledger._machine = ledger._machine, Measured()
    ledger.issue(block(site="s" * 48))
    assert 0 < max(sizes) <= LARGEST_TRANSACTION


def test_a_new_process_finds_the_chain_as_it_was_left(ledger, file):
    issued = ledger.issue(block())
    ledger.retire(issued.mint, 400, b"r" * 32)
    before = ledger.holdings()
    ledger.close()
    again = Token2022Ledger(file, AUTHORITY, HOLDER)
    assert again.holdings() == before
    assert again.find(block().request_hash) == issued
    assert again.find(block(2).request_hash) is None
    with pytest.raises(AlreadyIssuedError):
        again.issue(block())
    again.issue(block(2))
    again.close()


def test_what_could_not_be_stored_did_not_happen(ledger, monkeypatch):
    def full(*_):
        raise StorageFullError("/cloud")

    monkeypatch.setattr(ledger._store, "commit", full)
    with pytest.raises(StorageFullError):
        ledger.issue(block())
    assert ledger.find(block().request_hash) is None
    monkeypatch.undo()
    assert ledger.issue(block()).amount == 1_446


def test_a_full_disk_is_said_and_leaves_the_chain_whole(ledger, file):
    pages = ledger._store._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFullError, match="no space"):
        for number in range(1, 50):
            ledger.issue(block(number))
    ledger._store._connection.execute("PRAGMA max_page_count = 100000")
    for holding in ledger.holdings().values():
        assert holding.supply == holding.held == holding.issued == 1_446


def test_the_holder_retires_and_the_permanent_delegate_cancels_what_is_held_and_no_more(ledger):
    mint = ledger.issue(block()).mint
    ledger.retire(mint, 1_000, b"a" * 32)
    ledger.cancel(mint, 400, b"b" * 32)
    for burn in (ledger.retire, ledger.cancel):
        for amount in (47, 0, -1):
            with pytest.raises(NotEnoughHeldError, match="46 are held"):
                burn(mint, amount, b"c" * 32)
    with pytest.raises(NotIssuedError):
        ledger.retire(ledger.address(bytes(32)), 1, b"d" * 32)
    holding = ledger.holdings()[mint]
    assert (holding.supply, holding.held, holding.retired, holding.cancelled) == (46, 46, 1_000, 400)


def test_a_retirement_that_is_repeated_happens_once(ledger):
    mint = ledger.issue(block()).mint
    for _ in range(3):
        ledger.retire(mint, 100, b"a" * 32)
    assert ledger.holdings()[mint].retired == 100
    with pytest.raises(LedgerRefusedError, match="already names"):
        ledger.cancel(mint, 100, b"a" * 32)


def test_a_ledger_of_other_keys_is_not_opened(ledger, file):
    with pytest.raises(LedgerUnreadableError, match="another authority"):
        Token2022Ledger(file, b"\3" * 32, HOLDER)


def test_a_file_that_is_no_ledger_is_not_opened(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerUnreadableError, match="not a database"):
        Token2022Ledger(tmp_path / "ledger.sqlite", AUTHORITY, HOLDER)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("issue"), st.integers(1, 4), st.integers(1, 2**40)),
        st.tuples(st.sampled_from(["retire", "cancel"]), st.integers(1, 4), st.integers(-1, 2**40), st.integers(0, 5)),
        st.just(("restart",)),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_held_and_retired_and_cancelled_are_what_was_issued_whatever_happens(tmp_path_factory, steps):
    file = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    ledger = Token2022Ledger(file, AUTHORITY, HOLDER)
    issued: dict[str, int] = {}
    for step in steps:
        try:
            match step:
                case ("issue", number, amount):
                    issued[ledger.issue(block(number, amount)).mint] = amount
                case (burn, number, amount, reference):
                    getattr(ledger, burn)(ledger.address(block(number).request_hash), amount, bytes([reference]) * 32)
                case ("restart",):
                    ledger.close()
                    ledger = Token2022Ledger(file, AUTHORITY, HOLDER)
        except LedgerRefusedError:
            pass
        holdings = ledger.holdings()
        assert {mint: holding.issued for mint, holding in holdings.items()} == issued
        for holding in holdings.values():
            assert holding.held == holding.supply
            assert holding.held + holding.retired + holding.cancelled == holding.issued
    ledger.close()
