"""The host link over Linux's spidev: one SPI_IOC_MESSAGE(1) ioctl a transaction, mode 0.

Reference: linux/spi/spidev.h. The kernel's buffer holds 4,096 bytes unless told otherwise, more than our longest transaction.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from pathlib import Path

from .transport import HostLinkDownError

SPEED_HZ = 5_000_000
"""Below an eighth of the node's 50 MHz."""
_MODE_0 = 0
_TRANSFER = struct.Struct("=QQIIHBBBBBB")
"""struct spi_ioc_transfer: tx_buf, rx_buf, len, speed_hz, delay_usecs, bits_per_word, cs_change, tx_nbits, rx_nbits, word_delay_usecs,
pad."""


def _iow(number: int, size: int) -> int:
    """The kernel's _IOW('k', number, size)."""
    return 1 << 30 | size << 16 | ord("k") << 8 | number


SPI_IOC_MESSAGE_1 = _iow(0, _TRANSFER.size)
SPI_IOC_WR_MODE = _iow(1, 1)


class SpidevTransport:
    """Opens the device when first used, and again after a failure."""

    def __init__(self, device: Path) -> None:
        self._device = device
        self._descriptor: int | None = None

    def exchange(self, copi: bytes) -> bytes:
        """One transaction, chip select asserted throughout."""
        sent = ctypes.create_string_buffer(copi, len(copi))
        received = ctypes.create_string_buffer(len(copi))
        transfer = _TRANSFER.pack(ctypes.addressof(sent), ctypes.addressof(received), len(copi), SPEED_HZ, 0, 8, 0, 0, 0, 0, 0)
        try:
            fcntl.ioctl(self._open(), SPI_IOC_MESSAGE_1, transfer)
        except OSError as error:
            self.close()
            raise HostLinkDownError(
                f"no host link at {self._device} ({error}): is the SPI bus enabled in the device tree, and may this user open it?"
            ) from error
        return received.raw

    def close(self) -> None:
        """Closes the device."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(self._descriptor, SPI_IOC_WR_MODE, struct.pack("=B", _MODE_0))
        return self._descriptor
