"""What the node says that it measures with is what was loaded, word for word, and nothing that was meant to be."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping

import pytest
from amaranth.sim import Simulator
from thermogen_esf.hostlink import CALIBRATION_BASE, CALIBRATION_HASH_BYTES, CALIBRATION_HASH_WORDS, CHANNEL_GAIN_BASE, calibration_hash
from thermogen_gateware.calibration_hash import CalibrationHash

from .calibration_words import AFTER_POWER_UP

LEAF = b"the first leaf"


def said(streams, loaded: Iterable[tuple[int, int]]) -> tuple[bytes, bytes]:
    """The node's hash after these words were loaded, and the message that was hashed. The core's other user is served after that."""
    dut = CalibrationHash()
    messages: list[bytes] = []
    given_back: list[bytes] = []
    values: list[int] = []

    async def hash_core(ctx):
        while True:
            messages.append(await streams.take_bytes(ctx, dut.core.message))
            await streams.put_bytes(ctx, dut.core.digest, hashlib.sha3_256(messages[-1]).digest())

    async def host(ctx):
        for address, word in loaded:
            ctx.set(dut.address, address)
            ctx.set(dut.data, word)
            ctx.set(dut.write, 1)
            await ctx.tick()
        ctx.set(dut.write, 0)
        await ctx.tick().repeat(20)
        assert not messages and not ctx.get(dut.ready)
        ctx.set(dut.armed, 1)
        await ctx.tick().until(dut.ready)

    async def user(ctx):
        for at, byte in enumerate(LEAF):
            await streams.put(ctx, dut.user.message, {"data": byte, "keep": 1, "last": at == len(LEAF) - 1})
        given_back.append(await streams.take_bytes(ctx, dut.user.digest))

    async def read(ctx):
        await ctx.tick().until(dut.ready)
        values.append(ctx.get(dut.value))
        await ctx.tick().repeat(1_000)
        assert ctx.get(dut.value) == values[0]

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(hash_core, background=True)
    for bench in (host, user, read):
        simulator.add_testbench(bench)
    simulator.run()
    assert messages[1:] == [LEAF] and given_back == [hashlib.sha3_256(LEAF).digest()]
    return values[0].to_bytes(CALIBRATION_HASH_BYTES, "big"), messages[0]


def expected(loaded: Mapping[int, int]) -> bytes:
    return calibration_hash([*({**AFTER_POWER_UP, **loaded}.values())])


def test_what_nobody_loaded_is_what_the_tables_have_after_power_up(streams):
    value, message = said(streams, [])
    assert message == b"".join(word.to_bytes(2, "big") for word in AFTER_POWER_UP.values())
    assert value == expected({})


@pytest.mark.parametrize("seed", range(3))
def test_every_word_that_was_loaded_counts_and_the_last_one_of_an_address(streams, seed):
    source = random.Random(seed)
    for_nothing = {address: source.getrandbits(16) for address in CALIBRATION_HASH_WORDS[::5]}
    loaded = {address: source.getrandbits(16) for address in source.sample(CALIBRATION_HASH_WORDS, 132 - 20 * seed)}
    value, _ = said(streams, [*for_nothing.items(), *loaded.items()])
    assert value == expected({**for_nothing, **loaded})


@pytest.mark.parametrize("address", [CALIBRATION_BASE, CALIBRATION_HASH_WORDS[23], CHANNEL_GAIN_BASE, CALIBRATION_HASH_WORDS[-1]])
def test_the_tables_ends_count(streams, address):
    value, _ = said(streams, [(address, AFTER_POWER_UP[address] ^ 1)])
    assert value == expected({address: AFTER_POWER_UP[address] ^ 1})
    assert expected({address: AFTER_POWER_UP[address] ^ 1}) != expected({})
