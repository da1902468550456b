"""SHA3-256 against the standard library's."""

from __future__ import annotations

import hashlib
import random

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.sha3 import Sha3

PERMUTATION_CLOCKS = 1_700
"""What the rest of the node budgets for one permutation."""


def messages(lengths):
    source = random.Random(202)
    return [source.randbytes(length) for length in lengths]


def digests(streams, given: list[bytes], gaps: bool = False) -> tuple[list[bytes], int]:
    """What the core answers to the messages, one after the other, and the clocks it took; `gaps` makes its user pause at random."""
    dut = Sha3()
    answers: list[bytes] = []
    clocks = 0
    pause = random.Random(1)

    async def use(ctx):
        for message in given:
            transfers = [(byte, 1, number == len(message) - 1) for number, byte in enumerate(message)] or [(0xFF, 0, 1)]
            for byte, keep, last in transfers:
                if gaps:
                    await ctx.tick().repeat(pause.randrange(1, 4))
                await streams.put(ctx, dut.message, {"data": byte, "keep": keep, "last": last})
            if gaps:
                await ctx.tick().repeat(2_000)
            answers.append(await streams.take_bytes(ctx, dut.digest))

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


@pytest.mark.parametrize("length", [0, 1, 135, 136, 137])
def test_digest_is_right_at_every_edge_of_the_padding(streams, length):
    (message,) = messages([length])
    answers, _ = digests(streams, [message])
    assert answers == [hashlib.sha3_256(message).digest()]


def test_messages_in_a_row_do_not_leak_into_each_other(streams):
    given = messages([65, 8, 65])
    answers, _ = digests(streams, given, gaps=True)
    assert answers == [hashlib.sha3_256(message).digest() for message in given]


def test_a_permutation_stays_within_its_clocks(streams):
    given = messages([272])
    answers, clocks = digests(streams, given)
    assert answers == [hashlib.sha3_256(given[0]).digest()]
    # Three blocks: two of message, one of padding alone.
    assert clocks < 3 * (PERMUTATION_CLOCKS + 136 + 17) + 100


@pytest.mark.slow
def test_a_whole_leaf_is_hashed(streams):
    given = messages([507, 1000])
    answers, _ = digests(streams, given)
    assert answers == [hashlib.sha3_256(message).digest() for message in given]
