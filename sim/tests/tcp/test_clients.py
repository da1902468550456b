"""Unmodified clients through a TAP device: pymodbus, mbpoll (libmodbus) and Linux's own TCP in bad weather."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time

import pytest
from amaranth.back import rtlil
from thermogen_sim.network_harness import CompiledNetwork
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tap import available, tap_namespace
from thermogen_sim.tcp.network_top import NetworkTop
from thermogen_sim.tcp.silence import Silence
from thermogen_sim.tcp.station import segment_of
from thermogen_sim.weather import Weather, weather

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not available(), reason="a TAP device needs root and /dev/net/tun")]
CLOCKS_PER_SECOND = 200_000
HOST = "192.0.2.2"


@pytest.fixture(scope="module")
def library():
    return network_library(rtlil.convert(NetworkTop(CLOCKS_PER_SECOND), name=TOP, emit_src=False))


@pytest.fixture
def network(library):
    made = CompiledNetwork(library)
    made["mac"], made["ip"], made["netmask"] = 0x0200C0000202, 0xC0000202, 0xFFFFFF00
    made["isn_key"] = 0x1122334455667788
    made.run(100_000)
    yield made
    made.close()


@pytest.fixture
def namespace(network):
    with tap_namespace("192.0.2.1/24") as made, network.serve(made.descriptor, CLOCKS_PER_SECOND):
        yield made
    assert network.damaged_sent == 0


ANSWERS = 40
"""In each weather, over four connections at least: at 20 % of loss about half a minute on an idle machine."""
PATIENCE_S = 400
"""Bound of every wait, and no measure of anything: a busy machine may take its time."""


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)  # between two looks
    raise AssertionError(f"not within {PATIENCE_S} s")


def python(namespace, program, *arguments):
    try:
        return namespace.run(sys.executable, "-c", program, *map(str, arguments), timeout_s=PATIENCE_S)
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stderr) from error


PYMODBUS = """
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient("192.0.2.2", timeout=60)
assert client.connect()
assert client.read_holding_registers(0, count=125).registers == list(range(125))
assert client.read_input_registers(7, count=3).registers == [0xFFF8, 0xFFF7, 0xFFF6]
assert not client.write_registers(10, list(range(1000, 1123))).isError()
assert client.read_holding_registers(10, count=123).registers == list(range(1000, 1123))
assert not client.write_register(5, 0xABCD).isError()
assert not client.mask_write_register(address=5, and_mask=0xFF00, or_mask=0x0012).isError()
assert client.read_holding_registers(5, count=1).registers == [0xAB12]
assert not client.write_coils(3, [True, False, True, True]).isError()
assert client.read_coils(0, count=8).bits == [False, False, False, True, False, True, True, False]
assert not client.write_coil(63, True).isError()
assert client.read_coils(63, count=1).bits[0]
assert client.read_discrete_inputs(0, count=5).bits[:5] == [False, True, False, True, False]
assert client.readwrite_registers(read_address=20, read_count=2, write_address=40, values=[7, 8, 9]).registers == [1010, 1011]
assert client.read_holding_registers(40, count=3).registers == [7, 8, 9]
assert client.read_holding_registers(299, count=2).exception_code == 2
assert client.write_register(250, 1).exception_code == 2
information = client.read_device_information(read_code=2, object_id=0).information
assert information[0] == b"Thermogen Zero" and len(information) == 7, information
assert client.diag_query_data(b"\\x12\\x34").message in (b"\\x12\\x34", [0x1234], 0x1234)
assert client.report_device_id().identifier.startswith(b"TZ-NODE")
client.close()
"""


def test_pymodbus(namespace, network):
    python(namespace, PYMODBUS)
    until(lambda: network["used"] == 0)


DIAGNOSTICS = """
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient("192.0.2.2", timeout=60)
assert client.connect()
assert client.read_holding_registers(0, count=1).registers == [0]
assert client.diag_read_bus_message_count().message >= 1
cleared = client.diag_clear_counters()
assert not cleared.isError() and cleared.message == 0
# Each of them counts from the answer on: the one that asks is not in its own answer.
assert client.diag_read_bus_message_count().message == 0
assert client.diag_read_device_message_count().message == 1
assert client.read_holding_registers(299, count=2).exception_code == 2
assert client.read_exception_status().exception_code == 1
assert client.diag_read_bus_exception_error_count().message == 2
assert client.diag_read_bus_message_count().message == 5
assert client.diag_read_bus_comm_error_count().message == 0
assert client.diag_read_device_no_response_count().message == 0
assert client.diag_read_device_nak_count().message == 0
assert client.diag_read_device_busy_count().message == 0
assert client.diag_read_bus_char_overrun_count().message == 0
assert client.diag_clear_counters().message == 0
assert client.diag_read_bus_exception_error_count().message == 0
# What belongs to a serial line is not there.
assert client.diag_restart_communication(toggle=True).exception_code == 1
assert client.diag_read_diagnostic_register().exception_code == 1
assert client.diag_read_iop_overrun_count().exception_code == 1
client.close()
"""
IDENTIFICATION = """
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient("192.0.2.2", timeout=60)
assert client.connect()
def ask(code, first=0):
    return client.read_device_information(read_code=code, object_id=first)
