"""The MODBUS server's side of the register file, the snapshot's and the daemon's, for the tests of what SCADA sees."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.sim import Simulator
from thermogen_esf.hostlink import IMAGE_WORDS
from thermogen_esf.scada import EVENT_RING, EVENT_WORDS, WRITABLE_DEFAULT, read_event
from thermogen_gateware.network.ports import Refusal
from thermogen_gateware.scada.map import SECOND_WIDTHS
from thermogen_gateware.scada.registers import ScadaRegisters
from thermogen_gateware.status_words import NETWORK_PLACES, NODE_PLACES, FrozenWords, StatusSteps

CLOCKS_PER_SECOND = 200
COILS, DISCRETE, INPUT, HOLDING = range(4)
CLIENT, STRANGER = 0x0A000005, 0x0A000105
CHANNELS = 108
CLOCKS_TO_SHOW = 150
"""From a snapshot's end to the second that SCADA sees."""


class Status:
    """What the node says of itself once a second, `second`, copied for a core that has `steps` and `copied`."""

    def __init__(self):
        self.second = Signal(data.StructLayout(SECOND_WIDTHS))
        self.steps, self.frozen = StatusSteps(), FrozenWords(SECOND_WIDTHS, NODE_PLACES | NETWORK_PLACES)

    def beside(self, core):
        """A design of both."""
        m = Module()
        m.submodules.core, m.submodules.steps, m.submodules.frozen = core, self.steps, self.frozen
        for user in (core, self.frozen):
            wiring.connect(m, self.steps.steps, user.steps)
        m.d.comb += [self.steps.take.eq(core.take), core.copied.eq(self.frozen.word)]
        m.d.comb += [getattr(self.frozen, name).eq(self.second[name]) for name in SECOND_WIDTHS]
        return m


class Bench:
    """A register file, and what is around it. Scripts are coroutines that get the bench."""

    CLIENT, STRANGER = CLIENT, STRANGER
    COILS, DISCRETE, INPUT, HOLDING = COILS, DISCRETE, INPUT, HOLDING
    CLOCKS_PER_SECOND, CLOCKS_TO_SHOW = CLOCKS_PER_SECOND, CLOCKS_TO_SHOW

    def __init__(self, clocks_per_second=CLOCKS_PER_SECOND):
        self.dut = ScadaRegisters(clocks_per_second, CHANNELS, source_hash=0xA1B2_C3D4_E5F6_0718)
        self.status = Status()
        self.second = self.status.second
        self.network, self.mask = Signal(32), Signal(32)
        self.trip_clears = 0

    def run(self, script):
        async def watch(ctx):
            async for _, _, cleared in ctx.tick().sample(self.dut.trip_clear):
                self.trip_clears += cleared

        async def main(ctx):
            self.ctx = ctx
            for name, value in (("own_enable", 1), ("own_current_limit_ma", 3_000), ("own_site_power_limit", 1_200), ("time", 1_000)):
                ctx.set(getattr(self.dut, name), value)
            ctx.set(self.dut.writable, WRITABLE_DEFAULT)
            await script(self)

        top = self.status.beside(self.dut)
        allow_list = self.dut.allow_list
        top.d.comb += allow_list.allowed.eq(self.mask.any() & (((allow_list.ip ^ self.network) & self.mask) == 0))
        top.d.comb += allow_list.some.eq(self.mask.any())
        top.d.comb += allow_list.settled.eq(1)
        simulator = Simulator(top)
        simulator.add_clock(20e-9)
        simulator.add_testbench(watch, background=True)
        simulator.add_testbench(main)
        simulator.run()

    def allow(self, ip=0x0A000000, mask=0xFFFFFF00):
        """Lets a network write."""
        self.ctx.set(self.network, ip)
        self.ctx.set(self.mask, mask)

    async def strobe(self, signal):
        self.ctx.set(signal, 1)
        await self.ctx.tick()
        self.ctx.set(signal, 0)

    async def begin(self, ip=CLIENT):
        self.ctx.set(self.dut.port.peer_ip, ip)
        await self.strobe(self.dut.port.begin)

    async def look(self, space, address):
        """Data and existence of one address, within a request."""
        ctx, port = self.ctx, self.dut.port
        ctx.set(port.space, space)
        ctx.set(port.address, address)
        await ctx.tick()
        return ctx.get(port.data), ctx.get(port.exists)

    async def read(self, address, words=1, space=HOLDING):
        """One whole request: a value of so many words, high word first."""
        await self.begin()
        value = 0
        for place in range(words):
            data, exists = await self.look(space, address + place)
            assert exists, address + place
            value = value << 16 | data
        await self.strobe(self.dut.port.end)
        return value

    async def stage(self, space, address, value):
        """One word of a write; what is refused so far, as late as the port allows to say it."""
        ctx, port = self.ctx, self.dut.port
        for signal, level in ((port.space, space), (port.address, address), (port.value, value)):
            ctx.set(signal, level)
        await self.strobe(port.write)
        await ctx.tick()
        return Refusal(ctx.get(port.refusal))

    async def write(self, *words, ip=CLIENT, space=HOLDING, settle=True):
        """A write request of (address, value) pairs, ended as the server does: made true, or given up where refused."""
        await self.begin(ip)
        refusal = Refusal.NONE
        for address, value in words:
            refusal = await self.stage(space, address, value)
        await self.strobe(self.dut.port.end if refusal is Refusal.NONE else self.dut.port.abort)
        if settle:
            await self.ctx.tick().repeat(9 * len(words) + 12)
        return refusal

    async def seconds(self, count):
        await self.ctx.tick().repeat(count * CLOCKS_PER_SECOND)

    async def snapshot(self, word_of, channel_of=lambda channel: channel):
        """One image as the snapshot writes it, the channels' words beside it."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.busy, 1)
        for place in range(max(IMAGE_WORDS, CHANNELS)):
            ctx.set(dut.channel_index, min(place, CHANNELS - 1))
            ctx.set(dut.channel_word, channel_of(min(max(place - 1, 0), CHANNELS - 1)))
            ctx.set(dut.image_address, place)
            ctx.set(dut.image_data, word_of(place))
            ctx.set(dut.image_write, 1)
            await ctx.tick()
        ctx.set(dut.image_write, 0)
        ctx.set(dut.busy, 0)
        await self.strobe(dut.image_show)
        await ctx.tick().repeat(CLOCKS_TO_SHOW)

    async def events(self, acknowledge=True):
        """The events that wait, as the host reads them; then they are freed."""
        ctx, dut = self.ctx, self.dut
        oldest, newest = ctx.get(dut.events_oldest), ctx.get(dut.events_next)
        events = []
        for number in range(oldest, newest):
            words = []
            for word in range(EVENT_WORDS):
                ctx.set(dut.events_address, number % EVENT_RING * EVENT_WORDS + word)
                await ctx.tick()
                words.append(ctx.get(dut.events_data))
            events.append(read_event(words))
        if acknowledge:
            ctx.set(dut.events_stored, newest)
            await self.strobe(dut.events_acknowledge)
        return events


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def make_bench():
    return Bench


@pytest.fixture
def status():
    return Status()
