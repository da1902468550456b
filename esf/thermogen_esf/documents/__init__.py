"""The documents that the declarations write: what they say is what the code does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .attestation_odds import odds_document
from .frames import frames_document
from .points import points_document

DOCUMENTS: dict[str, Callable[[], str]] = {
    "esf-frames.md": frames_document,
    "points.md": points_document,
    "attestation-odds.md": odds_document,
}
"""File names and what makes their text."""


def stale(directory: Path) -> list[str]:
    """Names of the documents in `directory` that are missing or not what the declarations say."""
    return [name for name, text in DOCUMENTS.items() if not (directory / name).is_file() or (directory / name).read_text("utf-8") != text()]


def write(directory: Path) -> list[str]:
    """Write those that are stale and give their names. OSError where the directory cannot be written."""
    names = stale(directory)
    for name in names:
        (directory / name).write_text(DOCUMENTS[name](), "utf-8")
    return names
