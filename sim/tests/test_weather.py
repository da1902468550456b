"""The weather between a TAP device and what is behind it: what goes wrong in it is the test's to see."""

from __future__ import annotations

import socket
import threading

import pytest
from thermogen_sim.weather import weather

FRAME = bytes(60)
PATIENCE_S = 60


class SpoiltError(Exception):
    """Of the test's own fate or watch."""


@pytest.mark.parametrize("spoilt", ["fate", "watch"])
def test_an_exception_in_the_weather_reaches_the_test(spoilt):
    met = threading.Event()

    def of(name, answer):
        def told(_frame, _inwards):
            if name == spoilt:
                met.set()
                raise SpoiltError
            return answer

        return told

    tap, network = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with tap, network, pytest.raises(SpoiltError), weather(tap.fileno(), of("fate", [(0.0, FRAME)]), of("watch", None)):
        network.send(FRAME)
        assert met.wait(PATIENCE_S)
