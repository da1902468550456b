"""A real Modbus master reads the burner's controller."""

import asyncio
import socket

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from thermogen_esf.points import BurnerFlag, SiteAlarm
from thermogen_sim.burner_server import UNIT, BurnerServer
from thermogen_sim.errors import AddressUnavailableError
from thermogen_sim.plant import BurnerReadings

READINGS = BurnerReadings(
    ambient_degc=-12.3,
    exhaust_degc=335.6,
    hot_pressure_bar=3.481,
    cold_pressure_bar=1.66,
    gas_degc=-10.3,
    modulation_percent=82.5,
    burner=BurnerFlag.RUNNING | BurnerFlag.FLAME,
    alarms=SiteAlarm.HOT_ZONE_DOOR_OPEN,
    battery_percent=98.5,
    load_w=1074.4,
)
RAW = [0x10000 - 123, 3356, 3481, 1660, 0x10000 - 103, 165, 3, 4, 197, 1074]


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _with_client(port, talk, readings=lambda: READINGS):
    async def scenario():
        server = BurnerServer(port, readings)
        await server.start()
        client = AsyncModbusTcpClient("127.0.0.1", port=port, framer=FramerType.RTU, timeout=5, retries=0)
        assert await client.connect()
        try:
            await talk(client)
        finally:
            client.close()
            await server.stop()

    asyncio.run(scenario())


def test_all_ten_registers_are_read_at_once(port):
    async def talk(client):
        assert (await client.read_input_registers(0, count=10, device_id=UNIT)).registers == RAW

    _with_client(port, talk)


def test_any_part_of_them_is_read(port):
    async def talk(client):
        assert (await client.read_input_registers(6, count=2, device_id=UNIT)).registers == RAW[6:8]

    _with_client(port, talk)


def test_each_answer_is_as_of_its_moment(port):
    calls = []

    def readings():
        calls.append(1)
        return BurnerReadings(**{**vars(READINGS), "load_w": float(len(calls))})

    async def talk(client):
        assert (await client.read_input_registers(9, count=1, device_id=UNIT)).registers == [1]
        assert (await client.read_input_registers(9, count=1, device_id=UNIT)).registers == [2]

    _with_client(port, talk, readings)


def test_other_addresses_functions_and_writes_get_an_exception_answer(port):
    async def talk(client):
        assert (await client.read_input_registers(8, count=4, device_id=UNIT)).isError()
        assert (await client.write_register(0, 1, device_id=UNIT)).isError()
        assert (await client.read_coils(0, count=1, device_id=UNIT)).isError()
        assert (await client.read_holding_registers(0, count=1, device_id=UNIT)).isError()
        assert (await client.read_input_registers(0, count=10, device_id=UNIT)).registers == RAW

    _with_client(port, talk)


def test_a_port_in_use_is_told(port):
    async def scenario():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with pytest.raises(AddressUnavailableError, match=f"Modbus port {port} .*--rtu"):
                await BurnerServer(port, lambda: READINGS).start()

    asyncio.run(scenario())
