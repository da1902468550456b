"""What can be wrong with bytes that claim to be a frame, and with a frame that is to become bytes.

Bytes come from others: every `FrameError` names where they are wrong. A frame that cannot be encoded is a mistake on this side and has a
type of its own.
"""

from __future__ import annotations

from typing import Self


class FrameError(ValueError):
    """The bytes are not a frame. `offset` counts bytes from the start of what was decoded, `field` names what lies there."""

    def __init__(self, offset: int, field: str, problem: str) -> None:
        super().__init__(f"offset {offset}, {field}: {problem}")
        self.offset = offset
        self.field = field
        self.problem = problem

    def within(self, offset: int, field: str) -> Self:
        """The same error, as seen from a frame that holds this one in `field` at `offset`."""
        return type(self)(offset + self.offset, f"{field}.{self.field}", self.problem)


class TruncatedError(FrameError):
    """The bytes end before the frame does."""


class OversizedError(FrameError):
    """The length is above what any frame, or the frame's type, may have."""


class TrailingBytesError(FrameError):
    """The frame ends before the bytes do."""


class MagicError(FrameError):
    """The bytes do not begin as a frame does."""


class ChecksumError(FrameError):
    """The CRC is not that of the bytes before it: they were changed on the way."""


class VersionError(FrameError):
    """The frame is of a version that this decoder does not know."""


class FrameTypeError(FrameError):
    """The frame is of a type that this decoder does not know, or not of the type that belongs here."""


class FieldError(FrameError):
    """A field holds a value that it must not."""


class EncodeError(ValueError):
    """The frame cannot be encoded: `field` holds what its declaration does not allow."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
