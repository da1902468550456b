"""Captures: frames one after the other, as a log or a line monitor leaves them, damaged places included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..layout import MAGIC
from .codec import decode, envelope
from .errors import FrameError
from .messages import Frame

_MAGIC_BYTES = MAGIC.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Captured:
    """A stretch of a capture: a frame, or bytes that are none and why. An error's offset counts from the start of the stretch."""

    offset: int
    data: bytes
    frame: Frame | FrameError


def split_capture(data: bytes) -> Iterator[Captured]:
    """Every byte of a capture, in order, as frames and as stretches that are no frames.

    After a damaged place the search goes on at the next magic that begins a whole frame.
    """
    start = at = 0
    first_error: FrameError | None = None
    while at < len(data):
        try:
            length, frame = _frame_at(data, at)
        except FrameError as error:
            first_error = first_error or error
            following = data.find(_MAGIC_BYTES, at + 1)
            at = following if following >= 0 else len(data)
            continue
        if first_error:
            yield Captured(start, data[start:at], first_error)
            first_error = None
        yield Captured(at, data[at : at + length], frame)
        start = at = at + length
    if first_error:
        yield Captured(start, data[start:], first_error)


def _frame_at(data: bytes, at: int) -> tuple[int, Frame]:
    length = envelope(data[at : at + 65536])
    return length, decode(data[at : at + length])
