"""The states that stand for clocks are those that the shift register goes through, and all are different."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from thermogen_gateware.elapsed import ELAPSED_BITS, PERIOD, elapsed, elapsed_next

PRIME_FACTORS = (3, 5, 29, 43, 113, 127)
"""Of the number of states."""


def walked(first: int, clocks: int) -> list[int]:
    """The states that the shift register goes through from the one of `first` on."""
    m = Module()
    state = Signal(ELAPSED_BITS, init=elapsed(first))
    m.d.sync += state.eq(elapsed_next(state))
    states: list[int] = []

    async def watch(ctx):
        for _ in range(clocks):
            states.append(ctx.get(state))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(20e-9)
    simulator.add_testbench(watch)
    simulator.run()
    return states


def test_the_register_goes_through_the_states_in_order():
    assert walked(1_000_000, 200) == [elapsed(clocks) for clocks in range(1_000_000, 1_000_200)]


def test_no_state_comes_twice_before_all_have_come():
    assert walked(PERIOD - 1, 2)[1] == elapsed(0)
    remaining = PERIOD
    for prime in PRIME_FACTORS:
        assert remaining % prime == 0
        remaining //= prime
        assert elapsed(PERIOD // prime) != elapsed(0)
    assert remaining == 1


def test_more_clocks_than_there_are_states_are_refused():
    with pytest.raises(ValueError, match="not told apart"):
        elapsed(PERIOD)
