"""`thermogen-verify BUNDLE --root FILE`: judge a proof bundle by pinned root keys, offline."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..check import Check
from ..errors import EvidenceError
from ..mint import tonnes
from .attested_twice import OtherBundle
from .proof_bundle import MAX_FRAMES_BYTES
from .proof_report import ProofReport
from .proof_verification import verify_proof
from .trust import RootKeys

BELIEVED, REFUSED, UNREADABLE = 0, 1, 2

_MARK = {True: "✓", False: "✗", None: "–"}


def run(arguments: Sequence[str]) -> int:
    """Run the command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        root = RootKeys.parse(_content(options.root))
        frames = None if options.frames is None else _content(options.frames)
        statements, seals = ([_content(path) for path in paths] for paths in (options.statement, options.seal))
        others = [_other(path) for path in options.kept]
        report = verify_proof(_content(options.bundle), root, frames, statements, seals, options.least_revision, others)
    except (EvidenceError, OSError) as error:
        if options.json:
            print(json.dumps({"believed": False, "unreadable": str(error)}, ensure_ascii=False, indent=2))
        print(f"thermogen-verify: cannot be read: {error}", file=sys.stderr)
        return UNREADABLE
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(report, options)))
    return BELIEVED if report.believed else REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-verify",
        description="Redo every step of an attested day from its proof bundle, believing only the root keys given. Needs no network.",
        epilog="exit status: 0 believed, 1 refused, 2 unreadable",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the day's proof bundle")
    parser.add_argument("--root", type=Path, required=True, metavar="FILE", help="the root keys to believe: the pin")
    parser.add_argument("--frames", type=Path, metavar="FILE", help="the bundle's companion, to recompute every leaf")
    parser.add_argument(
        "--statement", type=Path, action="append", default=[], metavar="FILE", help="a witness's statement that the bundle does not have"
    )
    parser.add_argument(
        "--seal", type=Path, action="append", default=[], metavar="FILE", help="another seal of the site that was kept, of any epoch"
    )
    parser.add_argument(
        "--bundle",
        dest="kept",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another bundle that was kept: one of the same day may show that a cloud attested it twice",
    )
    parser.add_argument(
        "--least-revision",
        type=int,
        metavar="N",
        help="of the trust list: the newest that was in the log when the day's witnesses were drawn",
    )
    parser.add_argument("--json", action="store_true", help="every step as one JSON object on standard output")
    return parser


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FRAMES_BYTES + 1)
    if len(data) > MAX_FRAMES_BYTES:
        raise EvidenceError(f"{path}: more than {MAX_FRAMES_BYTES} bytes; no evidence of one day is that long")
    return data


def _other(path: Path) -> OtherBundle:
    """Named in what is said of it: there may be many."""
    try:
        return OtherBundle.parse(_content(path))
    except EvidenceError as error:
        raise EvidenceError(f"--bundle {path}: {error}") from error


def _lines(report: ProofReport, options: argparse.Namespace) -> list[str]:
    lines = [
        f"root keys  {options.root}: SHA3-256 {report.root_fingerprint.hex()}",
        f"bundle     {options.bundle}: SHA3-256 {report.bundle_hash.hex()}",
    ]
    for step in report.steps:
        lines += ["", step.title, *(_line(check) for check in step.checks)]
    return [*lines, "", *_result(report)]


def _line(check: Check) -> str:
    code = f" [{check.reason}]" if check.reason else ""
    return f"  {_MARK[check.passed]} {check.name}: {check.detail}{code}"


def _result(report: ProofReport) -> list[str]:
    wrong, attestation = report.first_wrong, report.attestation
    if wrong is not None or attestation is None:
        return ["REFUSED, first wrong:", *([] if wrong is None else [_line(wrong)])]
    demonstration = ", DEMONSTRATION" if report.demonstration else ""
    return [
        f"BELIEVED: {tonnes(attestation.amount)} t CO2e of {attestation.site}, day {attestation.day}, {attestation.label}{demonstration}",
        "This rests on:",
        *(f"  - {sentence}" for sentence in report.rests_on),
    ]