texts = [b"Thermogen Zero", b"TZ-NODE", b"0.1.0", b"https://example.org", b"Controller node", b"LIFCL-40", b"Well pad"]
assert ask(1).information == dict(enumerate(texts[:3]))
assert ask(2).information == dict(enumerate(texts))
# Extended objects there are none: the answer is that of the conformity level, regular, as a stream and one by one.
extended = ask(3)
assert extended.information == dict(enumerate(texts))
assert (extended.read_code, extended.conformity, extended.more_follows, extended.next_object_id) == (3, 0x82, 0, 0)
assert extended.number_of_objects == len(texts)
# A stream that would begin behind the last object begins at the first; one object by its number has to be there.
assert ask(3, 0x80).information == dict(enumerate(texts))
assert ask(2, 5).information == {5: texts[5], 6: texts[6]}
for number, text in enumerate(texts):
    one = ask(4, number)
    assert (one.read_code, one.number_of_objects, one.information) == (4, 1, {number: text})
assert ask(4, 7).exception_code == 2
assert ask(4, 0x80).exception_code == 2
assert ask(5).exception_code == 3
client.close()
"""


@pytest.mark.parametrize("program", [DIAGNOSTICS, IDENTIFICATION], ids=["diagnostics", "identification"])
def test_pymodbus_asks_what_scanners_ask(namespace, program):
    python(namespace, program)


A_BYTE_AT_A_TIME = """
import socket
from pymodbus.client import ModbusTcpClient
def all_but_the_last_byte_alone(sending, data):
    if not sending:
        return data
    for byte in data[:-1]:
        client.socket.sendall(bytes([byte]))
    return data[-1:]
