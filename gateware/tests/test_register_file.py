"""What the host may read and write, seen from the host link's side of the bus."""

from __future__ import annotations

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CALIBRATION_WORDS,
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_MAX,
    CHANNEL_GAIN_MIN,
    CHANNEL_GAIN_ONE,
    CHANNEL_GAIN_WORDS,
    CONTROL_REGISTERS,
    EPOCH_BASE,
    EPOCH_END,
    EPOCH_RECORD_WORDS,
    EPOCH_RING,
    HOT_LIMIT_MAX,
    HOT_LIMIT_MIN,
    IMAGE_WORDS,
    LOCKED_WHEN_ARMED,
    NO_CHANNEL,
    PARAMETER_BASE,
    PARAMETER_REGISTERS,
    PARAMETER_WORDS,
    RESTORE_BASE,
    RESTORE_WORDS,
    SITE_WORDS,
    STATUS_BASE,
    STATUS_REGISTERS,
    STATUS_WORDS,
    TRIP_CLEAR_KEYS,
    WRITABLE_IMAGE_WORDS,
    NodeFlag,
    Status,
)
from thermogen_esf.layout import FIELD, MAGIC
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS
from thermogen_gateware.register_file import MAP_VERSION, RegisterFile
from thermogen_gateware.status_words import COPY_CLOCKS

NOW = 1_790_000_000
LEAF_NEXT = 5_000
ORDERS = ("time_set", "sequence_start", "leaf_ack", "trip_clear", "heartbeat", "calibration_we", "channel_gain_we")
MAP_END = PARAMETER_BASE + PARAMETER_WORDS
GOOD_GAIN = CHANNEL_GAIN_ONE + 100
LIFETIMES = [*[0, 0x0001, 0x0203, 0x0405], *[0xFFFF, 0xFFFF, 0xFFFF, 0xFF00], *[0x0000, 0x1122, 0x3344]]


def words_of(value, size=2):
    return [value >> 16 * (size - 1 - place) & 0xFFFF for place in range(size)]


