"""MODBUS functions, quantities and exceptions through a hand-made TCP client; what is right is worked out from V1.1b3 here."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thermogen_sim.tcp.bench import Space
from thermogen_sim.tcp.client import Client, adu
from thermogen_sim.tcp.library import PRODUCT_CODE, REGULAR_TEXTS, REVISION, VENDOR_NAME
from thermogen_sim.tcp.segment import Flag

pytestmark = pytest.mark.slow
MOST_COILS = 1968
"""In one request of function 15."""


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def pack_bits(bits) -> bytes:
    packed = bytearray(-(-len(bits) // 8))
    for at, bit in enumerate(bits):
        packed[at // 8] |= bool(bit) << at % 8
    return bytes(packed)


@pytest.fixture
def client(bench):
    return Client(bench).connect()


@pytest.mark.parametrize(("function", "space", "size"), [(3, Space.HOLDING_REGISTERS, 300), (4, Space.INPUT_REGISTERS, 200)])
@pytest.mark.parametrize("count", [1, 2, 3, 64, 124, 125])
def test_registers_are_read(bench, client, function, space, size, count):
    for address in (0, 7, size - count):
        expected = words(*(bench[space, address + at] for at in range(count)))
        assert client.ask(bytes([function]) + words(address, count)) == bytes([function, 2 * count]) + expected


@pytest.mark.parametrize(
    ("function", "space", "counts"), [(1, Space.COILS, (1, 7, 8, 9, 64)), (2, Space.DISCRETE_INPUTS, (1, 16, 1999, 2000))]
)
def test_bits_are_read(bench, client, function, space, counts):
    bench[Space.COILS, 3] = bench[Space.COILS, 63] = 1
    for count in counts:
        expected = pack_bits([bench[space, at] for at in range(count)])
        assert client.ask(bytes([function]) + words(0, count)) == bytes([function, len(expected)]) + expected


@pytest.mark.parametrize(
    ("request_pdu", "code"),
    [
        (b"\x03" + words(0, 0), 3),
        (b"\x03" + words(0, 126), 3),
        (b"\x03" + words(299, 2), 2),
        (b"\x03" + words(65535, 2), 2),
        (b"\x03" + words(65535, 126), 3),
        (b"\x04" + words(200, 1), 2),
        (b"\x01" + words(0, 2001), 3),
        (b"\x01" + words(0, 0), 3),
        (b"\x01" + words(60, 5), 2),
        (b"\x02" + words(1, 2000), 2),
        (b"\x05" + words(0, 1), 3),
        (b"\x05" + words(64, 0xFF00), 2),
        (b"\x05" + words(64, 0xFF01), 3),
        (b"\x06" + words(200, 1), 2),
        (b"\x06" + words(300, 1), 2),
        (b"\x0f" + words(0, 0) + b"\x01\x00", 3),
        (b"\x0f" + words(0, 9) + b"\x01\x00", 3),
        (b"\x0f" + words(60, 8) + b"\x01\x00", 2),
        (b"\x0f" + words(0, 1969) + b"\xf7" + bytes(247), 3),
        (b"\x10" + words(0, 0) + b"\x00", 3),
        (b"\x10" + words(0, 2) + b"\x02" + words(1), 3),
        (b"\x10" + words(199, 2) + b"\x04" + words(1, 2), 2),
        (b"\x10" + words(0, 124) + b"\xf8" + bytes(247), 3),
        (b"\x10" + words(65535, 2) + b"\x04" + words(1, 2), 2),
        (b"\x16" + words(250, 0, 0), 2),
        (b"\x16" + words(300, 0, 0), 2),
        (b"\x17" + words(0, 0, 0, 1) + b"\x02" + words(1), 3),
        (b"\x17" + words(0, 126, 0, 1) + b"\x02" + words(1), 3),
        (b"\x17" + words(0, 1, 0, 0) + b"\x00", 3),
        (b"\x17" + words(0, 1, 0, 2) + b"\x02" + words(1), 3),
        (b"\x17" + words(299, 2, 0, 1) + b"\x02" + words(1), 2),
        (b"\x17" + words(0, 1, 200, 1) + b"\x02" + words(1), 2),
        (b"\x17" + words(0, 1, 65535, 2) + b"\x04" + words(1, 2), 2),
        (b"\x07", 1),
        (b"\x14\x01", 1),
        (b"\x63", 1),
        (b"\x00", 1),
        (b"\x80", 1),
        (b"\xff" + bytes(200), 1),
        (b"\x08" + words(1, 0), 1),
        (b"\x08" + words(4, 0), 1),
        (b"\x08" + words(19, 0), 1),
        (b"\x08" + words(11, 1), 3),
        (b"\x08" + words(11, 256), 3),
        (b"\x08" + words(11, 0, 0), 3),
        (b"\x08\x00", 3),
        (b"\x11\x00", 3),
        (b"\x2b", 3),
        (b"\x2b\x0d\x01\x00", 1),
        (b"\x2b\x0e\x00\x00", 3),
        (b"\x2b\x0e\x05\x00", 3),
        (b"\x2b\x0e\x04\x07", 2),
        (b"\x2b\x0e\x01", 3),
        (b"\x2b\x0e\x01\x00\x00", 3),
    ],
)
def test_what_is_wrong_is_said_and_writes_nothing(bench, client, request_pdu, code):
    before = [bench[Space.HOLDING_REGISTERS, at] for at in range(300)]
    assert client.ask(request_pdu) == bytes([request_pdu[0] | 0x80, code])
    assert [bench[Space.HOLDING_REGISTERS, at] for at in range(300)] == before
    assert bench.counts.applied == 0
    # The server is where a request begins again.
    assert client.ask(b"\x03" + words(5, 1)) == b"\x03\x02" + words(before[5])


def test_single_writes(bench, client):
    assert client.ask(b"\x06" + words(9, 0xBEEF)) == b"\x06" + words(9, 0xBEEF)
    assert bench[Space.HOLDING_REGISTERS, 9] == 0xBEEF
    for value, bit in ((0xFF00, 1), (0, 0)):
        assert client.ask(b"\x05" + words(63, value)) == b"\x05" + words(63, value)
        assert bench[Space.COILS, 63] == bit


@pytest.mark.parametrize("count", [1, 2, 122, 123])
def test_many_registers_are_written(bench, client, count):
    values = [(at * 77 + 5) & 0xFFFF for at in range(count)]
    assert client.ask(b"\x10" + words(3, count) + bytes([2 * count]) + words(*values)) == b"\x10" + words(3, count)
    assert [bench[Space.HOLDING_REGISTERS, 3 + at] for at in range(count)] == values
    assert bench.counts.applied == count


@pytest.mark.parametrize("count", [1, 7, 8, 9, 64])
def test_many_coils_are_written(bench, client, count):
    bits = [at % 3 != 1 for at in range(count)]
    packed = pack_bits(bits)
    assert client.ask(b"\x0f" + words(0, count) + bytes([len(packed)]) + packed) == b"\x0f" + words(0, count)
    assert [bench[Space.COILS, at] for at in range(count)] == bits


def test_as_many_coils_as_a_request_can_hold_are_written(bench, client):
    bench.declare(Space.COILS, 0, MOST_COILS)
    bits = [at % 5 != 1 for at in range(MOST_COILS)]
    assert client.ask(b"\x0f" + words(0, MOST_COILS) + b"\xf6" + pack_bits(bits)) == b"\x0f" + words(0, MOST_COILS)
    assert [bench[Space.COILS, at] for at in range(MOST_COILS)] == bits


@pytest.mark.parametrize("there", [64, 123, 124, MOST_COILS - 1])
def test_coils_that_are_not_there_are_the_clients_mistake_however_many_are(bench, client, there):
    bench.declare(Space.COILS, 0, there)
    request = b"\x0f" + words(0, MOST_COILS) + b"\xf6" + bytes(246)
    assert client.ask(request) == b"\x8f\x02"
    bench.policy(allowed=False)
    assert client.ask(request) == b"\x8f\x01"
    assert bench.counts.applied == 0


@pytest.mark.parametrize(("old", "and_mask", "or_mask"), [(0x12, 0xF2, 0x25), (0xFFFF, 0, 0), (0x5A5A, 0xFF00, 0x0FF0)])
def test_masked_write(bench, client, old, and_mask, or_mask):
    bench[Space.HOLDING_REGISTERS, 4] = old
    request = b"\x16" + words(4, and_mask, or_mask)
    assert client.ask(request) == request
    assert bench[Space.HOLDING_REGISTERS, 4] == (old & and_mask) | (or_mask & ~and_mask & 0xFFFF)


@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (125, 121), (6, 3)])
def test_read_and_write_in_one_request_reads_what_was_written(bench, client, reads, writes):
    values = [0x8000 + at for at in range(writes)]
    request = b"\x17" + words(0, reads, 2, writes) + bytes([2 * writes]) + words(*values)
    answer = client.ask(request)
    expected = [bench[Space.HOLDING_REGISTERS, at] for at in range(reads)]
    assert answer == bytes([0x17, 2 * reads]) + words(*expected)
    assert [bench[Space.HOLDING_REGISTERS, 2 + at] for at in range(writes)] == values


def test_values_out_of_range_busy_and_forbidden(bench, client):
    bench.policy(low=10, high=20)
    assert client.ask(b"\x06" + words(0, 21)) == b"\x86\x03"
    assert client.ask(b"\x10" + words(0, 3) + b"\x06" + words(10, 9, 20)) == b"\x90\x03"
    bench.policy(busy=True)
    assert client.ask(b"\x06" + words(0, 15)) == b"\x86\x06"
    assert client.ask(b"\x08" + words(17, 0)) == b"\x08" + words(17, 1)
    bench.policy(allowed=False)
    assert client.ask(b"\x06" + words(0, 15)) == b"\x86\x01"
    assert client.ask(b"\x17" + words(0, 1, 0, 1) + b"\x02" + words(15)) == b"\x97\x01"
    assert bench.counts.applied == 0


@pytest.mark.parametrize("data", [b"", b"\x12\x34", bytes(range(250))])
def test_diagnostics_echo(client, data):
    assert client.ask(b"\x08\x00\x00" + data) == b"\x08\x00\x00" + data


def test_diagnostics_count_and_are_cleared(client):
    for _ in range(3):
        client.ask(b"\x03" + words(0, 1))
    client.ask(b"\x03" + words(999, 1))
    for counter, value in ((11, 4), (13, 1), (14, 6), (12, 0), (15, 0), (16, 0), (17, 0), (18, 0)):
        assert client.ask(b"\x08" + words(counter, 0)) == b"\x08" + words(counter, value)
    assert client.ask(b"\x08" + words(10, 0))[:3] == b"\x08" + words(10)
    assert client.ask(b"\x08" + words(11, 0)) == b"\x08" + words(11, 0)
    assert client.ask(b"\x08" + words(13, 0)) == b"\x08" + words(13, 0)


COMMUNICATION_ERRORS = b"\x08" + words(12, 0)


def test_only_a_header_of_a_good_frame_is_a_communication_error(bench, client):
    for _ in range(3):
        client.put(Flag.ACK | Flag.PSH, adu(1, b"\x03" + words(0, 1), protocol=7), bad=True)
        bench.run(2000)
    assert client.ask(COMMUNICATION_ERRORS) == b"\x08" + words(12, 0)
    client.put()
    client.send(adu(1, b"\x03" + words(0, 1), protocol=7))
    assert client.wait().flags & Flag.FIN
    assert Client(bench, port=41000).connect().ask(COMMUNICATION_ERRORS) == b"\x08" + words(12, 1)


OBJECTS = [text.encode() for text in (VENDOR_NAME, PRODUCT_CODE, REVISION, *REGULAR_TEXTS)]


@pytest.mark.parametrize(
    ("code", "wanted", "identifiers"),
    [
        (1, 0, range(3)),
        (1, 2, range(2, 3)),
        (1, 3, range(3)),
        (1, 200, range(3)),
        (2, 0, range(7)),
        (2, 5, range(5, 7)),
        (2, 7, range(7)),
        (3, 0, range(7)),
        *((4, at, range(at, at + 1)) for at in range(7)),
    ],
)
def test_device_identification(client, code, wanted, identifiers):
    listed = b"".join(bytes([at, len(OBJECTS[at])]) + OBJECTS[at] for at in identifiers)
    assert client.ask(bytes([0x2B, 0x0E, code, wanted])) == bytes([0x2B, 0x0E, code, 0x82, 0, 0, len(identifiers)]) + listed


def test_server_identifier(client):
    code = PRODUCT_CODE.encode()
    assert client.ask(b"\x11") == bytes([0x11, len(code) + 1]) + code + b"\xff"


@pytest.mark.parametrize("unit", [0, 1, 17, 247, 255])
def test_unit_and_transaction_are_echoed(client, unit):
    for transaction in (0, 0xFFFF, 0x1234):
        client.send(adu(transaction, b"\x03" + words(0, 1), unit))
        assert client.answer()[:7] == struct.pack(">HHHB", transaction, 0, 5, unit)


@pytest.mark.parametrize(("protocol", "length"), [(1, None), (0x8000, None), (0, 0), (0, 1), (0, 255), (0, 0xFFFF)])
def test_a_header_that_is_not_modbus_closes_the_connection(bench, client, protocol, length):
    client.send(adu(1, b"\x06" + words(0, 1), protocol=protocol, length=length))
    segment = client.wait()
    assert segment.flags & Flag.FIN
    assert segment.ack == client.seq
    client.ack = segment.end
    client.put(Flag.ACK | Flag.FIN)
    client.seq += 1
    assert client.wait().ack == client.seq
    bench.run(1000)
    assert bench.connections == 0
    assert bench.counts.applied == 0


def test_the_registers_are_told_who_asks(bench):
    client = Client(bench, ip=0x0A0000F7).connect()
    client.ask(b"\x06" + words(0, 1))
    assert bench.counts.peer_ip == 0x0A0000F7


PDU = st.one_of(
    st.binary(min_size=1, max_size=253),
    st.builds(lambda f, a, n: bytes([f]) + words(a, n), st.integers(1, 6), st.integers(0, 320), st.integers(0, 130)),
    st.builds(
        lambda a, v: b"\x10" + words(a, len(v)) + bytes([2 * len(v)]) + words(*v),
        st.integers(0, 210),
        st.lists(st.integers(0, 65535), max_size=123),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pdus=st.lists(PDU, min_size=1, max_size=6))
def test_every_request_has_one_answer_and_changes_what_it_says(bench, pdus):
    """Whatever a PDU holds, one answer with its function code comes, and a write that is refused changes nothing."""
    client = Client(bench, port=20000 + bench.clocks % 40000).connect()
    for pdu in pdus:
        before = bench.counts.applied
        answer = client.ask(pdu)
        assert answer[0] & 0x7F == pdu[0] & 0x7F
        if answer[0] & 0x80 or pdu[0] in (1, 2, 3, 4):
            assert bench.counts.applied == before
    client.put(Flag.RST)
    bench.run(2000)
