"""Seeded nonsense at Ethernet, IP, TCP and MODBUS level against the whole stack at its pins: the short form of `make fuzz`, and the corpus.

`corpus.json` has what once broke something: segments of a connection (`streams`), or frames as the wire brings them (`wires`).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from amaranth.back import rtlil
from thermogen_sim.network_harness import CompiledNetwork
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tcp.campaign import Campaign, FoundError
from thermogen_sim.tcp.network_top import NetworkTop
from thermogen_sim.tcp.nonsense import Level, Nonsense, Wire
from thermogen_sim.tcp.station import LAPTOP, NODE, Station

pytestmark = pytest.mark.slow
CLOCKS_PER_SECOND = 200_000
CORPUS = json.loads(Path(__file__).with_name("corpus.json").read_text())


@pytest.fixture(scope="module")
def library():
    return network_library(rtlil.convert(NetworkTop(CLOCKS_PER_SECOND), name=TOP, emit_src=False))


@pytest.fixture
def network(library):
    made = CompiledNetwork(library)
    yield made
    made.close()


def test_clean_clients_are_served_after_every_thousand_frames_of_nonsense(network):
    summary = Campaign(network, CLOCKS_PER_SECOND, seed=1).run(5_000)
    assert summary.clean_clients == 5
    assert all(summary.frames[level] > 100 for level in Level)
    answered = ("ARP answers", "echoes", "handshakes", "MODBUS answers", "exceptions", "resets")
    assert all(summary.answers[kind] > 10 for kind in answered), summary.answers


@pytest.mark.parametrize("case", CORPUS, ids=[case["name"] for case in CORPUS])
def test_what_once_broke_something_does_not(network, case):
    campaign = Campaign(network, CLOCKS_PER_SECOND, seed=1)
    for wire in case.get("wires", ()):
        campaign.put(Wire(Level.ETHERNET, bytes.fromhex(wire["wire"]), wire["flaws"]))
    station = Station(network, NODE, LAPTOP)
    station.connect()
    for stream in case.get("streams", ()):
        station.say(bytes.fromhex(stream))
    campaign.pass_time(20_000)
    campaign.serve_a_clean_client()


def test_an_answer_that_nobody_asked_for_is_found(network):
    # The campaign itself: told nothing of a request, it takes the answer for one that must not be.
    campaign = Campaign(network, CLOCKS_PER_SECOND, seed=1)
    nonsense = Nonsense(NODE.mac, NODE.ip, seed=5)
    while (wire := nonsense.frame()).level is not Level.MODBUS:
        pass
    network.inject(wire.wire)
    with pytest.raises(FoundError, match="never asked"):
        campaign.pass_time(20_000)


def test_the_same_seed_is_the_same_nonsense():
    streams = [[one.frame() for _ in range(200)] for one in (Nonsense(NODE.mac, NODE.ip, 9), Nonsense(NODE.mac, NODE.ip, 9))]
    assert streams[0] == streams[1]
