"""The whole stack at its RMII pins, frame by frame: from a request's last di-bit to its answer's first."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from amaranth.back import rtlil
from thermogen_sim.network_harness import CompiledNetwork
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tcp.measurement import WIRE_LIMIT_PER_S, latencies, requests, transactions_per_s
from thermogen_sim.tcp.network_top import NetworkTop
from thermogen_sim.tcp.station import LAPTOP, NODE, Station, settle

pytestmark = pytest.mark.slow
CLOCKS_PER_SECOND = 200_000
AIM_CLOCKS = 25
"""Half a microsecond."""
TURN_CLOCKS = 22
"""Of the TCP engine, once round its connections, with the timers' tick in it."""
PAGE = Path(__file__).parents[3] / "docs" / "network.md"


@pytest.fixture(scope="module")
def library():
    return network_library(rtlil.convert(NetworkTop(CLOCKS_PER_SECOND), name=TOP, emit_src=False))


@pytest.fixture
def station(library):
    network = CompiledNetwork(library)
    settle(network, NODE)
    made = Station(network, NODE, LAPTOP)
    made.connect()
    yield made
    network.close()


def test_latency_at_the_pins(station):
    clocks = {}
    for count in (1, 2, 10, 60, 100, 125):
        answer, clocks[count] = station.ask(struct.pack(">BHH", 3, 0, count))
        assert answer == struct.pack(f">BB{count}H", 3, 2 * count, *range(count))
    assert station.ask(struct.pack(">BHH", 3, 176, 125))[0] == b"\x83\x02"
    assert max(clocks[count] for count in clocks if count <= 100) <= AIM_CLOCKS
    assert clocks[125] <= 2 * AIM_CLOCKS
    written = [station.ask(b"\x10" + struct.pack(">HHB", 0, count, 2 * count) + bytes(2 * count))[1] for count in (1, 123)]
    assert max(written) <= AIM_CLOCKS
    print(clocks, written)  # noqa: T201  shown with -s


def test_eight_clients_get_nine_tenths_of_what_the_wire_can_carry(library):
    network = CompiledNetwork(library)
    settle(network, NODE)
    assert transactions_per_s(network, 8, 400) >= 0.9 * WIRE_LIMIT_PER_S
    network.close()


@pytest.fixture(scope="module")
def clocks_taken(library):
    """Latencies twice, the engine and the timers being elsewhere the second time."""
    found = []
    for later in (1, 1_234):
        network = CompiledNetwork(library)
        settle(network, NODE)
        network.run(later)
        found.append(latencies(network))
        network.close()
    return found


def published_latencies():
    """Least and most clocks of each request, as the page's table has them."""
    table = PAGE.read_text("utf-8").partition("| request | clocks of 20 ns |")[2].partition("\n\n")[0]
    found = {}
    for names, clocks in re.findall(r"^\|(.*)\| ([\d,]+(?: to [\d,]+)?) \|$", table, re.MULTILINE):
        span = [int(number.replace(",", "")) for number in clocks.split(" to ")]
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in found, f"{name} is in the table twice"
            found[name] = span[0], span[-1]
    return found


def test_the_published_latencies_are_the_measured_ones(clocks_taken):
    published = published_latencies()
    for measured in clocks_taken:
        assert {name.strip() for name in measured} == set(published)
        outside = {
            name: clocks for name, clocks in measured.items() if not published[name.strip()][0] <= clocks <= published[name.strip()][1]
        }
        assert not outside
    # Only what outlasts the visit of its connection may take a turn of the engine more, or less.
    assert {name for name, (least, most) in published.items() if least != most} == {"2 × 100", "2 × 1000", "2 × 2000"}
    assert all(most - least <= TURN_CLOCKS for least, most in published.values())


def test_every_request_is_answered_within_a_clock_for_each_bit_and_the_length_of_a_header(clocks_taken):
    for found in clocks_taken:
        assert set(found) == set(requests())
        assert min(found.values()) == 9
        bits = {name: int(name.split("×")[1]) for name in found if name.split()[0] in {"1", "2", "15"}}
        assert all(found[name] <= 50 + 1.1 * bits[name] for name in bits)
        assert max(found[name] for name in found if name not in bits) <= 100
