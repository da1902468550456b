"""The host link's socket: framing, one client at a time, private, and clear about what is in its way."""

import asyncio
import contextlib
import socket
import stat
from pathlib import Path

import pytest
from thermogen_sim.errors import AddressUnavailableError
from thermogen_sim.host_link_server import LONGEST, HostLinkServer


@contextlib.asynccontextmanager
async def serving(path: Path):
    came = []
    server = HostLinkServer(path, lambda request: request[::-1], lambda: came.append(1))
    await server.start()
    try:
        yield server, came
    finally:
        await server.stop()


async def _exchange(reader, writer, request):
    writer.write(len(request).to_bytes(4, "big") + request)
    length = int.from_bytes(await reader.readexactly(4), "big")
    return await reader.readexactly(length)


def test_each_message_is_one_transaction_of_the_same_length(tmp_path):
    async def scenario():
        async with serving(tmp_path / "link") as (_, came):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            assert await _exchange(reader, writer, b"abc") == b"cba"
            assert await _exchange(reader, writer, bytes(range(256)) * 16) == (bytes(range(256)) * 16)[::-1]
            assert came == [1]
            writer.close()

    asyncio.run(scenario())


def test_messages_may_come_in_pieces_or_several_at_once(tmp_path):
    async def scenario():
        async with serving(tmp_path / "link"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            for byte in b"\0\0\0\2hi\0\0\0\1":
                writer.write(bytes((byte,)))
                await writer.drain()
            writer.write(b"x\0\0\0\1y")
            assert await reader.readexactly(16) == b"\0\0\0\2ih\0\0\0\1x\0\0\0\1y"
            writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("length", [0, LONGEST + 1, 0xFFFFFFFF])
def test_an_impossible_length_ends_the_connection_and_nothing_else(tmp_path, length):
    async def scenario():
        async with serving(tmp_path / "link"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            writer.write(length.to_bytes(4, "big"))
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            assert await _exchange(reader, writer, b"ok") == b"ko"
            writer.close()

    asyncio.run(scenario())


def test_a_second_client_is_turned_away_until_the_first_has_gone(tmp_path):
    async def scenario():
        async with serving(tmp_path / "link") as (server, _):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            assert await _exchange(reader, writer, b"1") == b"1"
            second, second_writer = await asyncio.open_unix_connection(tmp_path / "link")
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(second.read(), 5) == b""
            second_writer.close()
            assert await _exchange(reader, writer, b"12") == b"21"
            writer.close()
            async with asyncio.timeout(5):
                while server.client is not None:
                    await asyncio.sleep(0)
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            assert await _exchange(reader, writer, b"23") == b"32"
            writer.close()

    asyncio.run(scenario())


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_server(tmp_path):
    async def scenario():
        async with serving(tmp_path / "link"):
            assert stat.S_IMODE((tmp_path / "link").stat().st_mode) == 0o600
        assert not (tmp_path / "link").exists()

    asyncio.run(scenario())


def test_a_socket_left_by_a_killed_simulator_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "link"))

    async def scenario():
        async with serving(tmp_path / "link"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "link")
            assert await _exchange(reader, writer, b"ab") == b"ba"
            writer.close()

    asyncio.run(scenario())


def test_a_path_in_use_or_impossible_is_told(tmp_path):
    async def refused(path, says):
        with pytest.raises(AddressUnavailableError, match=says):
            await HostLinkServer(path, bytes, bytes).start()

    async def scenario():
        async with serving(tmp_path / "link"):
            await refused(tmp_path / "link", "another simulator is listening")
        (tmp_path / "file").write_text("precious")
        await refused(tmp_path / "file", "not a socket")
        assert (tmp_path / "file").read_text() == "precious"
        await refused(tmp_path / "none" / "link", "No such file")
        await refused(tmp_path / ("x" * 120), "too long")

    asyncio.run(scenario())
