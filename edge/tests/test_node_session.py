"""From node to buffer: boots, leaves, seals, and what is said when one of them is not as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
from thermogen_edge.buffer import BufferFullError, CommandLog
from thermogen_edge.clock_source import ClockError
from thermogen_edge.host_link.client import HostLinkNoiseError
from thermogen_edge.node import Lifetimes, Trip, WrongNodeError
from thermogen_edge.profile import default_profile, parse_profile
from thermogen_esf.frames import Alert, AlertCode, RootSource, Telemetry, decode, verify_frame
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.merkle import root
from thermogen_esf.points import Fault, SiteState

from .node_model import NodeModel
from .site_parts import KEY, SITE, SiteParts

OTHER_PROFILE = default_profile(SITE).replace(b'"gain": 22500', b'"gain": 22501', 1)


def test_an_epoch_becomes_one_signed_batch_with_the_gatewares_root(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 1_000)
    (batch,) = site.batches()
    assert batch.leaves == tuple(model.made[1, sequence] for sequence in range(90))
    assert (batch.root_source, batch.root, batch.header.sequence) == (RootSource.GATEWARE, root(batch.leaves), 0)
    assert batch.header.time == Telemetry(batch.leaves[-1]).header.time
    assert verify_frame(batch, KEY.public_key)
    assert [alert.code for alert in batch.alerts] == [AlertCode.NODE_RESTARTED]
    assert site.buffer.depth().frames == 100
    site.close()


def test_a_root_that_the_leaves_do_not_have_is_told_and_sent_as_it_is(model: NodeModel, tmp_path: Path) -> None:
    model.wrong_roots = True
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 900)
    (batch,) = site.batches()
    assert (batch.root, batch.root_source) == (bytes(32), RootSource.GATEWARE)
    assert AlertCode.ROOT_MISMATCH in site.alert_codes()
    site.close()


def test_a_daemon_started_again_carries_on_with_an_armed_node(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 300)
    site.close()
    model.tick(1_000)
    arming = [write for write in model.writes if write[0] in ("arm", "time_set", "sequence_start")]
    site = SiteParts(model, tmp_path)
    site.look()
    assert [write for write in model.writes if write[0] in ("arm", "time_set", "sequence_start")] == arming
    assert site.buffer.boot_count == 1
    assert [len(batch.leaves) for batch in site.batches()] == [90]
    assert site.buffer.next_sequence == 130
    assert model.enabled, "the restarted daemon did not say again what the node may do"
    site.close()


def test_power_lost_in_mid_epoch_makes_a_batch_whose_root_the_host_computed(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 300)
    model.power_cycle()
    model.tick(20)
    site.look()
    site.live_on(model, 600)
    first, second = site.batches()
    assert (first.root_source, first.boot_count, len(first.leaves), first.root) == (RootSource.HOST, 1, 30, root(first.leaves))
    assert (second.root_source, second.boot_count, second.first_sequence) == (RootSource.GATEWARE, 2, 30)
    assert first.epoch == second.epoch
    assert site.controller.state == SiteState.PRODUCING
    site.close()


def test_a_site_that_loses_its_power_starts_black(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 300)
    assert site.controller.state == SiteState.PRODUCING
    model.power_cycle()
    model.measured["bus_voltage"] = 30.0
    model.tick()
    site.look()
    assert site.controller.state == SiteState.BLACK_START
    assert not model.enabled
    site.close()


def test_without_a_clock_no_boot_is_used_up(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.clock.broken = True
    for _ in range(5):
        with pytest.raises(ClockError):
            site.look()
    assert (site.buffer.boot_count, NodeFlag.ARMED in model.flags) == (0, False)
    site.clock.broken = False
    site.look()
    assert site.buffer.boot_count == 1
    site.close()


def test_a_clock_that_is_behind_the_last_leaf_does_not_arm(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 300)
    model.power_cycle()
    model.plant_time_s -= 100
    with pytest.raises(ClockError, match="no second is lived twice"):
        site.look()
    assert NodeFlag.ARMED not in model.flags
    model.plant_time_s += 100
    site.look()
    assert NodeFlag.ARMED in model.flags
    site.close()


def test_leaves_that_the_node_overwrote_are_counted_and_the_rest_is_kept(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(10 * 150)
    site.look()
    assert AlertCode.LEAVES_LOST in site.alert_codes()
    batches = site.batches()
    assert [(batch.root_source, batch.first_sequence, len(batch.leaves)) for batch in batches] == [(RootSource.HOST, 22, 68)]
    assert site.buffer.next_sequence == 150
    site.live_on(model, 300)
    assert site.batches()[1].root_source is RootSource.GATEWARE
    site.close()


def test_seals_older_than_the_nodes_ring_are_made_by_the_host(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 800)
    model.tick(900 * 6)
    site.look()
    batches = site.batches()
    assert batches[0].root_source is RootSource.HOST and len(batches[0].leaves) == 80
    assert [batch.header.sequence for batch in batches] == list(range(len(batches)))
    site.close()


def test_a_node_of_another_site_is_refused(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick()
    model.shown = model.shown[:8] + bytes(7) + b"\1" + model.shown[16:]
    model.written[:] = model.shown
    again = SiteParts(model, tmp_path)
    with pytest.raises(WrongNodeError, match="power-cycle the node"):
        again.look()
    again.close()
    site.close()


def test_a_node_armed_by_a_lost_buffer_is_taken_up(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 500)
    site.close()
    new = tmp_path / "new"
    new.mkdir()
    site = SiteParts(model, new)
    site.look()
    assert (site.buffer.boot_count, site.buffer.next_sequence) == (1, 50)
    site.live_on(model, 600)
    assert [batch.first_sequence for batch in site.batches()] == [50]
    model.power_cycle()
    model.tick()
    site.look()
    assert model.introduced[-1][1] == 2, "the boot of the lost buffer was counted again"
    site.close()


def test_a_buffer_that_is_ahead_of_its_node_is_refused(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.buffer.adopt(1, 1_000)
    model.tick()
    site.close()
    site = SiteParts(model, tmp_path)
    with pytest.raises(WrongNodeError, match="power-cycle"):
        site.look()
    site.close()


def test_a_slot_that_stays_unreadable_costs_one_leaf(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(30)
    model.slots[1] = bytes(506)
    for _ in range(3):
        site.look()
    assert AlertCode.LEAVES_LOST in site.alert_codes()
    assert site.buffer.next_sequence == 3
    assert [epoch.count for epoch in site.buffer.open_epochs()] == [2]
    site.close()


def test_a_newest_leaf_that_stays_unreadable_is_said_to_be_lost_once(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(20)
    model.slots[1] = bytes(506)
    for _ in range(10):
        site.look()
    assert site.alert_codes().count(AlertCode.LEAVES_LOST) == 1
    assert site.buffer.next_sequence == 1
    model.tick(10)
    site.look()
    assert (site.buffer.next_sequence, model.leaf_oldest) == (3, 3)
    assert site.alert_codes().count(AlertCode.LEAVES_LOST) == 1
    site.close()


def test_a_lost_leafs_sequence_is_waited_for_anew_in_the_next_boot(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(20)
    model.slots[1] = bytes(506)
    for _ in range(5):
        site.look()
    model.power_cycle()
    model.tick()
    site.look()
    model.tick(30)
    right, model.slots[1] = model.slots[1], bytes(506)
    site.look()
    model.slots[1] = right
    site.look()
    assert site.buffer.next_sequence == 4
    assert sum(epoch.count for epoch in site.buffer.open_epochs() if epoch.boot_count == 2) == 3
    site.close()


def test_two_unreadable_leaves_in_a_row_do_not_keep_the_later_ones_waiting(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(40)
    model.slots[1] = model.slots[2] = bytes(506)
    for _ in range(6):
        site.look()
    assert site.buffer.next_sequence == 4
    assert site.alert_codes().count(AlertCode.LEAVES_LOST) == 2
    site.close()


def test_a_slot_that_is_being_written_is_waited_for(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(20)
    right, model.slots[1] = model.slots[1], bytes(506)
    site.look()
    assert site.buffer.next_sequence == model.leaf_oldest == 1, "a leaf was acknowledged that was not read"
    model.slots[1] = right
    site.look()
    assert site.buffer.next_sequence == 2
    assert AlertCode.LEAVES_LOST not in site.alert_codes()
    site.close()


def test_a_full_buffer_leaves_the_frames_in_the_node_and_keeps_watching(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path, limit_bytes=250_000)
    site.look()
    full = None
    while full is None:
        model.tick(10)
        full = site.look().full
    held = model.leaf_oldest
    model.measured["hot_supply_temperature"] = 206.0
    model.tick(10)
    assert site.look().full is not None
    assert model.leaf_oldest == held, "a leaf was acknowledged that is not on disk"
    assert site.controller.state == SiteState.FAULT and not model.enabled
    for batch in site.buffer.wanted(10):
        site.buffer.mark_receipted(batch)
    model.tick(10)
    assert site.look().full is None
    assert model.leaf_oldest == model.leaf_next
    site.close()


def test_a_state_that_the_disk_does_not_take_is_steered_at_once_and_stored_later(
    model: NodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_state: SiteState) -> None:
        raise BufferFullError("the test's disk is full")

    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 300)
    assert model.enabled
    model.measured["hot_supply_temperature"] = 206.0
    with monkeypatch.context() as disk:
        disk.setattr(site.buffer, "set_site_state", refuse)
        for _ in range(3):
            model.tick()
            site.look()
            assert site.controller.state == SiteState.FAULT and not model.enabled
    assert site.buffer.site_state == SiteState.PRODUCING
    model.tick()
    site.look()
    assert site.buffer.site_state == SiteState.FAULT
    site.close()


def test_the_newest_frame_is_shown_as_live_and_old_ones_are_not(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.tick(600)
    site.look()
    newest = [decode(data) for data in site.live]
    assert [(frame.header.sequence, frame.header.live) for frame in newest] == [(59, True)]
    site.close()


def test_host_supplied_points_are_in_the_next_leaf(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    for _ in range(8):
        model.tick(10)
        site.look()
    leaf = Telemetry(model.made[1, 7])
    assert leaf.raw["site_state"] == SiteState.PRODUCING
    assert leaf.raw["buffer_frames"] == 6, "what the daemon knew when it last wrote: one leaf was not stored yet"
    assert leaf.raw["boot_count"] == 1
    site.close()


def test_a_lost_state_is_steered_from_the_disk(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    model.measured["hot_supply_temperature"] = 206.0
    model.tick()
    site.look()
    assert not model.enabled
    site.close()
    model.measured["hot_supply_temperature"] = 150.0
    site = SiteParts(model, tmp_path)
    site.live_on(model, 300)
    assert site.controller.state == SiteState.FAULT and not model.enabled
    site.close()


def test_lifetime_totals_outlive_the_nodes_power_and_leaves_begin_at_zero(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.node.set_enable(True)
    site.live_on(model, 300, look_each_s=10)
    counted = site.node.status().lifetimes.energy
    assert counted == model.energy_mj > 0
    model.power_cycle()
    model.tick(20)
    site.look()
    restored = site.node.status().lifetimes.energy
    assert counted - 60 * 1_000_000 <= restored <= counted
    assert model.energy_mj == site.node.readings()["electrical_energy"] == 0
    site.close()


def test_a_trip_is_told_so_that_a_command_can_name_it_and_cleared_only_when_named_and_gone(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    log = CommandLog(site.buffer.database)
    site.look()
    site.live_on(model, 20, look_each_s=10)
    model.trip(Fault.GROUND_FAULT)
    trip = Trip(Fault.GROUND_FAULT, model.time_s)
    model.tick()
    site.look()
    assert log.latched_trip == trip and site.buffer.site_state is SiteState.FAULT and not model.enabled
    (alert,) = [alert for alert in map(decode, site.published_alerts) if isinstance(alert, Alert) and alert.code == AlertCode.TRIP_LATCHED]
    assert (alert.value, alert.threshold) == (trip.cause, trip.time_s)

    def keys() -> list[tuple[str, int]]:
        return [write for write in model.writes if write[0] == "trip_clear"]

    log.set_trip_to_clear(Trip(Fault.GROUND_FAULT, trip.time_s - 1))
    site.look()
    assert keys() == []
    log.set_trip_to_clear(trip)
    site.look()
    assert len(keys()) == 2 and site.alert_codes().count(AlertCode.TRIP_CLEAR_FAILED) == 1
    model.trip_cause_gone = True
    site.look()
    assert len(keys()) == 2, "a wish is good for one try"
    log.set_trip_to_clear(trip)
    site.look()
    assert NodeFlag.TRIPPED not in model.flags and site.buffer.site_state is SiteState.BLACK_START
    site.look()
    assert log.latched_trip is None
    model.tick(2)
    site.look()
    assert model.enabled
    site.close()


def test_channels_that_are_off_are_cleared_by_a_command_that_names_them_and_leave_the_sites_state_alone(
    model: NodeModel, tmp_path: Path
) -> None:
    site = SiteParts(model, tmp_path)
    log = CommandLog(site.buffer.database)
    site.look()
    site.live_on(model, 20, look_each_s=10)
    before, enabled = site.buffer.site_state, model.enabled
    model.faults = Fault.CHANNEL_OVERCURRENT | Fault.MODULE_LINK
    site.look()
    channels = Trip(Fault.CHANNEL_OVERCURRENT, 0)
    assert log.latched_trip == channels and AlertCode.TRIP_LATCHED not in site.alert_codes()

    log.set_trip_to_clear(channels)
    site.look()
    assert model.faults and site.alert_codes().count(AlertCode.TRIP_CLEAR_FAILED) == 1
    model.trip_cause_gone = True
    log.set_trip_to_clear(channels)
    site.look()
    assert not model.faults and site.alert_codes().count(AlertCode.TRIP_CLEAR_FAILED) == 1
    site.look()
    assert log.latched_trip is None
    assert (site.buffer.site_state, model.enabled) == (before, enabled)
    site.close()


def told_calibrations(site: SiteParts) -> list[tuple[bool, int, int]]:
    """Raised or cleared, what the node measures with, what the profile says."""
    alerts = [decode(data) for data in site.published_alerts]
    return [(a.raised, a.value, a.threshold) for a in alerts if isinstance(a, Alert) and a.code == AlertCode.OTHER_CALIBRATION]


def test_a_new_profile_is_told_until_the_node_is_power_cycled_once_for_each_boot_and_profile(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 20, look_each_s=1)
    assert told_calibrations(site) == []
    site.close()
    loaded, wanted = (parse_profile(content).calibration_hash >> 32 for content in (default_profile(SITE), OTHER_PROFILE))
    for told in ([(True, loaded, wanted)], []):
        site = SiteParts(model, tmp_path, profile=OTHER_PROFILE)
        for _ in range(2):
            site.live_on(model, 20, look_each_s=10)
            site.session.lost()
        assert told_calibrations(site) == told, "by another daemon"
        site.close()
    site = SiteParts(model, tmp_path, profile=OTHER_PROFILE)
    model.power_cycle()
    site.look()
    site.live_on(model, 20, look_each_s=1)
    assert told_calibrations(site) == [(False, wanted, wanted)]
    site.close()


def test_another_calibration_than_what_was_loaded_is_told_by_the_daemon_that_armed_the_node(model: NodeModel, tmp_path: Path) -> None:
    site = SiteParts(model, tmp_path)
    for boot in (1, 2):
        site.look()
        model.channel_gains[3] += 1
        assert len(told_calibrations(site)) == boot - 1, "before it shows"
        site.live_on(model, 20, look_each_s=1)
        assert len(told_calibrations(site)) == boot
        model.power_cycle()
    site.close()


def test_a_link_that_fails_as_the_calibration_is_read_leaves_it_to_be_told(
    model: NodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise HostLinkNoiseError("the test's link is bad")

    site = SiteParts(model, tmp_path, profile=OTHER_PROFILE)
    site.look()
    model.channel_gains[3] += 1
    model.tick()
    with monkeypatch.context() as link:
        link.setattr(site.node, "calibration_hash", fail)
        with pytest.raises(HostLinkNoiseError):
            site.look()
    assert told_calibrations(site) == []
    site.look()
    assert len(told_calibrations(site)) == 1
    site.close()


def test_a_full_disk_tells_of_the_calibration_once_it_has_room(model: NodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_told: bytes | None) -> None:
        raise BufferFullError("the test's disk is full")

    site = SiteParts(model, tmp_path)
    site.look()
    model.channel_gains[3] += 1
    model.tick()
    with monkeypatch.context() as disk:
        disk.setattr(site.buffer, "set_told_calibration", refuse)
        for _ in range(3):
            assert site.look().full is not None
    assert told_calibrations(site) == []
    assert site.look().full is None
    assert len(told_calibrations(site)) == 1
    site.close()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_buffer_of_an_earlier_version_is_taken_over_with_all_it_holds(model: NodeModel, tmp_path: Path, version: int) -> None:
    site = SiteParts(model, tmp_path)
    site.look()
    site.live_on(model, 100)
    added = {
        1: ("trip_cause", "trip_time", "clear_cause", "clear_time", "lifetime_energy", "lifetime_bus_energy", "lifetime_gas"),
        2: ("next_writes", "told_event"),
        4: ("last_seal", "taken_seal", "taken_number", "told_lost_up_to", "looked_back_in", "told_calibration"),
    }
    for column in (column for since, columns in added.items() if since >= version for column in columns):
        site.buffer.database.change(f"ALTER TABLE counters DROP COLUMN {column}")
    tables = {2: ("write_events", "write_frames"), 3: ("outbox",)}
    for table in (table for since, added_then in tables.items() if since >= version for table in added_then):
        site.buffer.database.change(f"DROP TABLE {table}")
    site.buffer.database.change(f"PRAGMA user_version = {version}")
    next_sequence = site.buffer.next_sequence
    site.close()
    site = SiteParts(model, tmp_path)
    assert site.buffer.next_sequence == next_sequence
    assert version > 1 or site.buffer.lifetimes == Lifetimes()
    site.look()
    site.close()
