"""The burner's controller over Modbus RTU framing on TCP: what it says, and what stays when it is silent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from thermogen_edge import site_sensors
from thermogen_edge.settings import TcpAddress
from thermogen_edge.site_sensors import INPUT_REGISTERS, SiteSensors, raw_values
from thermogen_esf.points import BurnerFlag

from .site_services import free_port, wait_until


def crc16(data: bytes) -> bytes:
    """Modbus's CRC, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


class BurnerController:
    """Answers function 4 on unit 1, one client at a time."""

    def __init__(self, port: int = 0) -> None:
        self.registers = [0x10000 - 55, 3_092, 3_504, 1_656, 175, 135, 7, 0, 196, 60]
        self.exception = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                with self._client as client, contextlib.suppress(OSError):
                    while request := client.recv(256):
                        assert request == request[:-2] + crc16(request[:-2])
                        unit, function, start, count = struct.unpack(">BBHH", request[:-2])
                        assert (unit, function) == (1, 4)
                        words = self.registers[start : start + count]
                        body = bytes((unit, function, 2 * count)) + struct.pack(f">{count}H", *words)
                        if self.exception:
                            body = bytes((unit, function | 0x80, self.exception))
                        client.sendall(body + crc16(body))


@pytest.fixture
def controller() -> Iterator[BurnerController]:
    served = BurnerController()
    yield served
    served.close()


def test_registers_become_points_with_sign(controller: BurnerController) -> None:
    sensors = SiteSensors(TcpAddress("127.0.0.1", controller.port), 0.01)
    sensors.start()
    wait_until(sensors.values, "the first answer")
    values = sensors.values()
    assert set(values) == set(INPUT_REGISTERS)
    assert (values["ambient_temperature"], values["exhaust_temperature"]) == (-55, 3_092)
    assert values["burner_flags"] == BurnerFlag.RUNNING | BurnerFlag.FLAME | BurnerFlag.GAS_VALVE_OPEN
    sensors.close()


def test_values_stay_while_the_controller_is_silent_and_move_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_sensors, "ANSWER_S", 0.1)
    port = free_port()
    sensors = SiteSensors(TcpAddress("127.0.0.1", port), 0.01)
    sensors.start()
    assert sensors.values() == {}
    wait_until(lambda: sensors.lost_s > 0.2, "silence is noticed")
    controller = BurnerController(port)
    wait_until(sensors.values, "the first answer")
    controller.exception = 4
    controller.registers[9] = 77
    wait_until(lambda: sensors.lost_s > 0.2, "exceptions count as silence")
    assert sensors.values()["load_power"] == 60
    controller.exception = 0
    wait_until(lambda: sensors.values()["load_power"] == 77, "it is heard again")
    assert sensors.lost_s < 0.2
    sensors.close()
    controller.close()


def test_a_register_that_does_not_fit_its_point_is_left_out() -> None:
    registers = [0] * len(INPUT_REGISTERS)
    registers[INPUT_REGISTERS.index("battery_charge")] = 256
    assert set(INPUT_REGISTERS) - set(raw_values(registers)) == {"battery_charge"}
