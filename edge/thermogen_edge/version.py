"""The daemon's version, as people and as frames know it: the distribution's, which pyproject.toml says."""

from __future__ import annotations

import importlib.metadata
import re

TEXT = importlib.metadata.version("thermogen-zero")


def raw(text: str) -> int:
    """A version as the `daemon_version` point has it: major u8, minor u8, patch u16, without what marks a state before a release."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        raise ValueError(f"{text!r} is no version of three numbers")
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major << 24 | minor << 16 | patch


RAW = raw(TEXT)
