"""The store-and-forward buffer: what is measured outlives daemon, power and uplink."""

from .buffer import BatchDraft, Buffer, Depth, OpenEpoch, StoredBatch
from .command_log import CommandLog, Setpoints
from .database import SetAside
from .errors import BootsExhaustedError, BufferDamagedError, BufferError, BufferFullError, BufferVersionError
from .salvage import open_buffer

__all__ = [
    "BatchDraft",
    "BootsExhaustedError",
    "Buffer",
    "BufferDamagedError",
    "BufferError",
    "BufferFullError",
    "BufferVersionError",
    "CommandLog",
    "Depth",
    "OpenEpoch",
    "SetAside",
    "Setpoints",
    "StoredBatch",
    "open_buffer",
]
