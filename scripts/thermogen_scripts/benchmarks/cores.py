"""The node's cryptographic cores: what each takes of the LIFCL alone, how many clocks its work lasts, and the prover beside PyNaCl.

Areas are after synthesis, as docs/decisions/0009 has them. Clocks are counted, not timed: a proof at 50 MHz takes what they say on any
machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring
from amaranth.sim import Simulator
from thermogen_esf.layout import LEAF_BYTES
from thermogen_gateware.build.alone import COMB, EBR, FF, MULTIPLIERS, area_alone
from thermogen_gateware.custody.key_custody import KeyCustody
from thermogen_gateware.custody.sealer import Sealer
from thermogen_gateware.sha3 import Sha3
from thermogen_gateware.vrf.prover import Prover
from thermogen_gateware.vrf.sha512 import Sha512
from thermogen_sim.ecvrf import SoftwareProver
from thermogen_sim.vrf.prover import CLOCK_HZ, CompiledProver

from .measurement import Row, rate_per_s

TOPIC = "cryptographic cores"
CORES: tuple[tuple[str, Callable[[], wiring.Component]], ...] = (
    ("SHA3-256, small", Sha3),
    ("SHA3-256, fast", lambda: Sha3(fast=True)),
    ("SHA-512", Sha512),
    ("prover, with SHA-512", Prover),
    ("key custody", lambda: KeyCustody(CLOCK_HZ)),
    ("sealer, with prover and custody", lambda: Sealer(CLOCK_HZ)),
)
TRIES = 2
"""What a proof takes in the mean."""


def measure() -> list[Row]:
    """Areas, clocks of a leaf's hash and of a proof, proofs per second."""
    rows = []
    for name, core in CORES:
        with tempfile.TemporaryDirectory() as folder:
            area = area_alone(core(), Path(folder))
        others = f"{area[FF]:,} FF, {area[EBR]} EBR, {area[MULTIPLIERS]} multipliers"
        rows.append(Row(TOPIC, name, area[COMB], COMB, others))
    small, fast = (_leaf_clocks(fast) for fast in (False, True))
    rows += [
        Row(TOPIC, "a leaf's hash, small", small, "clocks", f"{1e3 * small / CLOCK_HZ:.2f} ms at {CLOCK_HZ / 1e6:.0f} MHz"),
        Row(TOPIC, "a leaf's hash, fast", fast, "clocks", f"{small / fast:.0f} times as fast"),
    ]
    return [*rows, *_proofs()]


def _leaf_clocks(fast: bool) -> int:
    """From the first byte of a leaf to the last of its digest."""
    core = Sha3(fast)
    clocks = 0

    async def hash_leaf(ctx):  # type: ignore[no-untyped-def]
        nonlocal clocks
        ctx.set(core.message.valid, 1)
        ctx.set(core.digest.ready, 1)
        given, over = 0, False
        while not over:
            ctx.set(core.message.payload, {"data": given & 0xFF, "keep": 1, "last": given == LEAF_BYTES - 1})
            _, _, taken, given_back, last = await ctx.tick().sample(core.message.ready, core.digest.valid, core.digest.payload.last)
            given += taken & (given < LEAF_BYTES)
            ctx.set(core.message.valid, int(given < LEAF_BYTES))
            over = bool(given_back and last)
            clocks += given > 0

    simulator = Simulator(core)
    simulator.add_clock(1 / CLOCK_HZ)
    simulator.add_testbench(hash_leaf)
    simulator.run()
    return clocks


def _proofs() -> list[Row]:
    gateware, software = CompiledProver(), SoftwareProver(bytes(32))
    gateware.load(bytes(32))
    number, proof = 0, gateware.prove(bytes(1))
    while proof.tries != TRIES:
        number += 1
        proof = gateware.prove(bytes([number]))
    gateware.close()
    in_gateware, in_software = CLOCK_HZ / proof.clocks, rate_per_s(lambda: software.prove(bytes([number])))
    return [
        Row(
            TOPIC,
            f"a proof of {TRIES} tries",
            proof.clocks,
            "clocks",
            f"{1e3 * proof.clocks / CLOCK_HZ:.1f} ms at {CLOCK_HZ / 1e6:.0f} MHz",
        ),
        Row(TOPIC, "proofs of the gateware", in_gateware, "/s", f"{in_gateware / in_software:.3f} of PyNaCl's on this machine"),
    ]
