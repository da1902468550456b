"""The loop: what goes wrong around it is told once, waited for, and never ends it; a damaged buffer alone does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from thermogen_edge.attestation_trust import AttestationTrust
from thermogen_edge.buffer import BufferDamagedError, BufferError, BufferFullError, open_buffer
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.clock_source import ClockError
from thermogen_edge.cloud_keys import CloudKeys
from thermogen_edge.daemon import Daemon
from thermogen_edge.host_link.client import HostLinkClient
from thermogen_edge.host_link.transport import HostLinkDownError
from thermogen_edge.mqtt_link import MqttLink
from thermogen_edge.node import Node
from thermogen_edge.profile import default_profile, parse_profile
from thermogen_edge.sealer import SEALS_AT_ONCE
from thermogen_edge.settings import BrokerAddress, TcpAddress
from thermogen_edge.site_sensors import SiteSensors
from thermogen_esf.evidence.attestation.exchange import Announcement, encode_published, parse_request
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Opinion, Statement
from thermogen_esf.frames import AlertCode, decode
from thermogen_sim.fleet.attacks import World
from thermogen_sim.fleet.node import SealingNode
from thermogen_sim.fleet.sealer import ModelSealer

from .node_model import DirectTransport, NodeModel
from .site_parts import KEY, SITE, ModelClock
from .site_services import PREFIX, free_port, wait_until

FAULTS = {"host link": HostLinkDownError("no site"), "clock": ClockError("no time"), "buffer": BufferError("locked")}


class Loop:
    """A daemon without a broker, stepped by the test. `fault` is what the node's side meets."""

    def __init__(self, model: NodeModel, directory: Path, limit_bytes: int, sensors: SiteSensors | None = None, **parts: Any) -> None:
        self.model = model
        self.told: list[tuple[int, bool]] = []
        link = MqttLink(BrokerAddress("127.0.0.1", free_port(), SITE, tls=False), "", SITE, PREFIX, 1)
        node = Node(HostLinkClient(DirectTransport(model)))
        buffer = open_buffer(directory / "buffer.sqlite", limit_bytes)
        self.daemon = Daemon(
            parse_profile(default_profile(SITE)), KEY, CloudKeys([]), buffer, node, ModelClock(model), sensors, link, 0.01, 1, **parts
        )
        self.daemon._publish_alert = self._tell  # type: ignore[method-assign]
        self.daemon._alerts._publish = self._tell
        self.buffer = buffer
        self.fault: Exception | None = None
        look = self.daemon._session.look

        def faulty_look() -> Any:
            if self.fault is not None:
                raise self.fault
            return look()

        self.daemon._session.look = faulty_look  # type: ignore[method-assign]

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.daemon._node_retry_at_s = 0.0  # its patience is not what is tested
            self.daemon.step()

    def _tell(self, frame: bytes) -> None:
        alert: Any = decode(frame)
        self.told.append((alert.code, alert.raised))


@pytest.fixture
def loop(model: NodeModel, tmp_path: Path) -> Iterator[Loop]:
    made = Loop(model, tmp_path, 10_000_000)
    yield made
    made.daemon.close()


@pytest.mark.parametrize(
    ("fault", "code"), [("host link", AlertCode.HOST_LINK_FAULT), ("clock", AlertCode.CLOCK_DEGRADED), ("buffer", None)]
)
def test_a_fault_is_told_once_and_its_end_once(loop: Loop, fault: str, code: AlertCode | None) -> None:
    loop.step()
    loop.told.clear()
    loop.fault = FAULTS[fault]
    loop.step(5)
    assert loop.told == ([(code, True)] if code else [])
    loop.fault = None
    loop.step(5)
    assert loop.told == ([(code, True), (code, False)] if code else [])


def test_a_damaged_buffer_ends_the_daemon_so_that_the_next_start_mends_it(loop: Loop) -> None:
    loop.fault = BufferDamagedError("rotten")
    with pytest.raises(BufferDamagedError):
        loop.step()


def test_between_two_tries_of_a_lost_node_the_wait_grows_and_has_an_end(loop: Loop) -> None:
    loop.fault = FAULTS["host link"]
    waits = []
    for _ in range(10):
        loop.step()
        waits.append(loop.daemon._node_retry_s)
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] == 10.0
    loop.fault = None
    loop.step()
    assert loop.daemon._node_retry_s == 0.2


def test_a_full_buffer_is_a_fatal_alert_that_ends_with_room(model: NodeModel, tmp_path: Path) -> None:
    loop = Loop(model, tmp_path, 250_000)
    loop.step()
    while (AlertCode.BUFFER_FULL, True) not in loop.told:
        model.tick(10)
        loop.step()
    model.tick(10)
    loop.step(3)
    assert loop.told.count((AlertCode.BUFFER_FULL, True)) == 1
    for batch in loop.buffer.wanted(10):
        loop.buffer.mark_receipted(batch)
    loop.step()
    assert loop.told[-1] == (AlertCode.BUFFER_FULL, False)
    loop.daemon.close()


