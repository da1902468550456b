"""The key from noise: every bit of noise counts, however long ago it came, and the key stands from the first link on."""

from __future__ import annotations

import random

from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from thermogen_gateware.network.noise_key import FEEDBACK, KEY_BITS, PLACES, RINGS, NoiseKey

SYNCHRONISED = 2
"""Clocks from the noise to the register."""


def key_of(noise, link_at=None, reset_at=None):
    """The key after these noise words, a clock each."""
    dut, keys, reset = NoiseKey(), [], Signal()

    async def script(ctx):
        for clock, word in enumerate([*noise, *[0] * SYNCHRONISED]):
            ctx.set(dut.noise, word)
            ctx.set(dut.link, clock == link_at)
            ctx.set(reset, clock == reset_at)
            await ctx.tick()
        keys.extend([ctx.get(dut.key), ctx.get(dut.ready), ctx.get(dut.gathers)])

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(20e-9)
    simulator.add_testbench(script)
    simulator.run()
    return keys


def expected(noise):
    """The polynomial arithmetic that the register does: times x, and the noise added."""
    key = 0
    for word in noise:
        key = key << 1 ^ (FEEDBACK | 1 << KEY_BITS) * (key >> KEY_BITS - 1)
        for ring, place in enumerate(PLACES):
            key ^= (word >> ring & 1) << place
    return key


def test_the_key_is_the_noise_in_polynomial_arithmetic():
    noise = [random.Random(7).getrandbits(RINGS) for _ in range(500)]
    assert key_of(noise) == [expected(noise), 0, 1]


def test_each_bit_of_noise_changes_the_key_however_long_ago_it_was_and_by_itself():
    quiet = [0] * 300
    keys = {0}
    for clock in range(0, 300, 25):
        for ring in range(RINGS):
            noise = list(quiet)
            noise[clock] = 1 << ring
            key, _, _ = key_of(noise)
            keys.add(key)
    assert len(keys) == 1 + 12 * RINGS
    # One source alone fills all of it: the last 64 of its bits do, whichever.
    basis = [expected([1 << ring, *[0] * clocks]) for ring in range(RINGS) for clocks in range(KEY_BITS)]
    for ring in range(RINGS):
        assert rank(basis[ring * KEY_BITS :][:KEY_BITS]) == KEY_BITS


def rank(vectors):
    """Over GF(2)."""
    pivots = {}
    for vector in vectors:
        rest = vector
        while rest and rest.bit_length() in pivots:
            rest ^= pivots[rest.bit_length()]
        if rest:
            pivots[rest.bit_length()] = rest
    return len(pivots)


def test_the_key_stands_from_the_first_link_on():
    noise = [random.Random(8).getrandbits(RINGS) for _ in range(200)]
    at_link = expected(noise[: 100 - SYNCHRONISED + 1])
    assert key_of(noise, link_at=100) == [at_link, 1, 0]


def test_a_reset_takes_back_the_link_and_nothing_of_what_was_gathered():
    noise = [random.Random(9).getrandbits(RINGS) for _ in range(200)]
    assert key_of(noise, reset_at=100) == [expected(noise), 0, 1]
    # It goes on where it stood, from the reset on.
    gathered = [*noise[: 100 - SYNCHRONISED + 1], *noise[150 - SYNCHRONISED + 1 :]]
    assert key_of(noise, link_at=100, reset_at=150) == [expected(gathered), 0, 1]
