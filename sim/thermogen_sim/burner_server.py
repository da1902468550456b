"""The burner's controller: Modbus RTU framing over TCP on loopback, unit 1, input registers (function 4) and nothing else.

    0 ambient 0.1 degC (signed)     5 modulation 0.5 %
    1 exhaust 0.1 degC (signed)     6 burner flags (points.BurnerFlag)
    2 hot loop pressure mbar        7 site alarms (points.SiteAlarm)
    3 cold loop pressure mbar       8 battery charge 0.5 %
    4 gas temperature 0.1 degC      9 load power W

A master reads any of them; each answer is as of its moment.
"""

from __future__ import annotations

from collections.abc import Callable

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from .errors import AddressUnavailableError
from .plant import BurnerReadings

UNIT = 1
REGISTERS = 10
_READ_INPUT_REGISTERS = 4


def registers(readings: BurnerReadings) -> list[int]:
    """The ten registers, 16 bits each."""
    values = (
        round(readings.ambient_degc * 10),
        round(readings.exhaust_degc * 10),
        round(readings.hot_pressure_bar * 1000),
        round(readings.cold_pressure_bar * 1000),
        round(readings.gas_degc * 10),
        round(readings.modulation_percent * 2),
        int(readings.burner),
        int(readings.alarms),
        round(readings.battery_percent * 2),
        round(readings.load_w),
    )
    return [value & 0xFFFF for value in values]


class BurnerServer:
    """Serves `readings()` as of the moment of each request."""

    def __init__(self, port: int, readings: Callable[[], BurnerReadings]):
        self._port = port
        self._readings = readings
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Begin to listen on 127.0.0.1; AddressUnavailableError where the port is taken."""
        block = [SimData(address=0, values=[0] * REGISTERS, datatype=DataType.REGISTERS)]
        nothing = [SimData(address=0, datatype=DataType.INVALID)]
        bits = [SimData(address=0, values=False, datatype=DataType.BITS)]
        device = SimDevice(id=UNIT, simdata=(bits, bits, nothing, block), action=self._fill)
        self._server = ModbusTcpServer(device, framer=FramerType.RTU, address=("127.0.0.1", self._port))
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError as error:
            raise AddressUnavailableError(f"Modbus port {self._port} on 127.0.0.1 is in use; give another with --rtu") from error

    async def stop(self) -> None:
        """Stop listening and drop the clients."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]

    async def _fill(
        self, function: int, _start: int, _address: int, _count: int, current: list[int], _written: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        if function != _READ_INPUT_REGISTERS:
            return ExcCodes.ILLEGAL_FUNCTION
        current[:] = registers(self._readings())
        return None