client = ModbusTcpClient("192.0.2.2", timeout=60, trace_packet=all_but_the_last_byte_alone)
assert client.connect()
client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
assert client.read_input_registers(7, count=3).registers == [0xFFF8, 0xFFF7, 0xFFF6]
assert not client.write_registers(10, list(range(2000, 2020))).isError()
assert client.read_holding_registers(9, count=22).registers == [9, *range(2000, 2020), 30]
assert client.read_holding_registers(299, count=2).exception_code == 2
assert client.read_device_information(read_code=1).information[1] == b"TZ-NODE"
client.close()
"""
"""pymodbus hands each frame to its `trace_packet` and sends what that returns: what is sent before goes in front."""


def test_pymodbus_sends_a_byte_at_a_time(network):
    pieces = []

    def watch(frame, inwards):
        found = segment_of(frame)
        if inwards and found is not None and found[1].data:
            pieces.append(len(found[1].data))

    with (
        tap_namespace("192.0.2.1/24") as namespace,
        weather(namespace.descriptor, Weather().fate(), watch) as descriptor,
        network.serve(descriptor, CLOCKS_PER_SECOND),
    ):
        python(namespace, A_BYTE_AT_A_TIME)
    # Linux puts bytes together once ten segments are under way.
    assert pieces.count(1) >= 5 * 7


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed; scripts/install-system-packages does it")
def test_mbpoll(namespace):
    def poll(*arguments):
        return namespace.run("mbpoll", "-m", "tcp", "-o", "10", "-1", "-0", *arguments, HOST)

    assert re.findall(r"\[(\d+)\]:\s+(\d+)", poll("-t", "4", "-r", "0", "-c", "100")) == [(str(at), str(at)) for at in range(100)]
    assert len(re.findall(r"\]:", poll("-t", "3", "-r", "0", "-c", "125"))) == 125
    namespace.run("mbpoll", "-m", "tcp", "-o", "10", "-0", "-t", "4", "-r", "7", HOST, "1234", "4321")
    assert re.findall(r"\]:\s+(\d+)", poll("-t", "4", "-r", "7", "-c", "2")) == ["1234", "4321"]
    namespace.run("mbpoll", "-m", "tcp", "-o", "10", "-0", "-t", "0", "-r", "2", HOST, "1")
    assert re.findall(r"\]:\s+(\d+)", poll("-t", "0", "-r", "0", "-c", "4")) == ["0", "0", "1", "0"]
    namespace.run("mbpoll", "-m", "tcp", "-o", "10", "-0", "-t", "0", "-r", "8", HOST, "1", "0", "1")
    assert re.findall(r"\]:\s+(\d+)", poll("-t", "0", "-r", "8", "-c", "3")) == ["1", "0", "1"]
    namespace.run("mbpoll", "-m", "tcp", "-o", "10", "-0", "-t", "4", "-r", "9", HOST, "99")
    assert re.findall(r"\]:\s+(\d+)", poll("-t", "4", "-r", "9", "-c", "1")) == ["99"]
    assert re.findall(r"\]:\s+(\d+)", poll("-t", "1", "-r", "0", "-c", "4")) == ["0", "1", "0", "1"]


LINUX = """
import socket, struct, sys
wanted, in_flight = map(int, sys.argv[1:])
answered = ended = number = 0
while answered < wanted:
    under_way = {}
    most = number + 10 + in_flight
    try:
        with socket.create_connection(("192.0.2.2", 502), timeout=60) as link, link.makefile("rb") as answers:
            def read(size):
                part = answers.read(size)
                if len(part) < size:
                    raise ConnectionError
                return part
            while True:
                requests = b""
                while len(under_way) < in_flight and number < most and answered + len(under_way) < wanted:
                    start, count = number * 12 % 120, 1 + number * 12 % 120
                    under_way[number] = start, count
                    requests += struct.pack(">HHHBBHH", number, 0, 6, 1, 4, start, count)
                    number += 1
                if not under_way:
                    break
                link.sendall(requests)
                transaction, protocol, length = struct.unpack(">HHH", read(6))
                start, count = under_way.pop(transaction)
                expected = struct.pack(">BBB", 1, 4, 2 * count) + b"".join(struct.pack(">H", 0xFFFF - start - at) for at in range(count))
                assert (protocol, read(length)) == (0, expected), transaction
                answered += 1
    except OSError:
        ended += 1
