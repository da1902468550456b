"""Who may write, as staging and the overrides ask it: of the client of a request, and of whoever wrote last."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from thermogen_esf.scada import WRITABLE
from thermogen_gateware.network.ports import Refusal
from thermogen_gateware.scada.allow_list import ENTRIES, AllowList
from thermogen_gateware.scada.overrides import Overrides
from thermogen_gateware.scada.staging import WriteStaging

OWNER, STRANGER = 0x0A00_0005, 0x0A00_0105
OWN_LIMIT, CAP = 1_000, 5
HOLDING = 3
CLOCKS_TO_SETTLE = ENTRIES + 2


class Bench:
    """Staging, the list and the overrides, with the server and the daemon played."""

    def __init__(self):
        self.staging, self.entries, self.overrides = WriteStaging(), AllowList(), Overrides(100_000)

    def run(self, script):
        staging, entries, overrides = self.staging, self.entries, self.overrides
        top = Module()
        top.submodules += [staging, entries, overrides]
        wiring.connect(top, staging.allow_list, entries.question)
        top.d.comb += [getattr(overrides, name).eq(getattr(staging, name)) for name in ("apply", "written", "staged", "owner_may_write")]
        top.d.comb += [staging.owner.eq(overrides.owner), overrides.ip.eq(staging.peer_ip)]

        async def main(ctx):
            self.ctx = ctx
            for signal, value in ((staging.writable, -1), (overrides.own_enable, 1), (overrides.own_site_power_limit, OWN_LIMIT)):
                ctx.set(signal, value)
            await self.allow(OWNER, 0xFFFF_FFFF)
            assert await self.write("site_power_limit", CAP) is Refusal.NONE
            assert self.limit() == CAP
            await script(self)

        simulator = Simulator(top)
        simulator.add_clock(20e-9)
        simulator.add_testbench(main)
        simulator.run()

    async def strobe(self, signal):
        self.ctx.set(signal, 1)
        await self.ctx.tick()
        self.ctx.set(signal, 0)

    async def allow(self, ip, mask):
        entries = self.entries
        for value, written in ((ip, entries.write_ip), (mask, entries.write_mask)):
            self.ctx.set(entries.value, value)
            await self.strobe(written)
        await self.ctx.tick().repeat(CLOCKS_TO_SETTLE)

    async def request(self, ip, clocks, closes):
        """One that writes nothing, or gets no further: open for some clocks."""
        self.ctx.set(self.staging.peer_ip, ip)
        await self.strobe(self.staging.begin)
        await self.ctx.tick().repeat(clocks)
        await self.strobe(closes)

    async def write(self, name, value, ip=OWNER):
        staging = self.staging
        self.ctx.set(staging.peer_ip, ip)
        await self.strobe(staging.begin)
        await self.ctx.tick().repeat(CLOCKS_TO_SETTLE)
        for signal, level in ((staging.space, HOLDING), (staging.address, WRITABLE[name].address), (staging.value, value)):
            self.ctx.set(signal, level)
        await self.strobe(staging.write)
        await self.ctx.tick()
        refusal = Refusal(self.ctx.get(staging.refusal))
        await self.strobe(staging.end if refusal is Refusal.NONE else staging.abort)
        await self.ctx.tick().repeat(2)
        return refusal

    def limit(self):
        return self.ctx.get(self.overrides.site_power_limit)


@pytest.fixture
def bench():
    return Bench()


def test_what_others_ask_ends_nobodys_override(bench):
    chance = random.Random(5)

    async def script(bench):
        for _ in range(150):
            clocks, gap = chance.randrange(1, 12), chance.randrange(10)
            closes = chance.choice((bench.staging.end, bench.staging.abort))
            await bench.request(chance.choice((OWNER, STRANGER)), clocks, closes)
            if gap:
                await bench.ctx.tick().repeat(gap)
            assert bench.limit() == CAP
        assert await bench.write("site_power_limit", OWN_LIMIT, ip=STRANGER) is Refusal.ILLEGAL_FUNCTION
        await bench.ctx.tick().repeat(CLOCKS_TO_SETTLE)
        assert bench.limit() == CAP

    bench.run(script)


def test_an_owner_who_is_taken_off_the_list_loses_his_override(bench):
    async def script(bench):
        await bench.allow(STRANGER, 0xFFFF_FFFF)
        assert bench.limit() == OWN_LIMIT
        assert await bench.write("site_power_limit", CAP) is Refusal.ILLEGAL_FUNCTION

    bench.run(script)
