"""The two inputs that a node's prover proves, byte by byte: gateware, witnesses and verifiers all build them from here.

Integers are big-endian, a use's fields follow its prefix without anything between. Prefix and length of the two differ, so that neither can
be taken for the other whatever its fields hold.
"""

from __future__ import annotations

from collections.abc import Mapping

HASH_BYTES = 32

SEAL_PREFIX = b"TZ seal1"
SEAL_FIELDS: dict[str, int] = {
    "site": 8,
    "epoch": 4,
    "boot_count": 4,
    "previous": HASH_BYTES,
    "leaf_count": 2,
    "root": HASH_BYTES,
    "profile_hash": 8,
    "calibration_hash": 8,
}
"""Bytes of each field of a seal: what an epoch of this site holds. `previous` is the first half of the output of the seal before it in the
same boot, zeros for the first of a boot."""

DRAW_PREFIX = b"TZ draw1"
DRAW_FIELDS: dict[str, int] = {"site": 8, "day": 4, "root": HASH_BYTES, "beacon": HASH_BYTES}
"""Bytes of each field of a draw. `site` is the drawing node's own; whose day it is follows from the root, whose leaves name their site."""

SEAL_BYTES = len(SEAL_PREFIX) + sum(SEAL_FIELDS.values())
DRAW_BYTES = len(DRAW_PREFIX) + sum(DRAW_FIELDS.values())


def seal_input(values: Mapping[str, bytes]) -> bytes:
    """A seal's input, 106 bytes, from its fields' bytes; ValueError for a field of another length."""
    return _joined(SEAL_PREFIX, SEAL_FIELDS, values)


def draw_input(values: Mapping[str, bytes]) -> bytes:
    """A draw's input, 84 bytes, from its fields' bytes; ValueError for a field of another length."""
    return _joined(DRAW_PREFIX, DRAW_FIELDS, values)


def seal_fields(data: bytes) -> dict[str, bytes]:
    """The fields of a seal's input; ValueError where the bytes are none."""
    if len(data) != SEAL_BYTES or not data.startswith(SEAL_PREFIX):
        raise ValueError(f"a seal's input is {SEAL_BYTES} bytes that begin with {SEAL_PREFIX!r}")
    values, at = {}, len(SEAL_PREFIX)
    for name, size in SEAL_FIELDS.items():
        values[name] = data[at : at + size]
        at += size
    return values


def _joined(prefix: bytes, fields: Mapping[str, int], values: Mapping[str, bytes]) -> bytes:
    for name, size in fields.items():
        if len(values[name]) != size:
            raise ValueError(f"{name} has {len(values[name])} bytes instead of {size}")
    return prefix + b"".join(values[name] for name in fields)
