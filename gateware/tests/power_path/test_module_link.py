"""The module's end of the module link against a node in Python at its own time, then both ends against each other."""

from __future__ import annotations

import random
from binascii import crc_hqx

import pytest
from amaranth.hdl import ClockDomain, DomainRenamer, Module
from amaranth.sim import Simulator
from thermogen_gateware.module_link import ModuleStatus, exchange_clocks, frame_bytes
from thermogen_gateware.module_link_master import ModuleLinkMaster
from thermogen_gateware.module_link_slave import ModuleLinkSlave

CHANNELS = 3
SLAVE_HZ = 48_000_000
DUTIES = [0x123, 0xE40, 0x007]
OTHER = [0x456, 0x0FF, 0x100]


class SlaveBench:
    """A slave with its node in Python; remembers the sequence it sends."""

    def __init__(self, simulate, spi_node, frames, clock_hz=SLAVE_HZ, currents=(2048, 0, 4095)):
        self.simulate, self.node, self.frames = simulate, spi_node(), frames
        self.dut = ModuleLinkSlave(clock_hz, CHANNELS)
        self.currents = currents
        self.sequence = 40

    async def send(self, ctx, duties=DUTIES, enable=1, **changes):
        message = bytearray(self.frames(changes.get("sequence", self.sequence), duties, enable))
        self.sequence += 1
        if "flip" in changes:
            message[changes["flip"] // 8] ^= 0x80 >> changes["flip"] % 8
        message = message[: changes.get("length", len(message))] + bytes(max(0, changes.get("length", 0) - len(message)))
        return await self.node.exchange(ctx, self.dut, bytes(message))

    async def applied(self, ctx):
        duties = []
        for channel in range(CHANNELS):
            ctx.set(self.dut.duty_addr, channel)
            await ctx.tick()
            duties.append(ctx.get(self.dut.duty_data))
        return duties

    async def up(self, ctx):
        await self.send(ctx)
        await self.send(ctx)
        assert ctx.get(self.dut.valid) and ctx.get(self.dut.enable)

    def run(self, bench):
        async def memory(ctx):
            async for _, _, address in ctx.tick().sample(self.dut.current_addr):
                ctx.set(self.dut.current_data, self.currents[min(address, CHANNELS - 1)])

        self.simulate(self.dut, bench, background=[memory], clock_hz=SLAVE_HZ)


@pytest.fixture
def slave(simulate, spi_node, frames):
    return SlaveBench(simulate, spi_node, frames)


def test_the_second_good_frame_is_applied_whole(slave):
    async def bench(ctx):
        await slave.send(ctx, OTHER)
        assert not ctx.get(slave.dut.valid)
        assert await slave.applied(ctx) == [0, 0, 0]
        await slave.send(ctx, DUTIES)
        assert ctx.get(slave.dut.valid) and ctx.get(slave.dut.enable)
        assert await slave.applied(ctx) == DUTIES
        await slave.send(ctx, OTHER, enable=0)
        assert ctx.get(slave.dut.valid) and not ctx.get(slave.dut.enable)
        assert await slave.applied(ctx) == OTHER

    slave.run(bench)


def test_the_answer_carries_last_sequence_status_bootstrap_pulses_and_currents(slave):
    async def bench(ctx):
        ctx.set(slave.dut.status, 0xC3)
        ctx.set(slave.dut.bootstrap_pulses, 0xBEEF)
        await slave.up(ctx)
        answer = await slave.send(ctx)
        body = bytes([0x5A, 41, 0xC3, 1, 2, 0xBE, 0xEF, 0x08, 0x00, 0x00, 0x00, 0x0F, 0xFF])
        assert answer == body + crc_hqx(body, 0xFFFF).to_bytes(2, "big")
        assert len(answer) == frame_bytes(CHANNELS)

    slave.run(bench)


def test_a_frame_that_is_applied_is_told_once_and_no_other_is(slave):
    told = []

    async def bench(ctx):
        await slave.send(ctx)  # only sets the sequence
        assert told == []
        await slave.send(ctx, enable=0)
        await slave.send(ctx, flip=20)
        await slave.send(ctx, enable=1)
        await slave.send(ctx, sequence=slave.sequence - 1)
        assert told == [0, 1]

    async def listen(ctx):
        async for _, _, applied, enable in ctx.tick().sample(slave.dut.applied, slave.dut.enable):
            if applied:
                told.append(enable)

    slave.simulate(slave.dut, bench, background=[listen], clock_hz=SLAVE_HZ)


async def flip_and_look(slave, ctx, flips):
    await slave.up(ctx)
    for flip in flips:
        await slave.send(ctx, DUTIES)
        await slave.send(ctx, OTHER, flip=flip)
        assert ctx.get(slave.dut.valid), flip
        assert await slave.applied(ctx) == DUTIES, flip


COVERED_BITS = (3 + 2 * CHANNELS + 2) * 8


def test_a_frame_with_a_flipped_bit_is_never_applied(slave):
    async def bench(ctx):
        await flip_and_look(slave, ctx, [0, COVERED_BITS - 1, *random.Random(7).sample(range(1, COVERED_BITS - 1), 4)])

    slave.run(bench)


@pytest.mark.slow
def test_a_frame_with_any_bit_flipped_is_never_applied(slave):
    async def bench(ctx):
        await flip_and_look(slave, ctx, range(COVERED_BITS))

    slave.run(bench)


@pytest.mark.parametrize("length", [1, 3, 10, 12, 14, 30])
def test_a_frame_of_another_length_is_never_applied(slave, length):
    assert length != frame_bytes(CHANNELS)

    async def bench(ctx):
        await slave.up(ctx)
        await slave.send(ctx, OTHER, length=length)
        assert await slave.applied(ctx) == DUTIES
        await slave.send(ctx, OTHER)
        assert await slave.applied(ctx) == OTHER

    slave.run(bench)


def test_an_old_sequence_is_never_applied(slave):
    async def bench(ctx):
        await slave.up(ctx)
        last = slave.sequence - 1
        for old in (last, last - 1):
            await slave.send(ctx, OTHER, sequence=old)
            assert await slave.applied(ctx) == DUTIES
        await slave.send(ctx, OTHER, sequence=last + 127)
        assert await slave.applied(ctx) == OTHER

    slave.run(bench)


def test_the_sequence_may_wrap_around(slave):
    async def bench(ctx):
        slave.sequence = 254
        await slave.up(ctx)
        await slave.send(ctx, OTHER)
        assert await slave.applied(ctx) == OTHER

    slave.run(bench)


def test_three_bad_frames_in_a_row_turn_the_link_off_and_two_do_not(slave):
    async def bench(ctx):
        await slave.up(ctx)
        for _ in range(2):
            await slave.send(ctx, OTHER, flip=20)
        assert ctx.get(slave.dut.enable)
        await slave.send(ctx)
        for _ in range(2):
            await slave.send(ctx, OTHER, flip=20)
        assert ctx.get(slave.dut.enable)
        await slave.send(ctx, OTHER, flip=20)
        assert not ctx.get(slave.dut.valid) and not ctx.get(slave.dut.enable)
        # After a loss the first good frame only sets the sequence.
        await slave.send(ctx)
        assert not ctx.get(slave.dut.enable)
        await slave.send(ctx)
        assert ctx.get(slave.dut.enable)

    slave.run(bench)


def test_ten_milliseconds_of_silence_turn_the_link_off(simulate, spi_node, frames):
    # Told that its clock is a hundredth, the slave counts 4,800 clocks for 10 ms.
    slave = SlaveBench(simulate, spi_node, frames, clock_hz=SLAVE_HZ // 100)

    async def bench(ctx):
        await slave.up(ctx)
        clocks = 0
        while ctx.get(slave.dut.enable):
            await ctx.tick()
            clocks += 1
        assert not ctx.get(slave.dut.valid)
        assert 4_700 <= clocks <= 4_801

    slave.run(bench)


def test_a_current_stored_while_it_is_sent_is_never_torn(slave):
    async def bench(ctx):
        await slave.up(ctx)
        for _ in range(3):
            answer = await slave.send(ctx)
            for channel in range(CHANNELS):
                assert answer[7 + 2 * channel : 9 + 2 * channel] in (b"\x00\xff", b"\x0f\x00")

    async def memory(ctx):
        clocks = 0
        async for _ in ctx.tick():
            clocks += 1
            ctx.set(slave.dut.current_data, 0x0FF if clocks // 17 % 2 else 0xF00)

    slave.simulate(slave.dut, bench, background=[memory], clock_hz=SLAVE_HZ)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channels", "slave_hz"), [(36, 47_990_000), (36, 48_000_000), (36, 48_010_000), (12, 23_995_000), (12, 24_000_000), (12, 24_005_000)]
)
def test_master_and_slave_exchange_all_channels_between_their_own_clocks(channels, slave_hz):
    m = Module()
    m.domains.module = ClockDomain(reset_less=True)
    m.submodules.master = master = ModuleLinkMaster(channels)
    slave = ModuleLinkSlave(slave_hz, channels)
    m.submodules.slave = DomainRenamer("module")(slave)
    m.d.comb += [
        slave.link_sclk.eq(master.module_sclk),
        slave.link_cs_n.eq(master.module_cs_n),
        slave.link_copi.eq(master.module_copi),
        master.module_cipo.eq(slave.link_cipo),
        master.enable.eq(1),
        slave.status.eq(ModuleStatus.LINK_VALID),
    ]
    duties = [(97 * channel) % 3649 for channel in range(channels)]
    currents = [(1001 * channel) % 4096 for channel in range(channels)]

    async def node_memory(ctx):
        async for _, _, address in ctx.tick().sample(master.duty_addr):
            ctx.set(master.duty_data, duties[min(address, channels - 1)])

    async def module_memory(ctx):
        async for _, _, address in ctx.tick("module").sample(slave.current_addr):
            ctx.set(slave.current_data, currents[min(address, channels - 1)])

    async def bench(ctx):
        for _ in range(3):
            ctx.set(master.start, 1)
            await ctx.tick()
            ctx.set(master.start, 0)
            clocks = 1
            while not ctx.get(master.done):
                await ctx.tick()
                clocks += 1
            assert clocks == exchange_clocks(channels)
            assert ctx.get(master.present)
            await ctx.tick().repeat(10)
        assert ctx.get(slave.valid) and ctx.get(slave.enable)
        for channel in range(channels):
            ctx.set(master.current_addr, channel)
            ctx.set(slave.duty_addr, channel)
            await ctx.tick().repeat(3)
            assert ctx.get(master.current_data) == currents[channel]
            assert ctx.get(slave.duty_data) == duties[channel]

    simulator = Simulator(m)
    simulator.add_clock(1 / 50_000_000)
    simulator.add_clock(1 / slave_hz, domain="module", phase=3e-9)
    simulator.add_testbench(bench)
    simulator.add_testbench(node_memory, background=True)
    simulator.add_testbench(module_memory, background=True)
    simulator.run()
