"""A batch, opened: its frame, its hash and its leaves as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..frames import Batch, Columns, FrameTypeError, decode, decode_batch_columns, frame_hash
from ..layout import HEADER_OFFSET


@dataclass(frozen=True)
class OpenedBatch:
    """A decoded batch, not judged yet."""

    data: bytes
    """The whole frame, CRC included."""
    frame: Batch
    columns: Columns
    """The leaves' values, raw."""

    @classmethod
    def open(cls, data: bytes) -> OpenedBatch:
        """Decode a batch and its leaves; FrameError where the bytes are not a batch of well-formed telemetry."""
        frame = decode(data)
        if not isinstance(frame, Batch):
            raise FrameTypeError(HEADER_OFFSET["type"], "type", f"{frame.type.name.lower()} where a batch is needed")
        return cls(data, frame, decode_batch_columns(frame.leaves))

    @cached_property
    def hash(self) -> bytes:
        """SHA3-256 of the whole frame, 32 bytes."""
        return frame_hash(self.data)

    @property
    def site(self) -> bytes:
        """Identity of the site, 8 bytes."""
        return self.frame.header.site

    @property
    def number(self) -> int:
        """Number of the batch among the site's, from 0."""
        return self.frame.header.sequence

    @property
    def epoch(self) -> int:
        """Index of the quarter-hour."""
        return self.frame.epoch

    def continues(self, before: OpenedBatch) -> bool:
        """Whether this batch directly follows on `before` within one boot, so that counters run on from one to the other."""
        return (
            self.site == before.site
            and self.frame.previous == before.hash
            and self.frame.boot_count == before.frame.boot_count
            and self.frame.first_sequence == before.frame.last_sequence + 1
        )
