"""The one base of everything the daemon refuses or loses."""

from __future__ import annotations


class EdgeError(Exception):
    """Something outside the daemon is not as it has to be; the text says what, and what the person can do."""
