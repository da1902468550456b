"""The host link seen from the host's pins, with a model of registers and leaves behind it."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator
from thermogen_esf.hostlink import LEAF_SLOTS, MAX_WRITE_WORDS, Opcode, Status
from thermogen_esf.layout import LEAF_BYTES
from thermogen_gateware.host_link import HostLink

READABLE = {range(0x000, 0x0FD): 1, range(0x100, 0x116): 2}
REFUSED_WORD = 0x0777
BUSY_SLOT = 5


def register(address):
    return (address * 0x0101 + 0x1234) & 0xFFFF


def leaf_byte(slot, at):
    return (slot * 7 + at * 3 + at // 256) & 0xFF


class Bench:
    """The host link between a SPI host and the model. `applied` is what it wrote; `overwritten_at` the word of a leaf at which its slot
    is being overwritten; `blocked_clocks` how long the model lets words wait after a transaction."""

    def __init__(self):
        self.dut = HostLink()
        self.applied = []
        self.overwritten_at = None
        self.blocked_clocks = 0

    @property
    def errors(self):
        return self._ctx.get(self.dut.errors)

    async def registers(self, ctx):
        bus = self.dut.registers
        async for address, word in ctx.changed(bus.address, bus.write_data):
            ctx.set(bus.read_data, register(address))
            ctx.set(bus.region, next((number for span, number in READABLE.items() if address in span), 0))
            ctx.set(bus.verdict, Status.REFUSED if word == REFUSED_WORD else Status.BAD_ADDRESS if address >= 0x200 else Status.OK)

    async def leaves(self, ctx):
        leaves = self.dut.leaves
        async for slot, word, fetch in ctx.changed(leaves.slot, leaves.word, leaves.fetch):
            ctx.set(leaves.status, Status.BUSY if slot == BUSY_SLOT or word == self.overwritten_at else Status.OK)
            if fetch:
                ctx.set(leaves.data, int.from_bytes(bytes(leaf_byte(slot, 4 * word + place) for place in range(4)), "big"))

    async def memory(self, ctx):
        bus = self.dut.registers
        while True:
            await ctx.edge(bus.committing, 1)
            committing = True
            while committing:
                _, _, committing, offered, commit, address, word = await ctx.tick().sample(
                    bus.committing, bus.offered, bus.commit, bus.address, bus.write_data
                )
                if offered and commit:
                    self.applied.append((address, word))

    async def snapshots(self, ctx):
        while True:
            await ctx.edge(self.dut.cs_n, 1)
            if self.blocked_clocks:
                ctx.set(self.dut.registers.blocked, 1)
                await ctx.tick().repeat(self.blocked_clocks)
                assert not ctx.get(self.dut.registers.committing)
                ctx.set(self.dut.registers.blocked, 0)

    def run(self, spi_host, script):
        async def main(ctx):
            self._ctx = ctx
            await script(spi_host(ctx, self.dut.sclk, self.dut.cs_n, self.dut.copi, self.dut.cipo))
            await ctx.tick().repeat(400)

        simulator = Simulator(self.dut)
        simulator.add_clock(20e-9)
        simulator.add_process(self.registers)
        simulator.add_process(self.leaves)
        simulator.add_testbench(self.memory, background=True)
        simulator.add_testbench(self.snapshots, background=True)
        simulator.add_testbench(main)
        simulator.run()


@pytest.fixture
def bench():
    return Bench()


def test_read_gives_the_words_that_were_asked_for(bench, spi_host, requests):
    async def script(spi):
        assert await requests.read(spi, 0x0F9, 4) == [register(address) for address in range(0x0F9, 0x0FD)]
        assert await requests.read(spi, 0x100, 1) == [register(0x100)]

    bench.run(spi_host, script)


@pytest.mark.parametrize(("address", "count"), [(0x0FD, 1), (0x0FC, 2), (0x000, 0), (0x0FF, 2), (0x000, 0x110), (0xFFFF, 2)])
def test_read_outside_one_region_is_a_bad_address(bench, spi_host, requests, address, count):
    async def script(spi):
        request = requests.request(Opcode.READ, address, count)
        assert requests.answer(request, await spi.exchange(requests.padded(request))) == (Status.BAD_ADDRESS, b"")

    bench.run(spi_host, script)


def test_write_applies_every_word_in_order(bench, spi_host, requests):
    words = [(3 * n) & 0xFFFF for n in range(MAX_WRITE_WORDS)]

    async def script(spi):
        assert await requests.write(spi, 0x040, words) is Status.OK
        assert bench.applied == []
        bench.blocked_clocks = 260
        assert await requests.write(spi, 0x145, [1]) is Status.OK

    bench.run(spi_host, script)
    assert bench.applied == [(0x040 + n, word) for n, word in enumerate(words)] + [(0x145, 1)]


@pytest.mark.parametrize(
    ("address", "words", "status"),
    [
        (0x040, [1, 2, REFUSED_WORD, 4], Status.REFUSED),
        (0x1FE, [1, 2, 3], Status.BAD_ADDRESS),
        (0x040, [], Status.BAD_ADDRESS),
        (0x040, [0] * (MAX_WRITE_WORDS + 1), Status.BAD_ADDRESS),
    ],
)
def test_write_with_one_bad_word_changes_nothing(bench, spi_host, requests, address, words, status):
    async def script(spi):
        assert await requests.write(spi, address, words) is status
        await requests.read(spi, 0x100, 1)

    bench.run(spi_host, script)
    assert bench.applied == []


def test_unknown_opcode_is_said_to_be_one(bench, spi_host, requests):
    async def script(spi):
        request = requests.request(0x7E, 0x100, 1)
        assert requests.answer(request, await spi.exchange(requests.padded(request))) == (Status.BAD_OPCODE, b"")

    bench.run(spi_host, script)


@pytest.mark.parametrize("bit", [0, 9, 47, 66, 80, 111])
def test_a_flipped_bit_anywhere_changes_nothing(bench, spi_host, requests, bit):
    async def script(spi):
        request = bytearray(requests.request(Opcode.WRITE, 0x040, 2, [1, 2]))
        request[bit // 8] ^= 0x80 >> bit % 8
        # Long enough for a request whose count was made bigger by the flip, where that ends at all.
        await spi.exchange(requests.padded(bytes(request), 10))
        assert await requests.read(spi, 0x100, 1) == [register(0x100)]

    bench.run(spi_host, script)
    assert bench.applied == []


def test_a_transaction_cut_short_changes_nothing(bench, spi_host, requests):
    request = requests.request(Opcode.WRITE, 0x040, 2, [1, 2])
    whole = requests.padded(request)

    async def script(spi):
        for bits in (1, 8 * 6, 8 * len(request) - 1, 8 * len(request), 8 * len(request) + 40, 8 * len(whole) - 1):
            await spi.exchange(whole, bits)
        assert bench.applied == []
        await spi.exchange(whole)

    bench.run(spi_host, script)
    assert bench.applied == [(0x040, 1), (0x041, 2)]


@pytest.mark.slow
def test_leaf_gives_every_byte_of_its_slot(bench, spi_host, requests):
    async def script(spi):
        status, leaf = await requests.ask(spi, Opcode.LEAF, 77)
        assert status is Status.OK
        assert leaf == bytes(leaf_byte(77, at) for at in range(LEAF_BYTES))

    bench.run(spi_host, script)


@pytest.mark.parametrize(
    ("slot", "count", "status"), [(BUSY_SLOT, 0, Status.BUSY), (LEAF_SLOTS, 0, Status.BAD_ADDRESS), (1, 1, Status.BAD_ADDRESS)]
)
def test_leaf_that_cannot_be_read_is_not_sent(bench, spi_host, requests, slot, count, status):
    async def script(spi):
        request = requests.request(Opcode.LEAF, slot, count)
        assert requests.answer(request, await spi.exchange(requests.padded(request))) == (status, b"")

    bench.run(spi_host, script)


@pytest.mark.slow
def test_leaf_overwritten_while_it_is_read_does_not_look_whole(bench, spi_host, requests):
    bench.overwritten_at = 60

    async def script(spi):
        request = requests.request(Opcode.LEAF, 9, 0)
        received = await spi.exchange(requests.padded(request, LEAF_BYTES))
        with pytest.raises(AssertionError):
            requests.answer(request, received)

    bench.run(spi_host, script)


def test_errors_count_what_was_bad_refused_or_cut_short(bench, spi_host, requests):
    async def script(spi):
        await requests.read(spi, 0x100, 1)
        await requests.write(spi, 0x040, [1])
        busy = requests.request(Opcode.LEAF, BUSY_SLOT, 0)
        await spi.exchange(requests.padded(busy))
        await spi.exchange(b"")
        assert bench.errors == 0
        await requests.write(spi, 0x040, [REFUSED_WORD])
        assert bench.errors == 1
        damaged = requests.request(Opcode.READ, 0x100, 1)[:-1] + b"!"
        await spi.exchange(requests.padded(damaged))
        assert bench.errors == 2
        await spi.exchange(b"\x01", 3)
        assert bench.errors == 3

    bench.run(spi_host, script)


@pytest.mark.slow
@pytest.mark.parametrize("gap_clocks", [3, 4, 5, 6, 8, 21])
@pytest.mark.parametrize(("opcode", "words"), [(Opcode.READ, ()), (Opcode.WRITE, (0x0AAA, 0x0BBB, 0x0CCC))], ids=["READ", "WRITE"])
def test_a_host_that_is_too_fast_changes_nothing_of_what_was_accepted_before(bench, spi_host, requests, gap_clocks, opcode, words):
    """A second request, at half the clock where an eighth is allowed, is whole before a snapshot lets the first one's words be applied."""
    first, last = [0x0111, 0x0222, 0x0333, 0x0444, 0x0555, 0x0666], [0x0999]

    async def script(spi):
        assert await requests.write(spi, 0x010, first) is Status.OK
        await bench._ctx.tick().repeat(gap_clocks)
        spi.HALF_PERIOD_S = 20e-9
        await spi.exchange(requests.padded(requests.request(opcode, 0x050, len(words) or 8, words), 16))
        spi.HALF_PERIOD_S = 80e-9
        await bench._ctx.tick().repeat(400)
        assert bench.applied == [(0x010 + place, word) for place, word in enumerate(first)]
        assert await requests.write(spi, 0x020, last) is Status.OK
        await bench._ctx.tick().repeat(400)
        assert bench.applied[len(first) :] == [(0x020, last[0])]

    bench.blocked_clocks = 255
    bench.run(spi_host, script)
