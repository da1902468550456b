"""The node with its network side: what SCADA writes meets what the host says, and the daemon hears of it over the host link."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator
from thermogen_esf.hostlink import CONTROL_REGISTERS, PARAMETER_REGISTERS, STATUS_REGISTERS, NodeFlag, Opcode, Status
from thermogen_esf.hostlink_network import EVENT_ACK, EVENT_BASE, NETWORK_SETTINGS, NETWORK_STATUS, OverrideFlag
from thermogen_esf.scada import EVENT_WORDS, WRITABLE, WriteEvent, WriteKind, read_event
from thermogen_gateware.network.ports import Refusal
from thermogen_gateware.node import Node

CLOCKS_PER_SITE_SECOND = 2_500
CLOCK_PERIOD_S = 20e-9
CLIENT = 0x0A00_0005
MOST_CLOCKS_TO_APPLY = 150
CLOCKS_TO_THE_FIRST_WORD = 4
"""From a request's begin to its first word: fewer than the MODBUS server needs where the request is there already."""
POWER = WRITABLE["site_power_limit"].address


class Server:
    """The MODBUS server's side of the node."""

    def __init__(self, ctx, port):
        self._ctx, self._port = ctx, port

    async def strobe(self, name):
        self._ctx.set(getattr(self._port, name), 1)
        await self._ctx.tick()
        self._ctx.set(getattr(self._port, name), 0)

    async def read(self, address, words=1):
        ctx, port = self._ctx, self._port
        await self.strobe("begin")
        ctx.set(port.space, 3)
        value = 0
        for place in range(words):
            ctx.set(port.address, address + place)
            await ctx.tick()
            assert ctx.get(port.exists)
            value = value << 16 | ctx.get(port.data)
        await self.strobe("end")
        return value

    async def write(self, address, value):
        ctx, port = self._ctx, self._port
        ctx.set(port.peer_ip, CLIENT)
        await self.strobe("begin")
        for signal, level in ((port.space, 3), (port.address, address), (port.value, value)):
            ctx.set(signal, level)
        await ctx.tick().repeat(CLOCKS_TO_THE_FIRST_WORD - 1)
        await self.strobe("write")
        await ctx.tick()
        refusal = Refusal(ctx.get(port.refusal))
        await self.strobe("end")
        await ctx.tick().repeat(20)
        return refusal


@pytest.mark.slow
def test_scada_caps_the_power_and_the_daemon_hears_of_it(spi_host, requests, still_power_path):
    node = Node(CLOCKS_PER_SITE_SECOND, channels=2, power_path=still_power_path, network=True)

    async def script(ctx):
        spi = spi_host(ctx, node.host_sclk, node.host_cs_n, node.host_copi, node.host_cipo)
        server = Server(ctx, node.scada)
        power = still_power_path

        async def order(address, words):
            status = await requests.write(spi, address, words)
            await ctx.tick().repeat(MOST_CLOCKS_TO_APPLY)
            return status

        (flags,) = await requests.read(spi, *STATUS_REGISTERS["flags"])
        assert flags & NodeFlag.NETWORK
        assert await order(CONTROL_REGISTERS["enable"][0], [1]) is Status.OK
        assert await server.write(POWER, 50) is Refusal.ILLEGAL_FUNCTION
        network = [CLIENT >> 16, 0, 0xFFFF, 0xFF00]
        assert await order(NETWORK_SETTINGS["writers"][0], network) is Status.OK
        assert await server.write(POWER, 50) is Refusal.NONE
        assert ctx.get(power.parameters.site_power_limit) == 50 and ctx.get(power.enable) == 1
        # The node's own is kept and comes first where it is lower; what SCADA reads is what is in force.
        assert await requests.read(spi, PARAMETER_REGISTERS["site_power_limit"], 1) == [1_200]
        assert await order(PARAMETER_REGISTERS["site_power_limit"], [40]) is Status.OK
        assert ctx.get(power.parameters.site_power_limit) == 40 == await server.read(POWER)
        assert await server.write(WRITABLE["enable"].address, 0) is Refusal.NONE
        assert ctx.get(power.enable) == 0

        status = await requests.read(spi, NETWORK_STATUS["override_flags"][0], 8)
        assert status[0] & OverrideFlag.ALIVE and status[2:4] == [CLIENT >> 16, CLIENT & 0xFFFF]
        assert status[4:] == [0, 2, 0, 0]
        words = await requests.read(spi, EVENT_BASE, 2 * EVENT_WORDS)
        events = [read_event(words[start : start + EVENT_WORDS]) for start in (0, EVENT_WORDS)]
        assert events == [
            WriteEvent(0, CLIENT, POWER, 1_200, 50, WriteKind.WRITE, 1),
            WriteEvent(0, CLIENT, WRITABLE["enable"].address, 1, 0, WriteKind.WRITE, 1),
        ]
        assert await order(EVENT_ACK[0], [0, 2]) is Status.OK
        assert (await requests.read(spi, NETWORK_STATUS["events_oldest"][0], 2)) == [0, 2]
        assert await order(EVENT_ACK[0], [0, 3]) is Status.REFUSED
        assert (await requests.ask(spi, Opcode.READ, 0x374, 1))[0] is Status.BAD_ADDRESS
        assert (await requests.ask(spi, Opcode.READ, EVENT_BASE - 1, 2))[0] is Status.BAD_ADDRESS

        # Site seconds have passed meanwhile: SCADA reads the host's image.
        assert await server.read(200, 4) == 123_456_789_012
        assert [await server.read(108 + place) for place in range(12)] == [100 * place for place in range(12)]
        for channel in (0, 1, 107):
            word = 0x800F03 + channel
            assert await server.read(1000 + channel) == ((word >> 12) - 2048) & 0xFFFF
            assert [await server.read(1200 + channel), await server.read(1400 + channel)] == [word >> 3 & 0x1FF, word & 7]
        assert await server.read(403) == 0xC00B

    simulator = Simulator(node)
    simulator.add_clock(CLOCK_PERIOD_S)
    simulator.add_testbench(script)
    simulator.run()
