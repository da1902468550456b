"""What several gateware tests share: the far ends of a core's pins and streams."""

from __future__ import annotations

import struct

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf import hostlink
from thermogen_esf.crc import crc32c
from thermogen_esf.hostlink import NO_CHANNEL
from thermogen_esf.layout import LEAF_BYTES
from thermogen_esf.points import SITE_INPUTS, Fault
from thermogen_gateware.tracker import PARAMETERS_LAYOUT

CLOCK_PERIOD_S = 20e-9


class RegisterBus:
    """The host link's end of a register file's bus; a bench has its `ctx`."""

    def __init__(self, bench):
        self._bench = bench

    async def offer(self, address, words, commit):
        """One pass over a WRITE's words; the verdicts."""
        ctx, bus = self._bench.ctx, self._bench.dut.bus
        verdicts = []
        ctx.set(bus.commit, commit)
        for place, word in enumerate(words):
            ctx.set(bus.address, address + place)
            ctx.set(bus.write_data, word)
            ctx.set(bus.first, place == 0)
            ctx.set(bus.last, place == len(words) - 1)
            await ctx.tick()
            ctx.set(bus.offered, 1)
            _, _, verdict = await ctx.tick().sample(bus.verdict)
            verdicts.append(hostlink.Status(verdict))
            ctx.set(bus.offered, 0)
            await ctx.tick()
        return verdicts

    async def write(self, address, words):
        """A WRITE as the host link does it: looked at whole, then applied."""
        refusals = [verdict for verdict in await self.offer(address, words, 0) if verdict is not hostlink.Status.OK]
        if refusals:
            return refusals[0]
        await self.offer(address, words, 1)
        return hostlink.Status.OK


