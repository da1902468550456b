"""The site's clock, as gpsd's JSON protocol tells it: one line an object, on loopback.

A client gets a VERSION line, sends `?WATCH={"enable":true,"json":true};` and from then on gets a TPV line a site second, the time
of the pulse that began it. When site time runs fast, at most ten lines a wall second, each with the newest time.
Reference: gpsd_json(5), protocol 3.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from typing import Any

from .errors import AddressUnavailableError

LEAST_INTERVAL_S = 0.1
_LONGEST_LINE = 4096
_VERSION = {"class": "VERSION", "release": "3.25", "rev": "thermogen-sim", "proto_major": 3, "proto_minor": 15}
_DEVICES = {"class": "DEVICES", "devices": [{"class": "DEVICE", "path": "simulated", "driver": "thermogen-sim"}]}


def _iso(site_time: int) -> str:
    return datetime.datetime.fromtimestamp(site_time, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class _Connection(asyncio.Protocol):
    def __init__(self, server: ClockServer):
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.watching = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.clients.add(self)
        self.send(_VERSION)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._transport = None
        self._server.clients.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._transport is not None:
            end = min((at for at in (self._buffer.find(b";"), self._buffer.find(b"\n")) if at >= 0), default=-1)
            if end < 0:
                if len(self._buffer) > _LONGEST_LINE:
                    self._transport.abort()
                return
            command = bytes(self._buffer[:end]).decode("utf-8", "replace").strip()
            del self._buffer[: end + 1]
            if command:
                self._command(command)

    def send(self, content: dict[str, Any]) -> None:
        """Send one object; a client that does not read is dropped rather than buffered for ever."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > 64 * 1024:
            self._transport.abort()
            return
        self._transport.write(json.dumps(content, separators=(",", ":")).encode() + b"\r\n")

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def _command(self, command: str) -> None:
        name, _, argument = command.partition("=")
        if name == "?VERSION":
            self.send(_VERSION)
        elif name == "?DEVICES":
            self.send(_DEVICES)
        elif name == "?WATCH":
            try:
                wanted = json.loads(argument) if argument else {}
            except json.JSONDecodeError:
                self.send({"class": "ERROR", "message": "Invalid WATCH: not JSON"})
                return
            if isinstance(wanted, dict) and argument:
                self.watching = wanted.get("enable", True) is True
            self.send(_DEVICES)
            self.send({"class": "WATCH", "enable": self.watching, "json": True})
            if self.watching:
                self.send(self._server.report())
        else:
            self.send({"class": "ERROR", "message": f"Unrecognized request '{name[:40]}'"})


class ClockServer:
    """Listens on 127.0.0.1; call `tick` whenever site time may have moved."""

    def __init__(self, port: int, site_time: int):
        self._port = port
        self._site_time = site_time
        self._sent_time = site_time
        self._sent_at = 0.0
        self.clients: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen; AddressUnavailableError where the port is taken."""
        try:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", self._port)
        except OSError as error:
            raise AddressUnavailableError(f"clock port {self._port} on 127.0.0.1 is in use; give another with --clock") from error

    async def stop(self) -> None:
        """Stop listening and drop the clients."""
        if self._server is not None:
            self._server.close()
            for client in list(self.clients):
                client.close()
            await self._server.wait_closed()

    def report(self) -> dict[str, Any]:
        """The newest time as a TPV object."""
        return {"class": "TPV", "device": "simulated", "mode": 3, "time": _iso(self._site_time), "ept": 0.005}

    def tick(self, site_time: int) -> None:
        """Tell the watchers the time if it is a new second and the last telling is long enough ago."""
        self._site_time = site_time
        now = time.monotonic()
        if site_time == self._sent_time or now - self._sent_at < LEAST_INTERVAL_S:
            return
        self._sent_time, self._sent_at = site_time, now
        report = self.report()
        for client in list(self.clients):
            if client.watching:
                client.send(report)
