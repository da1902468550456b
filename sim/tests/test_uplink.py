"""The uplink relays, breaks and comes back."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys

import pytest
from thermogen_sim.errors import AddressUnavailableError
from thermogen_sim.uplink import Uplink


@contextlib.asynccontextmanager
async def echo_behind_uplink():
    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data.upper())
                await writer.drain()
        writer.close()

    far = await asyncio.start_server(echo, "127.0.0.1", 0)
    uplink = Uplink(0, far.sockets[0].getsockname()[1])
    await uplink.start()
    try:
        yield uplink
    finally:
        await uplink.stop()
        far.close()
        await far.wait_closed()


async def _says(port, data):
    """What comes back, b"" where the link is dead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(len(data)), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_bytes_pass_both_ways_until_cut_and_again_when_restored():
    async def scenario():
        async with echo_behind_uplink() as uplink:
            assert await _says(uplink.port, b"one") == b"ONE"
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            writer.write(b"open")
            assert await reader.readexactly(4) == b"OPEN"
            uplink.cut()
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            assert await _says(uplink.port, b"two") == b""
            uplink.restore()
            assert await _says(uplink.port, b"three") == b"THREE"

    asyncio.run(scenario())


def test_an_end_of_stream_passes_and_the_answer_still_comes_back():
    async def scenario():
        async with echo_behind_uplink() as uplink:
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            writer.write(b"x" * 300_000)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 10) == b"X" * 300_000
            writer.close()

    asyncio.run(scenario())


def test_nobody_behind_ends_the_connection():
    async def scenario():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            nobody = probe.getsockname()[1]
        uplink = Uplink(0, nobody)
        await uplink.start()
        assert await _says(uplink.port, b"hello") == b""
        await uplink.stop()

    asyncio.run(scenario())


def test_a_port_in_use_is_told():
    async def scenario():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(AddressUnavailableError, match="--listen"):
                await Uplink(taken.getsockname()[1], 1).start()

    asyncio.run(scenario())


def test_the_command_is_cut_and_restored_by_signals():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as far:
        to = far.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "thermogen_sim.command", "uplink", "--listen", str(port), "--to", str(to)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert json.loads(process.stdout.readline()) == {"ready": "uplink", "port": port}

            def connected():
                """Whether a new connection reaches the far side."""
                with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
                    far.settimeout(0.2)
                    try:
                        peer, _ = far.accept()
                    except TimeoutError:
                        return False
                    with peer:
                        near.sendall(b"?")
                        peer.settimeout(10)
                        return peer.recv(1) == b"?"

            assert connected()
            for number, expected in ((signal.SIGUSR1, False), (signal.SIGUSR2, True)):
                process.send_signal(number)
                for _ in range(50):
                    if connected() == expected:
                        break
                assert connected() == expected
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
