"""SHA-512 against the standard's examples and the standard library's."""

import hashlib
import random

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.vrf.sha512 import Sha512
from thermogen_gateware.vrf.sha512_message import LONGEST_MESSAGE, MessageBits

BLOCK_CLOCKS = 7680
"""Bytes included."""
DIGEST_CLOCKS = 16
EXAMPLES = {
    b"abc": (
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu": (
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
    ),
}
"""NIST's, of FIPS 180-2, C.1 and C.2."""


def blocks(message: bytes) -> int:
    """With the padding."""
    return (len(message) + 1 + 16 + 127) // 128


def digests(streams, given: list[bytes], ended_apart: bool = False, pause=lambda: 0) -> tuple[list[bytes], int]:
    """What the core answers to the messages, one after the other, and the clocks it took; `ended_apart` sends the end without a byte.
    Whoever gives and takes waits so many clocks each time."""
    dut = Sha512()
    answers: list[bytes] = []
    clocks = 0

    async def use(ctx):
        async def wait():
            for _ in range(pause()):
                await ctx.tick()

        for message in given:
            transfers = [(byte, 1, not ended_apart and number == len(message) - 1) for number, byte in enumerate(message)]
            if ended_apart or not message:
                transfers.append((0xFF, 0, 1))
            for byte, keep, last in transfers:
                await wait()
                await streams.put(ctx, dut.message, {"data": byte, "keep": keep, "last": last})
            words = []
            for _ in range(8):
                await wait()
                words.append((await streams.take(ctx, dut.digest)).to_bytes(8, "big"))
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


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: f"{len(message)} bytes")
def test_examples_of_the_standard(streams, message):
    assert digests(streams, [message])[0] == [bytes.fromhex(EXAMPLES[message])]


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
    assert clocks == sum(blocks(message) * BLOCK_CLOCKS + DIGEST_CLOCKS for message in given)


@pytest.mark.parametrize("seed", range(4))
def test_messages_of_any_length_at_any_pace(streams, seed):
    source = random.Random(seed)
    given = [source.randbytes(source.randrange(301)) for _ in range(3)]
    answers, _ = digests(streams, given, ended_apart=bool(seed % 2), pause=lambda: source.choice((0, 0, 0, 1, 2, 9, 40)))
    assert answers == [hashlib.sha512(message).digest() for message in given]


def test_time_does_not_depend_on_what_the_message_says(streams):
    source = random.Random(4)
    taken = [digests(streams, [message])[1] for message in (bytes(100), b"\xff" * 100, source.randbytes(100))]
    assert taken == [BLOCK_CLOCKS + DIGEST_CLOCKS] * 3


@pytest.mark.parametrize("length", [31, 32, LONGEST_MESSAGE])
def test_length_is_right_up_to_the_longest_message(length):
    """The padding alone, with no hash behind it: as fast as a bit a clock."""
    dut = MessageBits()
    taken: list[int] = []

    async def use(ctx):
        ctx.set(dut.absorbing, 1)
        ctx.set(dut.moves, 1)
        sent, byte, ended = 0, 0, False
        while not ended:
            ctx.set(dut.message.valid, sent < length)
            ctx.set(dut.message.payload, {"data": 0xA5, "keep": 1, "last": sent == length - 1})
            ctx.set(dut.byte, byte % 8)
            ctx.set(dut.word, byte // 8)
            sent += 1
            for place in range(8):
                ctx.set(dut.place, place)
                if place == 7 and byte == 127:
                    ctx.set(dut.block_ends, 1)
                    ended = bool(ctx.get(dut.last_block))
                await ctx.tick()
                taken.append(ctx.get(dut.bit))
            ctx.set(dut.block_ends, 0)
            byte = (byte + 1) % 128

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(use)
    simulator.run()
    as_bytes = bytes(sum(bit << place for place, bit in enumerate(taken[start : start + 8])) for start in range(0, len(taken), 8))
    padding = b"\x80" + bytes(-(length + 17) % 128) + (8 * length).to_bytes(16, "big")
    assert as_bytes == b"\xa5" * length + padding
