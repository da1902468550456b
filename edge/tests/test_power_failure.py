"""Power fails between any two statements: no leaf is lost or stored twice, nothing is signed twice, no boot is counted twice."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from thermogen_edge.buffer import database
from thermogen_esf.frames import RootSource, frame_hash

from .node_model import DirectTransport, NodeModel
from .site_parts import SiteParts

START_S = 1_780_272_000


class PowerFailure(BaseException):
    """Nobody catches it, as nobody catches the dark."""


class Countdown:
    """Fails before the n-th statement or transaction; None never does, and only counts."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.counted = 0

    def step(self) -> None:
        self.counted += 1
        if self.left is not None:
            self.left -= 1
            if self.left == -1:
                raise PowerFailure


class FailingTransport(DirectTransport):
    """The host link; the power fails before a transaction or right after it."""

    def __init__(self, model: NodeModel, countdown: Countdown) -> None:
        super().__init__(model)
        self._countdown = countdown

    def exchange(self, copi: bytes) -> bytes:
        self._countdown.step()
        cipo = super().exchange(copi)
        self._countdown.step()
        return cipo


@pytest.fixture
def countdown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Countdown]:
    counter = Countdown()
    opened: list[sqlite3.Connection] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    class FailingConnection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            if arguments[0] != "ROLLBACK":  # without power nobody rolls back; the next open does
                counter.step()
            if arguments[0] == "PRAGMA synchronous = FULL":
                arguments = ("PRAGMA synchronous = OFF",)  # here processes end, not disks: no need to wait for one
            cursor = super().execute(*arguments)
            if arguments[0] in ("COMMIT", "BEGIN IMMEDIATE"):
                counter.step()
            return cursor

    def failing_connect(path: Path, **options: Any) -> sqlite3.Connection:
        opened.append(connect(path, factory=FailingConnection, **options))
        return opened[-1]

    monkeypatch.setattr(database.sqlite3, "connect", failing_connect)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    yield counter
    counter.left = None
    for connection in opened:
        connection.close()


def live_two_boots(model: NodeModel, directory: Path, countdown: Countdown) -> SiteParts:
    """A story of two boots: leaves, a seal, the node's power lost in mid-epoch, leaves again. A daemon that fails is started again."""
    daemons: list[SiteParts] = []

    def daemon() -> SiteParts:
        if not daemons:
            daemons.append(SiteParts(model, directory, FailingTransport(model, countdown)))
        return daemons[-1]

    def look() -> None:
        while True:
            try:
                daemon().look()
            except PowerFailure:
                for dead in daemons:
                    dead.buffer.database._connection.close()
                daemons.clear()
            else:
                return

    look()
    for seconds in (30, 850, 40, 60):  # the epoch's end is in the third
        model.tick(seconds)
        look()
    model.power_cycle()
    model.tick(7)
    look()
    for seconds in (100, 700, 200):
        model.tick(seconds)
        look()
    return daemon()


def check(model: NodeModel, site: SiteParts) -> None:
    batches = site.batches()
    stored = {(batch.boot_count, batch.first_sequence + index): leaf for batch in batches for index, leaf in enumerate(batch.leaves)}
    open_leaves = site.buffer.database.rows("SELECT boot_count, sequence, leaf FROM leaves")
    assert not stored.keys() & {(boot, sequence) for boot, sequence, _ in open_leaves}
    stored |= {(boot, sequence): leaf for boot, sequence, leaf in open_leaves}
    assert stored == model.made
    sequences = sorted(sequence for _, sequence in stored)
    assert sequences == list(range(len(sequences)))
    assert [batch.header.sequence for batch in batches] == list(range(len(batches)))
    epochs = [(batch.epoch, batch.boot_count) for batch in batches]
    assert len(set(epochs)) == len(epochs) == 3
    previous = bytes(32)
    for batch, stored_batch in zip(batches, site.buffer.wanted(100), strict=True):
        assert batch.previous == previous
        frame = site.buffer.frame(stored_batch)
        assert frame is not None
        previous = frame_hash(frame)
    assert [batch.root_source for batch in batches] == [RootSource.GATEWARE, RootSource.HOST, RootSource.GATEWARE]
    assert site.buffer.count_set_aside() == 0
    boots = [boot for name, boot in model.introduced]
    assert len(set(boots)) == len(boots), "a boot was counted twice"


def statements(directory: Path, countdown: Countdown) -> int:
    """How many places there are at which the power can fail, in the story without failures."""
    directory.mkdir()
    model = NodeModel(START_S)
    site = live_two_boots(model, directory, countdown)
    check(model, site)
    site.close()
    return countdown.counted


@pytest.mark.parametrize("every", [83, pytest.param(5, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.soak)])
def test_power_fails_between_any_two_statements(tmp_path: Path, countdown: Countdown, every: int) -> None:
    places = statements(tmp_path / "whole", countdown)
    assert places > 500
    for place in range(0, places, every):
        directory = tmp_path / str(place)
        directory.mkdir()
        model = NodeModel(START_S)
        countdown.left = place
        site = live_two_boots(model, directory, countdown)
        assert countdown.left < 0, "the power did not fail"
        countdown.left = None
        check(model, site)
        site.close()
