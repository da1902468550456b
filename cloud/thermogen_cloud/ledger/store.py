"""The chain's accounts and history in SQLite: after each transaction they change together or not at all."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thermogen_esf.storage import Fault, fault

from ..errors import NOT_USABLE_REMEDY, OperatorError, StorageFullError

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS accounts (
    address BLOB PRIMARY KEY, lamports INTEGER NOT NULL, owner BLOB NOT NULL, executable INTEGER NOT NULL, data BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transactions (
    number INTEGER PRIMARY KEY, signature TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('issue', 'retire', 'cancel')),
    mint TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), reference BLOB NOT NULL UNIQUE
) STRICT;
CREATE INDEX IF NOT EXISTS transactions_by_mint ON transactions (mint, kind);
CREATE TABLE IF NOT EXISTS chain (authority BLOB NOT NULL) STRICT;
COMMIT;
"""


class LedgerUnreadableError(OperatorError):
    """The ledger's file is damaged, or belongs to other keys."""


class LedgerUnavailableError(OperatorError):
    """The file is held by another program, or its disk does not read or write. Nothing was half stored."""


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """One account as the chain has it."""

    address: bytes
    lamports: int
    owner: bytes
    executable: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One executed transaction, as far as accounting needs it."""

    signature: str
    kind: str
    mint: str
    amount: int
    reference: bytes


class LedgerStore:
    """One ledger file. One thread at a time, whichever it is."""

    def __init__(self, path: Path, authority: bytes) -> None:
        """Opens or makes `path`; LedgerUnreadableError where it was made with another authority."""
        if not path.exists():
            path.touch(mode=0o600)
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                row = self._prepare(authority)
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.DatabaseError as error:
            raise _explained(error, path) from error
        if row is not None and row[0] != authority:
            self._connection.close()
            raise LedgerUnreadableError(f"{path} belongs to another authority key", "put the key back that made this ledger")

    def _prepare(self, authority: bytes) -> tuple[bytes] | None:
        """Makes what is missing; the row that names the chain's authority, None where this is the first opening."""
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        row: tuple[bytes] | None = self._connection.execute("SELECT authority FROM chain").fetchone()
        if row is None:
            self._connection.execute("INSERT INTO chain (authority) VALUES (?)", (authority,))
        return row

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def accounts(self) -> list[StoredAccount]:
        """Every account of the chain."""
        rows = self._connection.execute("SELECT address, lamports, owner, executable, data FROM accounts")
        return [StoredAccount(address, lamports, owner, bool(executable), data) for address, lamports, owner, executable, data in rows]

    def commit(self, changed: Iterable[StoredAccount], closed: Sequence[bytes], entry: Entry | None) -> None:
        """Stores one transaction's outcome; StorageFullError, and nothing stored, where there is no space."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)",
                    [(account.address, account.lamports, account.owner, int(account.executable), account.data) for account in changed],
                )
                connection.executemany("DELETE FROM accounts WHERE address = ?", [(address,) for address in closed])
                if entry is not None:
                    connection.execute(
                        "INSERT INTO transactions (signature, kind, mint, amount, reference) VALUES (?, ?, ?, ?, ?)",
                        (entry.signature, entry.kind, entry.mint, entry.amount, entry.reference),
                    )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise _explained(error, self._path) from error

    def entry(self, reference: bytes) -> Entry | None:
        """The transaction with that reference."""
        row = self._connection.execute(
            "SELECT signature, kind, mint, amount, reference FROM transactions WHERE reference = ?", (reference,)
        ).fetchone()
        return None if row is None else Entry(*row)

    def totals(self) -> Counter[tuple[str, str]]:
        """Sums of the amounts by (mint, kind)."""
        rows = self._connection.execute("SELECT mint, kind, sum(amount) FROM transactions GROUP BY mint, kind")
        return Counter({(mint, kind): amount for mint, kind, amount in rows})


def _explained(error: sqlite3.DatabaseError, path: Path) -> OperatorError:
    match fault(error, path):
        case Fault.NO_SPACE:
            return StorageFullError(str(path.parent))
        case Fault.NOT_USABLE:
            return LedgerUnavailableError(f"{path} could not be used: {error}", NOT_USABLE_REMEDY)
    return LedgerUnreadableError(f"{path}: {error}", "restore it from a backup together with registry.sqlite")
