"""Signatures over frames: all bytes before `signature`, under a context string that names the frame's type."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ..signatures import SIGNATURE_BYTES, SigningKey, key_id, verify
from .codec import encode
from .codes import FrameType
from .declared import CRC_BYTES
from .messages import Acknowledgement, Batch, Command, Receipt, SignedFrame, Writes

_AFTER = SIGNATURE_BYTES + CRC_BYTES
_Signed = TypeVar("_Signed", Batch, Command, Receipt, Acknowledgement, Writes)


def signing_context(name: str) -> bytes:
    """The context string of what is signed: a frame type's name, `approval` or `bundle`."""
    return f"thermogen/{name}/v1".encode("ascii")


def frame_context(frame_type: FrameType) -> bytes:
    """The context string of a signed frame's type."""
    return signing_context(frame_type.name.lower())


def sign_frame(frame: _Signed, key: SigningKey) -> _Signed:
    """The frame with key identifier and signature filled in."""
    named = replace(frame, key_id=key.key_id, signature=bytes(SIGNATURE_BYTES))
    return replace(named, signature=key.sign(encode(named)[:-_AFTER], frame_context(frame.type)))


def verify_frame(frame: SignedFrame, public_key: bytes, data: bytes | None = None) -> bool:
    """Whether the key signed the frame. `data` are the bytes that it was decoded from, if at hand: they save encoding it again."""
    if frame.key_id != key_id(public_key):
        return False
    return verify(public_key, (encode(frame) if data is None else data)[:-_AFTER], frame.signature, frame_context(frame.type))
