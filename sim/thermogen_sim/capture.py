"""Everything between a TAP device and what is behind it, both ways, written to a file that Wireshark opens.

Recorded between the kernel and the gateware, so that checksums are those of the wire. Reference: the pcap file format (libpcap's
savefile page), link type 1, without FCS.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LONGEST_FRAME = 2048
_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


@contextmanager
def recorded(tap: int, path: Path) -> Iterator[int]:
    """A descriptor that stands for the TAP device `tap` while all frames go to `path`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wake_read, wake_write = os.pipe()
    os.set_blocking(tap, False)

    def relay() -> None:
        with path.open("wb") as file:
            file.write(_HEADER)
            while True:
                ready, _, _ = select.select([tap, ours.fileno(), wake_read], [], [])
                for source, destination in ((tap, ours.fileno()), (ours.fileno(), tap)):
                    if source not in ready:
                        continue
                    frame = os.read(source, _LONGEST_FRAME)
                    now = time.time_ns() // 1000
                    file.write(struct.pack("<IIII", now // 1_000_000, now % 1_000_000, len(frame), len(frame)) + frame)
                    with suppress(BlockingIOError):  # a queue that is full loses frames, as a wire's end does
                        os.write(destination, frame)
                if wake_read in ready:
                    return

    thread = threading.Thread(target=relay, name="capture", daemon=True)
    thread.start()
    try:
        yield theirs.fileno()
    finally:
        os.write(wake_write, b"x")
        thread.join()
        ours.close()
        theirs.close()
        os.close(wake_read)
        os.close(wake_write)
