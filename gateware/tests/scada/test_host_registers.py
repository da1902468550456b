"""The host link's side of network and SCADA, as the daemon meets it on the bus."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from thermogen_esf.hostlink import Status
from thermogen_esf.hostlink_network import (
    DEFAULT_SETTINGS,
    EVENT_ACK,
    EVENT_BASE,
    EVENT_END,
    NETWORK_SETTINGS,
    NETWORK_STATUS,
    WRITERS,
)
from thermogen_gateware.scada.host_registers import NetworkRegisters
from thermogen_gateware.status_words import COPY_CLOCKS, StatusSteps

IP, MASK = 0x0A01_0203, 0xFFFF_FF00


def words_of(value, size):
    return [value >> 16 * (size - 1 - place) & 0xFFFF for place in range(size)]


class Bench:
    """The registers with the host link played by `write` and `read`."""

    def __init__(self, register_bus):
        bus = register_bus(self)
        self.offer, self.write = bus.offer, bus.write
        self.dut = NetworkRegisters()

    def run(self, script):
        async def main(ctx):
            self.ctx = ctx
            await script(self)

        top = Module()
        top.submodules.dut, top.submodules.steps = self.dut, StatusSteps()
        wiring.connect(top, top.submodules.steps.steps, self.dut.steps)
        top.d.comb += top.submodules.steps.freeze.eq(self.dut.bus.freeze)
        simulator = Simulator(top)
        simulator.add_clock(20e-9)
        simulator.add_testbench(main)
        simulator.run()

    async def setting(self, name, value, entry=0):
        address, size, _ = NETWORK_SETTINGS[name]
        return await self.write(address + entry * size, words_of(value, size))

    async def may_write(self, ip):
        """What the allow-list says of a client, as soon as it has settled."""
        ctx, question = self.ctx, self.dut.allow_list
        ctx.set(question.ip, ip)
        ctx.set(question.anew, 1)
        await ctx.tick()
        ctx.set(question.anew, 0)
        clocks = 1
        while not ctx.get(question.settled):
            await ctx.tick()
            clocks += 1
        assert clocks == WRITERS
        return bool(ctx.get(question.allowed))

    async def read(self, address, size=1):
        value = 0
        for place in range(size):
            self.ctx.set(self.dut.bus.address, address + place)
            await self.ctx.tick().repeat(2)
            value = value << 16 | self.ctx.get(self.dut.bus.read_data)
        return value


@pytest.fixture
def host(register_bus):
    return Bench(register_bus)


def test_settings_begin_at_their_defaults_and_are_read_back(host):
    async def script(host):
        for name, (address, size, entries) in NETWORK_SETTINGS.items():
            assert await host.read(address, size * entries) == DEFAULT_SETTINGS.get(name, 0), name
        shown = {"network_mode": "dhcp", "word_order": "word_swap"}
        for name, value in DEFAULT_SETTINGS.items():
            assert host.ctx.get(getattr(host.dut, shown.get(name, name))) == value
        values = {"network_mode": 0, "ip": IP, "mask": MASK, "gateway": IP + 1, "mac": 0x0254_5A01_0203, "word_order": 1, "writable": 5}
        for name, value in values.items():
            assert await host.setting(name, value) is Status.OK
            address, size, _ = NETWORK_SETTINGS[name]
            assert await host.read(address, size) == value == host.ctx.get(getattr(host.dut, shown.get(name, name)))
        assert await host.setting("preferred", IP, entry=7) is Status.OK
        assert host.ctx.get(host.dut.preferred[7]) == IP
        assert await host.setting("writers", IP << 32 | MASK, entry=3) is Status.OK
        assert [await host.may_write(ip) for ip in (IP, IP ^ 0xFF, IP ^ 0x100)] == [True, True, False]
        address, size, _ = NETWORK_SETTINGS["writers"]
        assert await host.read(address + 3 * size, size) == IP << 32 | MASK

    host.run(script)


def test_the_key_is_taken_and_never_read_back(host):
    key = 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF

    async def script(host):
        assert await host.setting("isn_key", key) is Status.OK
        assert host.ctx.get(host.dut.isn_key) == key
        assert await host.read(*NETWORK_SETTINGS["isn_key"][:2]) == 0

    host.run(script)


def test_half_a_register_and_what_is_out_of_range_are_refused(host):
    async def script(host):
        for name, (address, size, entries) in NETWORK_SETTINGS.items():
            if size > 1:
                for start in range(address, address + size * entries, size):
                    assert await host.write(start, [1] * (size - 1)) is Status.REFUSED, name
                    assert await host.write(start + 1, [1] * (size - 1)) is Status.REFUSED, name
        for name, value in (("network_mode", 2), ("word_order", 2), ("writable", 0x80)):
            assert await host.setting(name, value) is Status.REFUSED
        assert await host.write(NETWORK_STATUS["live_ip"][0], [1, 1]) is Status.REFUSED
        assert await host.write(EVENT_BASE, [1]) is Status.REFUSED
        assert host.ctx.get(host.dut.ip) == DEFAULT_SETTINGS["ip"]

    host.run(script)


def test_an_entry_that_is_being_changed_lets_nobody_in(host):
    async def script(host):
        await host.setting("writers", IP << 32 | MASK)
        assert await host.may_write(IP) and host.ctx.get(host.dut.allow_list.some)
        address = NETWORK_SETTINGS["writers"][0]
        await host.offer(address, words_of(IP + 1, 2), 1)
        assert not await host.may_write(IP + 1) and not host.ctx.get(host.dut.allow_list.some)
        await host.offer(address + 2, words_of(0, 2), 1)
        assert not await host.may_write(IP + 1) and not host.ctx.get(host.dut.allow_list.some)

    host.run(script)


def test_each_entry_lets_its_own_clients_in_whoever_was_asked_about_before(host):
    async def script(host):
        networks = {entry: 0x0A00_0000 + (entry << 16) for entry in range(WRITERS)}
        for entry, network in networks.items():
            assert await host.setting("writers", network << 32 | 0xFFFF_0000, entry) is Status.OK
        for wait in range(1, WRITERS + 2):
            for network in networks.values():
                await host.ctx.tick().repeat(wait)
                assert await host.may_write(network + wait)
                assert not await host.may_write(0x0B00_0000)
        for entry in networks:
            assert await host.setting("writers", 0, entry) is Status.OK
            await host.ctx.tick().repeat(WRITERS)
            assert [await host.may_write(each) for each in networks.values()] == [each > entry for each in networks]

    host.run(script)


def test_status_is_of_the_requests_end_and_regions_are_told_apart(host):
    values = {name: 0x0102_0304 if size == 2 else 0x55 for name, (_, size) in NETWORK_STATUS.items()}

    async def script(host):
        ctx, dut = host.ctx, host.dut
        for name, value in values.items():
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.bus.freeze, 1)
        await ctx.tick()
        ctx.set(dut.bus.freeze, 0)
        for name in values:
            ctx.set(getattr(dut, name), 0)
        await ctx.tick().repeat(COPY_CLOCKS)
        assert {name: await host.read(*NETWORK_STATUS[name]) for name in values} == values
        ctx.set(dut.events_data, 0x7777)
        assert await host.read(EVENT_BASE + 5) == 0x7777
        assert ctx.get(dut.events_address) == 5
        regions = {}
        for address in range(0x330, EVENT_END + 8):
            ctx.set(dut.bus.address, address)
            regions.setdefault(ctx.get(dut.bus.region), []).append(address)
            assert ctx.get(dut.here) == (ctx.get(dut.bus.region) != 0 or address in range(EVENT_ACK[0], sum(EVENT_ACK)))
        assert {region: (places[0], places[-1]) for region, places in regions.items() if region} == {
            5: (0x340, 0x373),
            6: (0x380, 0x38B),
            7: (EVENT_BASE, EVENT_END - 1),
        }

    host.run(script)


def test_events_are_acknowledged_up_to_the_next_and_round_the_end_of_their_numbers(host):
    async def script(host):
        ctx, dut = host.ctx, host.dut
        ctx.set(dut.events_oldest, 0xFFFF_FFF0)
        ctx.set(dut.events_next, 0x0000_0002)
        for number in (0xFFFF_FFF0, 0xFFFF_FFFF, 0, 2):
            assert await host.write(EVENT_ACK[0], words_of(number, 2)) is Status.OK
        for number in (0xFFFF_FFEF, 3):
            assert await host.write(EVENT_ACK[0], words_of(number, 2)) is Status.REFUSED
        assert await host.write(EVENT_ACK[0], [0]) is Status.REFUSED

    host.run(script)
