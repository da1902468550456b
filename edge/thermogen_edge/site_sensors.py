"""The burner's controller: what the node does not measure itself, read over Modbus RTU framing on TCP (unit 1, function 4).

A thread of its own reads, so that a dead server never holds up the leaves. Where the server is absent the last values stay, and
`lost_s` says for how long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from thermogen_esf.points import POINT, Kind

from .settings import TcpAddress

UNIT = 1
ANSWER_S = 2.0
INPUT_REGISTERS: tuple[str, ...] = (
    # from register 0 on; each register holds the point's raw value
    "ambient_temperature",
    "exhaust_temperature",
    "hot_pressure",
    "cold_pressure",
    "gas_temperature",
    "burner_modulation",
    "burner_flags",
    "site_alarms",
    "battery_charge",
    "load_power",
)
_log = logging.getLogger(__name__)


def raw_values(registers: Sequence[int]) -> dict[str, int]:
    """Points' raw values from the input registers; those that do not fit their point's width are left out."""
    values = {}
    for identifier, register in zip(INPUT_REGISTERS, registers, strict=True):
        point = POINT[identifier]
        raw = register - 0x10000 if point.kind is Kind.SIGNED and register & 0x8000 else register
        low, high = point.raw_limits
        if low <= raw <= high:
            values[identifier] = raw
    return values


class SiteSensors:
    """Reads the input registers every `period_s` of wall time until closed."""

    def __init__(self, address: TcpAddress, period_s: float) -> None:
        self._address = address
        self._period_s = period_s
        self._values: dict[str, int] = {}
        self._lock = threading.Lock()
        self._last_read_s = time.monotonic()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="site-sensors", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; waits for it at most as long as one answer takes."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(2 * ANSWER_S)

    def values(self) -> dict[str, int]:
        """The last values read, raw, by point; empty before the first answer."""
        with self._lock:
            return dict(self._values)

    @property
    def lost_s(self) -> float:
        """Wall seconds since the last answer."""
        with self._lock:
            return time.monotonic() - self._last_read_s

    def _run(self) -> None:
        client = ModbusTcpClient(self._address.host, port=self._address.port, framer=FramerType.RTU, timeout=ANSWER_S, retries=0)
        answered = True
        try:
            while not self._closing.wait(self._period_s):
                reason = self._read(client)
                if answered and reason is not None:
                    _log.warning("the burner's controller at %s:%d does not answer: %s", self._address.host, self._address.port, reason)
                answered = reason is None
        finally:
            client.close()  # type: ignore[no-untyped-call]

    def _read(self, client: ModbusTcpClient) -> str | None:
        """Reads once; why it did not work, or None."""
        try:
            if not client.connected and not client.connect():  # type: ignore[no-untyped-call]
                return "no connection"
            answer = client.read_input_registers(0, count=len(INPUT_REGISTERS), device_id=UNIT)
            if answer.isError() or len(answer.registers) != len(INPUT_REGISTERS):
                return f"it answered {answer}"
            values = raw_values(answer.registers)
        except (ModbusException, OSError) as error:
            client.close()  # type: ignore[no-untyped-call]
            return str(error)
        with self._lock:
            self._values.update(values)
            self._last_read_s = time.monotonic()
        return None
