"""TCP as a peer sees it, segment by segment; what is right is worked out from RFC 9293, 5961 and 6298 here."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from thermogen_sim.tcp.bench import OWN_IP, TcpBench
from thermogen_sim.tcp.client import MODBUS_PORT, Client, adu
from thermogen_sim.tcp.segment import Flag, Segment

SECOND = 50_000
"""Clocks of a TCP second: conftest.py has a tick of 500."""

pytestmark = pytest.mark.slow
ONE_REGISTER = b"\x03\x00\x05\x00\x01"
LARGEST = b"\x03\x00\x00\x00\x7d"
RECEIVE_BYTES = 512
KEEP_ALIVE_S = 30


def holding(address: int) -> int:
    """What conftest.py puts into a holding register."""
    return (address * 0x0101 + 0x1234) & 0xFFFF


ITS_ANSWER = b"\x03\x02" + struct.pack(">H", holding(5))


def is_served(client: Client) -> bool:
    return client.ask(ONE_REGISTER) == ITS_ANSWER


def quiet(bench: TcpBench, clocks: int = 20_000) -> bool:
    return bench.wait(clocks) is None


# Opening.


def test_a_handshake_names_our_segment_size_and_takes_a_place_only_when_it_is_complete(bench):
    client = Client(bench)
    client.put(Flag.SYN, ack=0)
    answer = client.wait()
    assert (answer.flags, answer.ack, answer.options) == (Flag.SYN | Flag.ACK, client.seq + 1, b"\x02\x04\x02\x00")
    assert answer.window == RECEIVE_BYTES
    assert bench.connections == 0
    client.seq, client.ack = answer.ack, answer.end
    client.put()
    assert quiet(bench)
    assert bench.connections == 1
    assert is_served(client)


def test_a_handshake_whose_last_ack_was_lost_is_completed_by_the_request(bench):
    client = Client(bench)
    client.put(Flag.SYN, ack=0)
    answer = client.wait()
    client.seq, client.ack = answer.ack, answer.end
    client.put(Flag.ACK | Flag.PSH, adu(1, ONE_REGISTER))
    bench.run(2000)
    assert bench.connections == 1
    # The data came before there was a place for it: it is sent again.
    assert is_served(client)


@pytest.mark.parametrize("wrong", [1 << 2, 1 << 20, 1 << 31, -4])
def test_an_ack_with_a_number_that_was_not_given_is_reset(bench, wrong):
    client = Client(bench)
    client.put(Flag.SYN, ack=0)
    answer = client.wait()
    client.put(seq=client.seq + 1, ack=answer.end + wrong)
    reset = client.wait()
    assert reset.flags & Flag.RST
    assert reset.seq == (answer.end + wrong) % 2**32
    assert bench.connections == 0


def test_a_number_is_good_for_its_asker_only_and_not_for_long(bench):
    client = Client(bench)
    client.put(Flag.SYN, ack=0)
    answer = client.wait()
    for other in (Client(bench, port=client.port + 1), Client(bench, ip=client.ip + 1)):
        other.put(seq=client.seq + 1, ack=answer.end)
        assert other.wait().flags & Flag.RST
    client.put(seq=client.seq + 2, ack=answer.end)
    assert client.wait().flags & Flag.RST
    bench.run(3 * 21 * SECOND)
    client.put(seq=client.seq + 1, ack=answer.end)
    assert client.wait().flags & Flag.RST
    assert bench.connections == 0


def test_initial_sequence_numbers_differ_by_key_peer_and_time(library):
    numbers = set()
    for key in (1, 2):
        bench = TcpBench(library, key)
        for ip in (0x0A000002, 0x0A000003):
            for port in (1000, 1001):
                client = Client(bench, ip=ip, port=port)
                client.put(Flag.SYN, ack=0)
                numbers.add(client.wait().seq)
        bench.run(42 * SECOND)
        client.put(Flag.SYN, ack=0)
        numbers.add(client.wait().seq)
        bench.close()
    assert len(numbers) == 10


def test_other_ports_are_closed(bench):
    for flags, ack in ((Flag.SYN, 0), (Flag.ACK, 77), (Flag.SYN | Flag.ACK, 77)):
        segment = Segment(1000, 80, 5, ack, flags)
        bench.put(segment.encode(0x0A000005, OWN_IP), 0x0A000005)
        reset = bench.wait(20_000)
        assert reset is not None
        assert reset.segment.flags & Flag.RST
        assert (reset.segment.source, reset.segment.destination) == (80, 1000)
    bench.put(Segment(1000, 80, 5, 0, Flag.RST).encode(0x0A000005, OWN_IP), 0x0A000005)
    assert quiet(bench)


@pytest.mark.parametrize(
    "options",
    [b"\x01\x01\x01\x02\x04\x00\xd8", b"\x08\x0a" + bytes(8) + b"\x02\x04\x00\xd8", b"\x04\x02\x03\x03\x07\x02\x04\x00\xd8\x00\xff"],
)
def test_the_peers_segment_size_is_kept_to_wherever_the_option_stands(bench, options):
    client = Client(bench).connect(options)
    client.send(adu(1, LARGEST))
    pieces = [client.take_data()]
    while sum(map(len, pieces)) < 259:
        client.put()
        pieces.append(client.take_data())
    assert max(map(len, pieces)) == 128
    assert b"".join(pieces)[9:11] == struct.pack(">H", holding(0))


@pytest.mark.parametrize(
    ("size", "sent"),
    [(0, 48), (1, 48), (47, 48), (48, 48), (127, 48), (128, 128), (255, 128), (256, 256), (535, 256), (536, 259), (1460, 259)],
)
def test_a_segment_is_as_large_as_the_class_of_the_peers_size_and_48_bytes_at_least(bench, size, sent):
    client = Client(bench).connect(b"\x02\x04" + struct.pack(">H", size))
    client.send(adu(1, LARGEST))
    assert len(client.take_data()) == sent


@pytest.mark.parametrize(
    "options", [b"\x02", b"\x02\x00", b"\x02\x01\x00", b"\x02\x03\x00\x00", b"\x05\xff", b"\x00" * 40, b"\x01" * 40, b"\x03\x00\x02\x04"]
)
def test_options_that_make_no_sense_do_no_harm(bench, options):
    assert is_served(Client(bench).connect(options))


# The complaints of the field.


def test_an_adu_split_over_segments(bench):
    client = Client(bench).connect()
    whole = adu(1, b"\x10\x00\x00\x00\x7b\xf6" + bytes(range(246)))
    for cut in (1, 5, 6, 7, 8, 12, 13, 14, 258):
        for piece in (whole[:cut], whole[cut:]):
            client.send(piece)
            if piece == whole[:cut]:
                acknowledgement = client.wait()
                assert (acknowledgement.ack, acknowledgement.data) == (client.seq, b"")
        assert client.answer()[7:] == b"\x10\x00\x00\x00\x7b"


def test_an_adu_a_byte_at_a_time(bench):
    client = Client(bench).connect()
    whole = adu(1, ONE_REGISTER) + adu(2, ONE_REGISTER)
    received = b""
    for at in range(len(whole)):
        client.send(whole[at : at + 1])
        received += client.take_data()
    assert received == b"".join(adu(number, ITS_ANSWER) for number in (1, 2))


def test_several_adus_in_one_segment(bench):
    client = Client(bench).connect()
    requests = [struct.pack(">BHH", 3, at, 1 + at % 5) for at in range(40)]
    client.send(b"".join(adu(at, pdu) for at, pdu in enumerate(requests)))
    for at in range(40):
        answer = client.answer()
        client.put()
        count = 1 + at % 5
        assert answer == adu(at, bytes([3, 2 * count]) + b"".join(struct.pack(">H", holding(at + n)) for n in range(count)))


def test_more_answers_than_the_buffer_holds_wait_for_acknowledgements(bench):
    client = Client(bench).connect()
    client.send(b"".join(adu(at, LARGEST) for at in range(12)))
    numbers = []
    for _ in range(12):
        answer = client.answer()
        client.put()
        numbers.append(int.from_bytes(answer[:2]))
    assert numbers == list(range(12))


def test_a_length_field_longer_than_the_pdu(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER, length=20))
    assert client.wait().data == b""
    # What follows is still this request's, up to the length that it named; then requests begin anew.
    client.send(bytes(14))
    assert client.answer() == adu(1, b"\x83\x03")
    assert is_served(client)


def test_a_length_field_shorter_than_the_pdu(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER, length=4))
    assert client.answer() == adu(1, b"\x83\x03")


def test_dead_connections_that_use_up_the_slots(bench):
    for port in range(8):
        Client(bench, port=3000 + port).connect()
    assert bench.connections == 8
    # They never answer again: keep-alive finds out.
    bench.run(int(1.6 * KEEP_ALIVE_S * SECOND))
    assert bench.connections == 0
    probes = bench.drain()
    assert sum(bool(one.segment.flags & Flag.RST) for one in probes) == 8
    assert is_served(Client(bench).connect())


def test_dead_connections_give_way_at_once_when_a_client_comes(bench):
    clients = [Client(bench, port=3000 + port).connect() for port in range(8)]
    for client in clients[1:]:
        bench.run(SECOND // 20)
        assert is_served(client)
    newcomer = Client(bench, port=5000)
    newcomer.put(Flag.SYN, ack=0)
    answer = newcomer.wait()
    newcomer.seq, newcomer.ack = answer.ack, answer.end
    newcomer.put()
    reset = clients[0].wait()
    assert reset.flags & Flag.RST
    assert reset.seq == clients[0].ack
    assert is_served(newcomer)
    assert all(is_served(client) for client in clients[1:])


def test_a_client_accepted_and_then_never_answered(bench):
    """Ten times as many clients as there are places, all that were accepted are answered or told that they are not any more."""
    clients, told = [Client(bench, port=3000 + port) for port in range(80)], set()
    for client in clients:
        client.put(Flag.SYN, ack=0)
        for one in bench.drain():
            if one.segment.destination == client.port:
                assert one.segment.flags == Flag.SYN | Flag.ACK
                client.seq, client.ack = one.segment.ack, one.segment.end
                client.put()
            else:
                assert one.segment.flags & Flag.RST
                told.add(one.segment.destination)
    told |= {one.segment.destination for one in bench.drain()}
    assert told == set(range(3000, 3072))
    assert all(is_served(client) for client in clients if client.port not in told)


def test_preferred_clients_never_give_way(bench):
    bench.prefer(0, 0x0A000002)
    preferred = [Client(bench, port=3000 + port).connect() for port in range(8)]
    stranger = Client(bench, ip=0x0A000009)
    stranger.put(Flag.SYN, ack=0)
    # It is not accepted, rather than accepted and left.
    assert stranger.wait().flags & Flag.RST
    assert all(is_served(client) for client in preferred)
    preferred[0].put(Flag.RST)
    bench.run(1000)
    ordinary = stranger.connect()
    assert is_served(ordinary)
    again = Client(bench, port=4000)
    again.put(Flag.SYN, ack=0)
    answer = again.wait()
    again.seq, again.ack = answer.ack, answer.end
    again.put()
    assert ordinary.wait().flags & Flag.RST
    assert is_served(again)


def test_a_flood_of_syns_takes_nothing_from_live_clients(bench):
    clients = [Client(bench, port=3000 + port).connect() for port in range(8)]
    chance = random.Random(1)
    for round_number in range(40):
        for _ in range(25):
            ip = chance.getrandbits(32)
            bench.put(Segment(chance.getrandbits(16), MODBUS_PORT, chance.getrandbits(32), 0, Flag.SYN).encode(ip, OWN_IP), ip)
        client = clients[round_number % 8]
        client.send(adu(round_number, ONE_REGISTER))
        answers = [one.segment for one in bench.drain(2000)]
        assert [one.data for one in answers if one.destination == client.port and one.data] == [adu(round_number, ITS_ANSWER)]
        client.ack += 11
        client.put()
    assert bench.connections == 8


# Loss, repetition, order.


def test_a_lost_answer_is_sent_again_as_it_was(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER))
    first = client.wait()
    bench[3, 5] = 0xFFFF
    begun, waits = bench.clocks, []
    for _ in range(4):
        again = client.wait(40 * SECOND)
        assert (again.seq, again.data) == (first.seq, first.data)
        waits.append((bench.clocks - begun) / SECOND)
        begun = bench.clocks
    assert 0.9 < waits[0] < 1.1
    assert [round(later / earlier) for earlier, later in itertools.pairwise(waits)] == [2, 2, 2]
    client.ack = again.end
    client.put()
    assert quiet(bench, 20 * SECOND)


@pytest.mark.parametrize("clocks", range(0, 600, 8))
def test_an_answer_sent_while_the_last_ones_ack_comes_in_is_still_on_its_timer(bench, clocks):
    client, other = Client(bench).connect(), Client(bench, port=41000).connect()
    client.send(adu(1, ONE_REGISTER))
    unheard = client.ack
    client.take_data()
    # The second answer waits for the transmitter.
    bench.hold(True)
    other.send(adu(1, ONE_REGISTER))
    bench.run(1500)
    client.put(Flag.ACK | Flag.PSH, adu(2, ONE_REGISTER), ack=unheard)
    client.seq += 12
    bench.run(1500)
    bench.hold(False)
    bench.run(clocks)
    client.put()
    sent = [segment for segment in bench.drain(3 * SECOND) if segment.segment.destination == client.port]
    assert [segment.segment.seq for segment in sent[:2]] == [client.ack] * 2
    assert sent[0].segment.data == sent[1].segment.data != b""


def test_a_peer_that_acknowledges_nothing_is_given_up_with_a_reset(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER))
    sent = []
    while bench.connections:
        one = bench.wait(20 * SECOND)
        assert one is not None
        sent.append(one.segment)
    sent += [one.segment for one in bench.drain()]
    assert len(sent) == 9
    assert sent[-1].flags & Flag.RST
    assert all(one.data == adu(1, ITS_ANSWER) for one in sent[:-1])


def test_the_timeout_follows_the_round_trip(bench):
    client = Client(bench).connect()
    for _ in range(8):
        client.send(adu(1, ONE_REGISTER))
        client.answer()
        bench.run(SECOND // 2)
        client.put()
        bench.run(1000)
    client.send(adu(1, ONE_REGISTER))
    client.wait()
    begun = bench.clocks
    client.wait(10 * SECOND)
    assert 0.5 < (bench.clocks - begun) / SECOND < 1.2
    # From here on the round trip is nearly nothing.
    client.ack += 11
    client.put()
    for _ in range(40):
        is_served(client)
    client.put()
    bench.run(1000)
    client.send(adu(1, ONE_REGISTER))
    client.wait()
    begun = bench.clocks
    client.wait(10 * SECOND)
    assert 0.2 < (bench.clocks - begun) / SECOND < 0.35


def test_a_request_that_is_repeated_is_done_once(bench):
    client = Client(bench).connect()
    request = adu(1, b"\x06\x00\x01\x00\x07")
    client.send(request)
    client.answer()
    for _ in range(3):
        client.put(Flag.ACK | Flag.PSH, request, seq=client.seq - len(request))
        again = client.wait()
        assert (again.data, again.ack) == (b"", client.seq)
    assert bench.counts.applied == 1


def test_a_repetition_that_brings_more_is_taken_from_where_it_is_new(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER))
    client.answer()
    start = client.seq - 12
    client.put(Flag.ACK | Flag.PSH, adu(1, ONE_REGISTER) + adu(2, ONE_REGISTER), seq=start)
    client.seq += 12
    assert client.answer() == adu(2, ITS_ANSWER)


def test_what_comes_too_early_is_asked_for_again(bench):
    client = Client(bench).connect()
    first, second = adu(1, ONE_REGISTER), adu(2, ONE_REGISTER)
    client.put(Flag.ACK | Flag.PSH, second, seq=client.seq + 12)
    early = client.wait()
    assert (early.ack, early.data) == (client.seq, b"")
    client.send(first)
    assert client.answer() == adu(1, ITS_ANSWER)
    client.send(second)
    assert client.answer() == adu(2, ITS_ANSWER)


def test_a_frame_that_is_bad_never_was(bench):
    client = Client(bench).connect()
    client.put(Flag.ACK | Flag.PSH, adu(1, b"\x06\x00\x01\x00\x07"), bad=True)
    whole = bytearray(client.segment(Flag.ACK | Flag.PSH, adu(1, b"\x06\x00\x01\x00\x07")).encode(client.ip, OWN_IP))
    whole[-1] ^= 1
    bench.put(bytes(whole), client.ip, client.mac)
    assert quiet(bench)
    assert bench.counts.applied == 0
    assert is_served(client)


def test_sequence_numbers_wrap(bench):
    client = Client(bench, seq=0xFFFF_FFF0).connect()
    for _ in range(10):
        assert is_served(client)


# Windows.


def test_our_window_is_what_we_take(bench):
    client = Client(bench, window=0).connect()
    bench.run(1000)
    # No answer can leave, so the requests stay where they are when the answers' buffer is full.
    data = b"".join(adu(at, LARGEST) for at in range(200))
    start, sent = client.seq, 0
    edge = client.seq + RECEIVE_BYTES
    for _ in range(30):
        client.put(Flag.ACK, data[sent : sent + 100], seq=start + sent)
        for one in bench.drain(3000):
            sent = one.segment.ack - start
            new_edge = one.segment.ack + one.segment.window
            assert new_edge >= edge, "the window's edge moved back"
            edge = new_edge
    assert edge - start == sent
    assert sent > RECEIVE_BYTES
    # It opens, and everything is answered once and in order.
    client.window, client.seq = 65535, start + sent
    client.put()
    numbers = []
    for _ in range(sent // 12):
        while len(client.received) < 259:
            client.received += client.take_data(4 * SECOND)
            client.put()
        numbers.append(int.from_bytes(client.answer(4 * SECOND)[:2]))
    assert numbers == list(range(sent // 12))


def test_a_fin_that_the_window_has_no_room_for_waits_and_nothing_behind_it_is_stored(bench):
    client = Client(bench, window=0).connect()
    bench.run(1000)
    data = b"".join(adu(at, LARGEST) for at in range(200))
    start, sent, window = client.seq, 0, RECEIVE_BYTES
    while window:
        client.put(Flag.ACK, data[sent : sent + 100], seq=start + sent)
        last = bench.drain(3000)[-1].segment
        sent, window = last.ack - start, last.window
    whole = sent // 12
    client.put(Flag.ACK | Flag.FIN, seq=start + sent)
    client.put(Flag.ACK, bytes(100), seq=start + sent + 1)
    assert {(one.segment.ack, one.segment.window) for one in bench.drain(3000)} == {(start + sent, 0)}
    client.window, client.seq = 65535, start + sent
    client.put()
    for at in range(whole):
        while len(client.received) < 259:
            client.received += client.take_data(4 * SECOND)
            client.put()
        assert client.answer(4 * SECOND)[:2] == at.to_bytes(2)
    client.put(Flag.ACK | Flag.FIN)
    assert client.wait().ack == client.seq + 1


def test_a_closed_window_is_probed_for_as_long_as_the_peer_is_there(bench):
    client = Client(bench, window=0).connect()
    client.send(adu(1, ONE_REGISTER))
    acknowledgement = client.wait()
    assert (acknowledgement.ack, acknowledgement.data) == (client.seq, b"")
    for _ in range(12):
        probe = client.wait(20 * SECOND)
        assert probe.data == adu(1, ITS_ANSWER)[:1]
        client.put()
    assert bench.connections == 1
    client.window = 65535
    client.put()
    client.received = b""
    assert client.answer(20 * SECOND) == adu(1, ITS_ANSWER)


def test_the_window_of_an_ack_that_was_overtaken_is_not_believed(bench):
    client, other = Client(bench, window=100).connect(), Client(bench, port=41000).connect()
    client.send(adu(1, LARGEST))
    overtaken = client.ack
    first = client.take_data()
    assert len(first) == 100
    # Both ACKs are there before anything can be sent.
    bench.hold(True)
    other.send(adu(1, ONE_REGISTER))
    bench.run(1500)
    client.window = 65535
    client.put()
    client.window = 0
    client.put(ack=overtaken)
    bench.run(3000)
    bench.hold(False)
    sent = [one.segment for one in bench.drain(5000) if one.segment.destination == client.port]
    assert [len(one.data) for one in sent] == [159]


def test_a_small_window_is_filled_and_never_overrun(bench):
    client = Client(bench, window=100).connect()
    client.send(adu(1, LARGEST))
    received = 0
    while received < 259:
        segment = client.wait(4 * SECOND)
        assert segment.end <= client.ack + 100
        received += len(segment.data)
        client.ack = segment.end
        client.put()
    assert received == 259


# Closing.


def test_a_client_that_closes_gets_its_answer_first(bench):
    client = Client(bench).connect()
    client.put(Flag.ACK | Flag.PSH | Flag.FIN, adu(1, ONE_REGISTER))
    client.seq += 13
    data, closed = b"", False
    while not closed:
        segment = client.wait()
        assert segment.ack == client.seq
        data += segment.data
        closed = bool(segment.flags & Flag.FIN)
        client.ack = segment.end
    assert data == adu(1, ITS_ANSWER)
    client.put()
    bench.run(1000)
    assert bench.connections == 0


@pytest.mark.parametrize("size", [200, 240, 258])
def test_the_rest_of_a_request_that_comes_while_its_beginning_is_read_is_not_forgotten(bench, size):
    client = Client(bench).connect()
    whole = adu(1, b"\x10\x00\x00\x00\x7b\xf6" + bytes(246))
    client.put(Flag.ACK | Flag.PSH, whole[:1])
    bench.run(2000)
    # A repetition that brings more is read from the buffer, not as it comes in.
    client.put(Flag.ACK | Flag.PSH, whole[:size])
    client.put(Flag.ACK | Flag.PSH, whole[size:], seq=client.seq + size)
    assert b"".join(one.segment.data for one in bench.drain(20_000)) == adu(1, b"\x10\x00\x00\x00\x7b")


@pytest.mark.parametrize("flags", [Flag.ACK | Flag.PSH, Flag.ACK | Flag.PSH | Flag.FIN])
@pytest.mark.parametrize("clocks", range(200, 3400, 400))
def test_a_request_that_comes_while_the_one_before_is_answered_waits_for_nobody(bench, clocks, flags):
    client = Client(bench).connect()
    client.send(adu(1, b"\x02\x00\x00\x07\xd0"))
    bench.run(clocks)
    client.put(flags, adu(2, ONE_REGISTER))
    sent = b"".join(one.segment.data for one in bench.drain(20_000))
    assert sent[259:] == adu(2, ITS_ANSWER)


def test_a_fin_is_repeated_until_it_is_acknowledged(bench):
    client = Client(bench).connect()
    client.put(Flag.ACK | Flag.FIN)
    client.seq += 1
    first = client.wait()
    assert first.flags & Flag.FIN
    again = client.wait(4 * SECOND)
    assert (again.flags, again.seq) == (first.flags, first.seq)
    client.ack = again.end
    client.put()
    bench.run(1000)
    assert bench.connections == 0


@pytest.mark.parametrize("closer", ["the peer", "the server"])
def test_a_fin_that_is_due_with_a_keep_alive_probe_has_its_own_number(bench, closer):
    client, other = Client(bench).connect(), Client(bench, port=41000).connect()
    bench.run(KEEP_ALIVE_S * SECOND - SECOND // 2)
    assert is_served(other)
    # The probe waits for the transmitter, which another answer has.
    bench.hold(True)
    other.send(adu(2, ONE_REGISTER))
    bench.run(SECOND)
    if closer == "the peer":
        client.put(Flag.ACK | Flag.FIN)
    else:
        client.send(adu(1, ONE_REGISTER, protocol=7))
    bench.run(3000)
    bench.hold(False)
    sent = [one.segment for one in bench.drain(5000) if one.segment.destination == client.port]
    fins = [segment for segment in sent if segment.flags & Flag.FIN]
    assert [segment.seq for segment in fins] == [client.ack]
    client.seq, client.ack = fins[0].ack, fins[0].end
    client.put(Flag.ACK if closer == "the peer" else Flag.ACK | Flag.FIN)
    bench.run(1000)
    assert bench.connections == 1


def test_simultaneous_close(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER, protocol=7))
    ours = client.wait()
    assert ours.flags & Flag.FIN
    # Its own FIN was on the way when ours came.
    client.put(Flag.ACK | Flag.FIN)
    client.seq += 1
    assert client.wait().ack == client.seq
    assert bench.connections == 1
    client.ack = ours.end
    client.put()
    bench.run(1000)
    assert bench.connections == 0
    # There is no TIME-WAIT that costs a place: the same four numbers may begin anew.
    client.seq += 1000
    assert is_served(client.connect())


def test_a_client_that_does_not_close_after_us_is_not_waited_for_for_ever(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER, protocol=7))
    client.ack = client.wait().end
    client.put()
    bench.run(int(1.1 * KEEP_ALIVE_S * SECOND))
    assert bench.connections == 0


def test_a_client_that_goes_on_sending_after_our_fin_is_not_listened_to_for_ever(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER, protocol=7))
    client.ack = client.wait().end
    client.put()
    begun, reset = bench.clocks, False
    while not reset:
        client.send(adu(2, ONE_REGISTER))
        answers = [one.segment for one in bench.drain(SECOND)]
        assert all(one.data == b"" for one in answers)
        reset = any(one.flags & Flag.RST for one in answers)
        assert (bench.clocks - begun) / SECOND < KEEP_ALIVE_S + 3
    assert (bench.clocks - begun) / SECOND > KEEP_ALIVE_S - 1
    assert bench.connections == 0


WRITE = b"\x06\x00\x09\xbe\xef"


def test_nothing_is_done_after_our_fin(bench):
    client = Client(bench).connect()
    client.send(adu(1, ONE_REGISTER, protocol=7))
    ours = client.wait()
    assert ours.flags & Flag.FIN
    client.ack = ours.end
    for transaction in range(3):
        client.send(adu(transaction, WRITE))
        assert [sent.segment.data for sent in bench.drain(5000)] == [b""]
    assert bench.counts.applied == 0
    # The window stays open for its FIN.
    client.put(Flag.ACK | Flag.FIN)
    bench.run(1000)
    assert bench.connections == 0


@pytest.mark.parametrize("missing", [0, 1])
def test_nothing_is_done_after_the_peers_fin(bench, missing):
    """`missing`: of the request's first byte, where the FIN was."""
    client = Client(bench).connect()
    client.put(Flag.ACK | Flag.FIN)
    client.seq += 1
    assert client.wait().flags & Flag.FIN
    client.send(adu(7, WRITE)[missing:])
    bench.run(5000)
    assert bench.counts.applied == 0
    assert bench[3, 9] == holding(9)