class Bench:
    """The register file with the host link played by `offer` and `read`, and the orders that came out of it."""

    def __init__(self, register_bus):
        bus = register_bus(self)
        self.offer, self.write = bus.offer, bus.write
        self.dut = RegisterFile(0x00010000, 10_000, 12, source_hash=0xA1B2_C3D4_E5F6_0718)
        self.orders = []
        self.reset = Signal()

    def run(self, script):
        async def watch(ctx):
            dut = self.dut
            signals = [getattr(dut, name) for name in ORDERS]
            async for _, _, value, *raised in ctx.tick().sample(dut.value, *signals):
                self.orders += [(name, value) for name, order in zip(ORDERS, raised, strict=True) if order]

        async def main(ctx):
            self.ctx = ctx
            ctx.set(self.dut.time, NOW)
            ctx.set(self.dut.leaf_next, LEAF_NEXT)
            await script(self)

        simulator = Simulator(ResetInserter(self.reset)(self.dut))
        simulator.add_clock(20e-9)
        simulator.add_testbench(watch, background=True)
        simulator.add_testbench(main)
        simulator.run()

    async def control(self, name, value):
        address, size = CONTROL_REGISTERS[name]
        return await self.write(address, words_of(value, size))

    async def freeze(self):
        self.ctx.set(self.dut.bus.freeze, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.bus.freeze, 0)

    async def read(self, address, size=1):
        value = 0
        for place in range(size):
            self.ctx.set(self.dut.bus.address, address + place)
            await self.ctx.tick().repeat(2)
            value = value << 16 | self.ctx.get(self.dut.bus.read_data)
        return value

    async def snapshot(self, word_of):
        """Writes and shows one image."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.busy, 1)
        for address in range(IMAGE_WORDS):
            ctx.set(dut.image_address, address)
            ctx.set(dut.image_data, word_of(address))
            ctx.set(dut.image_write, 1)
            await ctx.tick()
        ctx.set(dut.image_write, 0)
        ctx.set(dut.image_show, 1)
        ctx.set(dut.busy, 0)
        await ctx.tick()
        ctx.set(dut.image_show, 0)
        await ctx.tick().repeat(2)


@pytest.fixture
def bench(register_bus):
    return Bench(register_bus)


def test_the_map_is_readable_where_it_says_and_nowhere_else(bench):
    async def script(bench):
        regions = {0: IMAGE_WORDS, STATUS_BASE: STATUS_WORDS, EPOCH_BASE: EPOCH_END - EPOCH_BASE, PARAMETER_BASE: PARAMETER_WORDS}
        readable = {first + place for first, size in regions.items() for place in range(size)}
        numbers = {}
        for address in range(MAP_END + 8):
            bench.ctx.set(bench.dut.bus.address, address)
            region = bench.ctx.get(bench.dut.bus.region)
            assert (region != 0) == (address in readable), hex(address)
            if region:
                numbers.setdefault(region, []).append(address)
        assert [(span[0], len(span)) for span in numbers.values()] == list(regions.items())

    bench.run(script)


def test_only_the_words_of_the_contract_can_be_written(bench):
    controls = {address + place for address, size in CONTROL_REGISTERS.values() for place in range(size)}
    calibration = set(range(CALIBRATION_BASE, CALIBRATION_BASE + CALIBRATION_WORDS))
    restored = set(range(RESTORE_BASE, RESTORE_BASE + RESTORE_WORDS))
    gains = set(range(CHANNEL_GAIN_BASE, CHANNEL_GAIN_BASE + CHANNEL_GAIN_WORDS))
    parameters = set(PARAMETER_REGISTERS.values())
    readable = {*range(IMAGE_WORDS), *range(STATUS_BASE, STATUS_BASE + STATUS_WORDS), *range(EPOCH_BASE, EPOCH_END)}

    async def script(bench):
        for address in range(MAP_END + 8):
            if address in controls | calibration | restored | gains | parameters:
                continue
            expected = Status.OK if address in WRITABLE_IMAGE_WORDS else Status.REFUSED if address in readable else Status.BAD_ADDRESS
            assert await bench.offer(address, [1], 0) == [expected], hex(address)

    bench.run(script)


def test_who_the_node_is_cannot_be_changed_once_armed(bench):
    async def script(bench):
        assert await bench.control("arm", 1) is Status.OK
        for address in sorted(WRITABLE_IMAGE_WORDS):
            expected = Status.REFUSED if address in LOCKED_WHEN_ARMED else Status.OK
            assert await bench.offer(address, [1], 0) == [expected], hex(address)
        assert await bench.control("sequence_start", 1) is Status.REFUSED
        assert await bench.write(CALIBRATION_BASE, [4096, 0]) is Status.REFUSED
        assert await bench.write(CHANNEL_GAIN_BASE + 5, [GOOD_GAIN]) is Status.REFUSED
        assert await bench.write(RESTORE_BASE, LIFETIMES) is Status.REFUSED
        assert await bench.control("hot_fatal", HOT_LIMIT_MIN) is Status.REFUSED
        assert await bench.control("hot_throttle", HOT_LIMIT_MIN) is Status.REFUSED
        assert await bench.control("arm", 0) is Status.REFUSED
        assert bench.ctx.get(bench.dut.armed) == 1

    bench.run(script)
    assert bench.orders == []


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("time_set", 0, Status.REFUSED),
        ("time_set", 1, Status.OK),
        ("arm", 0, Status.REFUSED),
        ("arm", 2, Status.REFUSED),
        ("enable", 1, Status.OK),
        ("enable", 0, Status.OK),
        ("enable", 2, Status.REFUSED),
        ("leaf_ack", LEAF_NEXT, Status.OK),
        ("leaf_ack", 0, Status.OK),
        ("leaf_ack", LEAF_NEXT + 1, Status.REFUSED),
        ("trip_clear", 0x1234, Status.REFUSED),
        ("current_limit_ma", 3_500, Status.OK),
        ("current_limit_ma", 3_501, Status.REFUSED),
        ("heartbeat", 0xFFFF, Status.OK),
        ("hot_throttle", HOT_LIMIT_MIN, Status.OK),
        ("hot_throttle", HOT_LIMIT_MIN - 1, Status.REFUSED),
        ("hot_fatal", HOT_LIMIT_MAX, Status.OK),
        ("hot_fatal", HOT_LIMIT_MAX + 1, Status.REFUSED),
    ],
)
def test_a_control_takes_only_values_that_mean_something(bench, name, value, status):
    async def script(bench):
        assert await bench.control(name, value) is status

    bench.run(script)
    if status is not Status.OK:
        assert bench.orders == []


def test_armed_the_time_is_not_set_back(bench):
    async def script(bench):
        await bench.control("arm", 1)
        assert await bench.control("time_set", NOW - 1) is Status.REFUSED
        assert await bench.control("time_set", NOW) is Status.OK
        assert await bench.control("time_set", NOW + 1) is Status.OK

    bench.run(script)
    assert bench.orders == [("time_set", NOW), ("time_set", NOW + 1)]


def test_half_a_register_is_refused(bench):
    halves = [address + place for address, size in CONTROL_REGISTERS.values() if size == 2 for place in range(2)]

    async def script(bench):
        for address in [*halves, CALIBRATION_BASE, CALIBRATION_BASE + 1]:
            assert await bench.write(address, [1]) is Status.REFUSED, hex(address)

    bench.run(script)
    assert bench.orders == []


def test_several_registers_in_one_request_are_applied_in_order(bench):
    async def script(bench):
        assert await bench.write(CONTROL_REGISTERS["time_set"][0], [*words_of(NOW + 5), *words_of(77), 1, 1]) is Status.OK
        assert bench.ctx.get(bench.dut.armed) == bench.ctx.get(bench.dut.enable) == 1

    bench.run(script)
    assert bench.orders == [("time_set", NOW + 5), ("sequence_start", 77)]


def test_calibration_comes_out_an_input_at_a_time(bench):
    async def script(bench):
        dut = bench.dut
        await bench.offer(CALIBRATION_BASE + 22, [16384, -8192 & 0xFFFF], 0)
        assert bench.orders == []
        await bench.offer(CALIBRATION_BASE + 22, [16384, -8192 & 0xFFFF], 1)
        assert bench.ctx.get(dut.calibration_addr) == 11
        assert bench.ctx.get(dut.calibration_offset) == -8192

    bench.run(script)
    assert bench.orders == [("calibration_we", 16384 << 16 | (-8192 & 0xFFFF))]


@pytest.mark.parametrize(
    ("writes", "cleared"),
    [
        ([("trip_clear", TRIP_CLEAR_KEYS[0]), ("trip_clear", TRIP_CLEAR_KEYS[1])], True),
        ([("trip_clear", TRIP_CLEAR_KEYS[0])] * 2 + [("trip_clear", TRIP_CLEAR_KEYS[1])], True),
        ([("trip_clear", TRIP_CLEAR_KEYS[1]), ("trip_clear", TRIP_CLEAR_KEYS[0])], False),
        ([("trip_clear", TRIP_CLEAR_KEYS[1])], False),
        ([("trip_clear", TRIP_CLEAR_KEYS[0]), ("heartbeat", 1), ("trip_clear", TRIP_CLEAR_KEYS[1])], False),
    ],
)
def test_a_trip_is_cleared_by_both_keys_right_after_each_other(bench, writes, cleared):
    async def script(bench):
        for name, value in writes:
            assert await bench.control(name, value) is Status.OK

    bench.run(script)
    assert any(name == "trip_clear" for name, _ in bench.orders) == cleared


def test_what_the_host_supplies_reaches_the_snapshot(bench):
    async def script(bench):
        address = FIELD["boot_count"].offset // 2
        await bench.write(address, [0x0102])
        await bench.write(SITE_WORDS.start, [1, 2, 3, 4])
        for word, expected in {address: 0x0102, **{SITE_WORDS.start + place: place + 1 for place in range(4)}}.items():
            bench.ctx.set(bench.dut.supplied_address, word)
            await bench.ctx.tick()
            assert bench.ctx.get(bench.dut.supplied_data) == expected

    bench.run(script)


def test_status_is_that_of_the_request_and_complete(bench):
    live = {
        "time": 0x11223344,
        "leaf_next": 0x00010002,
        "leaf_oldest": 0x00030004,
        "epochs_sealed": 0x0506,
        "faults": 0x0708090A,
        "trip_cause": 0x0B0C0D0E,
        "trip_bus_mv": 58_123,
        "trip_time": 0x55667788,
        "trip_clocks": 0x0011_2233_4455_6677,
        "trip_bus_current": 0xFF38,
        "trip_hot_supply": 10_251,
        "trip_ground_fault": 301,
        "trip_channel": NO_CHANNEL,
        "clocks": 0x0011_2233_4455_8899,
        "module_identity": 0x0102_0102_0000,
        "module_status": 0xE00B_C080_0000,
        "module_bootstraps": 0x0007_FFFF_0000,
    }
    constants = {
        "magic": MAGIC,
        "map_version": MAP_VERSION,
        "gateware_version": 0x00010000,
        "clocks_per_site_second": 10_000,
        "channels": 12,
        "source_hash": 0xA1B2_C3D4_E5F6_0718,
        "lifetime_energy": 0x0000_0001_0203_0405 + 1_000,
        "lifetime_bus_energy": 700,
        "lifetime_gas": 0x0000_1122_3344 + 86_400,
    }

    async def script(bench):
        for name, value in live.items():
            bench.ctx.set(getattr(bench.dut, name), value)
        assert await bench.write(RESTORE_BASE, LIFETIMES) is Status.OK
        for name, value in {"electrical_energy": 1_000, "bus_energy": 700 + 256, "gas_volume": 86_400}.items():
            bench.ctx.set(getattr(bench.dut, name), value)
        await bench.ctx.tick().repeat(2)
        bench.ctx.set(bench.dut.flag_time_valid, 1)
        bench.ctx.set(bench.dut.flag_pulse_good, 1)
        await bench.freeze()
        for name in (*live, "electrical_energy", "bus_energy", "gas_volume"):
            bench.ctx.set(getattr(bench.dut, name), 0)
        await bench.ctx.tick().repeat(COPY_CLOCKS)
        expected = {**constants, **live, "flags": NodeFlag.TIME_VALID | NodeFlag.PULSE_GOOD}
        assert {name: await bench.read(*STATUS_REGISTERS[name]) for name in STATUS_REGISTERS} == expected

    bench.run(script)


@pytest.mark.parametrize("parameter", TRACKER_PARAMETERS, ids=lambda parameter: parameter.identifier)
def test_a_tracker_parameter_begins_at_its_default_and_takes_what_is_within_its_limits(bench, parameter):
    address = PARAMETER_REGISTERS[parameter.identifier]
    outside = [value for value in (parameter.minimum - 1, parameter.maximum + 1) if 0 <= value <= 0xFFFF]

    async def script(bench):
        assert await bench.read(address) == parameter.default == bench.ctx.get(bench.dut.parameters[parameter.identifier])
        await bench.control("arm", 1)
        for value in (parameter.minimum, parameter.maximum):
            assert await bench.write(address, [value]) is Status.OK
            assert await bench.read(address) == value == bench.ctx.get(bench.dut.parameters[parameter.identifier])
        for value in outside:
            assert await bench.write(address, [value]) is Status.REFUSED
        assert await bench.read(address) == parameter.maximum

    bench.run(script)


def test_the_control_register_of_the_current_limit_is_the_parameter_of_that_name(bench):
    async def script(bench):
        assert await bench.control("current_limit_ma", 1_234) is Status.OK
        assert await bench.read(PARAMETER_REGISTERS["current_limit_ma"]) == 1_234

    bench.run(script)


def test_channel_gains_come_out_one_by_one_and_only_believable_ones(bench):
    async def script(bench):
        for gain in (0, CHANNEL_GAIN_MIN - 1, CHANNEL_GAIN_MAX + 1, 0xFFFF):
            assert await bench.write(CHANNEL_GAIN_BASE, [GOOD_GAIN, gain]) is Status.REFUSED
        assert bench.orders == []
        assert await bench.write(CHANNEL_GAIN_BASE + 106, [CHANNEL_GAIN_MIN, CHANNEL_GAIN_MAX]) is Status.OK
        assert bench.ctx.get(bench.dut.channel_gain_addr) == 107
        assert bench.ctx.get(bench.dut.channel_gain) == CHANNEL_GAIN_MAX
        assert await bench.write(CHANNEL_GAIN_BASE + 107, [GOOD_GAIN, GOOD_GAIN]) is Status.BAD_ADDRESS

    bench.run(script)
    assert [name for name, _ in bench.orders] == ["channel_gain_we"] * 2


def test_lifetime_totals_are_restored_whole_and_with_room_to_go_on(bench):
    async def script(bench):
        assert await bench.write(RESTORE_BASE, LIFETIMES[:4]) is Status.REFUSED
        assert await bench.write(RESTORE_BASE + 4, LIFETIMES[4:]) is Status.REFUSED
        for place, word in ((0, 0x4000), (4, 0x8000), (4, 0x4000), (8, 0x4000)):
            crowded = [*LIFETIMES[:place], word, *LIFETIMES[place + 1 :]]
            assert await bench.write(RESTORE_BASE, crowded) is Status.REFUSED
        assert await bench.write(RESTORE_BASE, LIFETIMES) is Status.OK

    bench.run(script)


def test_what_was_restored_is_forgotten_in_a_reset(bench):
    async def script(bench):
        ctx = bench.ctx
        assert await bench.write(RESTORE_BASE, LIFETIMES) is Status.OK
        for resets, expected in ((False, 0x0000_0001_0203_0405), (True, 0)):
            ctx.set(bench.reset, resets)
            await ctx.tick()
            ctx.set(bench.reset, 0)
            await bench.freeze()
            await ctx.tick().repeat(COPY_CLOCKS)
            assert await bench.read(*STATUS_REGISTERS["lifetime_energy"]) == expected

    bench.run(script)


def test_an_image_stays_whole_however_long_it_is_read(bench):
    async def script(bench):
        await bench.snapshot(lambda address: 0x1000 | address)
        await bench.freeze()
        for second in range(2, 6):
            for address in (0, 100, IMAGE_WORDS - 1):
                assert await bench.read(address) == 0x1000 | address
            await bench.snapshot(lambda address, second=second: second << 12 | address)
            bench.ctx.set(bench.dut.newest_address, 7)
            await bench.ctx.tick()
            assert bench.ctx.get(bench.dut.newest_data) == second << 12 | 7
        await bench.freeze()
        assert await bench.read(9) == 5 << 12 | 9

    bench.run(script)


def test_a_transaction_sees_the_four_epochs_that_were_sealed_when_it_began(bench):
    async def seal(bench, number):
        bench.ctx.set(bench.dut.record_address, number % (2 * EPOCH_RING) * EPOCH_RECORD_WORDS)
        bench.ctx.set(bench.dut.record_data, number + 1)
        bench.ctx.set(bench.dut.record_write, 1)
        await bench.ctx.tick()
        bench.ctx.set(bench.dut.record_write, 0)
        bench.ctx.set(bench.dut.epochs_sealed, number + 1)

    async def script(bench):
        await bench.freeze()
        assert [await bench.read(EPOCH_BASE + slot * EPOCH_RECORD_WORDS) for slot in range(EPOCH_RING)] == [0, 0, 0, 0]
        for number in range(14):
            await seal(bench, number)
            await bench.freeze()
            for later in range(3):
                await seal(bench, number + 1 + later)
            shown = [await bench.read(EPOCH_BASE + slot * EPOCH_RECORD_WORDS) for slot in range(EPOCH_RING)]
            sealed = range(max(0, number - EPOCH_RING + 1), number + 1)
            assert shown == [next((n + 1 for n in sealed if n % EPOCH_RING == slot), 0) for slot in range(EPOCH_RING)]

    bench.run(script)
