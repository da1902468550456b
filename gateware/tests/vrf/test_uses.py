"""What reaches the prover, byte for byte, and what never does."""

import random

from amaranth.sim import Simulator
from thermogen_esf.vrf_inputs import SEAL_FIELDS, draw_input, seal_input
from thermogen_gateware.vrf.prover import ProverError
from thermogen_gateware.vrf.uses import ProofUses

SOURCE = random.Random(5)
FIELDS = {name: SOURCE.getrandbits(bits) for name, bits in (("site", 64), ("epoch", 32), ("boot_count", 32), ("leaf_count", 16))}
FIELDS |= {name: SOURCE.getrandbits(64) for name in ("profile_hash", "calibration_hash")}


def octets(name: str) -> bytes:
    return FIELDS[name].to_bytes(SEAL_FIELDS[name], "big")


def seal(previous: bytes, root: bytes) -> bytes:
    return seal_input({**{name: octets(name) for name in FIELDS}, "previous": previous, "root": root})


def draw(drawn: bytes) -> bytes:
    return draw_input({"site": octets("site"), "day": drawn[:4], "root": drawn[4:36], "beacon": drawn[36:]})


def run(streams, requests, error=ProverError.NONE, refuse=False):
    """The alphas that the prover was given, the answers and how often there was none, for ("seal" or "draw", bytes) in turn."""
    dut = ProofUses()
    alphas, answers, order, failures = [], [], [], []
    proofs = [SOURCE.randbytes(144) for _ in requests]

    async def prover(ctx):
        while True:
            alphas.append(await streams.take_bytes(ctx, dut.alpha))
            order.append("alpha")
            if error is ProverError.NONE:
                await streams.put_bytes(ctx, dut.result, proofs[len(alphas) - 1])
            ctx.set(dut.error, error)
            ctx.set(dut.done, 1)
            await ctx.tick()
            ctx.set(dut.done, 0)

    async def keeper(ctx):
        while True:
            while not ctx.get(dut.advance):
                await ctx.tick()
            order.append("advance")
            await ctx.tick().repeat(20)
            signal = dut.refused if refuse else dut.advanced
            ctx.set(signal, 1)
            await ctx.tick()
            ctx.set(signal, 0)

    async def watch(ctx):
        async for _, _, failed in ctx.tick().sample(dut.failed):
            if failed:
                failures.append(failed)

    async def use(ctx):
        for name, value in FIELDS.items():
            ctx.set(getattr(dut, name), value)
        for kind, given in requests:
            before = len(failures)
            if kind == "seal":
                await streams.put_bytes(ctx, dut.root, given)
            else:
                for byte in given:
                    await streams.put(ctx, dut.draw, byte)
            if refuse or error is not ProverError.NONE:
                for _ in range(500):
                    await ctx.tick()
                assert len(failures) == before + 1
            else:
                answers.append(await streams.take_bytes(ctx, dut.answer))
                await ctx.tick().repeat(3)

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    for background in (prover, keeper, watch):
        simulator.add_testbench(background, background=True)
    simulator.add_testbench(use)
    simulator.run()
    return alphas, answers, order, failures, proofs


def test_seals_are_chained_and_draws_leave_the_chain_alone(streams):
    roots, drawn = [SOURCE.randbytes(32) for _ in range(2)], SOURCE.randbytes(68)
    alphas, answers, order, failures, proofs = run(streams, [("seal", roots[0]), ("draw", drawn), ("seal", roots[1])])
    assert alphas == [seal(bytes(32), roots[0]), draw(drawn), seal(proofs[0][80:112], roots[1])]
    assert answers == proofs
    # The counter moves before the prover hears of a seal, and not for a draw.
    assert order == ["advance", "alpha", "alpha", "advance", "alpha"]
    assert not failures


def test_a_counter_that_does_not_move_stops_the_seal(streams):
    alphas, answers, order, _, _ = run(streams, [("seal", bytes(32)), ("seal", bytes(32))], refuse=True)
    assert (alphas, answers, order) == ([], [], ["advance", "advance"])


def test_a_prover_without_an_answer_is_told(streams):
    alphas, answers, _, failures, _ = run(streams, [("seal", bytes(32)), ("draw", bytes(68))], error=ProverError.NO_POINT)
    assert (len(alphas), answers, len(failures)) == (2, [], 2)


def test_the_two_uses_cannot_be_taken_for_each_other():
    assert len(seal(bytes(32), bytes(32))) != len(draw(bytes(68)))
    assert seal(bytes(32), bytes(32))[:8] != draw(bytes(68))[:8]
