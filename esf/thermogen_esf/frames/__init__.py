"""Frames: what crosses between a site and the cloud.

`decode` and `encode` turn bytes into one of seven frozen values and back; every declaration is in `declared`, every byte is specified in
the generated document.
"""

from .capture import Captured, split_capture
from .codec import decode, encode, frame_hash
from .codes import AlertCode, CommandCode, FrameFlag, FrameType, Result, RootSource, Severity
from .columns import Columns, decode_batch_columns
from .declared import MAX_ALERTS, MAX_FRAME_BYTES, MAX_LEAVES, MAX_TEXT_BYTES, VERSION
from .errors import (
    ChecksumError,
    EncodeError,
    FieldError,
    FrameError,
    FrameTypeError,
    MagicError,
    OversizedError,
    TrailingBytesError,
    TruncatedError,
    VersionError,
)
from .header import Header, site_identity
from .messages import Acknowledgement, Alert, Batch, Command, Frame, Receipt, SignedFrame, Writes
from .signing import frame_context, sign_frame, signing_context, verify_frame
from .telemetry import Channel, Telemetry

__all__ = [
    "MAX_ALERTS",
    "MAX_FRAME_BYTES",
    "MAX_LEAVES",
    "MAX_TEXT_BYTES",
    "VERSION",
    "Acknowledgement",
    "Alert",
    "AlertCode",
    "Batch",
    "Captured",
    "Channel",
    "ChecksumError",
    "Columns",
    "Command",
    "CommandCode",
    "EncodeError",
    "FieldError",
    "Frame",
    "FrameError",
    "FrameFlag",
    "FrameType",
    "FrameTypeError",
    "Header",
    "MagicError",
    "OversizedError",
    "Receipt",
    "Result",
    "RootSource",
    "Severity",
    "SignedFrame",
    "Telemetry",
    "TrailingBytesError",
    "TruncatedError",
    "VersionError",
    "Writes",
    "decode",
    "decode_batch_columns",
    "encode",
    "frame_context",
    "frame_hash",
    "sign_frame",
    "signing_context",
    "site_identity",
    "split_capture",
    "verify_frame",
]
