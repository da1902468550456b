"""The host link on a Unix socket: each message is one SPI transaction.

Client to server: length u32 big-endian (1 to 4096), then as many COPI bytes; the answer has the same form with the CIPO bytes. One
client at a time, as one Linux side is soldered to one FPGA; a second one is turned away, a new one may come when the first is gone.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from .errors import AddressUnavailableError

LENGTH_BYTES = 4
LONGEST = 4096


class _Connection(asyncio.Protocol):
    def __init__(self, server: HostLinkServer):
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._server.client is not None:
            transport.abort()
            return
        self._transport = transport
        self._server.client = self
        self._server.connected()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._transport = None
        if self._server.client is self:
            self._server.client = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._transport is not None and len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if not 1 <= length <= LONGEST:
                self._transport.abort()
                return
            if len(self._buffer) < LENGTH_BYTES + length:
                return
            request = bytes(self._buffer[LENGTH_BYTES : LENGTH_BYTES + length])
            del self._buffer[: LENGTH_BYTES + length]
            answer = self._server.transact(request)
            self._transport.write(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)

    def drop(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


class HostLinkServer:
    """Listens on `path` (mode 0600). `transact` makes a transaction, `connected` is called when a client has come."""

    def __init__(self, path: Path, transact: Callable[[bytes], bytes], connected: Callable[[], None]):
        self.path = path
        self.transact = transact
        self.connected = connected
        self.client: _Connection | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen; AddressUnavailableError where the path cannot be."""
        listener = self._bind()
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Connection(self), sock=listener)

    async def stop(self) -> None:
        """Stop listening, drop the client, remove the socket."""
        if self._server is not None:
            self._server.close()
            if self.client is not None:
                self.client.drop()
            await self._server.wait_closed()
            self.path.unlink(missing_ok=True)

    def _bind(self) -> socket.socket:
        self._clear_stale()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)  # never readable by others, not even for a moment
        try:
            listener.bind(str(self.path))
        except OSError as error:
            listener.close()
            reason = "too long for a socket's path" if error.errno is None or error.errno == errno.ENAMETOOLONG else error.strerror
            raise AddressUnavailableError(f"host link {self.path}: {reason}; give another path with --host-link") from error
        finally:
            os.umask(mask)
        return listener

    def _clear_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except OSError:
            return
        if not stat.S_ISSOCK(mode):
            raise AddressUnavailableError(f"host link {self.path}: a file that is not a socket is in the way; move it or give another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                self.path.unlink(missing_ok=True)  # left behind by a simulator that was killed
                return
            except OSError:
                pass
        raise AddressUnavailableError(f"host link {self.path}: another simulator is listening there; stop it or give another path")
