"""A TCP relay on loopback that can be cut and restored: the uplink of a site, and its failures.

Cut, it drops every connection with a reset and every new one as soon as it comes; restored, new connections pass again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

from .errors import AddressUnavailableError

_CHUNK = 64 * 1024


class Uplink:
    """Relays 127.0.0.1:`listen` to 127.0.0.1:`to`. `listen` 0 takes a free port; `port` says which."""

    def __init__(self, listen: int, to: int):
        self._listen = listen
        self._to = to
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connected = True
        """False while cut."""

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._server is not None, "start first"
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Begin to listen; AddressUnavailableError where the port is taken."""
        try:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._listen)
        except OSError as error:
            raise AddressUnavailableError(f"uplink port {self._listen} on 127.0.0.1 is in use; give another with --listen") from error

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            self._drop()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    def cut(self) -> None:
        """Take the link away."""
        self.connected = False
        self._drop()

    def restore(self) -> None:
        """Give the link back."""
        self.connected = True

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self.connected:
                return
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            except OSError:
                return
            self._writers.add(far_writer)
            try:
                if self.connected:
                    with contextlib.suppress(ConnectionError):  # one end broke: both go
                        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        await writer.drain()


async def run_uplink(listen: int, to: int, started: Callable[[int], None]) -> None:
    """Relay until SIGTERM or SIGINT; SIGUSR1 cuts, SIGUSR2 restores. `started` gets the port once it is listened on."""
    uplink = Uplink(listen, to)
    await uplink.start()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    handlers = {signal.SIGUSR1: uplink.cut, signal.SIGUSR2: uplink.restore, signal.SIGTERM: ended.set, signal.SIGINT: ended.set}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    started(uplink.port)
    await ended.wait()
    await uplink.stop()
