"""The node with its network and its key: three register files on one bus, and none in another's way."""

import pytest
from amaranth.sim import Simulator
from thermogen_esf.hostlink import STATUS_REGISTERS, NodeFlag, Opcode, Status
from thermogen_esf.hostlink_network import NETWORK_SETTINGS
from thermogen_esf.hostlink_seal import (
    DRAW_REQUEST,
    MAKE_KEY,
    MAKE_KEY_WORD,
    PUBLIC_KEY,
    SEAL,
    SEAL_STATUS,
    SEAL_STATUS_BASE,
    SEAL_STATUS_WORDS,
    CustodyState,
)
from thermogen_gateware.node import Node

CLOCKS_PER_SITE_SECOND = 2_500
CLOCK_PERIOD_S = 20e-9


@pytest.mark.slow
def test_registers_of_seals_are_beside_those_of_node_and_network(spi_host, requests, still_power_path):
    node = Node(CLOCKS_PER_SITE_SECOND, channels=2, power_path=still_power_path, network=True, seal=True)

    async def script(ctx):
        spi = spi_host(ctx, node.host_sclk, node.host_cs_n, node.host_copi, node.host_cipo)

        async def status_of_read(address, count):
            return (await requests.ask(spi, Opcode.READ, address, count))[0]

        (flags,) = await requests.read(spi, *STATUS_REGISTERS["flags"])
        assert flags & NodeFlag.NETWORK and flags & NodeFlag.SEALS
        # No part is there.
        while await requests.read(spi, *SEAL_STATUS["custody_state"]) != [CustodyState.NO_MEMORY]:
            await ctx.tick().repeat(1_000)
        assert await requests.read(spi, SEAL_STATUS_BASE, SEAL_STATUS_WORDS) == [CustodyState.NO_MEMORY, *[0] * (SEAL_STATUS_WORDS - 1)]
        assert await requests.read(spi, *SEAL) == [0] * SEAL[1]
        assert await requests.read(spi, *PUBLIC_KEY) == [0] * PUBLIC_KEY[1]
        assert await requests.read(spi, NETWORK_SETTINGS["network_mode"][0], 1) == [1]
        assert await requests.read(spi, *STATUS_REGISTERS["magic"]) != [0]

        for address, count in ((SEAL_STATUS_BASE - 1, 2), (SEAL_STATUS_BASE, SEAL_STATUS_WORDS + 1), (SEAL[0], SEAL[1] + 1), DRAW_REQUEST):
            assert await status_of_read(address, count) is Status.BAD_ADDRESS, hex(address)
        assert await requests.write(spi, PUBLIC_KEY[0], [0]) is Status.REFUSED
        assert await requests.write(spi, MAKE_KEY[0], [MAKE_KEY_WORD]) is Status.REFUSED
        assert await requests.write(spi, DRAW_REQUEST[0], [0] * DRAW_REQUEST[1]) is Status.REFUSED
        assert await requests.write(spi, NETWORK_SETTINGS["network_mode"][0], [0]) is Status.OK
        await ctx.tick().repeat(200)
        assert await requests.read(spi, NETWORK_SETTINGS["network_mode"][0], 1) == [0]

    simulator = Simulator(node)
    simulator.add_clock(CLOCK_PERIOD_S)
    simulator.add_testbench(script)
    simulator.run()
