"""A network that loses, repeats, spoils, delays and reorders frames: between a TAP device and what is behind it, both ways.

In the place of Linux's `tc netem`, which many kernels come without and which is never used. Seeded, so that a run's decisions can be had
again; when they fall is up to the wall clock.
"""

from __future__ import annotations

import heapq
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_HEADER_BYTES = 14
_LONGEST_FRAME = 2048
ARP = b"\x08\x06"

Fate = Callable[[bytes, bool], list[tuple[float, bytes]]]
"""What becomes of a frame, and of one that goes inwards (to what is behind the TAP device, not from it): copies, and seconds until each."""
Watch = Callable[[bytes, bool], None]
"""Is told of each frame as it came from inside, before its fate, and of each as it went in, after it."""


@dataclass(frozen=True)
class Weather:
    """Probabilities for each frame; the delay is even between `delay_s` and `delay_s + jitter_s`, and frames overtake each other in it."""

    loss: float = 0
    duplicate: float = 0
    corrupt: float = 0
    delay_s: float = 0
    jitter_s: float = 0
    seed: int = 1

    def fate(self) -> Fate:
        """Of frames in such weather; a stream of decisions of its own. ARP passes unharmed: what is tried is not ARP."""
        chance = random.Random(self.seed)  # noqa: S311  not for secrets

        def of(frame: bytes, _inwards: bool) -> list[tuple[float, bytes]]:
            return [(self.delay_s + chance.random() * self.jitter_s, copy) for copy in self._after(frame, chance)]

        return of

    def _after(self, frame: bytes, chance: random.Random) -> list[bytes]:
        """What comes of a frame: none, one or two."""
        if frame[12:_HEADER_BYTES] == ARP:
            return [frame]
        if chance.random() < self.loss:
            return []
        if chance.random() < self.corrupt:
            spoiled = bytearray(frame)
            spoiled[chance.randrange(_HEADER_BYTES, len(frame))] ^= 1 << chance.randrange(8)
            frame = bytes(spoiled)
        return [frame] * (2 if chance.random() < self.duplicate else 1)


@contextmanager
def weather(tap: int, fate: Fate, watch: Watch = lambda _frame, _inwards: None) -> Iterator[int]:
    """A descriptor that stands for the TAP device `tap` in such weather. What `fate` or `watch` raises is raised at its end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    os.set_blocking(tap, False)
    wake_read, wake_write = os.pipe()

    def relay() -> None:
        waiting: list[tuple[float, int, bool, bytes]] = []
        number = 0
        while True:
            timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            ready, _, _ = select.select([tap, ours.fileno(), wake_read], [], [], timeout)
            if wake_read in ready:
                return
            for source, inwards in ((tap, True), (ours.fileno(), False)):
                if source not in ready:
                    continue
                frame = os.read(source, _LONGEST_FRAME)
                if not inwards:
                    watch(frame, inwards)
                for delay_s, copy in fate(frame, inwards):
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + delay_s, number, inwards, copy))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, inwards, frame = heapq.heappop(waiting)
                with suppress(BlockingIOError):  # a queue that is full loses frames, in any weather
                    os.write(ours.fileno() if inwards else tap, frame)
                    if inwards:
                        watch(frame, inwards)

    raised: list[BaseException] = []

    def run() -> None:
        try:
            relay()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="weather", daemon=True)
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
        if raised:
            raise raised[0]
