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

pytestmark = pytest.mark.slow

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


class Story:
    """A site's life in which the daemon is started again whenever its power fails."""

    def __init__(self, directory: Path, countdown: Countdown) -> None:
        directory.mkdir()
        self.model = NodeModel(START_S)
        self._directory = directory
        self._countdown = countdown
        self._daemon: SiteParts | None = None

    @property
    def daemon(self) -> SiteParts:
        if self._daemon is None:
            self._daemon = SiteParts(self.model, self._directory, FailingTransport(self.model, self._countdown))
        return self._daemon

    def look(self) -> None:
        while True:
            try:
                self.daemon.look()
            except PowerFailure:
                if self._daemon is not None:
                    self._daemon.buffer.database._connection.close()
                self._daemon = None
            else:
                return

    def live(self, *each_s: int) -> None:
        for seconds in each_s:
            self.model.tick(seconds)
            self.look()

    def two_boots(self) -> None:
        """Leaves, a seal, the node's power lost in mid-epoch, leaves again, a seal."""
        self.look()
        self.live(30, 850, 40, 60)
        self.model.power_cycle()
        self.live(7, 100, 700, 200)

    def check(self, *sources: RootSource) -> None:
        """Nothing is missing, nothing is there twice, and the chain is whole."""
        self._countdown.left = None
        site, model = self.daemon, self.model
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
        assert len(set(epochs)) == len(epochs)
        previous = bytes(32)
        for batch, stored_batch in zip(batches, site.buffer.wanted(100), strict=True):
            assert batch.previous == previous
            frame = site.buffer.frame(stored_batch)
            assert frame is not None
            previous = frame_hash(frame)
        assert [batch.root_source for batch in batches] == list(sources)
        assert site.buffer.count_set_aside() == 0
        boots = [boot for _, boot in model.introduced]
        assert len(set(boots)) == len(boots), "a boot was counted twice"
        site.close()


@pytest.mark.parametrize("every", [83, pytest.param(11, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.soak)])
def test_power_fails_between_any_two_statements(tmp_path: Path, countdown: Countdown, every: int) -> None:
    sources = (RootSource.GATEWARE, RootSource.HOST, RootSource.GATEWARE)
    whole = Story(tmp_path / "whole", countdown)
    whole.two_boots()
    places = countdown.counted
    whole.check(*sources)
    assert places > 500
    for place in range(0, places - 10, every):  # a heartbeat more or less depends on the wall clock
        story = Story(tmp_path / str(place), countdown)
        countdown.left = place
        story.two_boots()
        assert countdown.left < 0, "the power did not fail"
        story.check(*sources)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_power_fails_anywhere_in_a_seal(tmp_path: Path, countdown: Countdown, every: int) -> None:
    place, places = 0, 1
    while place < places:
        story = Story(tmp_path / str(place), countdown)
        story.look()
        story.live(880)
        story.model.tick(30)
        countdown.counted, countdown.left = 0, place
        story.look()
        if place == 0:
            places = countdown.counted - 10
            assert places > 50
        story.check(RootSource.GATEWARE)
        place += every
