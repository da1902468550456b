"""What SCADA does at the node: settings are written once, events are stored before they are let go, signed and kept for a receipt."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from thermogen_edge.buffer import BufferFullError
from thermogen_edge.buffer.write_log import WriteLog
from thermogen_edge.clock_source import ClockError
from thermogen_edge.host_link.transport import HostLinkDownError
from thermogen_edge.scada_writes import BUFFER_SHARE, FRAMES_AT_ONCE, FRAMES_PERIOD_S, MOST_HEARTBEATS_WAITING
from thermogen_edge.settings import DEFAULT_SCADA
from thermogen_esf.frames import Writes, decode, frame_hash, verify_frame
from thermogen_esf.hostlink_network import NETWORK_BASE, NETWORK_SETTINGS, NetworkMode
from thermogen_esf.scada import EVENT_RING, WRITABLE, WRITABLE_DEFAULT, WriteEvent, WriteKind, event_of

from .node_model import NodeModel
from .site_parts import KEY, SiteParts

CLIENT = int(IPv4Address("10.0.0.5"))
SETTINGS = replace(
    DEFAULT_SCADA,
    mode=NetworkMode.FIXED,
    address=IPv4Interface("10.0.0.90/24"),
    writers=(IPv4Network("10.0.0.5/32"), IPv4Network("10.0.1.0/24")),
    preferred=(IPv4Address("10.0.0.6"),),
)


def cap(value: int, old: int = 1_200) -> WriteEvent:
    return WriteEvent(1_780_272_100, CLIENT, WRITABLE["site_power_limit"].address, old, value, WriteKind.WRITE, 1)


def beats(count: int) -> WriteEvent:
    return WriteEvent(1_780_272_100, CLIENT, WRITABLE["heartbeat"].address, 0, count, WriteKind.HEARTBEATS, count)


@pytest.fixture
def networked(model: NodeModel) -> NodeModel:
    model.has_network = True
    model.power_cycle()
    return model


@pytest.fixture
def parts(networked: NodeModel, tmp_path: Path) -> Iterator[SiteParts]:
    made = SiteParts(networked, tmp_path, scada=SETTINGS)
    yield made
    made.close()


def register(model: NodeModel, name: str, entry: int = 0) -> int:
    address, size, _ = NETWORK_SETTINGS[name]
    value = 0
    for place in range(size):
        value = value << 16 | model.network_words[address + entry * size + place]
    return value


def frames(parts: SiteParts) -> list[Writes]:
    decoded = [decode(frame) for _, frame in WriteLog(parts.buffer.database).frames(1_000)]
    assert all(isinstance(frame, Writes) and verify_frame(frame, KEY.public_key) for frame in decoded)
    return decoded  # type: ignore[return-value]


def events(parts: SiteParts) -> list[WriteEvent]:
    return [event_of(data) for frame in frames(parts) for data in frame.events]


def test_a_node_is_given_its_network_once_and_again_after_its_power_failed(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    assert register(networked, "ip") == int(IPv4Address("10.0.0.90")) and register(networked, "mask") == 0xFFFF_FF00
    assert register(networked, "network_mode") == NetworkMode.FIXED and register(networked, "writable") == WRITABLE_DEFAULT
    assert register(networked, "writers") == CLIENT << 32 | 0xFFFF_FFFF
    assert register(networked, "writers", 1) == int(IPv4Address("10.0.1.0")) << 32 | 0xFFFF_FF00
    assert register(networked, "preferred") == int(IPv4Address("10.0.0.6")) and register(networked, "preferred", 1) == 0
    assert register(networked, "mac") >> 24 == 0x02545A
    assert len(networked.isn_keys) == 1
    written = networked.settings_written
    parts.session.lost()
    networked.tick()
    parts.look()
    assert (len(networked.isn_keys), networked.settings_written) == (1, written)  # an armed node is left alone: its connections go on
    networked.power_cycle()
    networked.tick()
    parts.look()
    assert len(networked.isn_keys) == 2 and networked.isn_keys[0] != networked.isn_keys[1]
    assert register(networked, "ip") == int(IPv4Address("10.0.0.90"))


def test_a_node_is_given_its_network_though_nobody_knows_the_time(parts: SiteParts, networked: NodeModel) -> None:
    """After a power failure MODBUS is what is left to look at a site without GPS: its address may not wait for it."""
    parts.clock.broken = True
    with pytest.raises(ClockError):
        parts.look()
    assert register(networked, "ip") == int(IPv4Address("10.0.0.90"))
    assert register(networked, "writers") == CLIENT << 32 | 0xFFFF_FFFF


def test_a_node_without_a_network_is_not_asked_for_it(model: NodeModel, tmp_path: Path) -> None:
    parts = SiteParts(model, tmp_path)
    model.tick()
    parts.look()
    assert model.isn_keys == [] and frames(parts) == []
    parts.close()


def test_a_write_is_stored_let_go_and_signed_at_once(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events += [cap(60), beats(3), cap(50, 60)]
    parts.look()
    assert networked.events_oldest == 3
    (frame,) = frames(parts)
    assert (frame.header.sequence, frame.boot_count, frame.first_event) == (0, 1, 0)
    assert events(parts) == [cap(60), beats(3), cap(50, 60)]
    networked.scada_events.append(cap(40, 50))
    parts.look()
    assert [(each.header.sequence, each.first_event) for each in frames(parts)] == [(0, 0), (1, 3)]


def test_heartbeats_alone_wait_for_each_other(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    for count in range(1, MOST_HEARTBEATS_WAITING):
        networked.scada_events.append(beats(count))
        parts.look()
    assert frames(parts) == [] and networked.events_oldest == MOST_HEARTBEATS_WAITING - 1
    networked.scada_events.append(beats(MOST_HEARTBEATS_WAITING))
    parts.look()
    assert len(events(parts)) == MOST_HEARTBEATS_WAITING


def test_a_full_ring_is_read_over_its_end(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events += [cap(number) for number in range(100)]
    parts.look()
    networked.scada_events += [cap(number) for number in range(100, 100 + EVENT_RING)]
    parts.look()
    assert [event.new for event in events(parts)] == list(range(100 + EVENT_RING))


@pytest.mark.parametrize("fails_at", range(1, 4))
def test_a_daemon_that_dies_between_any_two_steps_loses_and_repeats_nothing(networked: NodeModel, tmp_path: Path, fails_at: int) -> None:
    first = SiteParts(networked, tmp_path, scada=SETTINGS)
    networked.tick()
    first.look()
    networked.scada_events += [cap(60), cap(50)]
    if fails_at == 1:
        first.node.network.events = _dies  # type: ignore[method-assign]
    elif fails_at == 2:
        first.node.network.acknowledge = _dies  # type: ignore[method-assign]
    else:
        first.writes._frame = _dies  # type: ignore[method-assign]
    with pytest.raises(HostLinkDownError):
        first.look()
    first.close()
    second = SiteParts(networked, tmp_path, scada=SETTINGS)
    networked.tick()
    second.look()
    networked.scada_events.append(cap(40))
    second.look()
    assert [event.new for event in events(second)] == [60, 50, 40]
    assert networked.events_oldest == 3
    second.close()


def test_signed_events_do_not_come_again(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events += [cap(60), cap(50)]
    acknowledge = parts.node.network.acknowledge
    parts.node.network.acknowledge = lambda _: None  # type: ignore[method-assign]  # the node never hears of it
    parts.look()
    parts.node.network.acknowledge = acknowledge  # type: ignore[method-assign]
    parts.look()
    assert [event.new for event in events(parts)] == [60, 50] and networked.events_oldest == 2


def test_events_of_two_boots_are_in_frames_of_their_own(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events.append(beats(1))
    parts.look()
    networked.power_cycle()
    networked.tick()
    networked.scada_events.append(cap(60))
    parts.look()
    assert [(frame.boot_count, frame.first_event, len(frame.events)) for frame in frames(parts)] == [(1, 0, 1), (2, 0, 1)]


def test_a_receipt_lets_a_frame_go_and_nothing_else_does(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events += [cap(60)]
    parts.look()
    log = WriteLog(parts.buffer.database)
    ((_, frame),) = log.frames(8)
    assert not log.receipted(bytes(32))
    assert log.frames(8)
    assert log.receipted(frame_hash(frame))
    assert log.frames(8) == []


def test_a_trip_that_scada_cleared_is_one_that_a_hand_cleared(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.trip(4)
    networked.tick()
    parts.look()
    assert parts.controller.state == 6
    networked.flags &= ~type(networked.flags).TRIPPED
    networked.tick()
    parts.look()
    assert parts.controller.state != 6


def _dies(*_: object) -> None:
    raise HostLinkDownError("the daemon dies here")


def test_the_key_of_the_sequence_numbers_is_set_though_the_daemon_dies_while_it_sets_the_network(
    networked: NodeModel, tmp_path: Path
) -> None:
    for write_fails in range(1, 20):
        networked.power_cycle()
        networked.isn_keys.clear()
        first = SiteParts(networked, tmp_path, scada=SETTINGS)
        write, written = first.node.network._link.write, itertools.count(1)

        def dies(address: int, words: Sequence[int], write=write, written=written, write_fails=write_fails) -> None:
            if address >= NETWORK_BASE and next(written) == write_fails:
                raise HostLinkDownError("the daemon dies here")
            write(address, words)

        first.node.network._link.write = dies  # type: ignore[method-assign]
        networked.tick()
        with contextlib.suppress(HostLinkDownError):
            first.look()
        first.close()
        second = SiteParts(networked, tmp_path, scada=SETTINGS)
        networked.tick()
        second.look()
        second.close()
        assert networked.isn_keys, write_fails


def test_writes_that_cannot_be_stored_do_not_keep_leaves_from_being_stored(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events.append(cap(60))
    parts.writes._writes.store = _full  # type: ignore[method-assign]
    networked.tick(20)
    seen = parts.look()
    assert seen.time is not None and seen.full is not None
    assert parts.buffer.depth().frames > 0
    assert networked.events_oldest == 0


def test_an_event_that_is_none_is_put_aside_and_the_daemon_goes_on(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    read = parts.node.network.events
    parts.node.network.events = lambda first, stop: [read(first, stop)[0], bytes(16), read(first, stop)[2]]  # type: ignore[method-assign]
    networked.scada_events += [cap(60), cap(50), cap(40)]
    parts.look()
    assert [event.new for event in events(parts)] == [60, 40] and networked.events_oldest == 3
    assert parts.buffer.count_set_aside() == 1


def test_a_stored_event_that_has_become_none_is_put_aside(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events.append(beats(1))
    parts.look()
    parts.buffer.database.change("UPDATE write_events SET event = ?", b"\xff")
    networked.scada_events.append(cap(60))
    parts.look()
    assert events(parts) == [cap(60)]
    assert parts.buffer.count_set_aside() == 1


def test_a_mended_database_that_lost_its_counters_numbers_writes_on(parts: SiteParts, networked: NodeModel) -> None:
    networked.tick()
    parts.look()
    networked.scada_events.append(cap(60))
    parts.look()
    parts.buffer.database.set_counters(next_writes=0, told_event=0)
    networked.scada_events.append(cap(50))
    parts.look()
    assert [event.new for event in events(parts)] == [60, 50]


@pytest.mark.slow
def test_a_client_that_writes_each_second_costs_a_signature_a_minute(parts: SiteParts, networked: NodeModel) -> None:
    for value in range(1_000):
        networked.tick()
        networked.scada_events.append(cap(value))
        parts.look()
    assert len(frames(parts)) <= FRAMES_AT_ONCE * (1 + 1_000 // FRAMES_PERIOD_S)
    networked.tick(FRAMES_PERIOD_S)
    parts.look()
    assert [event.new for event in events(parts)] == list(range(1_000))


def test_writes_without_end_and_without_an_uplink_leave_the_buffer_to_the_leaves(networked: NodeModel, tmp_path: Path) -> None:
    parts = SiteParts(networked, tmp_path, scada=SETTINGS, limit_bytes=1_000_000)
    for round_ in range(40):
        networked.tick()
        networked.scada_events += [cap(round_)] * min(100, EVENT_RING - (len(networked.scada_events) - networked.events_oldest))
        assert parts.look().full is None, round_
    log = WriteLog(parts.buffer.database)
    assert log.frame_bytes() < 1_000_000 // BUFFER_SHARE + 8_000
    assert len(networked.scada_events) - networked.events_oldest == EVENT_RING, "the node is not told to keep what has no room"
    for _, frame in log.frames(1_000):
        log.receipted(frame_hash(frame))
    parts.look()
    assert networked.events_oldest == len(networked.scada_events)
    parts.close()


def _full(*_: object) -> None:
    raise BufferFullError("no room")
