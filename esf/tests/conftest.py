"""Frames of every kind: worked ones, and whatever hypothesis can think of."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from thermogen_esf.frames import (
    MAX_TEXT_BYTES,
    Acknowledgement,
    Alert,
    Batch,
    Channel,
    Command,
    Frame,
    FrameFlag,
    Header,
    Receipt,
    Result,
    RootSource,
    Severity,
    Telemetry,
    Writes,
)
from thermogen_esf.layout import TELEMETRY_FIELDS
from thermogen_esf.points import TimeQuality
from thermogen_esf.scada import WriteKind
from thermogen_esf.signatures import KEY_ID_BYTES, SIGNATURE_BYTES

_U16, _U32, _I64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1)
_HASH = st.binary(min_size=32, max_size=32)
_SIGNED = {
    "key_id": st.binary(min_size=KEY_ID_BYTES, max_size=KEY_ID_BYTES),
    "signature": st.integers(0, 255).map(lambda value: bytes([value]) * SIGNATURE_BYTES),
}
_TEXT = st.text(max_size=MAX_TEXT_BYTES).filter(lambda text: len(text.encode()) <= MAX_TEXT_BYTES)
_HEADER = st.builds(
    Header, st.binary(min_size=8, max_size=8), _U32, _U32, st.sampled_from(TimeQuality), st.sampled_from([FrameFlag(0), FrameFlag.LIVE])
)
_TELEMETRY = st.builds(
    Telemetry.of,
    _HEADER,
    st.fixed_dictionaries({placed.point.identifier: st.integers(*placed.point.raw_limits) for placed in TELEMETRY_FIELDS}),
    st.lists(st.builds(Channel, st.integers(0, 4095), st.integers(0, 511), st.integers(0, 7)), max_size=108),
    st.binary(min_size=32, max_size=32),
)
_ALERT = st.builds(Alert, _HEADER, _U16, st.sampled_from(Severity), st.booleans(), _U16, _I64, _I64, _TEXT)
_LEAVES = st.lists(_TELEMETRY.map(lambda telemetry: telemetry.leaf), min_size=1, max_size=4)
_BATCH = st.builds(
    Batch,
    _HEADER,
    _U32,
    _U16,
    st.sampled_from(RootSource),
    _U32,
    _HASH,
    _HASH,
    st.builds(lambda leaves, repeats: (tuple(leaves) * repeats)[:90], _LEAVES, st.integers(1, 40)),
    st.lists(_ALERT, max_size=3).map(tuple),
    **_SIGNED,
)
_COMMAND = st.builds(Command, _HEADER, _U16, _U32, st.tuples(_I64, _I64), **_SIGNED)
_RECEIPT = st.builds(Receipt, _HEADER, _HASH, _U32, _U32, _U32, **_SIGNED)
_ACKNOWLEDGEMENT = st.builds(Acknowledgement, _HEADER, _U32, st.sampled_from(Result), _TEXT, **_SIGNED)
_EVENT = st.builds(
    lambda start, kind, rest: start + bytes([kind << 4 | rest[0] >> 4, rest[1]]),
    *(st.binary(min_size=14, max_size=14), st.sampled_from(WriteKind), st.binary(min_size=2, max_size=2)),
)
_WRITES = st.builds(Writes, _HEADER, _U16, _U32, st.lists(_EVENT, min_size=1, max_size=128).map(tuple), **_SIGNED)
_BY_NAME: dict[str, st.SearchStrategy[Frame]] = {
    "telemetry": _TELEMETRY,
    "command": _COMMAND,
    "alert": _ALERT,
    "batch": _BATCH,
    "receipt": _RECEIPT,
    "acknowledgement": _ACKNOWLEDGEMENT,
    "writes": _WRITES,
}


@pytest.fixture(scope="session")
def frames_of() -> dict[str, st.SearchStrategy[Frame]]:
    """Strategies for valid frames, by type name."""
    return _BY_NAME
