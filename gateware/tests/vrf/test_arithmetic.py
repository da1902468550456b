"""The arithmetic unit against Python's integers, at the edges of its numbers and at random."""

import random

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.vrf.arithmetic import Arithmetic
from thermogen_gateware.vrf.instructions import Operation
from thermogen_gateware.vrf.program import SCRATCH_LOW, P

pytestmark = pytest.mark.slow

RADIX = 2**256
LATENCY = {Operation.MUL: 50, Operation.RMUL: 38}
SUM_LATENCY = 9
EDGES = [0, 1, 18, 19, 37, 38, P - 1, P, P + 1, 2**255 - 1, 2**255, 2**255 + 37, 2 * P - 1, 2 * P, 2 * P + 1, RADIX - 38, RADIX - 1]
SOURCE = random.Random(25519)
RANDOM = [SOURCE.getrandbits(256) for _ in range(8)]
A, B, RESULT = 3, 5, 7


class Unit:
    """A unit in a simulation, operation by operation."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut

    async def until(self, signal) -> int:
        clocks = 0
        while not self.ctx.get(signal):
            await self.ctx.tick()
            clocks += 1
            assert clocks < 200
        return clocks

    async def store(self, element: int, value: int) -> None:
        ctx, dut = self.ctx, self.dut
        await self.until(dut.idle)
        ctx.set(dut.write, 1)
        for word in range(4):
            ctx.set(dut.address, 4 * element + word)
            ctx.set(dut.written, value >> 64 * word & 2**64 - 1)
            await ctx.tick()
        ctx.set(dut.write, 0)

    async def load(self, element: int) -> int:
        ctx, dut = self.ctx, self.dut
        await self.until(dut.idle)
        value = 0
        for word in range(4):
            ctx.set(dut.address, 4 * element + word)
            await ctx.tick()
            value |= ctx.get(dut.word) << 64 * word
        return value

    async def start(self, operation, d, a, b) -> None:
        ctx, dut = self.ctx, self.dut
        await self.until(dut.ready)
        for port, value in ((dut.operation, operation), (dut.d, d), (dut.a, a), (dut.b, b), (dut.start, 1)):
            ctx.set(port, value)
        await ctx.tick()
        ctx.set(dut.start, 0)

    async def clocks(self, operation, d, a, b) -> int:
        """Carry out one operation; the clocks from its start."""
        await self.start(operation, d, a, b)
        return 1 + await self.until(self.dut.idle)


def simulate(use):
    dut = Arithmetic([0] * 128)

    async def testbench(ctx):
        await use(Unit(ctx, dut))

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def pairs():
    yield from ((a, b) for a in EDGES for b in (0, 1, 19, P - 1, P, 2**255, RADIX - 1))
    yield from zip(RANDOM, reversed(RANDOM), strict=True)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Operation.MUL, lambda a, b: a * b % P),
        (Operation.ADD, lambda a, b: (a + b) % P),
        (Operation.SUB, lambda a, b: (a - b) % P),
    ],
)
def test_field_operations_agree_with_integers(operation, expected):
    async def use(unit):
        for a, b in pairs():
            await unit.store(A, a)
            await unit.store(B, b)
            assert await unit.clocks(operation, RESULT, A, B) == LATENCY.get(operation, SUM_LATENCY)
            assert await unit.load(RESULT) % P == expected(a, b), (hex(a), hex(b))

    simulate(use)


def test_raw_operations_are_exact_and_set_their_flags():
    async def use(unit):
        carry = 0
        for a, b in pairs():
            await unit.store(A, a)
            await unit.store(B, b)
            for operation in (Operation.ADDR, Operation.ADCR, Operation.SUBR):
                value = {Operation.ADDR: a + b, Operation.ADCR: a + b + carry, Operation.SUBR: a - b + RADIX}[operation]
                assert await unit.clocks(operation, RESULT, A, B) == SUM_LATENCY
                assert await unit.load(RESULT) == value % RADIX
                carry = value // RADIX
                flags = [unit.ctx.get(flag) for flag in (unit.dut.carry, unit.dut.zero, unit.dut.odd, unit.dut.top)]
                assert flags == [carry, value % RADIX == 0, value & 1, value >> 255 & 1]

    simulate(use)


def test_a_product_of_integers_is_in_the_scratch():
    async def use(unit):
        for a, b in pairs():
            await unit.store(A, a)
            await unit.store(B, b)
            assert await unit.clocks(Operation.RMUL, RESULT, A, B) == LATENCY[Operation.RMUL]
            assert await unit.load(SCRATCH_LOW) + RADIX * await unit.load(SCRATCH_LOW + 1) == a * b

    simulate(use)


def test_operations_on_each_others_heels_use_each_others_results():
    a, b = RANDOM[:2]

    async def use(unit):
        await unit.store(A, a)
        await unit.store(B, b)
        expected_a, expected_b = a, b
        for number in range(40):
            operation = SOURCE.choice((Operation.MUL, Operation.ADD, Operation.SUB))
            x, y = {
                Operation.MUL: (expected_a * expected_b, expected_b),
                Operation.ADD: (expected_a + expected_b, expected_b),
                Operation.SUB: (expected_a - expected_b, expected_b),
            }[operation]
            await unit.start(operation, A, A, B)
            expected_a = x % P
            if number % 3 == 0:
                await unit.start(Operation.RMUL, 0, A, B)
            await unit.start(Operation.ADD, B, A, B)
            expected_b = (expected_a + y) % P
        assert await unit.load(A) % P == expected_a
        assert await unit.load(B) % P == expected_b

    simulate(use)
