"""The host link over a Unix stream socket: what a simulated site offers in place of a SPI bus.

Each message is a big-endian u32 length, 1 to 4,096, and as many bytes; a message to the site is one transaction's COPI
bytes, the reply has the same length and holds the CIPO bytes.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from .transport import HostLinkDownError

MAX_TRANSACTION_BYTES = 4096
ANSWER_S = 10.0
"""Wall time within which a site that is alive answers: a transaction of 1 kB takes a slow simulation well under a second."""
_LENGTH = struct.Struct(">I")


class UnixSocketTransport:
    """Connects when first used, and again after a failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def exchange(self, copi: bytes) -> bytes:
        """One transaction of 1 to 4,096 bytes."""
        try:
            connection = self._socket or self._connect()
            connection.sendall(_LENGTH.pack(len(copi)) + copi)
            (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
            if length != len(copi):
                raise HostLinkDownError(f"{self._path} answered {length} bytes to {len(copi)}: something else than a site listens there")
            return _receive(connection, length)
        except OSError as error:
            self.close()
            raise HostLinkDownError(f"no host link at {self._path} ({error}): is the site powered?") from error
        except HostLinkDownError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(ANSWER_S)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        self._socket = connection
        return connection


def _receive(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = connection.recv(length - len(received))
        if not part:
            raise ConnectionResetError("closed by the site in mid-transaction")
        received += part
    return bytes(received)
