"""Where site time comes from when the node has none: gpsd's JSON protocol over TCP, or the system's clock.

gpsd sends a VERSION line, is asked to watch, and then sends a TPV line a second whose `time` is UTC. Only fixes (mode 2 or 3) count.
The node takes the time just after a second began, and counts on with its own pulse.
"""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime
from typing import Protocol

from .errors import EdgeError
from .settings import TcpAddress

FIX_S = 5.0
"""Wall time to wait for one fix: gpsd sends one each second."""
_WATCH = b'?WATCH={"enable":true,"json":true};\n'
_MAX_LINE_BYTES = 65_536
_LEAST_FIX_MODE = 2


class ClockError(EdgeError):
    """There is no site time now."""


class ClockSource(Protocol):
    """Says what second of UTC it is."""

    def fresh(self) -> int:
        """Unix seconds of a second that has just begun; ClockError where there is none."""
        ...

    def close(self) -> None:
        """Lets go of what it holds."""
        ...


class SystemClock:
    """The system's clock, taken to be kept right by NTP or a battery-backed clock."""

    def fresh(self) -> int:
        """The next second's number, right after it began."""
        now = time.time()
        time.sleep(1 - now % 1)
        return int(time.time())

    def close(self) -> None:
        """Nothing to let go of."""


class GpsdClock:
    """A gpsd server."""

    def __init__(self, address: TcpAddress) -> None:
        self._address = address
        self._connection: socket.socket | None = None
        self._received = b""

    def fresh(self) -> int:
        """The time of the next fix that arrives; those that wait already are old."""
        deadline = time.monotonic() + FIX_S
        try:
            connection = self._connection
            if connection is None:
                connection = self._connect()
            else:
                self._drain(connection)
            while True:
                unix_s = _fix(self._line(connection, deadline))
                if unix_s is not None:
                    return unix_s
        except OSError as error:
            self.close()
            raise ClockError(
                f"no time from gpsd at {self._address.host}:{self._address.port} ({error}): does it run, and does the receiver see the sky?"
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._received = b""

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._address.host, self._address.port), timeout=FIX_S)
        self._connection = connection
        connection.sendall(_WATCH)
        return connection

    def _drain(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            while part := connection.recv(_MAX_LINE_BYTES):
                self._received = (self._received + part).rpartition(b"\n")[2]
        except BlockingIOError:
            return
        raise ConnectionResetError("closed by gpsd")

    def _line(self, connection: socket.socket, deadline: float) -> bytes:
        while b"\n" not in self._received:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or len(self._received) > _MAX_LINE_BYTES:
                raise TimeoutError(f"no fix within {FIX_S:g} s")
            connection.settimeout(left_s)
            part = connection.recv(_MAX_LINE_BYTES)
            if not part:
                raise ConnectionResetError("closed by gpsd")
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line


def _fix(line: bytes) -> int | None:
    """The time of a TPV line with a fix; None for anything else."""
    try:
        report = json.loads(line)
        if report["class"] != "TPV" or report["mode"] < _LEAST_FIX_MODE:
            return None
        return int(datetime.fromisoformat(report["time"]).astimezone(UTC).timestamp())
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def open_clock(address: TcpAddress | None) -> ClockSource:
    """The clock of a setting: gpsd's address, or None for the system's clock."""
    return SystemClock() if address is None else GpsdClock(address)
