"""Token-2022, the real program, in LiteSVM: the embedded ledger.

Each block of credits has its own mint account, at the address derived from the authority's address and the first 32 hex digits of the
request's hash. One transaction creates that account, writes its metadata, mints the whole supply to the holder and drops the mint
authority; sent again it fails at its first instruction, because the account exists. So the chain, not this program, mints once.

The virtual machine lives in memory. A transaction counts when its accounts are in the store; if they cannot be stored, the
machine is rebuilt from the store, as it is at every start.
"""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import spl.token.instructions as token
from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata
from spl.token.constants import TOKEN_2022_PROGRAM_ID
from spl.token.models import BurnCheckedParams, InitializeMint2Params, MintToCheckedParams

from . import instructions as ours
from .interface import AlreadyIssuedError, CreditBlock, Holding, IssuedBlock, LedgerRefusedError, NotEnoughHeldError, NotIssuedError
from .store import Entry, LedgerStore, StoredAccount

_FUNDS_LAMPORTS = 10**13
_LOW_LAMPORTS = 10**11
_ADDRESS_DERIVATION_HEX = 32
"""create_account_with_seed takes at most 32 characters."""


class Token2022Ledger:
    """A chain with one program and one authority, kept in a file. Threads may share it."""

    def __init__(self, path: Path, authority_seed: bytes, holder_seed: bytes) -> None:
        """Restores the chain in `path`, or begins it. Seeds are 32 bytes: the authority issues and cancels, the holder owns and retires."""
        self._authority = Keypair.from_seed(authority_seed)
        self._holder = Keypair.from_seed(holder_seed)
        self._store = LedgerStore(path, bytes(self._authority.pubkey()))
        self._lock = threading.Lock()
        self._machine = self._restored()

    def close(self) -> None:
        """Closes the file; the chain is in it."""
        with self._lock:
            self._store.close()

    @property
    def base(self) -> str:
        """See `Ledger`."""
        return str(self._authority.pubkey())

    def address(self, request_hash: bytes) -> str:
        """Where a request's block is, or would be, base58."""
        return str(self._address(request_hash))

    def find(self, request_hash: bytes) -> IssuedBlock | None:
        """See `Ledger`."""
        with self._lock:
            mint = self._address(request_hash)
            if not isinstance(self._account(mint), ours.MintAccount):
                return None
            entry = self._store.entry(request_hash)
            assert entry is not None, "accounts and history are stored together"
            return self._issued(request_hash, entry)

    def issue(self, block: CreditBlock) -> IssuedBlock:
        """See `Ledger`."""
        with self._lock:
            mint = self._address(block.request_hash)
            entry = self._send(
                self._issue_instructions(mint, block), [self._authority], Entry("", "issue", str(mint), block.amount, block.request_hash)
            )
            return self._issued(block.request_hash, entry)

    def holdings(self) -> dict[str, Holding]:
        """See `Ledger`."""
        with self._lock:
            supply: dict[str, int] = {}
            held: Counter[str] = Counter()
            for key, account in self._machine.get_program_accounts(TOKEN_2022_PROGRAM_ID):
                parsed = ours.parse(account.data)
                if isinstance(parsed, ours.MintAccount):
                    supply[str(key)] = parsed.supply
                elif isinstance(parsed, ours.TokenAccount):
                    held[str(parsed.mint)] += parsed.amount
            totals = self._store.totals()
            return {
                mint: Holding(
                    issued=totals[mint, "issue"],
                    supply=amount,
                    held=held[mint],
                    retired=totals[mint, "retire"],
                    cancelled=totals[mint, "cancel"],
                )
                for mint, amount in supply.items()
            }

    def retire(self, mint: str, amount: int, reference: bytes) -> None:
        """See `Ledger`."""
        self._burn(mint, amount, reference, "retire", self._holder)

    def cancel(self, mint: str, amount: int, reference: bytes) -> None:
        """See `Ledger`."""
        self._burn(mint, amount, reference, "cancel", self._authority)

    def _burn(self, mint: str, amount: int, reference: bytes, kind: str, burner: Keypair) -> None:
        with self._lock:
            done = self._store.entry(reference)
            if done is not None:
                if (done.kind, done.mint, done.amount) != (kind, mint, amount):
                    raise LedgerRefusedError(
                        f"reference {reference.hex()} already names another transaction", "give every transaction a reference of its own"
                    )
                return
            key = Pubkey.from_string(mint)
            account = self._holders_account(key)
            held = self._account(account)
            if not isinstance(held, ours.TokenAccount):
                raise NotIssuedError(f"the ledger has no block at {mint}")
            if not 0 < amount <= held.amount:
                raise NotEnoughHeldError(
                    f"{amount} of block {mint} cannot be burnt: {held.amount} are held", "burn at least 1 and at most what is held"
                )
            burn = token.burn_checked(
                BurnCheckedParams(
                    program_id=TOKEN_2022_PROGRAM_ID,
                    mint=key,
                    account=account,
                    owner=burner.pubkey(),
                    amount=amount,
                    decimals=ours.DECIMALS,
                )
            )
            signers = [self._authority] if burner is self._authority else [self._authority, burner]
            self._send([burn], signers, Entry("", kind, mint, amount, reference))

    def _issue_instructions(self, mint: Pubkey, block: CreditBlock) -> list[Instruction]:
        authority = self._authority.pubkey()
        metadata = dict(block.metadata)
        size = ours.MINT_BYTES + ours.metadata_bytes(metadata)
        name, symbol, uri = (metadata.pop(field) for field in ours.STANDARD_FIELDS)
        holders = self._holders_account(mint)
        return [
            create_account_with_seed(
                CreateAccountWithSeedParams(
                    from_pubkey=authority,
                    to_pubkey=mint,
                    base=authority,
                    seed=_seed(block.request_hash),
                    lamports=self._machine.minimum_balance_for_rent_exemption(size),
                    space=ours.MINT_BYTES,
                    owner=TOKEN_2022_PROGRAM_ID,
                )
            ),
            ours.initialize_metadata_pointer(mint),
            ours.initialize_permanent_delegate(mint, authority),
            token.initialize_mint2(
                InitializeMint2Params(
                    decimals=ours.DECIMALS, program_id=TOKEN_2022_PROGRAM_ID, mint=mint, mint_authority=authority, freeze_authority=None
                )
            ),
            ours.initialize_metadata(mint, authority, name, symbol, uri),
            *(ours.update_metadata_field(mint, authority, key, value) for key, value in metadata.items()),
            ours.drop_metadata_authority(mint, authority),
            token.create_idempotent_associated_token_account(authority, self._holder.pubkey(), mint, TOKEN_2022_PROGRAM_ID),
            token.mint_to_checked(
                MintToCheckedParams(
                    program_id=TOKEN_2022_PROGRAM_ID,
                    mint=mint,
                    dest=holders,
                    mint_authority=authority,
                    amount=block.amount,
                    decimals=ours.DECIMALS,
                    signers=[],
                )
            ),
            ours.drop_mint_authority(mint, authority),
        ]

    def _send(self, instructions: list[Instruction], signers: list[Keypair], entry: Entry) -> Entry:
        """Executes one transaction and stores what it changed together with `entry`, which is returned with its signature."""
        message = MessageV0.try_compile(self._authority.pubkey(), instructions, [], self._machine.latest_blockhash())
        transaction = VersionedTransaction(message, signers)
        result = self._machine.send_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            if entry.kind == "issue" and isinstance(self._account(Pubkey.from_string(entry.mint)), ours.MintAccount):
                raise AlreadyIssuedError(
                    f"the ledger already has the block {entry.mint}", "take the block that is there: a request is minted once"
                )
            raise LedgerRefusedError(f"the ledger refused to {entry.kind} {entry.amount} at {entry.mint}: {result.err()}")
        self._machine.expire_blockhash()  # the next transaction of the same words is another one
        signed = Entry(str(transaction.signatures[0]), entry.kind, entry.mint, entry.amount, entry.reference)
        writable = [key for number, key in enumerate(message.account_keys) if message.is_maybe_writable(number)]
        try:
            self._persist(self._machine, writable, signed)
        except BaseException:
            self._machine = self._restored()
            raise
        return signed

    def _persist(self, machine: LiteSVM, keys: list[Pubkey], entry: Entry | None) -> None:
        changed, closed = [], []
        for key in keys:
            account = machine.get_account(key)
            if account is None or account.lamports == 0:
                closed.append(bytes(key))
            else:
                changed.append(StoredAccount(bytes(key), account.lamports, bytes(account.owner), account.executable, account.data))
        self._store.commit(changed, closed, entry)

    def _restored(self) -> LiteSVM:
        machine = LiteSVM()
        for stored in self._store.accounts():
            machine.set_account(Pubkey(stored.address), Account(stored.lamports, stored.data, Pubkey(stored.owner), stored.executable))
        authority = self._authority.pubkey()
        if (machine.get_balance(authority) or 0) < _LOW_LAMPORTS:
            machine.airdrop(authority, _FUNDS_LAMPORTS)  # rent and fees of an embedded chain cost nobody anything
            self._persist(machine, [authority], None)
        return machine

    def _account(self, key: Pubkey) -> ours.MintAccount | ours.TokenAccount | None:
        account = self._machine.get_account(key)
        if account is None or account.owner != TOKEN_2022_PROGRAM_ID:
            return None
        return ours.parse(account.data)

    def _address(self, request_hash: bytes) -> Pubkey:
        return Pubkey.create_with_seed(self._authority.pubkey(), _seed(request_hash), TOKEN_2022_PROGRAM_ID)

    def _holders_account(self, mint: Pubkey) -> Pubkey:
        return token.get_associated_token_address(self._holder.pubkey(), mint, TOKEN_2022_PROGRAM_ID)

    def _issued(self, request_hash: bytes, entry: Entry) -> IssuedBlock:
        account = self._account(Pubkey.from_string(entry.mint))
        assert isinstance(account, ours.MintAccount)
        return IssuedBlock(
            program=str(TOKEN_2022_PROGRAM_ID),
            base=str(self._authority.pubkey()),
            seed=_seed(request_hash),
            mint=entry.mint,
            holder=str(self._holder.pubkey()),
            amount=entry.amount,
            transaction=entry.signature,
            metadata=account.metadata,
        )


def _seed(request_hash: bytes) -> str:
    return request_hash.hex()[:_ADDRESS_DERIVATION_HEX]
