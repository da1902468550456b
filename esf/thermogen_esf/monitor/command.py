"""`thermogen-verify monitor LOG --root FILE --state FILE`: look at what a log added since the last look.

Exit status 0: everything is as the protocol promises. 1: something is not, and it is named. 2: the log or a file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..evidence.attestation.log import EntryKind
from ..evidence.attestation.proof_bundle import STATEMENT_MAGIC, parse_statement
from ..evidence.attestation.seal import Seal
from ..evidence.attestation.signed import Signed
from ..evidence.attestation.trust import RootKeys
from ..evidence.check import Check
from ..evidence.errors import EvidenceError
from .seen import SeenLog
from .source import MOST_BYTES, SourceError, open_source
from .watching import Kept, Look, look, published_lists

HOLDS, WRONG, UNREADABLE = 0, 1, 2

_MARK = {True: "✓", False: "✗", None: "–"}
_KINDS = {EntryKind.SEAL: "seals", EntryKind.DAY: "days", EntryKind.TRUST: "trust lists", EntryKind.STATEMENT: "statements"}
_OTHERS = 0o077


def run(arguments: Sequence[str]) -> int:
    """Run the command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        root = RootKeys.parse(_content(options.root))
        source = open_source(options.log, options.user, _password(options.password_file))
        shown = [Signed.parse(_content(path)) for path in options.trust]
        known = published_lists([*shown, source.trust()], options.enrolments)
        kept = Kept(
            [Signed.parse(_content(path)) for path in options.checkpoint],
            [_statement(_content(path)) for path in options.statement],
            [Seal.decode(_content(path)) for path in options.seal],
        )
        seen = SeenLog(options.state, root.hash)
        try:
            found = look(source, seen, root, known, kept, _progress())
            told = seen.told()
        finally:
            seen.close()
    except (EvidenceError, OSError) as error:
        if options.json:
            print(json.dumps({"holds": False, "unreadable": str(error)}, ensure_ascii=False, indent=2))
        print(f"thermogen-verify monitor: cannot be read: {error}", file=sys.stderr)
        return UNREADABLE
    if options.json:
        print(json.dumps(_to_json(root, found, told), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(options, root, found, told)))
    return HOLDS if found.wrong is None else WRONG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-verify monitor",
        description="Look at what an attestation log added since the last look: that it only grew, every root and beacon and day recomputed"
        " from its entries, nothing there twice, and what somebody kept is in it. Run it each day, on a machine of your own.",
        epilog="exit status: 0 all holds, 1 something is wrong and is named, 2 unreadable. What a site did, as two seals of an epoch,"
        " is wrong once and noted from then on; what the log's keeper did is wrong at each look.",
    )
    parser.add_argument(
        "log", metavar="LOG", help="the cloud's API of attestation, http://HOST:PORT/api/v1/attestation, or a folder with its answers"
    )
    parser.add_argument("--root", type=Path, required=True, metavar="FILE", help="the root keys to believe: the pin")
    parser.add_argument("--state", type=Path, required=True, metavar="FILE", help="what was seen so far; made at the first look")
    parser.add_argument("--user", default="", metavar="NAME", help="of the API")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="with that user's password, mode 0600")
    parser.add_argument(
        "--enrolments",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a trust list's enrolments, *.json: whose keys prove seals; give them from the first look on",
    )
    parser.add_argument(
        "--trust", type=Path, action="append", default=[], metavar="FILE", help="an older trust list that the log has, signed"
    )
    parser.add_argument(
        "--checkpoint", type=Path, action="append", default=[], metavar="FILE", help="a checkpoint that somebody else was shown"
    )
    parser.add_argument(
        "--statement", type=Path, action="append", default=[], metavar="FILE", help="a witness's statement that has to be there"
    )
    parser.add_argument("--seal", type=Path, action="append", default=[], metavar="FILE", help="a seal that has to be there")
    parser.add_argument("--json", action="store_true", help="what came out as one JSON object on standard output")
    return parser


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise SourceError(f"{path}: more than {MOST_BYTES} bytes; nothing that a monitor reads is that long")
    return data


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS:
            raise SourceError(f"{path}: others can read the password: chmod 600 it, and change the password")
        return file.read(MOST_BYTES).decode(errors="replace").strip()


def _statement(data: bytes) -> Signed:
    """A statement as its witness kept it, with its enrolment or without."""
    return Signed.parse(parse_statement(data)[1] if data.startswith(STATEMENT_MAGIC) else data)


def _progress() -> Callable[[int, int], None]:
    """Shows a person at a terminal how far it is; a log file gets nothing."""
    if not sys.stderr.isatty():
        return lambda _number, _newest: None

    def show(number: int, newest: int) -> None:
        print(f"\rcheckpoint {number} of {newest}", end="\n" if number == newest else "", file=sys.stderr, flush=True)

    return show


def _lines(options: argparse.Namespace, root: RootKeys, found: Look, told: Sequence[str]) -> list[str]:
    newest, lines = found.newest, [f"root keys   {options.root}: SHA3-256 {root.hash.hex()}", f"log         {options.log}"]
    if newest is None:
        lines.append("seen        nothing: the log has no checkpoint yet")
    elif found.first is None:
        lines.append(f"seen        nothing new behind checkpoint {newest.number} of {_time(newest.time)}")
    else:
        lines.append(f"seen        checkpoints {found.first} to {newest.number}, of {_time(newest.time)}, with {_counted(found.added)}")
    lines += [_line(check) for check in (*found.checks, *found.undecided.values())]
    lines += [f"  – a site's own, told at its time: {each}" for each in told]
    if found.wrong is not None:
        return [*lines, f"WRONG{'' if found.at is None else f', at checkpoint {found.at}'}, first:", _line(found.wrong)]
    if newest is None:
        return [*lines, "HOLDS: nothing was published"]
    return [
        *lines,
        f"HOLDS: the log only grew, to {newest.size} entries, root {newest.root.hex()}, beacon {newest.beacons} {newest.beacon.hex()}",
    ]


def _counted(added: Counter[EntryKind]) -> str:
    return ", ".join(f"{added[kind]} {name}" for kind, name in _KINDS.items() if added[kind]) or "no entries"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _line(check: Check) -> str:
    code = f" [{check.reason}]" if check.reason else ""
    return f"  {_MARK[check.passed]} {check.name}: {check.detail}{code}"


def _to_json(root: RootKeys, found: Look, told: Sequence[str]) -> dict[str, object]:
    return {
        "holds": found.wrong is None,
        "root_sha3_256": root.hash.hex(),
        "first_new": found.first,
        "newest": None if found.newest is None else {**found.newest.values(), "hash": found.newest.hash.hex()},
        "added": {name: found.added[kind] for kind, name in _KINDS.items()},
        "first_wrong": None if found.wrong is None else {**found.wrong.to_json(), "checkpoint": found.at},
        "checks": [check.to_json() for check in (*found.checks, *found.undecided.values())],
        "told_of_sites": list(told),
    }
