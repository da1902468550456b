"""What a monitor saw, in one SQLite file: every entry and checkpoint of the log, and where it stands.

What belongs together is one transaction, so that power may fail between any two lines: the file then holds the log up to a checkpoint
that was judged. What lies in it is checked against that checkpoint's root when it is opened.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..evidence.attestation.log import Checkpoint, LogError
from ..evidence.attestation.monitoring import Monitored, PublishedList, seal_subject, subject
from ..evidence.attestation.seal import Seal
from ..evidence.attestation.signed import Signed
from ..evidence.attestation.trust import FleetTrust
from ..evidence.errors import EvidenceError
from ..merkle import HASH_BYTES
from ..merkle_accumulator import Accumulator

_LAST_EPOCH = 2**32 - 1
_TABLES = """
CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, subject BLOB NOT NULL, entry BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entry_subject ON entry (subject);
CREATE TABLE IF NOT EXISTS checkpoint (number INTEGER PRIMARY KEY, document BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS list (hash BLOB PRIMARY KEY, signed BLOB NOT NULL, vrf_keys TEXT);
CREATE TABLE IF NOT EXISTS told (said TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS standing (one INTEGER PRIMARY KEY CHECK (one = 1), root_keys BLOB NOT NULL, newest BLOB, subtrees BLOB NOT NULL,
    lists TEXT NOT NULL);
"""


class SeenError(EvidenceError):
    """The file cannot be used: the text says why, and what to do."""


class SeenLog:
    """The log as a monitor saw it. One process uses the file at a time."""

    def __init__(self, path: Path, root_keys: bytes) -> None:
        """Opens the file or makes it, mode 0600; SeenError where it is not a monitor's of these root keys, or was damaged."""
        self._path = path
        with self._told_of_faults():
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, isolation_level=None, timeout=1)
            try:
                self._open(root_keys)
            except BaseException:
                self._database.close()
                raise

    def _open(self, root_keys: bytes) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA synchronous = FULL")
        run("BEGIN EXCLUSIVE")
        for statement in _TABLES.split(";"):
            run(statement)
        run("INSERT OR IGNORE INTO standing VALUES (1, ?, NULL, x'', '[]')", (root_keys,))
        run("COMMIT")
        pinned, newest, subtrees, lists = run("SELECT root_keys, newest, subtrees, lists FROM standing").fetchone()
        if pinned != root_keys:
            raise SeenError(f"{self._path}: it watches the log under root keys {pinned.hex()}: give another file for these")
        self.newest = None if newest is None else Signed.parse(newest)
        """The newest checkpoint that was judged, as it was signed."""
        last = None if self.newest is None else self._read(self.newest)
        count = 0 if last is None else last.size
        roots = [subtrees[at : at + HASH_BYTES] for at in range(0, len(subtrees), HASH_BYTES)]
        self.standing = Monitored(last, Accumulator(count, roots), tuple(bytes.fromhex(each) for each in json.loads(lists)))
        self._whole_lists = {hashed for (hashed,) in run("SELECT hash FROM list WHERE vrf_keys IS NOT NULL")}
        held = run("SELECT COUNT(*) FROM entry").fetchone()[0]
        if held != count or (last is not None and self.standing.accumulator.root != last.root):
            raise SeenError(f"{self._path}: its {held} entries are not those of checkpoint {None if last is None else last.number}")

    def _read(self, newest: Signed) -> Checkpoint:
        try:
            return Checkpoint.parse(newest.document)
        except LogError as error:
            raise SeenError(f"{self._path}: {error}: it was written by another release: give another file, and keep this one") from error

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    @contextmanager
    def adding(self, added: Sequence[bytes]) -> Iterator[None]:
        """Within it the log has these entries too; afterwards only where `keep` was called within."""
        run = self._database.execute
        with self._told_of_faults():
            run("BEGIN IMMEDIATE")
            first = self.standing.accumulator.count
            rows = ((number, subject(entry), entry) for number, entry in enumerate(added, first))
            try:
                self._database.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
                yield
            finally:
                if self._database.in_transaction:
                    run("ROLLBACK")

    def keep(self, signed: Signed, standing: Monitored, known: Mapping[bytes, PublishedList], told: Sequence[str]) -> None:
        """Keeps what is being added, the checkpoint that added it, the lists that it was judged by, and what was told about sites."""
        run, last = self._database.execute, standing.last
        assert last is not None, "a checkpoint was judged"
        run("INSERT INTO checkpoint VALUES (?, ?)", (last.number, signed.document))
        for hashed in standing.lists:
            if hashed in self._whole_lists:
                continue
            keys = known[hashed].vrf_keys
            written = None if keys is None else json.dumps({site.hex(): key.hex() for site, key in keys.items()})
            run("INSERT OR REPLACE INTO list VALUES (?, ?, ?)", (hashed, known[hashed].signed.encode(), written))
            if keys is not None:
                self._whole_lists.add(hashed)
        self._database.executemany("INSERT OR IGNORE INTO told VALUES (?)", ((each,) for each in told))
        values = (signed.encode(), b"".join(standing.accumulator.subtrees), json.dumps([each.hex() for each in standing.lists]))
        run("UPDATE standing SET newest = ?, subtrees = ?, lists = ?", values)
        run("COMMIT")
        self.newest, self.standing = signed, standing

    def lists(self) -> dict[bytes, PublishedList]:
        """The trust lists of the log, by hash, as they were shown."""
        found = {}
        for hashed, encoded, written in self._database.execute("SELECT hash, signed, vrf_keys FROM list"):
            signed = Signed.parse(encoded)
            keys = None if written is None else {bytes.fromhex(site): bytes.fromhex(key) for site, key in json.loads(written).items()}
            found[hashed] = PublishedList(signed, FleetTrust.parse(signed.document), keys)
        return found

    def told(self) -> list[str]:
        """What sites did, as it was told in this run or one before."""
        return [said for (said,) in self._database.execute("SELECT said FROM told ORDER BY rowid")]

    def checkpoint(self, number: int) -> Checkpoint | None:
        """A checkpoint that was judged."""
        row = self._database.execute("SELECT document FROM checkpoint WHERE number = ?", (number,)).fetchone()
        return None if row is None else Checkpoint.parse(row[0])

    def of_subject(self, subject: bytes) -> list[tuple[int, bytes]]:
        """Index and bytes of each entry with this subject, in order."""
        return self._database.execute("SELECT number, entry FROM entry WHERE subject = ? ORDER BY number", (subject,)).fetchall()

    def seals_between(self, site: bytes, first: int, last: int) -> list[Seal]:
        """A site's seals of epochs `first` to `last`, both included, in order of epoch."""
        return self._seals(site, first, last, "ORDER BY subject, number")

    def seal_before(self, site: bytes, epoch: int) -> Seal | None:
        """The site's newest seal of an earlier epoch."""
        return next(iter(self._seals(site, 0, epoch - 1, "ORDER BY subject DESC LIMIT 1")), None) if epoch else None

    def seal_after(self, site: bytes, epoch: int) -> Seal | None:
        """The site's oldest seal of a later epoch."""
        return next(iter(self._seals(site, epoch + 1, _LAST_EPOCH, "ORDER BY subject LIMIT 1")), None)

    def _seals(self, site: bytes, first: int, last: int, order: str) -> list[Seal]:
        between = (seal_subject(site, first), seal_subject(site, last))
        rows = self._database.execute(f"SELECT entry FROM entry WHERE subject BETWEEN ? AND ? {order}", between)  # noqa: S608  ours
        return [Seal.decode(entry[1:]) for (entry,) in rows]

    @contextmanager
    def _told_of_faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            advice = "is another monitor using it? Make room, or give another file"
            raise SeenError(f"{self._path}: {error}: {advice}") from error
