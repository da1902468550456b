"""One telemetry frame's fields in the encodings that a user would take instead: protobuf, CBOR and MessagePack.

Every peer carries the same raw integers: the header's, the site's points and the 108 channels' current, duty and state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Scalars = dict[str, int]
Channels = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One encoding of the frame: its name and the two directions."""

    name: str
    encode: Callable[[], bytes]
    decode: Callable[[bytes], object]


def peers(scalars: Scalars, channels: Channels) -> tuple[Peer, ...]:
    """The peers for one frame's raw values: scalars by identifier, channel values by identifier."""
    values: list[int | list[int]] = [*scalars.values(), *channels.values()]
    named: dict[str, int | list[int]] = {**scalars, **channels}
    return (
        _protobuf(scalars, channels),
        Peer("CBOR map", lambda: cbor2.dumps(named), cbor2.loads),
        Peer("CBOR array", lambda: cbor2.dumps(values), cbor2.loads),
        Peer("MessagePack map", lambda: msgpack.packb(named), msgpack.unpackb),
        Peer("MessagePack array", lambda: msgpack.packb(values), msgpack.unpackb),
    )


def _protobuf(scalars: Scalars, channels: Channels) -> Peer:
    message = _message_class(tuple(scalars), tuple(channels))

    def encode() -> bytes:
        filled = message(**scalars, **channels)
        encoded: bytes = filled.SerializeToString()
        return encoded

    return Peer("protobuf", encode, message.FromString)


def _message_class(scalars: tuple[str, ...], channels: tuple[str, ...]) -> Any:
    """The message as a schema author would declare it: zig-zag integers, packed repeats for the channels."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="telemetry.proto", package="bench", syntax="proto3")
    declared = file.message_type.add(name="Telemetry")
    for number, name in enumerate((*scalars, *channels), start=1):
        repeated = name in channels
        declared.field.add(
            name=name,
            number=number,
            type=kinds.TYPE_UINT64 if repeated else kinds.TYPE_SINT64,
            label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Telemetry"))
