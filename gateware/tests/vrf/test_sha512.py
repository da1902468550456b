"""SHA-512 against the standard library's."""

import hashlib
import random

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.vrf.sha512 import Sha512

BLOCK_CLOCKS = 520
"""Besides those in which the bytes go in."""


def digests(streams, given: list[bytes], ended_apart: bool = False) -> tuple[list[bytes], int]:
    """What the core answers to the messages, one after the other, and the clocks it took; `ended_apart` sends the end without a byte."""
    dut = Sha512()
    answers: list[bytes] = []
    clocks = 0

    async def use(ctx):
        for message in given:
            transfers = [(byte, 1, not ended_apart and number == len(message) - 1) for number, byte in enumerate(message)]
            if ended_apart or not message:
                transfers.append((0xFF, 0, 1))
            for byte, keep, last in transfers:
                await streams.put(ctx, dut.message, {"data": byte, "keep": keep, "last": last})
            words = [(await streams.take(ctx, dut.digest)).to_bytes(8, "big") for _ in range(8)]
            answers.append(b"".join(reversed(words)))

    async def count(ctx):
        nonlocal clocks
        async for _ in ctx.tick():
            clocks += 1

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(use)
    simulator.add_testbench(count, background=True)
    simulator.run()
    return answers, clocks


@pytest.mark.parametrize("length", [0, 1, 111, 112, 127, 128])
@pytest.mark.parametrize("ended_apart", [False, True])
def test_digest_is_right_at_every_edge_of_the_padding(streams, length, ended_apart):
    message = random.Random(512).randbytes(length)
    answers, _ = digests(streams, [message], ended_apart)
    assert answers == [hashlib.sha512(message).digest()]


def test_messages_in_a_row_do_not_leak_into_each_other(streams):
    source = random.Random(180)
    given = [source.randbytes(length) for length in (200, 3, 64)]
    answers, clocks = digests(streams, given)
    assert answers == [hashlib.sha512(message).digest() for message in given]
    assert clocks < 4 * (128 + BLOCK_CLOCKS) + 3 * 20
