"""The compiled server, fresh for each test; a tick is 500 clocks, so that a TCP second lasts 1 ms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from thermogen_sim.tcp.bench import READABLE, Space, TcpBench
from thermogen_sim.tcp.library import server_library

CLOCKS_PER_TICK = 500
HOLDING, INPUTS, COILS, DISCRETES = 300, 200, 64, 2000


def holding(address: int) -> int:
    """What a holding register begins with."""
    return (address * 0x0101 + 0x1234) & 0xFFFF


def fill(bench: TcpBench) -> None:
    """The registers of the tests: 300 holding, of which the first 200 can be written, 200 input, 64 coils, 2,000 discrete inputs."""
    bench.declare(Space.HOLDING_REGISTERS, 0, 200)
    bench.declare(Space.HOLDING_REGISTERS, 200, HOLDING - 200, READABLE)
    bench.declare(Space.INPUT_REGISTERS, 0, INPUTS, READABLE)
    bench.declare(Space.COILS, 0, COILS)
    bench.declare(Space.DISCRETE_INPUTS, 0, DISCRETES, READABLE)
    for address in range(HOLDING):
        bench[Space.HOLDING_REGISTERS, address] = holding(address)
    for address in range(INPUTS):
        bench[Space.INPUT_REGISTERS, address] = address ^ 0xA5A5
    for address in range(DISCRETES):
        bench[Space.DISCRETE_INPUTS, address] = address % 3 == 0


@pytest.fixture(scope="session")
def library():
    return server_library(CLOCKS_PER_TICK)


@pytest.fixture
def bench(library) -> Iterator[TcpBench]:
    bench = TcpBench(library)
    fill(bench)
    yield bench
    faults = bench.faults
    bench.close()
    assert faults == 0, f"the ports were used against their rules: {faults:#x}"
