"""Whoever is evicted is told of it, however busy the transmitter is: there is one place for an eviction's reset."""

from __future__ import annotations

import pytest
from thermogen_sim.tcp.client import Client
from thermogen_sim.tcp.segment import Flag

pytestmark = pytest.mark.slow
PLACES = 8
ONE_REGISTER = b"\x03\x00\x05\x00\x01"


def answered(bench, port):
    """A newcomer with the answer to its SYN."""
    client = Client(bench, port=port)
    client.put(Flag.SYN, ack=0)
    answer = client.wait()
    client.seq, client.ack = answer.ack, answer.end
    return client


def test_handshakes_complete_while_the_transmitter_is_busy_and_nobody_is_evicted_in_silence(bench):
    clients = {3000 + place: Client(bench, port=3000 + place).connect() for place in range(PLACES)}
    newcomers = [answered(bench, port) for port in (5000, 5001, 5002)]
    bench.hold(True)
    for newcomer in newcomers:
        newcomer.put()
        bench.run(2_000)
    bench.hold(False)
    evicted = {one.segment.destination for one in bench.drain() if one.segment.flags & Flag.RST}
    # One reset waits for the wire and one for the transmitter; the third client is not accepted yet.
    assert evicted == {3000, 3001}
    # The third's request completes its handshake, and its repetition is answered.
    late = newcomers[-1]
    late.put(Flag.ACK | Flag.PSH, b"\0\1\0\0\0\6\1" + ONE_REGISTER)
    assert {one.segment.destination for one in bench.drain() if one.segment.flags & Flag.RST} == {3002}
    for client in (*newcomers, *(clients[port] for port in range(3003, 3000 + PLACES))):
        assert client.ask(ONE_REGISTER)[:2] == b"\x03\x02"
    assert bench.connections == PLACES


def test_whoever_has_an_answer_to_its_syn_finds_the_way_free_to_evict(bench):
    clients = [Client(bench, port=3000 + place).connect() for place in range(PLACES)]
    first, second = answered(bench, 5000), answered(bench, 5001)
    bench.hold(True)
    for newcomer in (first, second):
        newcomer.put()
        bench.run(2_000)
    for client in clients[2:]:
        client.put(Flag.ACK | Flag.PSH, b"\0\1\0\0\0\6\1" + ONE_REGISTER)
        bench.run(2_000)
    last = Client(bench, port=5002)
    last.put(Flag.SYN, ack=0)
    bench.run(2_000)
    bench.hold(False)
    sent = [(one.segment.destination, one.segment.flags) for one in bench.drain()]
    # One waited for the wire; the other's reset goes before all answers, and before that to a SYN above all.
    assert [destination for destination, flags in sent if flags & Flag.RST] == [3000, 3001]
    assert sent[1][0] == 3001
    assert (5002, Flag.SYN | Flag.ACK) in sent
