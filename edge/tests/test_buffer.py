"""The buffer against a model of itself, at its limits, and after the disk has done its worst."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from thermogen_edge.buffer import (
    BatchDraft,
    BootsExhaustedError,
    Buffer,
    BufferDamagedError,
    BufferFullError,
    BufferVersionError,
    OpenEpoch,
    open_buffer,
)
from thermogen_edge.buffer.buffer import BATCH_BYTES, MAX_ALERTS_WAITING
from thermogen_esf.frames import Header, Telemetry, frame_hash, site_identity
from thermogen_esf.points import TimeQuality

SITE = site_identity("tz-a")
START_S = 1_780_272_000
SEALED_BYTES = 4_800
"""About what a batch has beside its leaves."""


def leaf(sequence: int, time_s: int, boot_count: int = 1) -> bytes:
    return Telemetry.of(Header(SITE, sequence, time_s, TimeQuality.PULSE), {"boot_count": boot_count}).leaf


def make(draft: BatchDraft) -> bytes:
    """Stands for the signed frame: as long, and different for every batch."""
    return draft.number.to_bytes(4, "big") + draft.previous + b"".join(draft.leaves) + b"".join(draft.alerts) + bytes(SEALED_BYTES)


def fill_epoch(buffer: Buffer, epoch: int, count: int = 90, boot_count: int = 1) -> None:
    """Stores and seals an epoch of leaves."""
    first = buffer.next_sequence
    buffer.store_leaves([leaf(first + index, START_S + 900 * epoch + 10 * (index + 1), boot_count) for index in range(count)])
    (opened,) = buffer.open_epochs()
    assert buffer.seal(opened, make) is not None


class BufferModel(RuleBasedStateMachine):
    """What the buffer should hold, in plain Python; the real one is closed and opened now and then."""

    directory: Callable[[], Path]

    def __init__(self) -> None:
        super().__init__()
        self.path = type(self).directory() / "buffer.sqlite"
        self.buffer = open_buffer(self.path, 10_000_000)
        self.time_s = START_S
        self.boot = self.sequence = 0
        self.open: list[bytes] = []
        self.batches: list[tuple[int, list[bytes], bytes]] = []
        self.receipted: set[int] = set()
        self.wanted: set[int] = set()
        self.alerts: list[bytes] = []
        self.alert_numbers = 0

    def teardown(self) -> None:
        self.buffer.close()

    @rule(count=st.integers(1, 40), repeated=st.integers(0, 5))
    def leaves_come(self, count: int, repeated: int) -> None:
        new = [leaf(self.sequence + index, self.time_s + 10 * (index + 1), self.boot) for index in range(count)]
        assert self.buffer.store_leaves(self.open[-repeated:] * bool(repeated) + new) == len(new)
        self.open += new
        self.sequence += count
        self.time_s += 10 * count

    @rule()
    def the_node_boots(self) -> None:
        self.boot += 1
        assert self.buffer.begin_boot() == self.boot

    @precondition(lambda self: self.open)
    @rule()
    def the_oldest_epoch_is_sealed(self) -> None:
        opened = self.buffer.open_epochs()[0]
        taken = self.open[: opened.count]
        alerts = self.alerts[:64]
        seen: list[BatchDraft] = []

        def make_seen(draft: BatchDraft) -> bytes:
            seen.append(draft)
            return make(draft)

        batch = self.buffer.seal(opened, make_seen)
        assert batch is not None and batch.number == len(self.batches)
        assert seen[0].leaves == tuple(taken) and seen[0].alerts == tuple(alerts)
        assert seen[0].previous == (frame_hash(self.batches[-1][2]) if self.batches else bytes(32))
        self.batches.append((opened.epoch, taken, make(seen[0])))
        self.wanted.add(batch.number)
        self.open = self.open[opened.count :]
        self.alerts = self.alerts[64:]
        self.time_s = max(self.time_s, (opened.epoch + 1) * 900)  # a sealed epoch is over

    @rule(data=st.data())
    def a_receipt_comes(self, data: st.DataObject) -> None:
        if self.wanted:
            number = data.draw(st.sampled_from(sorted(self.wanted)))
            batch = self.buffer.batch_by_hash(frame_hash(self.batches[number][2]))
            assert batch is not None
            self.buffer.mark_receipted(batch)
            self.receipted.add(number)
            self.wanted.discard(number)

    @rule(data=st.data())
    def the_cloud_asks_again(self, data: st.DataObject) -> None:
        if self.batches:
            epoch = data.draw(st.sampled_from(self.batches))[0]
            again = {number for number, batch in enumerate(self.batches) if batch[0] == epoch}
            assert self.buffer.want_again(epoch, epoch) == len(again)
            self.wanted |= again

    @rule(count=st.integers(1, 70))
    def alerts_come(self, count: int) -> None:
        for _ in range(count):
            self.alerts.append(self.buffer.add_alert(lambda number: number.to_bytes(4, "big")))
            assert self.alerts[-1] == self.alert_numbers.to_bytes(4, "big")
            self.alert_numbers += 1

    @rule()
    def the_daemon_restarts(self) -> None:
        self.buffer.close()
        self.buffer = open_buffer(self.path, 10_000_000)
        assert self.buffer.database.take_reports() == []

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        assert self.buffer.next_sequence == self.sequence
        wanted = self.buffer.wanted(10_000)
        assert [batch.number for batch in wanted] == sorted(self.wanted)
        if wanted:
            assert self.buffer.frame(wanted[0]) == self.batches[wanted[0].number][2]
        unreceipted = [batch for number, batch in enumerate(self.batches) if number not in self.receipted]
        depth = self.buffer.depth(self.time_s)
        assert (depth.batches, depth.frames) == (len(unreceipted), len(self.open) + sum(len(batch[1]) for batch in unreceipted))
        oldest = [Telemetry(one).header.time for one in (self.open[:1] + [batch[1][0] for batch in unreceipted])]
        assert depth.oldest_age_s == (self.time_s - min(oldest) if oldest else 0)


@pytest.mark.parametrize("examples", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_the_buffer_does_what_its_model_does(tmp_path_factory: pytest.TempPathFactory, examples: int) -> None:
    class Model(BufferModel):
        directory = staticmethod(lambda: tmp_path_factory.mktemp("buffer"))

    run_state_machine_as_test(
        Model, settings=settings(max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    )


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_boots_are_never_counted_twice(tmp_path_factory: pytest.TempPathFactory, restarts: list[int]) -> None:
    path = tmp_path_factory.mktemp("boots") / "buffer.sqlite"
    seen: list[int] = []
    for boots in restarts:
        buffer = open_buffer(path, 1_000_000)
        seen += [buffer.begin_boot() for _ in range(boots)]
        buffer.close()
    assert seen == list(range(1, len(seen) + 1))


def test_boots_end_rather_than_begin_again(buffer: Buffer) -> None:
    buffer.adopt(65_534, 0)
    assert buffer.begin_boot() == 65_535
    with pytest.raises(BootsExhaustedError, match="enrol the site anew"):
        buffer.begin_boot()


def test_a_month_without_uplink_fits_into_the_default_size(buffer: Buffer) -> None:
    fill_epoch(buffer, 0)
    one = buffer.depth().used_bytes
    fill_epoch(buffer, 1)
    each = buffer.depth().used_bytes - one
    assert each <= BATCH_BYTES, "hours left would promise too much"
    month_batches = 30 * 24 * 4
    assert 1.5 * month_batches * each < 256_000_000


@pytest.mark.slow
def test_a_month_of_batches_is_kept_and_counted(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "buffer.sqlite", 256_000_000)
    buffer.database.rows("PRAGMA synchronous = OFF")  # a month of waiting for the disk is not what is tested
    hours_before = buffer.depth().hours_left
    for epoch in range(30 * 24 * 4):
        fill_epoch(buffer, epoch)
    depth = buffer.depth()
    assert (depth.frames, depth.batches) == (30 * 24 * 360, 30 * 24 * 4)
    assert depth.oldest_age_s == 30 * 86_400 - 10
    assert hours_before > 30 * 24
    assert 0 <= depth.hours_left - (hours_before - 30 * 24) <= 30, "the hours left are not the hours that pass"
    buffer.close()


def test_receipted_batches_make_room_oldest_first_and_others_never(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "buffer.sqlite", 10 * BATCH_BYTES)
    for epoch in range(5):
        fill_epoch(buffer, epoch)
    for batch in buffer.wanted(3):
        buffer.mark_receipted(batch)
    held = {batch.number: batch for batch in (buffer.wanted(100))}
    with pytest.raises(BufferFullError, match="THERMOGEN_BUFFER_MB"):
        for epoch in range(5, 50):
            fill_epoch(buffer, epoch)
    numbers = [row[0] for row in buffer.database.rows("SELECT number FROM batches ORDER BY number")]
    assert numbers[: len(held)] == sorted(held) == [3, 4], "an unreceipted batch was dropped"
    assert buffer.depth().hours_left == 0
    before = (buffer.next_sequence, buffer.depth().frames)
    with pytest.raises(BufferFullError):
        buffer.store_leaves([leaf(buffer.next_sequence + n, START_S + 900 * 60 + 10 * n) for n in range(90)])
    assert (buffer.next_sequence, buffer.depth().frames) == before
    for batch in buffer.wanted(2):
        buffer.mark_receipted(batch)
    assert buffer.store_leaves([leaf(buffer.next_sequence, START_S + 900 * 60)]) == 1
    buffer.close()


def test_a_full_disk_is_said_and_loses_nothing(buffer: Buffer) -> None:
    fill_epoch(buffer, 0)
    pages = buffer.database.row("PRAGMA page_count")[0]
    buffer.database.rows(f"PRAGMA max_page_count = {pages}")
    first = buffer.next_sequence
    with pytest.raises(BufferFullError, match="make room"):
        buffer.store_leaves([leaf(first + index, START_S + 900 + 10 * (index + 1)) for index in range(180)])
    assert buffer.next_sequence == first
    buffer.database.rows(f"PRAGMA max_page_count = {pages + 1000}")
    assert buffer.store_leaves([leaf(first, START_S + 910)]) == 1


def test_alerts_that_nobody_takes_do_not_pile_up(buffer: Buffer) -> None:
    with buffer.database.transaction():
        for _ in range(MAX_ALERTS_WAITING + 5):
            buffer.add_alert(lambda number: number.to_bytes(4, "big"))
    assert buffer.database.row("SELECT count(*) FROM alerts")[0] == MAX_ALERTS_WAITING


def test_a_leaf_of_a_sealed_epoch_is_put_aside_and_the_next_ones_come(buffer: Buffer) -> None:
    fill_epoch(buffer, 0)
    first = buffer.next_sequence
    assert buffer.store_leaves([leaf(first, START_S + 900), leaf(first + 1, START_S + 910)]) == 2
    (report,) = buffer.database.take_reports()
    assert (report.kind, report.number) == ("leaf", first)
    assert buffer.open_epochs() == [OpenEpoch((START_S + 900) // 900, 1, first + 1, 1)]


def test_a_rotten_leaf_is_put_aside_and_the_others_are_sealed(buffer: Buffer) -> None:
    buffer.store_leaves([leaf(index, START_S + 10 * (index + 1)) for index in range(5)])
    buffer.database.change("UPDATE leaves SET leaf = zeroblob(506) WHERE sequence = 2")
    (opened,) = buffer.open_epochs()
    drafts: list[BatchDraft] = []

    def make_seen(draft: BatchDraft) -> bytes:
        drafts.append(draft)
        return make(draft)

    batch = buffer.seal(opened, make_seen)
    assert batch is not None and batch.count == 4
    assert [Telemetry(one).header.sequence for one in drafts[0].leaves] == [0, 1, 3, 4]
    assert [(report.kind, report.number) for report in buffer.database.take_reports()] == [("leaf", 2)]
    assert buffer.count_set_aside() == 1


def test_a_rotten_batch_is_put_aside_and_does_not_block_the_next(buffer: Buffer) -> None:
    for epoch in range(3):
        fill_epoch(buffer, epoch)
    buffer.database.change("UPDATE batch_frames SET frame = zeroblob(50000) WHERE number = 0")
    buffer.database.change("DELETE FROM batch_frames WHERE number = 1")
    frames = [buffer.frame(batch) for batch in buffer.wanted(3)]
    assert frames[:2] == [None, None] and frames[2] is not None
    assert [batch.number for batch in buffer.wanted(3)] == [2]
    assert [(report.kind, report.number) for report in buffer.database.take_reports()] == [("batch", 0), ("batch", 1)]


def test_a_buffer_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "buffer.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BufferVersionError, match="schema 99"):
        open_buffer(path, 1_000_000)
    assert path.read_bytes() == before


def damaged(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize("page", range(2, 40, 6))
def test_a_damaged_page_costs_what_was_on_it_and_the_daemon_starts(tmp_path: Path, page: int) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, 10_000_000)
    buffer.begin_boot()
    for epoch in range(3):
        fill_epoch(buffer, epoch)
    buffer.store_leaves([leaf(270 + index, START_S + 2_700 + 10 * (index + 1)) for index in range(5)])
    frames = {batch.number: buffer.frame(batch) for batch in buffer.wanted(10)}
    next_batch, next_sequence = 3, buffer.next_sequence
    previous = buffer.database.counters("previous_hash")[0]
    buffer.close()
    damaged(path, 4096 * (page - 1), b"\xff" * 4096)
    buffer = open_buffer(path, 10_000_000)
    for batch in buffer.wanted(10):
        frame = buffer.frame(batch)
        assert frame is None or frame == frames[batch.number], "a batch came out changed"
    for opened in buffer.open_epochs():
        drafts: list[BatchDraft] = []

        def make_seen(draft: BatchDraft, drafts: list[BatchDraft] = drafts) -> bytes:
            drafts.append(draft)
            return make(draft)

        if buffer.seal(opened, make_seen) is not None:
            assert (drafts[0].number, drafts[0].previous) == (next_batch, previous)
            next_batch, previous = next_batch + 1, buffer.database.counters("previous_hash")[0]
    assert buffer.begin_boot() >= 2
    assert buffer.next_sequence >= 270
    assert buffer.next_sequence <= next_sequence
    buffer.close()


@pytest.mark.parametrize("state", ["garbage", "empty", "absent", "old copy"])
def test_a_lost_database_starts_no_number_again(tmp_path: Path, state: str) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, 10_000_000)
    old_copy = path.read_bytes()
    buffer.begin_boot()
    for epoch in range(2):
        fill_epoch(buffer, epoch)
    previous = buffer.database.counters("previous_hash")[0]
    buffer.close()
    if state == "absent":
        path.unlink()
    else:
        path.write_bytes({"garbage": b"SQLite? no." * 1_000, "empty": b"", "old copy": old_copy}[state])
    buffer = open_buffer(path, 10_000_000)
    assert buffer.database.take_reports(), "nobody was told"
    assert (buffer.boot_count, buffer.next_sequence) == (1, 180)
    assert buffer.database.counters("next_batch", "previous_hash") == (2, previous)
    buffer.close()
    if state == "garbage":
        assert list(tmp_path.glob("buffer.sqlite.damaged-*")), "the damaged file was thrown away"


@pytest.mark.parametrize("moved", ["nothing", "database"])
def test_power_that_fails_while_a_salvaged_database_is_put_in_place(tmp_path: Path, moved: str) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, 10_000_000)
    buffer.begin_boot()
    fill_epoch(buffer, 0)
    buffer.close()
    salvaged = path.with_name(path.name + ".salvaged")
    salvaged.write_bytes(path.read_bytes())
    damaged(path, 0, bytes(4096))
    if moved == "database":
        path.rename(path.with_name(path.name + ".damaged-1"))
    buffer = open_buffer(path, 10_000_000)
    assert len(buffer.wanted(10)) == 1
    assert not salvaged.exists()
    buffer.close()


def test_a_rotten_chain_head_is_passed_over_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "buffer.sqlite"
    for rot in (b"", b"{", b"[]", b'{"boot_count": -1, "next_batch": 0, "next_sequence": 0, "previous_hash": ""}', b"\xff"):
        (tmp_path / "chain-head.json").write_bytes(rot)
        buffer = open_buffer(path, 10_000_000)
        last = buffer.boot_count
        assert buffer.begin_boot() == last + 1
        buffer.close()


def test_a_damage_met_while_running_is_typed(buffer: Buffer, tmp_path: Path) -> None:
    for epoch in range(3):
        fill_epoch(buffer, epoch)
    buffer.database.row("PRAGMA wal_checkpoint(TRUNCATE)")
    for page in range(2, 12):
        damaged(tmp_path / "buffer.sqlite", 4096 * (page - 1), b"\xff" * 4096)
    buffer.database.rows("PRAGMA shrink_memory")
    reopened = Buffer(tmp_path / "buffer.sqlite", 10_000_000)
    with pytest.raises(BufferDamagedError, match="start the daemon again"):
        reopened.open_epochs()
    reopened.close()
