"""Site time from gpsd: the next fix counts, and nothing else does."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from thermogen_edge import clock_source
from thermogen_edge.clock_source import ClockError, GpsdClock, SystemClock, open_clock
from thermogen_edge.settings import TcpAddress

from .node_model import NodeModel
from .site_services import GpsdModel, free_port, wait_until


def test_a_fix_that_waited_is_not_taken_for_now(clock: GpsdModel, model: NodeModel) -> None:
    source = GpsdClock(TcpAddress("127.0.0.1", clock.port))
    before = model.plant_time_s
    assert source.fresh() == before
    connection = source._connection
    assert connection is not None
    wait_until(lambda: len(connection.recv(4096, socket.MSG_PEEK)) > 200, "old fixes wait")
    model.tick(5)
    threading.Event().wait(0.05)  # two fixes of gpsd's pace: one with the old time may still be on its way
    assert source.fresh() == before + 5
    source.close()


def test_without_a_fix_there_is_no_time(clock: GpsdModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_source, "FIX_S", 0.1)
    clock.mode = 1
    source = GpsdClock(TcpAddress("127.0.0.1", clock.port))
    with pytest.raises(ClockError, match="see the sky"):
        source.fresh()


def test_an_absent_gpsd_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClockError, match="does it run"):
        GpsdClock(TcpAddress("127.0.0.1", free_port())).fresh()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GARBAGE \xff",
        b"[]",
        b"7",
        b'{"class":"TPV"}',
        b'{"class":"TPV","mode":3}',
        b'{"class":"TPV","mode":"3","time":"2026-06-01T00:00:00Z"}',
        b'{"class":"TPV","mode":3,"time":"yesterday"}',
        b'{"class":"TPV","mode":3,"time":17}',
        b'{"class":"SKY","mode":3,"time":"2026-06-01T00:00:00Z"}',
        b"[" * 60_000,
    ],
)
def test_a_line_that_is_no_fix_is_passed_over(line: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(line + b'\n{"class":"TPV","mode":2,"time":"2026-06-01T00:00:01.000Z"}\n')
                client.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        source = GpsdClock(TcpAddress("127.0.0.1", listener.getsockname()[1]))
        assert source.fresh() == 1_780_272_001
        source.close()
        thread.join(5)


def test_the_system_clock_says_a_second_that_has_just_begun() -> None:
    source = open_clock(None)
    assert isinstance(source, SystemClock)
    second = source.fresh()
    assert 0 <= time.time() - second < 0.5
    source.close()