def test_a_silent_burner_controller_is_told(model: NodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sensors = SiteSensors(TcpAddress("127.0.0.1", free_port()), 1)
    loop = Loop(model, tmp_path, 10_000_000, sensors)
    monkeypatch.setattr(SiteSensors, "lost_s", 10.1)
    loop.step(3)
    monkeypatch.setattr(SiteSensors, "lost_s", 0.5)
    loop.step(3)
    told = [raised for code, raised in loop.told if code == AlertCode.FIELD_BUS_FAULT]
    assert told == [True, False]
    loop.daemon.close()


def test_a_record_that_was_put_aside_is_told(loop: Loop) -> None:
    loop.step()
    loop.buffer.database.put_aside("batch", 3, "rotten", b"")
    loop.step()
    assert (AlertCode.RECORD_SET_ASIDE, True) in loop.told


def test_a_seal_that_the_node_made_waits_for_the_clouds_receipt(model: NodeModel, tmp_path: Path) -> None:
    sealing = SealingNode.named(SITE)
    loop = Loop(model, tmp_path, 10_000_000, sealer=ModelSealer(sealing))
    seal = sealing.seal(5).encode()
    for _ in range(20):
        model.tick()
        loop.step()
    assert [(kind, message) for _, kind, message in Outbox(loop.buffer.database).waiting(9)] == [("seals", seal)]
    loop.daemon.close()


def test_seals_of_a_long_absence_come_look_by_look_with_the_heartbeat_between_them(model: NodeModel, tmp_path: Path) -> None:
    sealing = SealingNode.named(SITE)
    loop = Loop(model, tmp_path, 10_000_000, sealer=ModelSealer(sealing))
    outbox = Outbox(loop.buffer.database)
    loop.step()
    model.tick()
    for epoch in range(2 * SEALS_AT_ONCE + 1):
        sealing.seal(epoch)
    kept = []
    for more in (True, True, False):
        loop.daemon._session._beat_at_s = 0.0  # a second ago and more
        beats = [name for name, _ in model.writes].count("heartbeat")
        assert loop.daemon.step() is more
        assert [name for name, _ in model.writes].count("heartbeat") == beats + 1
        kept.append(len(outbox.waiting(999)))
    assert kept[-1] == 2 * SEALS_AT_ONCE + 1 and max(b - a for a, b in zip([0, *kept], kept, strict=False)) == SEALS_AT_ONCE
    loop.daemon.close()


def test_a_disk_that_is_full_for_seals_keeps_the_site_watched(model: NodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BufferFullError("the test's disk is full")

    sealing = SealingNode.named(SITE)
    loop = Loop(model, tmp_path, 10_000_000, sealer=ModelSealer(sealing))
    loop.step()
    sealing.seal(5)
    with monkeypatch.context() as disk:
        disk.setattr(Outbox, "store_seals", refuse)
        for _ in range(3):
            model.tick()
            loop.daemon.step()
            assert loop.daemon._session._recognised
    assert loop.told.count((AlertCode.BUFFER_FULL, True)) == 1
    loop.daemon.step()
    assert (AlertCode.BUFFER_FULL, False) in loop.told and len(Outbox(loop.buffer.database).waiting(9)) == 1
    loop.daemon.close()


def test_a_drawing_that_is_announced_is_witnessed_by_the_loop(model: NodeModel, tmp_path: Path) -> None:
    world = World()
    day = world.day()
    day.measure()
    day.close()
    drawing, witness = day.drawing, SealingNode.named(SITE)
    trust = AttestationTrust(day.fleet.trust, {each.enrolment.name: each.enrolment for each in day.fleet.entries})
    loop = Loop(model, tmp_path, 10_000_000, sealer=ModelSealer(witness), trust=trust)
    asked: list[bytes] = []
    loop.daemon._link.publish = lambda kind, message, _qos: asked.append(message) or True if kind == "fetch" else None  # type: ignore
    until = int(time.time()) + 300
    loop.daemon._uplink._takers["drawing"](Announcement(day.node.name, drawing.beacon_number, drawing.beacon, until, day.day).encode())
    outbox = Outbox(loop.buffer.database)

    def said() -> object:
        model.tick()
        loop.step()
        while asked:
            site, epoch = parse_request(asked.pop())
            loop.daemon._uplink._takers["published"](encode_published(site, epoch, day.published[epoch]))
        return outbox.waiting(1)

    wait_until(said, "the statement is made")
    ((_, kind, message),) = outbox.waiting(9)
    statement = Statement.parse(Signed.parse(message).document)
    assert (kind, statement.opinion, statement.witness) == ("statement", Opinion.AGREE, witness.identity)
    loop.daemon.close()
