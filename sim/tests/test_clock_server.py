"""The clock speaks gpsd's protocol to a real TCP client."""

import asyncio
import json
import socket

import pytest
from thermogen_sim import clock_server
from thermogen_sim.clock_server import ClockServer
from thermogen_sim.errors import AddressUnavailableError

T0 = 1_790_000_000
WATCH = b'?WATCH={"enable":true,"json":true};\n'


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _with_client(port, talk):
    async def scenario():
        server = ClockServer(port, T0)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def receive():
            return json.loads(await asyncio.wait_for(reader.readline(), 5))

        try:
            await talk(server, receive, writer)
        finally:
            writer.close()
            await server.stop()

    asyncio.run(scenario())


async def _watched(receive, writer):
    assert (await receive())["class"] == "VERSION"
    writer.write(WATCH)
    return [await receive() for _ in range(3)]


def test_a_watcher_gets_devices_watch_and_the_time_at_once(port):
    async def talk(_server, receive, writer):
        devices, watch, tpv = await _watched(receive, writer)
        assert (devices["class"], watch["class"], watch["enable"]) == ("DEVICES", "WATCH", True)
        assert (tpv["class"], tpv["mode"], tpv["time"]) == ("TPV", 3, "2026-09-21T14:13:20.000Z")

    _with_client(port, talk)


def test_every_site_second_is_told(port, monkeypatch):
    monkeypatch.setattr(clock_server, "LEAST_INTERVAL_S", 0.0)

    async def talk(server, receive, writer):
        await _watched(receive, writer)
        for second in range(1, 4):
            server.tick(T0 + second)
            server.tick(T0 + second)
            assert (await receive())["time"].endswith(f":{20 + second}.000Z")

    _with_client(port, talk)


def test_fast_site_time_is_told_at_most_ten_times_a_wall_second(port, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(clock_server.time, "monotonic", lambda: now[0])

    async def talk(server, receive, writer):
        await _watched(receive, writer)
        for step in range(1, 101):
            now[0] = 1000.0 + step * 0.01
            server.tick(T0 + step)
        writer.write(b"?VERSION;\n")
        times = []
        while (line := await receive())["class"] == "TPV":
            times.append(line["time"])
        assert 9 <= len(times) <= 11

    _with_client(port, talk)


def test_who_does_not_watch_hears_nothing(port):
    async def talk(server, receive, writer):
        assert (await receive())["class"] == "VERSION"
        server.tick(T0 + 1)
        writer.write(b"?DEVICES;\n")
        assert (await receive())["class"] == "DEVICES"

    _with_client(port, talk)


def test_watching_can_be_ended(port):
    async def talk(server, receive, writer):
        await _watched(receive, writer)
        writer.write(b'?WATCH={"enable":false};\n')
        assert (await receive())["class"] == "DEVICES"
        assert (await receive())["enable"] is False
        server.tick(T0 + 1)
        writer.write(b"?VERSION;\n")
        assert (await receive())["class"] == "VERSION"

    _with_client(port, talk)


@pytest.mark.parametrize("nonsense", [b"?WATCH={broken;\n", b"hello;\n", b"\xff\xfe;\n", b'?WATCH=["x"];?NOPE;\n'])
def test_nonsense_gets_an_error_and_the_connection_stays(port, nonsense):
    async def talk(_server, receive, writer):
        await receive()
        writer.write(nonsense)
        while (await receive())["class"] != "ERROR":
            pass
        writer.write(b"?VERSION;\n")
        while (await receive())["class"] != "VERSION":
            pass

    _with_client(port, talk)


def test_an_endless_line_ends_the_connection(port):
    async def talk(server, receive, writer):
        await receive()
        writer.write(b"x" * 100_000)
        async with asyncio.timeout(5):
            while server.clients:
                await asyncio.sleep(0)

    _with_client(port, talk)


def test_a_port_in_use_is_told(port):
    async def scenario():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with pytest.raises(AddressUnavailableError, match=f"clock port {port} .*--clock"):
                await ClockServer(port, T0).start()

    asyncio.run(scenario())
