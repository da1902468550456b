"""The host link: damage is asked again, refusal is said, absence is typed, and what is read is what the node holds."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from thermogen_edge.host_link.client import HostLinkClient, HostLinkNoiseError, HostLinkRefusedError
from thermogen_edge.host_link.spidev import SPEED_HZ, SpidevTransport
from thermogen_edge.host_link.transport import HostLinkDownError
from thermogen_edge.host_link.unix_socket import UnixSocketTransport
from thermogen_edge.node import SUPPLIED_POINTS, Identity, Lifetimes, Node, NotArmedError, WrongNodeError
from thermogen_edge.profile import default_profile, parse_profile
from thermogen_esf.frames import site_identity
from thermogen_esf.hostlink import STATUS_BASE, STATUS_REGISTERS, NodeFlag
from thermogen_esf.layout import MAGIC
from thermogen_esf.points import POINTS, Source

from .node_model import DirectTransport, NodeModel, NodeServer

PROFILE = parse_profile(default_profile("tz-a"))
IDENTITY = Identity(site_identity("tz-a"), boot_count=7, sequence_start=70_000)


@pytest.fixture
def node(model: NodeModel) -> Node:
    return Node(HostLinkClient(DirectTransport(model)))


def test_a_damaged_answer_is_asked_again(model: NodeModel, node: Node) -> None:
    model.damaged_answers = 3
    assert node.status().channels == 12
    model.damaged_answers = 4
    with pytest.raises(HostLinkNoiseError, match="check the wiring"):
        node.status()


def test_a_damaged_request_changes_nothing_and_is_sent_again(model: NodeModel) -> None:
    class Noise(DirectTransport):
        exchanges = 0

        def exchange(self, copi: bytes) -> bytes:
            self.exchanges += 1
            return super().exchange(bytes((copi[0], copi[1] ^ 1)) + copi[2:] if self.exchanges == 1 else copi)

    noise = Noise(model)
    Node(HostLinkClient(noise)).heartbeat(5)
    assert (noise.exchanges, model.writes) == (2, [("heartbeat", 5)])


def test_an_answer_to_another_request_is_not_taken(model: NodeModel) -> None:
    class Late(DirectTransport):
        def __init__(self, model: NodeModel) -> None:
            super().__init__(model)
            self._last = b""

        def exchange(self, copi: bytes) -> bytes:
            last, self._last = self._last, super().exchange(copi)
            return last if len(last) == len(copi) else self._last

    client = HostLinkClient(Late(model))
    assert client.read(STATUS_BASE, 1) == (MAGIC,)
    assert client.read(STATUS_REGISTERS["channels"][0], 1) == (12,)


def test_a_refusal_is_said_with_the_request(model: NodeModel) -> None:
    with pytest.raises(HostLinkRefusedError, match=r"BAD_ADDRESS.*READ of 1 words at 0x7000"):
        HostLinkClient(DirectTransport(model)).read(0x7000, 1)


def test_what_was_introduced_is_what_the_node_holds(model: NodeModel, node: Node) -> None:
    node.introduce(IDENTITY, PROFILE, Lifetimes(3 << 40, -5, 1 << 33))
    node.arm(1_780_272_003)
    assert NodeFlag.ARMED in model.flags
    assert (model.leaf_next, model.time_s, model.calibration) == (70_000, 1_780_272_003, PROFILE.calibration_words)
    assert tuple(model.channel_gains) == PROFILE.channel_gains
    assert {("hot_throttle", 190 * 50), ("hot_fatal", 205 * 50)} <= set(model.writes)
    assert node.status().lifetimes == Lifetimes(3 << 40, -5, 1 << 33)
    assert model.raw("profile_hash") == PROFILE.profile_hash
    assert node.identity() == (bytes(8), 0)
    model.tick()
    assert node.identity() == (IDENTITY.site, 7)
    assert node.calibration_hash() == PROFILE.calibration_hash
    with pytest.raises(HostLinkRefusedError):
        node.introduce(IDENTITY, PROFILE, Lifetimes())


def test_a_node_that_does_not_arm_is_reported(model: NodeModel, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.introduce(IDENTITY, PROFILE, Lifetimes())
    original = model._control
    monkeypatch.setattr(model, "_control", lambda name, value, armed: 0 if name == "arm" else original(name, value, armed))
    with pytest.raises(NotArmedError):
        node.arm(1_780_272_003)


def test_every_host_supplied_point_reaches_the_image(model: NodeModel, node: Node) -> None:
    identity = {"boot_count", "profile_hash"}
    assert {point.identifier for point in POINTS if point.source is Source.HOST} - identity == SUPPLIED_POINTS
    values = {name: index + 1 for index, name in enumerate(sorted(SUPPLIED_POINTS))} | {"ambient_temperature": -55}
    node.supply(values)
    for name, value in values.items():
        assert model.raw(name) == value & (0xFFFF if name == "ambient_temperature" else 0xFFFFFFFF), name


def test_readings_are_signed_where_their_points_are(model: NodeModel, node: Node) -> None:
    model.measured["battery_current"] = -12.34
    readings = node.readings()
    assert (readings["battery_current"], readings["bus_voltage"]) == (-1_234, 50_000)


def test_something_else_than_a_node_is_recognised(node: Node, model: NodeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    status = model._status()
    monkeypatch.setattr(model, "_status", lambda: {**status, "map_version": 1})
    with pytest.raises(WrongNodeError, match="map 1"):
        node.status()


def test_a_site_is_reached_over_its_socket_and_again_after_it_was_gone(model: NodeModel, tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    node = Node(HostLinkClient(UnixSocketTransport(path)))
    with pytest.raises(HostLinkDownError, match="is the site powered"):
        node.status()
    server = NodeServer(model, path)
    assert node.status().channels == 12
    server.close()
    path.unlink()
    with pytest.raises(HostLinkDownError):
        node.status()
    server = NodeServer(model, path)
    assert node.status().channels == 12
    node.close()
    server.close()


def test_a_stranger_on_the_socket_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "stranger.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        transport = UnixSocketTransport(path)
        with pytest.raises(HostLinkDownError, match="something else than a site"):
            transport.exchange(bytes(20))
        transport.close()
        thread.join(5)


def test_spidev_makes_one_mode_0_transfer_of_each_transaction(model: NodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "spidev0.0"
    device.touch()
    requests: list[int] = []

    def ioctl(descriptor: int, request: int, argument: Any) -> int:
        assert os.fstat(descriptor).st_ino == device.stat().st_ino
        requests.append(request)
        if request == 0x4001_6B01:  # SPI_IOC_WR_MODE
            assert argument == b"\0"
            return 0
        assert request == 0x4020_6B00  # SPI_IOC_MESSAGE(1)
        sent_at, received_at, length, speed_hz, delay, bits, *rest = struct.unpack("=QQIIHBBBBBB", argument)
        assert (speed_hz, delay, bits, rest) == (SPEED_HZ, 0, 8, [0, 0, 0, 0, 0])
        ctypes.memmove(received_at, model.answer(ctypes.string_at(sent_at, length)), length)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    transport = SpidevTransport(device)
    node = Node(HostLinkClient(transport))
    assert node.status().channels == 12
    node.heartbeat(1)
    assert requests == [0x4001_6B01, 0x4020_6B00, 0x4020_6B00]
    node.close()


def test_an_absent_spi_device_says_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(HostLinkDownError, match="device tree"):
        SpidevTransport(tmp_path / "spidev9.9").exchange(bytes(20))
