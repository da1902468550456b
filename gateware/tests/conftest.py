"""What several gateware tests share: the far ends of a core's pins and streams."""

from __future__ import annotations

import pytest


class Streams:
    """One end of an Amaranth stream, driven from a testbench."""

    @staticmethod
    async def put(ctx, stream, payload) -> None:
        """Offer one transfer until it is taken."""
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(stream.ready)
        ctx.set(stream.valid, 0)

    @staticmethod
    async def take(ctx, stream):
        """Take one transfer, as its payload's fields."""
        ctx.set(stream.ready, 1)
        valid = False
        while not valid:
            _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        ctx.set(stream.ready, 0)
        return payload

    @classmethod
    async def put_bytes(cls, ctx, stream, message: bytes) -> None:
        """Offer bytes as `{data, last}` transfers."""
        for at, byte in enumerate(message):
            await cls.put(ctx, stream, {"data": byte, "last": at == len(message) - 1})

    @classmethod
    async def take_bytes(cls, ctx, stream) -> bytes:
        """Take bytes until `last`."""
        taken = bytearray()
        while True:
            payload = await cls.take(ctx, stream)
            if getattr(payload, "keep", 1):
                taken.append(payload.data)
            if payload.last:
                return bytes(taken)


@pytest.fixture
def streams() -> type[Streams]:
    return Streams
