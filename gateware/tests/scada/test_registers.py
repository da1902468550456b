"""The register file as a MODBUS server uses it: what is read is of one instant, what is written is judged, and an override ends."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_network import OverrideFlag
from thermogen_esf.layout import FIELD, MAGIC
from thermogen_esf.points import POINT, SiteAlarm
from thermogen_esf.scada import (
    EVENT_RING,
    OVERRIDE_TIMEOUT_S,
    TRIP_CLEAR_KEY,
    WRITABLE,
    WRITABLE_BIT,
    WRITABLE_BY_ADDRESS,
    WRITABLES,
    WriteEvent,
    WriteKind,
)
from thermogen_gateware.network.ports import Refusal
from thermogen_gateware.scada.map import BLOCKS, DISCRETE_COUNT, REGISTERS, SCADA_MAP_VERSION, WIDE, WORD_ORDER_TEST, WORDS
from thermogen_gateware.scada.registers import COUNTED
from thermogen_gateware.scada.registers_declared import HEADER_FIELD, Origin, Part

pytestmark = pytest.mark.slow

ADDRESS = {register.identifier: register.address for register in REGISTERS}
HEARTBEAT, TIMEOUT, ENABLE, CURRENT, POWER, TRIP_CLEAR, RELEASE = (writable.address for writable in WRITABLES)
FLAGS = NodeFlag.TIME_VALID | NodeFlag.ARMED | NodeFlag.NETWORK | NodeFlag.SEALS


def image_word(identifier: str, word: int = 0) -> int:
    placed = FIELD.get(identifier) or HEADER_FIELD[identifier]
    return placed.offset // 2 + word


def test_every_address_is_answered_and_no_other(bench):
    async def script(bench):
        await bench.begin()
        edges = {address + by for each in BLOCKS for address in (each.base, each.base + each.size) for by in (-1, 0, 1)}
        for space in (bench.INPUT, bench.HOLDING):
            for address in [*sorted(edges - {-1}), 512, 2_048 + 100, 0x8000, 0xFFFF]:
                _, exists = await bench.look(space, address)
                assert exists == (address in WORDS), address
        for space, count in ((bench.COILS, 3), (bench.DISCRETE, DISCRETE_COUNT)):
            for address in (0, count - 1, count, 128, 0x4000, 0xFFFF):
                assert (await bench.look(space, address))[1] == (address < count), address

    bench.run(script)


def test_identity_is_there_from_power_up_on(bench):
    async def script(bench):
        for _ in range(2):
            assert await bench.read(0) == MAGIC
            assert await bench.read(ADDRESS["map_version"]) == SCADA_MAP_VERSION
            assert await bench.read(ADDRESS["channels"]) == 108
            assert await bench.read(ADDRESS["source_hash"], 4) == 0xA1B2_C3D4_E5F6_0718
            assert await bench.read(ADDRESS["word_order_test"], 2) == WORD_ORDER_TEST
            await bench.snapshot(lambda _: 0xFFFF)

    bench.run(script)


def test_the_image_is_shown_at_the_maps_addresses(bench):
    async def script(bench):
        await bench.snapshot(lambda place: 0x4000 | place << 4 | 5)
        for address, word in WORDS.items():
            if word.origin is Origin.IMAGE:
                whole = 0x4000 | word.place << 4 | 5
                expected = {Part.WHOLE: whole, Part.UPPER: whole >> 8, Part.LOWER: whole & 0xFF}[word.part]
                assert await bench.read(address) == expected, (address, word)
            elif word.origin is Origin.GAP:
                assert await bench.read(address) == 0

    bench.run(script)


def test_a_channels_current_is_a_signed_number_and_its_duty_and_state_stand_alone(bench):
    def channel_word(channel):
        return (40 * channel % 4096) << 12 | (5 * channel % 512) << 3 | channel % 7

    async def script(bench):
        await bench.snapshot(lambda _: 0, channel_word)
        current = POINT["channel_current"]
        for channel in (0, 1, 50, 51, 52, 106, 107):
            raw = await bench.read(ADDRESS["channel_current"] + channel)
            signed = raw - (raw >> 15 << 16)
            assert signed * Fraction(1, 500) == current.physical(40 * channel % 4096)
            assert await bench.read(ADDRESS["channel_duty"] + channel) == 5 * channel % 512
            assert await bench.read(ADDRESS["channel_state"] + channel) == channel % 7

    bench.run(script)


def test_what_the_snapshot_has_not_is_taken_beside_it(bench):
    async def script(bench):
        ctx = bench.ctx
        ctx.set(bench.second.trip_cause, 0x0001_0002)
        ctx.set(bench.second.module_status, 0x1111_2222_3333)
        ctx.set(bench.second.lifetime_gas, 0x0000_1122_3344_5566)
        ctx.set(bench.second.live_ip, 0xC0A8_0001)
        await bench.snapshot(lambda _: 0)
        assert await bench.read(ADDRESS["trip_cause"], 2) == 0x0001_0002
        assert [await bench.read(ADDRESS["module_status"] + slot) for slot in range(3)] == [0x1111, 0x2222, 0x3333]
        assert await bench.read(ADDRESS["lifetime_gas"], 4) == 0x0000_1122_3344_5566
        assert await bench.read(ADDRESS["live_ip"], 2) == 0xC0A8_0001

    bench.run(script)


@pytest.mark.parametrize("host_asks", [False, True])
def test_what_is_taken_beside_the_snapshot_is_of_one_instant_whatever_changes_meanwhile(bench, host_asks):
    # The host's total of gas has three words: the fourth is 0 whatever it is.
    taken = [address for address, word in WORDS.items() if word.origin is Origin.SECOND and address != ADDRESS["lifetime_gas"]]
    names = {WORDS[address].name for address in taken}
    shown = []

    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        for clocks in range(0, bench.CLOCKS_TO_SHOW, 3):
            for name in names:
                ctx.set(bench.second[name], 0)
            await bench.strobe(dut.image_show)
            if clocks:
                await ctx.tick().repeat(clocks)
            for name in names:
                ctx.set(bench.second[name], -1)
            if host_asks:
                await bench.strobe(bench.status.steps.freeze)
            await ctx.tick().repeat(bench.CLOCKS_TO_SHOW)
            await bench.begin()
            shown.append({(await bench.look(bench.HOLDING, address))[0] for address in taken})
            await bench.strobe(dut.port.end)

    bench.run(script)
    assert all(len(words) == 1 for words in shown), shown
    assert shown[0] == {0xFFFF} and shown[-1] == {0}
    # A request of the host's begins it anew.
    assert (shown[10] == {0xFFFF}) == host_asks


def test_counters_count_each_strobe(bench):
    async def script(bench):
        for number in range(len(COUNTED)):
            for _ in range(number + 1):
                bench.ctx.set(bench.dut.count, 1 << number)
                await bench.ctx.tick()
                bench.ctx.set(bench.dut.count, 0)
                await bench.ctx.tick().repeat(len(COUNTED) + 1)
        await bench.snapshot(lambda _: 0)
        assert [await bench.read(ADDRESS[name], 2) for name in COUNTED] == list(range(1, len(COUNTED) + 1))

    bench.run(script)


def test_a_request_sees_one_second_however_long_it_takes(bench):
    async def script(bench):
        places = [place for place, word in WORDS.items() if word.origin is Origin.IMAGE and word.part is Part.WHOLE]
        await bench.snapshot(lambda _: 1, lambda _: 1 << 3)
        await bench.begin()
        for second in range(2, 7):
            for address in (places[0], places[-1]):
                assert (await bench.look(bench.HOLDING, address))[0] == 1
            assert (await bench.look(bench.HOLDING, ADDRESS["channel_duty"] + 107))[0] == 1
            await bench.snapshot(lambda _, second=second: second, lambda _, second=second: second << 3)
        await bench.strobe(bench.dut.port.end)
        assert await bench.read(places[0]) == 6
        assert await bench.read(ADDRESS["channel_duty"] + 3) == 6

    bench.run(script)


def test_what_is_live_is_of_the_requests_beginning(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        ctx.set(dut.faults, 0x0001_8000)
        ctx.set(dut.flags, FLAGS)
        await bench.begin()
        ctx.set(dut.faults, 0xFFFF_FFFF)
        ctx.set(dut.flags, 0)
        ctx.set(dut.own_enable, 0)
        assert [(await bench.look(bench.INPUT, ADDRESS["faults"] + word))[0] for word in (0, 1)] == [0x0001, 0x8000]
        assert (await bench.look(bench.INPUT, ADDRESS["flags"]))[0] == FLAGS
        assert (await bench.look(bench.COILS, 0))[0] == 1
        bits = [(await bench.look(bench.DISCRETE, address))[0] for address in range(48)]
        assert sum(bit << place for place, bit in enumerate(bits)) == FLAGS << 32 | 0x0001_8000
        assert (await bench.look(bench.DISCRETE, 88))[0] == 1
        await bench.begin()
        assert (await bench.look(bench.DISCRETE, 88))[0] == 0

    bench.run(script)


def test_alarms_and_burner_inputs_are_discrete_inputs_of_the_second(bench):
    async def script(bench):
        words = {image_word("site_alarms"): SiteAlarm.SMOKE | SiteAlarm.COLD_PUMP_FAILED, image_word("burner_flags"): 0xAA06}
        await bench.snapshot(lambda place: words.get(place, 0))
        await bench.begin()
        assert [(await bench.look(bench.DISCRETE, 96 + bit))[0] for bit in range(6)] == [0, 1, 0, 0, 1, 0]
        assert [(await bench.look(bench.DISCRETE, 80 + bit))[0] for bit in range(4)] == [0, 1, 1, 0]

    bench.run(script)


def test_the_other_word_order_turns_wide_values_round_and_nothing_else(bench):
    async def script(bench):
        await bench.snapshot(lambda place: 0x3000 | place)
        straight = {address: await bench.read(address) for address in WORDS}
        bench.ctx.set(bench.dut.word_swap, 1)
        for address in WORDS:
            words = next((words for words, addresses in WIDE.items() if address in addresses), 1)
            if address != ADDRESS["word_order"]:
                assert await bench.read(address) == straight[address ^ (words - 1)], address
        assert await bench.read(ADDRESS["word_order"]) == 1
        assert await bench.read(ADDRESS["word_order_test"], 2) == 0x0304_0102
        await bench.begin()
        assert (await bench.look(bench.DISCRETE, 88))[0] == 1

    bench.run(script)


def test_writes_are_off_until_somebody_is_allowed_to(bench):
    async def script(bench):
        for address in (POWER, HEARTBEAT, ADDRESS["faults"]):
            assert await bench.write((address, 1)) is Refusal.ILLEGAL_FUNCTION
        bench.allow()
        assert await bench.write((POWER, 100), ip=bench.STRANGER) is Refusal.ILLEGAL_FUNCTION
        assert await bench.write((POWER, 100)) is Refusal.NONE
        bench.ctx.set(bench.dut.panel_enable, 1)
        assert await bench.write((POWER, 200), ip=bench.STRANGER) is Refusal.NONE
        assert await bench.read(POWER) == 200

    bench.run(script)


def test_only_what_is_listed_is_written_in_its_range(bench):
    async def script(bench):
        bench.allow()
        for address in (0, 102, ADDRESS["own_enable"], 699, 707, 1000, 0xFFFF):
            assert await bench.write((address, 1)) is Refusal.ILLEGAL_ADDRESS, address
        assert await bench.write((POWER, 1), space=bench.INPUT) is Refusal.ILLEGAL_ADDRESS
        assert await bench.write((3, 1), space=bench.COILS) is Refusal.ILLEGAL_ADDRESS
        bench.ctx.set(bench.dut.writable, sum(WRITABLE_BIT.values()))
        for each in WRITABLES:
            for value in {each.minimum - 1, each.maximum + 1} - {-1, 0x10000}:
                assert await bench.write((each.address, value)) is Refusal.ILLEGAL_VALUE, each
            for value in (each.minimum, each.maximum):
                assert await bench.write((each.address, value)) is Refusal.NONE, each
        bench.ctx.set(bench.dut.writable, WRITABLE_BIT["heartbeat"])
        assert await bench.write((POWER, 100)) is Refusal.ILLEGAL_ADDRESS
        assert await bench.write((0, 1), space=bench.COILS) is Refusal.ILLEGAL_ADDRESS

    bench.run(script)


def test_the_first_thing_wrong_is_what_is_said(bench):
    async def script(bench):
        bench.allow()
        assert await bench.write((POWER, 5_000), (0, 0)) is Refusal.ILLEGAL_VALUE
        assert await bench.write((0, 0), (POWER, 5_000)) is Refusal.ILLEGAL_ADDRESS
        assert await bench.write((POWER, 100)) is Refusal.NONE

    bench.run(script)


def test_a_refused_request_changes_nothing_even_where_it_is_ended_as_if_it_were_right(bench):
    async def script(bench):
        bench.allow()
        await bench.begin()
        assert await bench.stage(bench.HOLDING, POWER, 100) is Refusal.NONE
        assert await bench.stage(bench.HOLDING, 0, 1) is Refusal.ILLEGAL_ADDRESS
        assert await bench.stage(bench.HOLDING, CURRENT, 100) is Refusal.ILLEGAL_ADDRESS
        await bench.strobe(bench.dut.port.end)
        await bench.ctx.tick().repeat(20)
        assert (bench.ctx.get(bench.dut.site_power_limit), bench.ctx.get(bench.dut.current_limit_ma)) == (1_200, 3_000)
        assert bench.ctx.get(bench.dut.override_flags) == OverrideFlag.WRITES_ALLOWED
        assert await bench.events() == []

    bench.run(script)


def test_the_lower_of_two_limits_is_in_force_and_nobody_switches_on_what_the_node_keeps_off(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        await bench.write((CURRENT, 2_000), (POWER, 2_000), (ENABLE, 1))
        assert (ctx.get(dut.current_limit_ma), ctx.get(dut.site_power_limit)) == (2_000, 1_200)
        ctx.set(dut.own_current_limit_ma, 1_000)
        ctx.set(dut.own_enable, 0)
        await ctx.tick()
        assert (ctx.get(dut.current_limit_ma), ctx.get(dut.enable)) == (1_000, 0)
        ctx.set(dut.own_enable, 1)
        await bench.write((0, 0), space=bench.COILS)
        assert ctx.get(dut.enable) == 0
        assert (await bench.read(ENABLE), await bench.read(ADDRESS["own_enable"])) == (0, 1)

    bench.run(script)


def test_an_override_ends_when_its_heartbeat_does_and_only_the_heartbeat_keeps_it(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        await bench.write((TIMEOUT, 5))
        await bench.write((POWER, 100))
        for _ in range(3):
            await bench.seconds(4)
            assert ctx.get(dut.site_power_limit) == 100
            await bench.write((HEARTBEAT, 1))
            assert ctx.get(dut.override_remaining_s) == 5
        await bench.seconds(3)
        await bench.write((POWER, 110))
        assert ctx.get(dut.override_flags) & OverrideFlag.ALIVE
        await bench.seconds(1)
        assert ctx.get(dut.site_power_limit) == 110
        await bench.seconds(1)
        assert (ctx.get(dut.site_power_limit), ctx.get(dut.override_remaining_s)) == (1_200, 0)
        assert ctx.get(dut.override_flags) == OverrideFlag.WRITES_ALLOWED
        assert await bench.read(TIMEOUT) == OVERRIDE_TIMEOUT_S
        await bench.write((HEARTBEAT, 2))
        assert not ctx.get(dut.override_flags) & OverrideFlag.ALIVE
        assert await bench.read(ADDRESS["override_ip"], 2) == bench.CLIENT

    bench.run(script)


def test_a_timeout_written_without_a_set_point_ends_too(bench):
    async def script(bench):
        bench.allow()
        assert await bench.write((TIMEOUT, 5)) is Refusal.NONE
        assert bench.ctx.get(bench.dut.override_flags) & OverrideFlag.ALIVE
        await bench.seconds(6)
        assert await bench.read(TIMEOUT) == OVERRIDE_TIMEOUT_S
        assert await bench.write((POWER, 100), ip=bench.CLIENT + 1) is Refusal.NONE
        assert await bench.read(ADDRESS["override_remaining_s"]) == OVERRIDE_TIMEOUT_S

    bench.run(script)


def test_the_timeout_is_as_long_as_it_says(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        await bench.write((TIMEOUT, 5), (POWER, 100), settle=False)
        clocks = 0
        while ctx.get(dut.override_flags) & OverrideFlag.ALIVE:
            await ctx.tick()
            clocks += 1
        assert clocks == 5 * bench.CLOCKS_PER_SECOND

    bench.run(script)


def test_an_override_ends_with_its_owners_permission_and_by_release(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        await bench.write((POWER, 100))
        bench.allow(mask=0)
        await ctx.tick().repeat(30)
        assert ctx.get(dut.site_power_limit) == 1_200
        ctx.set(dut.panel_enable, 1)
        await bench.write((POWER, 90), ip=bench.STRANGER)
        await bench.seconds(1)
        assert ctx.get(dut.site_power_limit) == 90
        ctx.set(dut.panel_enable, 0)
        await ctx.tick().repeat(30)
        assert ctx.get(dut.site_power_limit) == 1_200
        bench.allow()
        await bench.write((POWER, 80))
        assert await bench.write((2, 1), space=bench.COILS) is Refusal.NONE
        assert (ctx.get(dut.site_power_limit), ctx.get(dut.override_remaining_s)) == (1_200, 0)

    bench.run(script)


def test_a_trip_is_cleared_only_where_that_is_listed_and_with_its_key(bench):
    async def script(bench):
        bench.allow()
        assert await bench.write((TRIP_CLEAR, TRIP_CLEAR_KEY)) is Refusal.ILLEGAL_ADDRESS
        bench.ctx.set(bench.dut.writable, sum(WRITABLE_BIT.values()))
        assert await bench.write((TRIP_CLEAR, 1)) is Refusal.ILLEGAL_VALUE
        assert await bench.write((1, 0), space=bench.COILS) is Refusal.NONE
        assert bench.trip_clears == 0
        assert await bench.write((TRIP_CLEAR, TRIP_CLEAR_KEY)) is Refusal.NONE
        assert await bench.write((1, 1), space=bench.COILS) is Refusal.NONE

    bench.run(script)
    assert bench.trip_clears == 2


def test_every_write_is_an_event_and_heartbeats_are_counted(bench):
    client = bench.CLIENT

    async def script(bench):
        bench.allow()
        await bench.write((POWER, 100), (CURRENT, 2_000))
        bench.ctx.set(bench.dut.time, 2_000)
        for beat in (7, 8, 9):
            await bench.write((HEARTBEAT, beat))
        bench.ctx.set(bench.dut.time, 3_000)
        await bench.write((0, 0), space=bench.COILS)
        await bench.write((HEARTBEAT, 10), ip=client + 1)
        await bench.write((HEARTBEAT, 11), ip=client + 2)
        await bench.seconds(61)
        return await bench.events()

    found = []

    async def keep(bench):
        found.extend(await script(bench))

    bench.run(keep)
    write, beats = WriteKind.WRITE, WriteKind.HEARTBEATS
    assert found == [
        WriteEvent(1_000, client, CURRENT, 3_000, 2_000, write, 1),
        WriteEvent(1_000, client, POWER, 1_200, 100, write, 1),
        WriteEvent(2_000, client, HEARTBEAT, 0, 9, beats, 3),
        WriteEvent(3_000, client, ENABLE, 1, 0, write, 1),
        WriteEvent(3_000, client + 1, HEARTBEAT, 9, 10, beats, 1),
        WriteEvent(3_000, client + 2, HEARTBEAT, 10, 11, beats, 1),
        WriteEvent(3_000, client + 2, 0, 0, 0, WriteKind.EXPIRED, 1),
    ]


SETPOINTS = ((HEARTBEAT, 1), (TIMEOUT, 30), (ENABLE, 1), (CURRENT, 2_000), (POWER, 900), (TRIP_CLEAR, TRIP_CLEAR_KEY), (RELEASE, 0))
CLOCKS_TO_THE_NEXT_WORD = 8
"""From a write's end to the next one's first word: fewer than the MODBUS server needs where both requests are there already."""


def test_a_write_right_behind_another_is_not_busy(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        ctx.set(dut.writable, sum(WRITABLE_BIT.values()))
        for first in (SETPOINTS, ((POWER, 10), (HEARTBEAT, 2)), ((HEARTBEAT, 3),)):
            for second in (SETPOINTS, ((POWER, 20),), ((HEARTBEAT, 4),)):
                # Another client's heartbeats are to be told first, and the second's are not the first's.
                assert await bench.write((HEARTBEAT, 5), ip=bench.CLIENT + 2) is Refusal.NONE
                for words, ip in ((first, bench.CLIENT), (second, bench.CLIENT), (second, bench.CLIENT + 1), (first, bench.CLIENT)):
                    assert await bench.write(*words, ip=ip, settle=False) is Refusal.NONE, (first, second)
                    await ctx.tick().repeat(CLOCKS_TO_THE_NEXT_WORD - 2)
                await ctx.tick().repeat(60)
                await bench.events()

    bench.run(script)


def test_what_is_refused_does_not_change_what_is_told_of_the_write_before_it(bench):
    async def script(bench):
        bench.allow()
        bench.ctx.set(bench.dut.writable, sum(WRITABLE_BIT.values()))
        for refused in ((RELEASE, 1), (RELEASE, 2), (POWER, 5_000)):
            assert await bench.write(*SETPOINTS, settle=False) is Refusal.NONE
            assert await bench.write(refused) is not Refusal.NONE
            await bench.ctx.tick().repeat(60)
            written = {event.address: event.new for event in await bench.events() if event.kind is WriteKind.WRITE}
            assert written == {place: value for place, value in SETPOINTS if place != HEARTBEAT}

    bench.run(script)


def test_an_end_is_told_of_the_client_whose_override_it_was(make_bench):
    first, second, clocks_per_second = 0x0A00_0005, 0x0A00_0006, 20
    came_first = set()

    async def script(bench, late):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        for clocks in late:
            await bench.write((TIMEOUT, 5), (POWER, 100), (HEARTBEAT, 1), ip=first)
            while ctx.get(dut.override_remaining_s) != 1:
                await ctx.tick()
            await bench.begin(second)
            assert await bench.stage(bench.HOLDING, POWER, 50) is Refusal.NONE
            ctx.set(dut.time, 2_000)
            await ctx.tick().repeat(clocks)
            ended = not ctx.get(dut.override_flags) & OverrideFlag.ALIVE
            ctx.set(dut.time, 3_000)
            await bench.strobe(dut.port.end)
            ctx.set(dut.time, 4_000)
            await ctx.tick().repeat(60)
            kinds = {WriteKind.WRITE, WriteKind.EXPIRED}
            told = [(event.kind, event.ip, event.time_s) for event in await bench.events() if event.kind in kinds][2:]
            if ended:
                # It is an override of its own, and in force.
                assert ctx.get(dut.site_power_limit) == 50
                assert told == [(WriteKind.EXPIRED, first, 2_000), (WriteKind.WRITE, second, 3_000)], clocks
                await bench.write((RELEASE, 1), ip=second)
            else:
                assert [(kind, ip) for kind, ip, _ in told] == [(WriteKind.WRITE, second), (WriteKind.EXPIRED, second)], clocks
            await ctx.tick().repeat(60)
            await bench.events()
            ctx.set(dut.time, 1_000)
            came_first.add(ended)

    make_bench(clocks_per_second).run(lambda bench: script(bench, range(8, 36)))
    assert came_first == {False, True}


def test_no_write_goes_unrecorded_when_nobody_fetches_the_events(bench):
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        bench.allow()
        accepted = 0
        while await bench.write((POWER, accepted % 1_000)) is Refusal.NONE:
            accepted += 1
            assert accepted < EVENT_RING
        assert await bench.write((POWER, 7)) is Refusal.BUSY
        assert ctx.get(dut.override_flags) & OverrideFlag.EVENTS_FULL
        assert await bench.write((HEARTBEAT, 1)) is Refusal.NONE
        await bench.seconds(OVERRIDE_TIMEOUT_S + 1)
        events = await bench.events()
        assert [event.new for event in events if event.kind is WriteKind.WRITE] == [number % 1_000 for number in range(accepted)]
        assert [event.kind for event in events[-2:]] == [WriteKind.HEARTBEATS, WriteKind.EXPIRED]
        assert await bench.write((POWER, 7)) is Refusal.NONE

    bench.run(script)


@pytest.mark.slow
def test_a_run_of_heartbeats_is_told_after_a_minute(bench):
    async def script(bench):
        bench.allow()
        await bench.write((POWER, 100))
        for beat in range(65):
            await bench.write((HEARTBEAT, beat))
            await bench.strobe(bench.dut.image_show)
            await bench.ctx.tick().repeat(bench.CLOCKS_TO_SHOW)
        events = await bench.events()
        assert [(event.kind, event.count) for event in events] == [(WriteKind.WRITE, 1), (WriteKind.HEARTBEATS, 60)]

    bench.run(script)


WORD = st.tuples(st.sampled_from([each.address for each in WRITABLES] + [100, 707]), st.one_of(st.integers(0, 70), st.integers(0, 0xFFFF)))
REQUEST = st.tuples(st.lists(WORD, min_size=1, max_size=6), st.sampled_from(["client", "stranger"]), st.booleans())


class Expected:
    """What the declarations say of a sequence of requests, second by second."""

    def __init__(self):
        self.taken, self.timeout, self.remaining, self.heartbeat = {}, OVERRIDE_TIMEOUT_S, 0, 0

    def judge(self, words, allowed):
        for address, value in words:
            writable = WRITABLE_BY_ADDRESS.get(address)
            if not allowed:
                return Refusal.ILLEGAL_FUNCTION
            if writable is None or writable.identifier == "trip_clear":
                return Refusal.ILLEGAL_ADDRESS
            if not writable.minimum <= value <= writable.maximum:
                return Refusal.ILLEGAL_VALUE
        return Refusal.NONE

    def apply(self, words):
        written = {WRITABLE_BY_ADDRESS[address].identifier: value for address, value in words}
        self.heartbeat = written.get("heartbeat", self.heartbeat)
        self.timeout = written.get("override_timeout_s", self.timeout)
        setpoints = {name: value for name, value in written.items() if name in ("enable", "current_limit_ma", "site_power_limit")}
        takes = setpoints or "override_timeout_s" in written
        if (takes and not self.remaining) or ("heartbeat" in written and (self.remaining or takes)):
            self.remaining = self.timeout
        self.taken |= setpoints
        if written.get("override_release"):
            self.taken, self.remaining, self.timeout = {}, 0, OVERRIDE_TIMEOUT_S

    def limit(self, name, own):
        return min(own, self.taken.get(name, own))


@pytest.mark.slow
def test_requests_are_done_whole_or_not_at_all_as_the_declarations_say(make_bench):
    @settings(max_examples=12, deadline=None)
    @given(st.lists(REQUEST, min_size=3, max_size=20))
    def holds(requests):
        bench, expected = make_bench(), Expected()

        async def script(bench):
            ctx, dut = bench.ctx, bench.dut
            bench.allow()
            for words, who, aborted in requests:
                refusal = expected.judge(words, who == "client")
                if aborted:
                    await bench.begin()
                    for address, value in words:
                        await bench.stage(bench.HOLDING, address, value)
                    await bench.strobe(dut.port.abort)
                else:
                    ip = bench.CLIENT if who == "client" else bench.STRANGER
                    assert await bench.write(*words, ip=ip) is refusal
                    if refusal is Refusal.NONE:
                        expected.apply(words)
                assert ctx.get(dut.site_power_limit) == expected.limit("site_power_limit", 1_200)
                assert ctx.get(dut.current_limit_ma) == expected.limit("current_limit_ma", 3_000)
                assert ctx.get(dut.enable) == expected.limit("enable", 1)
                assert bool(ctx.get(dut.override_flags) & OverrideFlag.ALIVE) == bool(expected.remaining)
                assert await bench.read(HEARTBEAT) == expected.heartbeat
                assert await bench.read(WRITABLE["override_timeout_s"].address) == expected.timeout
                ctx.set(dut.events_stored, ctx.get(dut.events_next))
                await bench.strobe(dut.events_acknowledge)

        bench.run(script)

    holds()