def test_a_place_whose_last_client_closed_serves_the_next(bench):
    client = Client(bench).connect()
    client.put(Flag.ACK | Flag.FIN)
    client.seq += 1
    client.ack = client.wait().end
    client.put()
    bench.run(1000)
    assert bench.connections == 0
    following = Client(bench, port=41000).connect()
    assert is_served(following)
    assert latency(following, ONE_REGISTER) <= 25


def test_half_open(bench):
    """The client restarted and forgot: its SYN is challenged, its reset believed, its next SYN served."""
    client = Client(bench).connect()
    known = client.seq, client.ack
    client.put(Flag.SYN, seq=0x5555_0000, ack=0)
    challenge = client.wait()
    assert (challenge.flags, challenge.seq, challenge.ack) == (Flag.ACK, known[1], known[0])
    client.put(Flag.RST, seq=challenge.ack)
    bench.run(1000)
    assert bench.connections == 0
    client.seq = 0x5555_0000
    assert is_served(client.connect())


def test_keep_alive(bench):
    client = Client(bench).connect()
    assert is_served(client)
    client.put()
    begun = bench.clocks
    for _ in range(3):
        probe = client.wait(40 * SECOND)
        assert 29 < (bench.clocks - begun) / SECOND < 31
        assert (probe.seq, probe.ack, probe.data) == (client.ack - 1, client.seq, b"")
        begun = bench.clocks
        client.put()
    assert is_served(client)


