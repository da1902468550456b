"""The tree in the gateware against the one that every verifier uses."""

from __future__ import annotations

import hashlib

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from thermogen_esf import merkle
from thermogen_gateware.merkle import MerkleTree
from thermogen_gateware.sha3 import Sha3


def leaves_of(size):
    return [bytes([size, number]) for number in range(size)]


def roots(streams, sizes, capacity=128):
    """The roots that the tree gives for epochs of these sizes, one after the other, with hashlib as its hash core."""
    dut = MerkleTree(capacity)
    given = []

    async def hash_core(ctx):
        while True:
            message = await streams.take_bytes(ctx, dut.hash.message)
            await streams.put_bytes(ctx, dut.hash.digest, hashlib.sha3_256(message).digest())

    async def epochs(ctx):
        for size in sizes:
            for leaf in leaves_of(size):
                await streams.put_bytes(ctx, dut.leaf, leaf)
            await ctx.tick().until(dut.idle)
            assert ctx.get(dut.count) == size
            ctx.set(dut.seal, 1)
            await ctx.tick()
            ctx.set(dut.seal, 0)
            given.append(await streams.take_bytes(ctx, dut.root))
            await ctx.tick().until(dut.idle)
            assert ctx.get(dut.count) == 0

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(hash_core, background=True)
    simulator.add_testbench(epochs)
    simulator.run()
    return given


@pytest.mark.parametrize("sizes", [(0, 1, 2, 3, 5), (7, 8, 9, 8)])
def test_root_is_that_of_rfc_9162(streams, sizes):
    assert roots(streams, sizes) == [merkle.root(leaves_of(size)) for size in sizes]


@pytest.mark.slow
def test_root_is_right_where_the_stack_grows_and_folds(streams):
    sizes = [*range(1, 18), 31, 32, 33, 64, 90]
    assert roots(streams, sizes) == [merkle.root(leaves_of(size)) for size in sizes]


@pytest.mark.soak
def test_root_is_right_for_every_size_of_an_epoch(streams):
    sizes = range(1, 101)
    assert roots(streams, sizes) == [merkle.root(leaves_of(size)) for size in sizes]


@pytest.mark.slow
def test_a_tree_fills_to_its_capacity(streams):
    assert roots(streams, [127, 128]) == [merkle.root(leaves_of(127)), merkle.root(leaves_of(128))]


def test_a_full_tree_takes_no_leaf_until_it_is_sealed(streams):
    dut = MerkleTree(capacity=2)

    async def hash_core(ctx):
        while True:
            message = await streams.take_bytes(ctx, dut.hash.message)
            await streams.put_bytes(ctx, dut.hash.digest, hashlib.sha3_256(message).digest())

    async def fill(ctx):
        for leaf in leaves_of(2):
            await streams.put_bytes(ctx, dut.leaf, leaf)
        await ctx.tick().until(dut.idle)
        ctx.set(dut.leaf.valid, 1)
        for _ in range(50):
            await ctx.tick()
            assert not ctx.get(dut.leaf.ready)

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(hash_core, background=True)
    simulator.add_testbench(fill)
    simulator.run()


@pytest.mark.slow
def test_the_tree_and_its_hash_core_agree_on_the_wire(streams):
    m = Module()
    m.submodules.tree = tree = MerkleTree()
    m.submodules.sha3 = sha3 = Sha3()
    wiring.connect(m, tree.hash, sha3)
    given = []

    async def epoch(ctx):
        for leaf in leaves_of(3):
            await streams.put_bytes(ctx, tree.leaf, leaf)
        await ctx.tick().until(tree.idle)
        ctx.set(tree.seal, 1)
        await ctx.tick()
        ctx.set(tree.seal, 0)
        given.append(await streams.take_bytes(ctx, tree.root))

    simulator = Simulator(m)
    simulator.add_clock(20e-9)
    simulator.add_testbench(epoch)
    simulator.run()
    assert given == [merkle.root(leaves_of(3))]
