"""The daemon's version, as people and as frames know it."""

from __future__ import annotations

VERSION = (0, 1, 0, 0)
"""Major, minor, patch, and a build that is 0 in releases; a byte each in the `daemon_version` point."""
TEXT = ".".join(str(part) for part in VERSION[:3])
RAW = int.from_bytes(bytes(VERSION), "big")