def test_our_keep_alive_of_theirs_is_answered(bench):
    client = Client(bench).connect()
    for data in (b"", b"\x00"):
        client.put(Flag.ACK, data, seq=client.seq - 1)
        assert client.wait().ack == client.seq


# What must not be believed (RFC 5961).


@pytest.mark.parametrize("flags", [Flag.RST, Flag.RST | Flag.ACK])
def test_only_a_reset_at_the_very_number_is_believed(bench, flags):
    client = Client(bench).connect()
    for seq, answered in (
        (client.seq + 1, True),
        (client.seq - 1, False),
        (client.seq + RECEIVE_BYTES, False),
        (client.seq + 2**31, False),
    ):
        bench.run(SECOND // 2)
        client.put(flags, seq=seq)
        challenge = bench.wait(20_000)
        assert (challenge is not None) == answered
        if challenge:
            assert (challenge.segment.flags, challenge.segment.ack) == (Flag.ACK, client.seq)
        assert bench.connections == 1
    client.put(flags)
    bench.run(1000)
    assert bench.connections == 0


def test_an_ack_of_what_was_never_sent_does_nothing(bench):
    client = Client(bench).connect()
    for ack in (client.ack + 1, client.ack + 2**30, client.ack - 70_000):
        bench.run(SECOND // 2)
        client.put(Flag.ACK | Flag.PSH, adu(1, b"\x06\x00\x01\x00\x07"), ack=ack)
        assert client.wait().data == b""
    assert bench.counts.applied == 0
    assert is_served(client)


def test_challenges_are_limited_for_each_connection(bench):
    client, other = Client(bench).connect(), Client(bench, port=50000).connect()
    for _ in range(50):
        client.put(Flag.SYN, seq=77, ack=0)
    challenges = bench.drain(1000)
    assert 1 <= len(challenges) <= 4
    other.put(Flag.SYN, seq=77, ack=0)
    assert other.wait().flags == Flag.ACK


def test_segments_that_are_no_segments(bench):
    client = Client(bench).connect()
    chance = random.Random(3)
    for size in range(60):
        bench.put(chance.randbytes(size), client.ip)
    good = client.segment(Flag.ACK | Flag.PSH, adu(1, ONE_REGISTER)).encode(client.ip, OWN_IP)
    for size in range(len(good)):
        bench.put(good[:size], client.ip)
    assert bench.drain() == []
    assert is_served(client)


# Speed.


def latency(client: Client, pdu: bytes) -> int:
    client.ask(pdu)
    assert client.last is not None
    clocks = client.last.begins - client.bench.last_arrival - 1
    client.put()
    client.bench.run(3000)
    return clocks


def test_an_answer_begins_in_half_a_microsecond(bench):
    client = Client(bench).connect()
    slowest = max(latency(client, struct.pack(">BHH", 3, 0, count)) for count in range(1, 101))
    assert slowest <= 25
    # The length of an answer that has to be an exception after all is known as late as can be.
    for start in (176, 200, 240, 299):
        assert client.ask(struct.pack(">BHH", 3, start, 125)) == b"\x83\x02"
        client.put()
        bench.run(3000)
    assert latency(client, LARGEST) <= 35
    writes = (b"\x10" + struct.pack(">HHB", 0, count, 2 * count) + bytes(2 * count) for count in (1, 60, 123))
    assert max(latency(client, pdu) for pdu in writes) <= 25
    assert latency(client, b"\x06\x00\x00\x00\x01") <= 25


def test_eight_clients_get_nine_tenths_of_the_wire(bench):
    clients = [Client(bench, port=6000 + at).connect() for at in range(8)]
    by_port = {client.port: client for client in clients}
    for client in clients:
        client.send(adu(0, ONE_REGISTER))
    begun, done, total = bench.clocks, 0, 800
    while done < total:
        one = bench.wait(20_000)
        assert one is not None
        client = by_port[one.segment.destination]
        assert one.segment.seq == client.ack
        if one.segment.data:
            assert len(one.segment.data) == 11
            client.ack = one.segment.end
            client.send(adu(done, ONE_REGISTER))
            done += 1
    per_second = done / ((bench.clocks - begun) / 50e6)
    assert per_second > 0.9 * 50e6 / (4 * (8 + 14 + 20 + 20 + 12 + 4 + 12))