print(answered, ended)
"""
"""Each answer is that of its transaction identifier, none comes twice; as soon as it is there the next request goes out."""


WEATHERS = {
    "loss 20 %": Weather(loss=0.2),
    "reordering": Weather(delay_s=0.005, jitter_s=0.03),
    "duplication": Weather(duplicate=0.3),
    "corruption": Weather(corrupt=0.1),
    "delay 200 ms": Weather(delay_s=0.1),
    "all of them": Weather(loss=0.1, duplicate=0.1, corrupt=0.05, delay_s=0.01, jitter_s=0.02),
}
"""Each way: 100 ms there and back are 200."""


LONGEST_SILENCE_S = 12
"""In the gateware's time. Its retransmission timer runs for 8 s at most (docs/network.md); the rest is for a busy machine, which may see a
frame late. What the timer forgets is found by the keep-alive only, after 30 s."""


def assert_never_silent(silence):
    assert silence.longest <= LONGEST_SILENCE_S * CLOCKS_PER_SECOND, (
        f"nothing was sent again for {silence.longest / CLOCKS_PER_SECOND:.1f} s"
    )


@pytest.mark.parametrize(
    ("name", "in_flight"),
    [pytest.param(name, 1, id=name) for name in WEATHERS]
    + [pytest.param(name, 8, id=f"{name}, eight in flight") for name in ("loss 20 %", "reordering", "all of them")],
)
def test_every_answer_is_right_or_the_connection_ends_cleanly(network, name, in_flight):
    silence = Silence(lambda: network.clocks)
    with tap_namespace("192.0.2.1/24") as namespace:
        inside = weather(namespace.descriptor, WEATHERS[name].fate(), silence)
        with inside as descriptor, network.serve(descriptor, CLOCKS_PER_SECOND):
            answered, ended = map(int, python(namespace, LINUX, ANSWERS, in_flight).split())
            assert_never_silent(silence)
        assert answered == ANSWERS
        # A retransmission is given up after a minute and more, so nothing ends here but what was spoiled so that its sum was right.
        assert ended <= 1
        with network.serve(namespace.descriptor, CLOCKS_PER_SECOND):
            python(namespace, PYMODBUS)
            # No place is lost: what the weather left behind is gone when keep-alive has looked, if not before.
            until(lambda: network["used"] == 0)


TWO_IN_FLIGHT = """
import socket, struct
with socket.create_connection(("192.0.2.2", 502), timeout=60) as link, link.makefile("rb") as answers:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number, count in enumerate(range(256, 768, 48)):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        link.sendall(struct.pack(">HHHBBHH", 2 * number, 0, 6, 1, 4, 0, 1))
        link.sendall(struct.pack(">HHHBBHH", 2 * number + 1, 0, 6, 1, 2, 0, count))
        assert answers.read(11) == struct.pack(">HHHBBBH", 2 * number, 0, 5, 1, 4, 2, 0xFFFF)
        size = (count + 7) // 8
        assert answers.read(9 + size) == struct.pack(">HHHBBB", 2 * number + 1, 0, 3 + size, 1, 2, size) + b"\\xaa" * size
"""
"""A read of discrete inputs is answered a clock later for each of them: so many clocks after its request the second answer leaves."""


class Crossing:
    """Of two requests in flight the second comes right in front of the ACK of the first one's answer, and its own answer is lost once."""

    def __init__(self) -> None:
        self._first = self._second = b""
        self.lost: set[int] = set()

    def __call__(self, frame: bytes, inwards: bool) -> list[tuple[float, bytes]]:
        """A `Fate`. What the client repeats, for it may be slow, is let through."""
        found = segment_of(frame)
        if found is None:
            return [(0, frame)]
        data = found[1].data
        transaction = int.from_bytes(data[:2])
        if not inwards and transaction % 2 and transaction not in self.lost:
            self.lost.add(transaction)
            return []
        if inwards and data and transaction % 2 == 0 and not self._first:
            self._first = frame
            return []
        if inwards and transaction % 2 and not self._second:
            self._second = frame
            return [(0, self._first)]
        if inwards and not data and self._second:
            behind_it, self._first, self._second = self._second, b"", b""
            return [(0, behind_it), (0, frame)]
        return [(0, frame)]


def test_a_lost_answer_is_sent_again_in_due_time_whatever_acknowledgement_crosses_it(network):
    silence, crossing = Silence(lambda: network.clocks), Crossing()
    with (
        tap_namespace("192.0.2.1/24") as namespace,
        weather(namespace.descriptor, crossing, silence) as descriptor,
        network.serve(descriptor, CLOCKS_PER_SECOND),
    ):
        python(namespace, TWO_IN_FLIGHT)
        assert_never_silent(silence)
    assert len(crossing.lost) == 11


def test_many_transactions_in_flight(namespace):
    program = """
import socket, struct
link = socket.create_connection(("192.0.2.2", 502), timeout=60)
link.sendall(b"".join(struct.pack(">HHHBBHH", number, 0, 6, 1, 3, number, 1) for number in range(250)))
answer = b""
while len(answer) < 250 * 11:
    answer += link.recv(65536)
assert answer == b"".join(struct.pack(">HHHBBBH", number, 0, 5, 1, 3, 2, number) for number in range(250))
"""
    python(namespace, program)


def test_clients_that_vanish_lose_nothing_for_others(namespace, network):
    program = """
import socket, os
links = [socket.create_connection(("192.0.2.2", 502), timeout=60) for _ in range(30)]
os._exit(0)
"""
    python(namespace, program)
    python(namespace, PYMODBUS)
