"""`thermogen-esf`: show frames, make trust lists, write the generated documents.

Exit codes: 0 all was well; 1 something in the input is no frame, or a document is not up to date; 2 the command line or a file cannot
be used.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .ceremony.command import add_to as add_ceremony
from .describing import Line, describe
from .documents import stale, write
from .frames import Batch, Frame, FrameError, Telemetry, encode, split_capture
from .points import ChannelState

MAX_CAPTURE_BYTES = 256 << 20
_OK, _NOT_FRAMES, _UNUSABLE = 0, 1, 2


class InputError(Exception):
    """The input cannot be read; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except InputError as error:
        print(f"thermogen-esf: {error}", file=sys.stderr)
        return _UNUSABLE
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-esf", description="Frames of Thermogen Zero, the documents that specify them, and trust lists."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    decode = commands.add_parser(
        "decode",
        help="show a frame, or all frames of a capture, field by field",
        description="Show a frame, or all frames of a capture, field by field. Damaged stretches are named and passed over.",
        epilog="exit codes: 0 all frames decoded, 1 something is no frame, 2 the input cannot be read",
    )
    decode.add_argument("file", nargs="?", default="-", metavar="FILE", help="the bytes; - is standard input (the default)")
    decode.add_argument(
        "--hex",
        metavar="HEX",
        help="hexadecimal digits, blanks allowed, instead of FILE; - reads them from standard input",
    )
    decode.add_argument("--leaves", action="store_true", help="show every field of a batch's leaves, and channels that are absent")
    decode.add_argument("--json", action="store_true", help="one JSON object per frame and line, always with all fields")
    decode.set_defaults(run=_decode)
    document = commands.add_parser(
        "document",
        help="write the generated documents",
        description="Write esf-frames.md and points.md from the declarations.",
        epilog="exit codes: 0 written or up to date, 1 not up to date, 2 the directory cannot be used",
    )
    document.add_argument("--directory", type=Path, default=Path("docs"), help="where the documents are (docs)")
    document.add_argument("--check", action="store_true", help="write nothing, name the documents that are not up to date")
    document.set_defaults(run=_document)
    add_ceremony(commands)
    return parser


def _decode(options: argparse.Namespace) -> int:
    data = _input(options)
    if not data:
        raise InputError("the input is empty: name a file, give --hex, or send bytes to standard input")
    stretches = failures = 0
    for captured in split_capture(data):
        stretches += 1
        if isinstance(captured.frame, FrameError):
            failures += 1
            _show_error(captured.offset, len(captured.data), captured.frame, as_json=options.json)
        elif options.json:
            print(json.dumps({"offset": captured.offset, **_frame_json(captured.frame, captured.data)}))
        else:
            _show(captured.frame, captured.data, captured.offset, whole=options.leaves)
    if failures:
        sys.stdout.flush()
        print(f"thermogen-esf: {failures} of {stretches} stretches are no frame", file=sys.stderr)
    return _NOT_FRAMES if failures else _OK


def _input(options: argparse.Namespace) -> bytes:
    if options.hex is not None:
        if options.file != "-":
            raise InputError("give FILE or --hex, not both")
        digits = _bounded(sys.stdin.buffer).decode("ascii", "replace") if options.hex == "-" else options.hex
        try:
            return bytes.fromhex(digits)
        except ValueError as error:
            raise InputError(f"--hex: {error}; give pairs of hexadecimal digits") from None
    if options.file == "-":
        return _bounded(sys.stdin.buffer)
    try:
        with Path(options.file).open("rb") as file:
            return _bounded(file)
    except OSError as error:
        raise InputError(f"{options.file}: {error.strerror}; name a file that can be read") from None


def _bounded(file: BinaryIO) -> bytes:
    data = file.read(MAX_CAPTURE_BYTES + 1)
    if len(data) > MAX_CAPTURE_BYTES:
        raise InputError(f"a capture is at most {MAX_CAPTURE_BYTES >> 20} MiB here; cut it into pieces")
    return data


def _show_error(offset: int, size: int, error: FrameError, as_json: bool) -> None:
    if as_json:
        problem = {"kind": type(error).__name__, "offset": error.offset, "field": error.field, "problem": error.problem}
        print(json.dumps({"offset": offset, "bytes": size, "error": problem}))
    else:
        print(f"{size} bytes at offset {offset} are no frame\n  {type(error).__name__}: {error}\n")


def _show(frame: Frame, data: bytes, offset: int, whole: bool) -> None:
    print(f"{frame.type.name.lower()}, {len(data)} bytes at offset {offset}")
    absent = frozenset[str]()
    if isinstance(frame, Telemetry) and not whole:
        absent = frozenset(f"channels[{number}]" for number, each in enumerate(frame.channels) if each.state == ChannelState.ABSENT)
        if absent:
            print(f"  {len(absent)} of {len(frame.channels)} channels are absent; --leaves shows them")
    for line in describe(frame, data):
        if line.field.partition(".")[0] not in absent:
            _print_line(line)
    if isinstance(frame, Batch):
        _show_contents(frame, whole)
    print()


def _print_line(line: Line) -> None:
    print(f"{line.offset:>6} {line.size:>5}  {line.field:<26}  {line.shown}{' ' if line.unit else ''}{line.unit}")


def _show_contents(batch: Batch, whole: bool) -> None:
    for number, leaf in enumerate(batch.leaves):
        try:
            telemetry = Telemetry(leaf)
        except FrameError as error:
            print(f"  leaves[{number}] is no telemetry: {error}")
            continue
        if whole:
            print(f"  leaves[{number}]:")
            _show(telemetry, encode(telemetry), 0, whole)
            continue
        header, volts, watts = telemetry.header, telemetry.value("bus_voltage"), telemetry.value("channel_power")
        print(
            f"  leaves[{number}]: sequence {header.sequence}, time {header.time}, bus {float(volts):.2f} V, channels {float(watts):.1f} W"
        )
    for number, alert in enumerate(batch.alerts):
        print(f"  alerts[{number}]:")
        _show(alert, encode(alert), 0, whole)


def _frame_json(frame: Frame, data: bytes) -> dict[str, Any]:
    content: dict[str, Any] = {"type": frame.type.name.lower(), "bytes": len(data)}
    content["fields"] = {line.field: line.as_json() for line in describe(frame, data)}
    if isinstance(frame, Batch):
        content["leaves"] = [_leaf_json(leaf) for leaf in frame.leaves]
        content["alerts"] = [_frame_json(alert, encode(alert)) for alert in frame.alerts]
    return content


def _leaf_json(leaf: bytes) -> dict[str, Any]:
    try:
        telemetry = Telemetry(leaf)
    except FrameError as error:
        return {"error": {"kind": type(error).__name__, "offset": error.offset, "field": error.field, "problem": error.problem}}
    return _frame_json(telemetry, encode(telemetry))


def _document(options: argparse.Namespace) -> int:
    directory: Path = options.directory
    if not directory.is_dir():
        raise InputError(f"{directory} is no directory: run this in the project's root, or name one with --directory")
    if options.check:
        names = stale(directory)
        for name in names:
            print(f"{directory / name} is not up to date: run thermogen-esf document")
        return _NOT_FRAMES if names else _OK
    try:
        for name in write(directory):
            print(directory / name)
    except OSError as error:
        raise InputError(f"{directory}: {error.strerror}") from None
    return _OK


if __name__ == "__main__":
    sys.exit(main())
