"""What a document of evidence can be refused for before anybody judges it."""

from __future__ import annotations


class EvidenceError(ValueError):
    """A document that cannot be read as what it claims to be, or a request that cannot be made; the text says why."""
