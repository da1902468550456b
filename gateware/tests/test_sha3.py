"""SHA3-256 against the standard library's."""

from __future__ import annotations

import hashlib
import random

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_gateware.sha3 import Sha3

PERMUTATION_CLOCKS = {False: 5_000, True: 24}
"""By whether it is the fast form."""
FORMS = pytest.mark.parametrize("fast", [False, True], ids=["small", "fast"])


def messages(lengths):
    source = random.Random(202)
    return [source.randbytes(length) for length in lengths]


def digests(streams, given: list[bytes], fast: bool, gaps: bool = False) -> tuple[list[bytes], int]:
    """What the core answers to the messages, one after the other, and the clocks it took; `gaps` makes its user pause at random."""
    dut = Sha3(fast)
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


@FORMS
@pytest.mark.parametrize("length", [0, 1, 135, 136, 137])
def test_digest_is_right_at_every_edge_of_the_padding(streams, length, fast):
    (message,) = messages([length])
    answers, _ = digests(streams, [message], fast)
    assert answers == [hashlib.sha3_256(message).digest()]


@FORMS
def test_messages_in_a_row_do_not_leak_into_each_other(streams, fast):
    given = messages([65, 8, 65])
    answers, _ = digests(streams, given, fast, gaps=True)
    assert answers == [hashlib.sha3_256(message).digest() for message in given]


@FORMS
def test_a_permutation_stays_within_its_clocks(streams, fast):
    given = messages([272])
    answers, clocks = digests(streams, given, fast)
    assert answers == [hashlib.sha3_256(given[0]).digest()]
    # Three blocks: two of message, one of padding alone. The fast form permutes the first two while it absorbs the others.
    permutations, absorbing = (1, 3 * 136) if fast else (3, 3 * (136 + 34))
    assert clocks < permutations * PERMUTATION_CLOCKS[fast] + absorbing + 200


@pytest.mark.slow
def test_a_whole_leaf_is_hashed(streams):
    given = messages([507])
    answers, _ = digests(streams, given, fast=False)
    assert answers == [hashlib.sha3_256(message).digest() for message in given]


@pytest.mark.slow
@FORMS
def test_any_messages_in_any_order(streams, fast):
    @settings(max_examples=4 if fast else 3)
    @given(st.lists(st.binary(max_size=300 if fast else 140), min_size=1, max_size=3), st.booleans())
    def hashed(given, gaps):
        assert digests(streams, given, fast, gaps)[0] == [hashlib.sha3_256(message).digest() for message in given]

    hashed()