class Streams:
    """One end of an Amaranth stream, driven from a testbench."""

    @staticmethod
    async def put(ctx, stream, payload) -> None:
        """Offer one transfer until it is taken."""
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        if not ctx.get(stream.ready):
            await ctx.edge(stream.ready, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(stream.ready)
        ctx.set(stream.valid, 0)

    @staticmethod
    async def take(ctx, stream):
        """Take one transfer, as its payload's fields."""
        ctx.set(stream.ready, 1)
        if not ctx.get(stream.valid):
            await ctx.edge(stream.valid, 1)
        valid = False
        while not valid:
            _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        ctx.set(stream.ready, 0)
        return payload

    @classmethod
    async def put_bytes(cls, ctx, stream, message: bytes) -> None:
        """Offer bytes as `{data, last}` transfers."""
        for at, byte in enumerate(message):
            await cls.put(ctx, stream, {"data": byte, "last": at == len(message) - 1})

    @classmethod
    async def take_bytes(cls, ctx, stream) -> bytes:
        """Take bytes until `last`."""
        taken = bytearray()
        while True:
            payload = await cls.take(ctx, stream)
            if getattr(payload, "keep", 1):
                taken.append(payload.data)
            if payload.last:
                return bytes(taken)


@pytest.fixture
def register_bus() -> type[RegisterBus]:
    return RegisterBus


@pytest.fixture
def streams() -> type[Streams]:
    return Streams


class SpiHost:
    """The Linux side's SPI controller: mode 0, SCLK at one eighth of the clock, CIPO taken as SCLK rises."""

    HALF_PERIOD_S = 4 * CLOCK_PERIOD_S

    def __init__(self, ctx, sclk, cs_n, copi, cipo):
        self._ctx = ctx
        self._sclk, self._cs_n, self._copi, self._cipo = sclk, cs_n, copi, cipo

    async def exchange(self, sent: bytes, bits: int | None = None) -> bytes:
        """One transaction of these bytes, or of their first `bits` bits."""
        ctx = self._ctx
        bits = 8 * len(sent) if bits is None else bits
        taken = 0
        ctx.set(self._cs_n, 0)
        for bit in range(bits):
            ctx.set(self._copi, sent[bit // 8] >> (7 - bit % 8) & 1)
            await ctx.delay(self.HALF_PERIOD_S)
            taken = taken << 1 | ctx.get(self._cipo)
            ctx.set(self._sclk, 1)
            await ctx.delay(self.HALF_PERIOD_S)
            ctx.set(self._sclk, 0)
        await ctx.delay(self.HALF_PERIOD_S)
        ctx.set(self._cs_n, 1)
        await ctx.delay(self.HALF_PERIOD_S)
        return (taken << (-bits % 8)).to_bytes(-(-bits // 8), "big")


class Requests:
    """What the daemon sends over the host link, and what it makes of the answers."""

    TAG = 0x6D

    @classmethod
    def request(cls, opcode: int, address: int, count: int, words=()) -> bytes:
        """A whole request, its CRC included."""
        head = struct.pack(">BBHH", opcode, cls.TAG, address, count) + struct.pack(f">{len(words)}H", *words)
        return head + struct.pack(">I", crc32c(head))

    @classmethod
    def padded(cls, request: bytes, answer_bytes: int = 0) -> bytes:
        """A request and the clocks for its answer of so many data bytes."""
        return request + bytes(hostlink.TURNAROUND_BYTES + 2 + answer_bytes + 4)

    @classmethod
    def answer(cls, request: bytes, received: bytes) -> tuple[hostlink.Status, bytes]:
        """Status and data of an answer whose tag and CRC are right."""
        answer = received[len(request) + hostlink.TURNAROUND_BYTES :]
        status = hostlink.Status(answer[0])
        # Where the node does not say OK there are no data, whatever was asked for.
        covered = answer[:-4] if status is hostlink.Status.OK else answer[:2]
        assert answer[1] == cls.TAG
        assert answer[len(covered) : len(covered) + 4] == struct.pack(">I", crc32c(covered))
        return status, covered[2:]

    @classmethod
    async def ask(cls, spi: SpiHost, opcode: int, address: int, count: int = 0, words=()) -> tuple[hostlink.Status, bytes]:
        """One whole transaction."""
        request = cls.request(opcode, address, count, words)
        answer_bytes = {hostlink.Opcode.READ: 2 * count, hostlink.Opcode.LEAF: LEAF_BYTES}.get(hostlink.Opcode(opcode), 0)
        return cls.answer(request, await spi.exchange(cls.padded(request, answer_bytes)))

    @classmethod
    async def read(cls, spi: SpiHost, address: int, count: int) -> list[int]:
        status, data = await cls.ask(spi, hostlink.Opcode.READ, address, count)
        assert status is hostlink.Status.OK
        return list(struct.unpack(f">{count}H", data))

    @classmethod
    async def write(cls, spi: SpiHost, address: int, words) -> hostlink.Status:
        status, _ = await cls.ask(spi, hostlink.Opcode.WRITE, address, len(words), words)
        return status


@pytest.fixture
def spi_host() -> type[SpiHost]:
    return SpiHost


@pytest.fixture
def requests() -> type[Requests]:
    return Requests


class StillPowerPath(wiring.Component):
    """Stands in for the power path, with values that never move: the record is what is looked at here."""

    def __init__(self):
        orders = {
            "pulse": 1,
            "enable": 1,
            "counts": 1,
            "calibration_addr": 4,
            "calibration_gain": 16,
            "calibration_offset": signed(16),
            "calibration_we": 1,
        }
        orders |= {"trip_clear": 1, "channel_index": 7, "adc_cipo": 1, "module_cipo": 1, "ov_comparator": 1, "autonomous": 1}
        orders |= {"parameters": PARAMETERS_LAYOUT, "channel_gain_addr": 7, "channel_gain": 16, "channel_gain_we": 1}
        orders |= {"hot_throttle": signed(16), "hot_fatal": signed(16)}
        results = {"ready": 1, "site_inputs": data.ArrayLayout(16, len(SITE_INPUTS)), "channel_word": 24, "faults": 32}
        results |= {"electrical_energy": 64, "bus_energy": 64, "gas_volume": 48, "channel_power": 32, "module_link_errors": 16}
        results |= {"module_present": 1, "tripped": 1, "trip_cause": 32, "trip_bus_mv": 16, "trip_strobe": 1, "module_run": 1}
        results |= {"trip_bus_current": 16, "trip_hot_supply": 16, "trip_ground_fault": 16, "trip_channel": 16, "trip_clocks": 64}
        results |= {"clocks": 64, "conservative": 1, "counter_saturated": 1, "module_heard": 1}
        results |= {name: data.ArrayLayout(8, 1) for name in ("module_status", "module_type", "module_version")}
        results |= {"bootstrap_pulses": data.ArrayLayout(16, 1)}
        results |= {"adc_sclk": 1, "adc_cs_n": 1, "adc_copi": 1, "module_sclk": 1, "module_cs_n": 1, "module_copi": 1}
        super().__init__({name: In(shape) for name, shape in orders.items()} | {name: Out(shape) for name, shape in results.items()})

    def elaborate(self, _platform):
        m = Module()
        m.d.sync += [self.ready.eq(self.pulse), self.channel_word.eq(0x800F03 + self.channel_index)]
        m.d.comb += [
            self.electrical_energy.eq(123_456_789_012),
            self.module_present.eq(1),
            self.module_heard.eq(1),
            self.module_status[0].eq(0x0B),
            self.module_type[0].eq(1),
            self.module_version[0].eq(2),
            self.bootstrap_pulses[0].eq(77),
            self.conservative.eq(self.autonomous),
            self.trip_channel.eq(NO_CHANNEL),
            self.faults.eq(Fault.BUS_WARNING),
        ]
        for channel in range(len(SITE_INPUTS)):
            m.d.comb += self.site_inputs[channel].eq(100 * channel)
        return m


@pytest.fixture
def still_power_path() -> StillPowerPath:
    return StillPowerPath()
