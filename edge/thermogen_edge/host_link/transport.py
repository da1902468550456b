"""What carries one SPI transaction to the node and back."""

from __future__ import annotations

from typing import Protocol

from ..errors import EdgeError


class HostLinkError(EdgeError):
    """The node could not be reached, or did not do what it was asked."""


class HostLinkDownError(HostLinkError):
    """The transport itself does not work: no device, no socket, no answer in time."""


class Transport(Protocol):
    """One transaction at a time, chip select held throughout."""

    def exchange(self, copi: bytes) -> bytes:
        """Clocks `copi` out and returns as many bytes as came in meanwhile; HostLinkDownError where that fails."""
        ...

    def close(self) -> None:
        """Lets go of the device or socket; the next exchange opens it again."""
        ...
