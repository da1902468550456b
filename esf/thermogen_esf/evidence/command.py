"""`thermogen-verify`: judge a credit's bundle by a pinned trust list, offline.

With `--root` in place of `--trust` the bundle is a proof bundle of an attested day, judged by `attestation.command`.
`thermogen-verify yield` says what each methodology gives for a site and year.

Exit status 0: believed. 1: refused, with the steps that refused. 2: the bundle or the trust list cannot be read as one.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .attestation import command as attestation_command
from .bundle import MAX_BUNDLE_BYTES
from .check import Check
from .errors import EvidenceError
from .mint import tonnes
from .trust import TrustList
from .verification import Part, PartKind, Report, verify_bundle
from .yields import REFERENCE, Site, lines, yields

BELIEVED, REFUSED, UNREADABLE = 0, 1, 2

_MARK = {True: "✓", False: "✗", None: "–"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    make_printable()
    if given[:1] == ["yield"]:
        return _yield(given[1:])
    if any(each == "--root" or each.startswith("--root=") for each in given):
        return attestation_command.run(given)
    options = _parser().parse_args(given)
    try:
        trust = TrustList.parse(_content(options.trust))
        data = _content(options.bundle)
        previous = None if options.previous is None else _content(options.previous)
        report = verify_bundle(data, trust, previous)
    except (EvidenceError, OSError) as error:
        if options.json:
            print(json.dumps({"believed": False, "unreadable": str(error)}, ensure_ascii=False, indent=2))
        print(f"thermogen-verify: cannot be read: {error}", file=sys.stderr)
        return UNREADABLE
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(report, options, trust)))
    return BELIEVED if report.believed else REFUSED


def make_printable() -> None:
    """A terminal without ✓ shows ?: it does not stop a verification."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _yield(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="thermogen-verify yield",
        description="What each methodology gives for one site and year, and why the others give what they give.",
    )
    parser.add_argument("--power-w", type=_positive, default=REFERENCE.power_w, metavar="W", help="electrical power (%(default)s)")
    parser.add_argument(
        "--capacity", type=_percent, default=REFERENCE.capacity_percent, metavar="PERCENT", help="capacity factor (%(default)s)"
    )
    parser.add_argument(
        "--gas-cf-d", type=_positive, default=REFERENCE.gas_cf_d, metavar="CF", help="gas at full power, cf/day (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="exact amounts in 1e-6 t CO2e as JSON")
    options = parser.parse_args(arguments)
    site = Site(options.power_w, options.capacity, options.gas_cf_d)
    if options.json:
        print(json.dumps([each.to_json() for each in yields(site)], ensure_ascii=False, indent=2))
    else:
        print("\n".join(lines(site)))
    return BELIEVED


def _positive(text: str) -> int:
    value = int(text)
    if not 0 < value <= 1_000_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1,000,000,000")
    return value


def _percent(text: str) -> int:
    value = _positive(text)
    if value > 100:
        raise argparse.ArgumentTypeError(f"{text} is more than 100")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-verify",
        description="Recompute a carbon credit from its bundle, believing only the keys of a trust list. Needs no network.",
        epilog="exit status: 0 believed, 1 refused, 2 unreadable."
        " An attested day's proof bundle: thermogen-verify --root FILE --help. What a site may yield: thermogen-verify yield --help."
        " A log's growth: thermogen-verify monitor --help.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the credit's bundle")
    parser.add_argument(
        "--trust",
        type=Path,
        required=True,
        metavar="FILE",
        help="the trust list to believe; compare the fingerprint printed with its publisher's",
    )
    parser.add_argument(
        "--previous", type=Path, metavar="BUNDLE", help="bundle of the site's previous credit, to follow what was carried over from it"
    )
    parser.add_argument("--json", action="store_true", help="every step as one JSON object on standard output")
    parser.add_argument("--all", action="store_true", help="show each step of every epoch, not only those that did not pass")
    return parser


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BUNDLE_BYTES + 1)
    if len(data) > MAX_BUNDLE_BYTES:
        raise EvidenceError(f"{path}: more than {MAX_BUNDLE_BYTES} bytes; no bundle is that long")
    return data


def _lines(report: Report, options: argparse.Namespace, trust: TrustList) -> list[str]:
    kind = "demonstration list" if trust.demonstration else "not a demonstration list"
    lines = [
        f"trust list  {options.trust}: {kind}, SHA3-256 {report.trust_fingerprint.hex()}",
        f"bundle      {options.bundle}: SHA3-256 {report.bundle_hash.hex()}",
    ]
    epochs = [part for part in report.parts if part.kind is PartKind.EPOCH]
    for part in report.parts:
        if part.kind is not PartKind.EPOCH or options.all:
            lines += ["", part.title, *(_line(check) for check in part.checks)]
            continue
        if part is epochs[0]:
            lines += ["", f"epochs, each by: {', '.join(dict.fromkeys(check.name for epoch in epochs for check in epoch.checks))}"]
        lines += _summary(part)
    return [*lines, "", *_result(report)]


def _line(check: Check, indent: str = "  ") -> str:
    code = f" [{check.reason}]" if check.reason else ""
    return f"{indent}{_MARK[check.passed]} {check.name}: {check.detail}{code}"


def _summary(part: Part) -> list[str]:
    """An epoch in one line, and each of its steps that did not pass."""
    passed = sum(check.passed is True for check in part.checks)
    open_steps = [check for check in part.checks if check.passed is not True]
    return [
        f"  {_MARK[part.believed]} {part.title}: {part.summary}; {passed} of {len(part.checks)} steps pass",
        *(_line(check, "      ") for check in open_steps),
    ]


def _result(report: Report) -> list[str]:
    if not report.believed:
        return [f"REFUSED: {len(report.refusals)} of {len(report.checks)} steps refuse", *(_line(check) for check in report.refusals)]
    request = report.request
    assert request is not None, "a believed report has a request"
    return [
        f"BELIEVED: {request.serial}, {tonnes(request.amount)} t CO2e of {request.site}, {len(report.checks)} steps",
        "This rests on:",
        *(f"  - {sentence}" for sentence in report.rests_on),
    ]


if __name__ == "__main__":
    sys.exit(main())
