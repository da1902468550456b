"""Markdown tables and annotated bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ..describing import Line

_RUN_BYTES = 16
"""Equal bytes from this many on are written as `00 × 24`."""
_ROW_WORDS = 16


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table, with `|` in cells escaped."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def annotated_bytes(data: bytes, lines: Iterable[Line]) -> str:
    """A block of `offset  bytes  | field  meaning` rows that holds all of `data`; long fields go on in rows without an offset."""
    rows = []
    for line in lines:
        words = _words(data[line.offset : line.offset + line.size])
        unit = f" {line.unit}" if line.unit else ""
        shown = "" if len(line.shown) > _ROW_WORDS and line.shown == line.raw else f"  {line.shown}{unit}"  # the bytes beside it say it
        rows.append((f"{line.offset:5}", " ".join(words[:_ROW_WORDS]), f"  | {line.field}{shown}"))
        rows += [(" " * 5, " ".join(words[at : at + _ROW_WORDS]), "") for at in range(_ROW_WORDS, len(words), _ROW_WORDS)]
    width = max(len(row[1]) for row in rows)
    return "```hex\n" + "\n".join(f"{offset}  {shown.ljust(width)}{meaning}".rstrip() for offset, shown, meaning in rows) + "\n```"


def _words(data: bytes) -> list[str]:
    words = []
    for value, run in groupby(data):
        count = len(list(run))
        words += [f"{value:02x} × {count}"] if count >= _RUN_BYTES else [f"{value:02x}"] * count
    return words
