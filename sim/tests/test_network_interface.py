"""The network's gateware seen from the wire: frames made by hand, right and wrong, through the PHY's model, counted in clocks."""

import struct
from ipaddress import IPv4Address

import pytest
from amaranth.back import rtlil
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_gateware.network.network_interface import NetworkEvent
from thermogen_sim.network_harness import CompiledNetwork, with_fcs
from thermogen_sim.network_library import TOP, network_library

from .counted_interface import CountedInterface

pytestmark = pytest.mark.slow

CLOCKS_PER_SECOND = 20_000
MAC = bytes.fromhex("0200c0000202")
PEER_MAC = bytes.fromhex("02aabbccddee")
ALL_MAC = b"\xff" * 6
IP, NETMASK, PEER_IP, GATEWAY = (IPv4Address(text) for text in ("192.0.2.2", "255.255.255.0", "192.0.2.7", "192.0.2.1"))
NOBODY, EVERYBODY = IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")
ICMP, UDP, TCP = 1, 17, 6
ETHERNET_OF_IPV4 = bytes.fromhex("000108000604")
FIRST_DI_BIT_CLOCKS = 6
"""From the last di-bit of a request to the first of its answer, both on the pins, where the answer is asked for in the clock after the
verdict: 1 (input flip-flop) + 2 (end of CRS_DV) + 1 (request) + 1 (grant) + 1 (output flip-flop)."""


def checksum(data):
    total = sum(struct.unpack(f">{len(data + bytes(len(data) % 2)) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload, kind, destination=MAC, source=PEER_MAC):
    return destination + source + struct.pack(">H", kind) + payload


def ipv4(payload, protocol, *, to=IP, source=PEER_IP, options=b"", fragment=0x4000, length=None, version=4, words=None, damage=0):
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(payload) if length is None else length
    head = (
        struct.pack(">BBHHHBBH4s4s", version << 4 | words, 0, length, 0x1234, fragment, 1, protocol, 0, source.packed, to.packed) + options
    )
    return head[:10] + struct.pack(">H", checksum(head) ^ damage) + head[12:] + payload


def echo(data, number=1, kind=8, code=0, damage=0):
    head = struct.pack(">BBHHH", kind, code, 0, 0x5A5A, number)
    return head[:2] + struct.pack(">H", checksum(head + data) ^ damage) + head[4:] + data


def echo_frame(data, number=1, **header):
    return ethernet(ipv4(echo(data, number), ICMP, **header), 0x0800)


def arp(operation=1, *, sender=PEER_MAC, sender_ip=PEER_IP, target=bytes(6), target_ip=IP, head=ETHERNET_OF_IPV4):
    return head + struct.pack(">H", operation) + sender + sender_ip.packed + target + target_ip.packed


def read_ipv4(frame):
    """Payload of a frame to the peer, with everything before it looked at."""
    assert frame.intact
    assert frame.preamble_di_bits == 32
    assert frame.frame[12:14] == b"\x08\x00"
    packet = frame.frame[14:]
    length = int.from_bytes(packet[2:4], "big")
    assert packet[0] == 0x45
    assert checksum(packet[:20]) == 0
    assert not any(packet[length:])
    return packet[20:length]


@pytest.fixture(scope="module")
def library():
    return network_library(rtlil.convert(CountedInterface(CLOCKS_PER_SECOND), name=TOP, emit_src=False))


class Bench:
    def __init__(self, library):
        self.network = CompiledNetwork(library)
        self.network["mac"] = int.from_bytes(MAC, "big")
        self.address(IP)
        self.until(lambda: self.network["link"])
        self.network.run(1000)
        while self.network.sent():
            pass

    def address(self, ip, netmask=NETMASK, gateway=GATEWAY):
        self.network["fixed_netmask"], self.network["fixed_gateway"] = int(netmask), int(gateway)
        self.network["fixed_address"] = int(ip)

    def until(self, condition, clocks=400_000):
        for _ in range(clocks // 1000):
            if condition():
                return
            self.network.run(1000)
        raise AssertionError("not in time")

    def count(self, kind):
        self.network["counter"] = kind
        self.network.run(20)
        return self.network["count"]

    def silent(self, wire, **flaws):
        """Nothing comes of it, and what comes after it is answered."""
        self.network.inject(wire, **flaws)
        answer = self.network.wait_sent(len(wire) * 4 + 2000)
        assert answer is None
        self.alive()

    def alive(self):
        assert read_ipv4(self.network.exchange(with_fcs(echo_frame(b"alive", 77)))) == echo(b"alive", 77, kind=0)

    def alive_after_announcement(self):
        self.network.run(2000)
        while self.network.sent():
            pass
        self.alive()

    def seen(self, wire):
        """Whether the layers above are handed anything, and the verdict."""
        seen = set()
        self.network.inject(wire)
        for _ in range(len(wire) * 4 + 200):
            self.network.run(1)
            seen |= {name for name in ("valid", "commit", "drop") if self.network[f"ingress__{name}"]}
        return seen


@pytest.fixture(scope="module")
def bench(library):
    made = Bench(library)
    yield made
    made.network.close()


@pytest.fixture
def fresh(library):
    made = Bench(library)
    yield made
    made.network.close()


def test_a_new_address_is_announced(fresh):
    fresh.address(IPv4Address("192.0.2.99"))
    frame = fresh.network.wait_sent(2000)
    assert frame.frame[:42] == ethernet(
        arp(sender=MAC, sender_ip=IPv4Address("192.0.2.99"), target_ip=IPv4Address("192.0.2.99")), 0x0806, ALL_MAC, MAC
    )
    assert frame.intact


@pytest.mark.parametrize("destination", [ALL_MAC, MAC], ids=["to all", "to us"])
def test_whoever_asks_for_our_address_is_answered(bench, destination):
    answer = bench.network.exchange(with_fcs(ethernet(arp(), 0x0806, destination)))
    assert answer.frame[:42] == ethernet(arp(2, sender=MAC, sender_ip=IP, target=PEER_MAC, target_ip=PEER_IP), 0x0806, PEER_MAC, MAC)
    assert answer.intact


@pytest.mark.parametrize(
    "packet",
    [
        arp(target_ip=IPv4Address("192.0.2.3")),
        arp(3),
        arp(head=bytes.fromhex("000608000604")),
        arp(head=bytes.fromhex("000186dd0604")),
        arp(head=bytes.fromhex("000108000804")),
        arp(sender=b"\x01" + PEER_MAC[1:]),
        arp()[:20],
        arp(2),
    ],
    ids=["another's address", "operation", "hardware", "protocol", "length", "group sender", "cut short", "unasked answer"],
)
def test_other_arp_packets_are_not_answered(bench, packet):
    # Padding is what a frame happens to be filled with.
    bench.silent(with_fcs(ethernet(packet, 0x0806, ALL_MAC).ljust(60, b"\xee")))


def test_another_host_with_our_address_is_counted(fresh):
    fresh.silent(with_fcs(ethernet(arp(sender_ip=IP), 0x0806, ALL_MAC)))
    assert fresh.count(NetworkEvent.ADDRESS_CONFLICTS) == 1


def test_the_answer_begins_six_clocks_after_the_request_ends(fresh):
    for toggling in range(9):
        while fresh.network.received() is not None:
            pass
        fresh.network.inject(with_fcs(ethernet(arp(), 0x0806, ALL_MAC)), toggling_nibbles=toggling)
        answer = fresh.network.wait_sent(2000)
        assert answer.first_clock - fresh.network.received() == FIRST_DI_BIT_CLOCKS


@settings(max_examples=60)
@given(
    st.binary(max_size=1472),
    st.integers(0, 0xFFFF),
    st.integers(0, 8),
    st.integers(1, 40),
    st.integers(0, 12),
    st.binary(max_size=10),
)
def test_any_echo_comes_back_as_it_was(bench, data, number, toggling, preamble, silent, options):
    options = options.ljust(-(-len(options) // 4) * 4, b"\0")
    data = data[: 1472 - len(options)]
    wire = with_fcs(echo_frame(data, number, options=options))
    bench.network.inject(wire, toggling_nibbles=toggling, preamble_di_bits=preamble, silent_di_bits=silent)
    assert read_ipv4(bench.network.wait_sent(15_000)) == echo(data, number, kind=0)


@settings(max_examples=60)
@given(st.integers(0, 16 * 16), st.integers(0, 7), st.binary(min_size=18, max_size=200))
def test_a_frame_with_a_bit_wrong_is_not_believed(bench, at, bit, data):
    wire = bytearray(with_fcs(echo_frame(data)))
    wire[at % len(wire)] ^= 1 << bit
    bench.silent(bytes(wire))


@pytest.mark.parametrize(
    ("kind", "wire", "flaws"),
    [
        (NetworkEvent.FCS_ERRORS, with_fcs(echo_frame(b"x" * 30))[:-1] + b"\0", {}),
        (NetworkEvent.RUNTS, with_fcs(echo_frame(b"x" * 30))[:63], {}),
        (NetworkEvent.RUNTS, b"\x55", {}),
        (NetworkEvent.GIANTS, with_fcs(echo_frame(b"x" * 1473)), {}),
        (NetworkEvent.GIANTS, with_fcs(echo_frame(b"x" * 2500)), {}),
        (NetworkEvent.LINE_ERRORS, with_fcs(echo_frame(b"x" * 30)), {"error_at_byte": 20}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"", damage=1)), {}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"", version=6)), {}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"", words=4)), {}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"", words=15)), {}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"", length=19)), {}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"x" * 40, length=100)), {}),
        (NetworkEvent.IPV4_HEADER_ERRORS, with_fcs(echo_frame(b"x" * 40, length=0x8024)), {}),
        (NetworkEvent.IPV4_FRAGMENTS, with_fcs(echo_frame(b"", fragment=0x2000)), {}),
        (NetworkEvent.IPV4_FRAGMENTS, with_fcs(echo_frame(b"", fragment=0x0001)), {}),
        (NetworkEvent.IPV4_FRAGMENTS, with_fcs(echo_frame(b"", fragment=0x0100)), {}),
    ],
    ids=str,
)
def test_what_is_wrong_is_dropped_and_counted(fresh, kind, wire, flaws):
    fresh.silent(wire, **flaws)
    counts = {each: fresh.count(each) for each in NetworkEvent}
    wrong = {each: count for each, count in counts.items() if each not in (NetworkEvent.FRAMES_RECEIVED, NetworkEvent.FRAMES_SENT)}
    assert {each for each, count in wrong.items() if count} == {kind}
    assert wrong[kind] == 1


@pytest.mark.parametrize(
    "frame",
    [
        echo_frame(b"", to=IPv4Address("192.0.2.3")),
        echo_frame(b"", to=EVERYBODY),
        ethernet(ipv4(echo(b"", 1), ICMP, to=EVERYBODY), 0x0800, ALL_MAC),
        ethernet(ipv4(echo(b"", 1), ICMP), 0x0800, ALL_MAC),
        ethernet(ipv4(echo(b"", 1), ICMP), 0x0800, bytes.fromhex("01005e000001")),
        ethernet(ipv4(echo(b"", 1), ICMP), 0x0800, MAC[:5] + b"\x03"),
        ethernet(ipv4(echo(b"", 1), ICMP), 0x0800, source=b"\x03" + PEER_MAC[1:]),
        ethernet(ipv4(echo(b"", 1), ICMP), 0x0801),
        ethernet(ipv4(echo(b"", 1), ICMP), 0x86DD),
        *(echo_frame(b"", source=IPv4Address(text)) for text in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", str(IP))),
        ethernet(ipv4(echo(b"abcd", 1, damage=0x0100), ICMP), 0x0800),
        ethernet(ipv4(echo(b"", 1, code=1), ICMP), 0x0800),
        ethernet(ipv4(echo(b"", 1, kind=0), ICMP), 0x0800),
        ethernet(ipv4(echo(b"", 1)[:7], ICMP), 0x0800),
        ethernet(ipv4(b"", ICMP), 0x0800),
    ],
)
def test_what_is_not_for_us_or_not_an_echo_request_is_passed_over(bench, frame):
    bench.silent(with_fcs(frame))


def test_echoes_that_follow_each_other_closely_are_all_answered(fresh):
    data = [bytes([number]) * 56 for number in range(40)]
    for number, each in enumerate(data):
        fresh.network.inject(with_fcs(echo_frame(each, number, source=IPv4Address(f"192.0.2.{100 + number}"))))
    for number, each in enumerate(data):
        frame = fresh.network.wait_sent(2000)
        assert read_ipv4(frame) == echo(each, number, kind=0)
        assert frame.frame[33] == 100 + number
    assert fresh.count(NetworkEvent.ECHOES_MISSED) == 0


def test_an_echo_that_finds_no_buffer_is_counted_and_harms_no_other(fresh):
    requests = [(b"L" * 1400, 1), *((bytes([number]) * 60, number) for number in range(2, 14)), (b"M" * 1400, 14), (b"S" * 30, 15)]
    for data, number in requests:
        fresh.network.inject(with_fcs(echo_frame(data, number)))
    fresh.network.run(80_000)
    answers = []
    while (frame := fresh.network.sent()) is not None:
        answers.append(read_ipv4(frame))
    expected = [echo(data, number, kind=0) for data, number in requests]
    assert answers[:2] == expected[:2]
    assert answers == [answer for answer in expected if answer in answers]
    assert len(answers) + fresh.count(NetworkEvent.ECHOES_MISSED) == len(requests)
    assert len(answers) < len(requests)


@pytest.mark.parametrize("wanted", [0xF7FF, 0xF8FF, 0xFFFE, 0xF7FE, 0x07FF])
def test_an_answers_checksum_is_right_where_carries_go_round(bench, wanted):
    # Two bytes of data that make the request's checksum what is wanted.
    rest = (0xFFFF - wanted - (0xFFFF - checksum(echo(b"", 1)[:2] + bytes(2) + echo(b"", 1)[4:]))) % 0xFFFF
    data = struct.pack(">H", rest)
    assert int.from_bytes(echo(data, 1)[2:4], "big") == wanted
    assert checksum(read_ipv4(bench.network.exchange(with_fcs(echo_frame(data, 1))))) == 0


def test_two_frames_that_leave_at_once_are_a_gap_of_96_bits_apart(fresh):
    fresh.network.inject(with_fcs(echo_frame(b"x" * 1000)))
    fresh.network.inject(with_fcs(ethernet(arp(), 0x0806, ALL_MAC)))
    first, second = fresh.network.wait_sent(20_000), fresh.network.wait_sent(20_000)
    assert second.first_clock - first.last_clock - 1 == 48


def test_the_layers_above_see_a_payload_and_its_verdict(fresh):
    packet = ethernet(ipv4(bytes(range(40)), TCP), 0x0800)
    assert fresh.seen(with_fcs(packet)) == {"valid", "commit"}
    assert fresh.seen(with_fcs(packet)[:-1] + b"\0") == {"valid", "drop"}
    assert fresh.seen(with_fcs(ethernet(ipv4(bytes(40), TCP, damage=1), 0x0800))) == set()
    assert fresh.seen(with_fcs(ethernet(ipv4(bytes(40), TCP, to=EVERYBODY), 0x0800, ALL_MAC))) == set()
    assert fresh.seen(with_fcs(ethernet(ipv4(bytes(40), UDP, to=EVERYBODY), 0x0800, ALL_MAC))) == {"valid", "commit"}


def send(network, *, ip, length, protocol=TCP, lookup=False):
    network["egress__peer"] = int.from_bytes(PEER_MAC, "big") << 32 | int(ip)
    network["egress__length"], network["egress__protocol"], network["egress__lookup"] = length, protocol, lookup
    network["egress__request"] = 1
    for clock in range(200):
        network.run(1)
        if network["egress__grant"] or network["egress__unreachable"]:
            network["egress__request"] = 0
            return clock, bool(network["egress__grant"])
    raise AssertionError("never")


def test_a_layer_above_sends_and_its_frame_begins_in_time(fresh):
    network = fresh.network
    network["egress__byte"] = 0xA5
    before = network.clocks
    _, granted = send(network, ip=PEER_IP, length=100)
    assert granted
    taken = next(clock for clock in range(400) if network.run(1) or network["egress__take"])
    assert taken >= 160
    frame = network.wait_sent(2000)
    assert frame.first_clock - before <= 3
    assert read_ipv4(frame) == b"\xa5" * 100
    assert frame.frame[:12] == PEER_MAC + MAC
    assert frame.frame[23] == TCP
    assert frame.frame[26:34] == IP.packed + PEER_IP.packed


@pytest.mark.parametrize(("ip", "asked"), [("192.0.2.50", "192.0.2.50"), ("198.51.100.1", str(GATEWAY))])
def test_a_host_that_is_not_known_is_asked_for_and_then_reached(fresh, ip, asked):
    network, asked = fresh.network, IPv4Address(asked)
    router = bytes.fromhex("020000000042")
    # Another question may have been asked this second.
    network.run(2 * CLOCKS_PER_SECOND)
    assert send(network, ip=IPv4Address(ip), length=20, lookup=True)[1] is False
    question = network.wait_sent(2000)
    assert question.frame[:42] == ethernet(arp(sender=MAC, sender_ip=IP, target_ip=asked), 0x0806, ALL_MAC, MAC)
    for _ in range(5):
        assert send(network, ip=IPv4Address(ip), length=20, lookup=True)[1] is False
    assert network.wait_sent(CLOCKS_PER_SECOND // 2) is None  # not more than once a second
    network.inject(with_fcs(ethernet(arp(2, sender=router, sender_ip=asked, target=MAC), 0x0806, source=router)))
    network.run(1000)
    assert send(network, ip=IPv4Address(ip), length=20, lookup=True)[1] is True
    frame = network.wait_sent(2000)
    assert frame.frame[:6] == router
    assert frame.frame[30:34] == IPv4Address(ip).packed
    network.run(5 * 60 * CLOCKS_PER_SECOND)
    assert send(network, ip=IPv4Address(ip), length=20, lookup=True)[1] is False


def test_the_phy_is_found_and_its_link_followed(fresh):
    network = fresh.network

    until = fresh.until
    until(lambda: network["phy_identified"] and network["link"])
    assert network["speed_100"]
    assert network["full_duplex"]
    assert network.phy_register(4) == 0x0101
    network.cable(False)
    until(lambda: not network["link"])
    network.cable(True)
    until(lambda: network["link"])
    network.set_phy_register(2, 0xFFFF)  # it fell off its supply
    until(lambda: not network["phy_identified"] and not network["link"])
    until(lambda: network["phy_identified"] and network["link"])  # reset made it right
    network.cable(True, partner=0x0061)  # 10 Mb/s only
    network.cable(False)
    until(lambda: not network["link"])
    network.cable(True, partner=0x0061)
    network.run(400_000)
    assert not network["link"]


SERVER = IPv4Address("192.0.2.1")
OFFERED = IPv4Address("192.0.2.150")
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


def dhcp_answer(kind, xid, *, mac=MAC, offered=OFFERED, lease=600, damage=0, ports=(67, 68), cookie=b"\x63\x82\x53\x63", to=EVERYBODY):
    options = bytes((53, 1, kind, 54, 4)) + SERVER.packed + bytes((51, 4)) + struct.pack(">I", lease) + bytes((0, 0, 1, 4))
    options += NETMASK.packed + bytes((6, 8)) + bytes(8) + bytes((3, 8)) + GATEWAY.packed + bytes(4) + b"\xff"
    message = bytes((2, 1, 6, 0)) + xid + bytes(8) + offered.packed + bytes(8) + mac + bytes(10 + 192) + cookie + options
    length = 8 + len(message)
    head = struct.pack(">HHHH", *ports, length, 0)
    total = checksum(SERVER.packed + to.packed + struct.pack(">HH", UDP, length) + head + message) or 0xFFFF
    payload = head[:6] + struct.pack(">H", total ^ damage) + message
    return ethernet(ipv4(payload, UDP, to=to, source=SERVER), 0x0800, ALL_MAC if to == EVERYBODY else MAC)


def dhcp_question(frame):
    """Its type, transaction, and what it asks for or has."""
    message = read_ipv4(frame)[8:]
    options, at = {}, 240
    while message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        options[message[at]] = message[at + 2 : at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    assert message[28:34] == MAC
    return options[53][0], message[4:8], options, IPv4Address(message[12:16])


class DhcpBench(Bench):
    """Asks for an address; `next` is its next question, as it comes."""

    def __init__(self, library):
        super().__init__(library)
        self.network["dhcp"] = 1
        self.network.run(10)

    def next(self, seconds=70):
        while True:
            frame = self.network.wait_sent(seconds * CLOCKS_PER_SECOND)
            assert frame is not None
            if frame.frame[12:14] == b"\x08\x00":
                return dhcp_question(frame), frame.frame

    def answer(self, *arguments, **changes):
        self.network.inject(with_fcs(dhcp_answer(*arguments, **changes)))

    def bind(self):
        (kind, xid, _, _), _ = self.next()
        assert kind == DISCOVER
        self.answer(OFFER, xid)
        (kind, same, options, ours), frame = self.next()
        assert (kind, same, ours) == (REQUEST, xid, NOBODY)
        assert (options[50], options[54]) == (OFFERED.packed, SERVER.packed)
        assert (frame[:6], frame[26:34]) == (ALL_MAC, NOBODY.packed + EVERYBODY.packed)
        self.answer(ACK, xid)
        self.network.run(5000)
        assert self.network["address"] == int(OFFERED)
        return xid


@pytest.fixture
def dhcp(library):
    made = DhcpBench(library)
    yield made
    made.network.close()


def test_an_address_is_offered_asked_for_and_used(dhcp):
    dhcp.bind()
    assert (dhcp.network["netmask"], dhcp.network["gateway"]) == (int(NETMASK), int(GATEWAY))
    answer = dhcp.network.wait_sent(1000)
    assert answer is None or answer.frame[12:14] == b"\x08\x06"  # the announcement
    assert read_ipv4(dhcp.network.exchange(with_fcs(echo_frame(b"at the new address", to=OFFERED)))) == echo(b"at the new address", kind=0)
    assert dhcp.network.exchange(with_fcs(echo_frame(b"at the fixed one")), 3000) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"mac": PEER_MAC},
        {"damage": 1},
        {"damage": 0x0100},
        {"ports": (67, 69)},
        {"ports": (68, 68)},
        {"cookie": b"\x63\x82\x53\x64"},
    ],
    ids=str,
)
def test_what_is_no_answer_to_us_changes_nothing(dhcp, changes):
    (_, xid, _, _), _ = dhcp.next()
    dhcp.answer(OFFER, xid, **changes)
    dhcp.answer(OFFER, bytes((xid[0] ^ 1,)) + xid[1:])
    dhcp.answer(ACK, xid)
    assert dhcp.next()[0][0] == DISCOVER
    assert dhcp.network["address"] == 0


@pytest.mark.parametrize("address", ["0.0.0.0", "0.0.0.9", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"])
def test_an_address_that_no_host_can_have_is_neither_asked_for_nor_taken(dhcp, address):
    (_, xid, _, _), _ = dhcp.next()
    dhcp.answer(OFFER, xid, offered=IPv4Address(address))
    assert dhcp.next()[0][0] == DISCOVER
    dhcp.answer(OFFER, xid)
    assert dhcp.next()[0][0] == REQUEST
    dhcp.answer(ACK, xid, offered=IPv4Address(address))
    assert dhcp.next()[0][0] == REQUEST
    dhcp.answer(ACK, xid)
    dhcp.network.run(5000)
    assert dhcp.network["address"] == int(OFFERED)


@pytest.mark.parametrize("address", ["1.0.0.1", "126.0.0.1", "128.0.0.1", "223.255.255.254"])
def test_any_other_address_is_taken(dhcp, address):
    (_, xid, _, _), _ = dhcp.next()
    for kind in (OFFER, ACK):
        dhcp.answer(kind, xid, offered=IPv4Address(address))
        dhcp.network.run(5000)
    assert dhcp.network["address"] == int(IPv4Address(address))


def test_a_refusal_begins_again(dhcp):
    (_, xid, _, _), _ = dhcp.next()
    dhcp.answer(OFFER, xid)
    assert dhcp.next()[0][0] == REQUEST
    dhcp.answer(NAK, xid)
    assert dhcp.next()[0][0] == DISCOVER


def test_a_lease_is_renewed_with_its_server_then_with_any_and_then_over(dhcp):
    dhcp.bind()
    bound = dhcp.network.clocks
    while dhcp.network.sent():
        pass
    question = dhcp.network.wait_sent(310 * CLOCKS_PER_SECOND)
    assert 298 <= (question.first_clock - bound) / CLOCKS_PER_SECOND <= 301
    assert question.frame[12:14] == b"\x08\x06"  # the server's hardware address is not known
    dhcp.network.inject(with_fcs(ethernet(arp(2, sender_ip=SERVER, target=MAC, target_ip=OFFERED), 0x0806)))
    (kind, same, options, ours), frame = dhcp.next(3)
    assert (kind, ours) == (REQUEST, OFFERED)
    assert options.keys() == {53, 55}
    assert (frame[:6], frame[26:34]) == (PEER_MAC, OFFERED.packed + SERVER.packed)
    dhcp.answer(ACK, same, to=OFFERED)
    renewed = dhcp.network.clocks
    while dhcp.network.clocks - renewed < 524 * CLOCKS_PER_SECOND:
        dhcp.network.run(CLOCKS_PER_SECOND)
    while dhcp.network.sent():
        pass
    (kind, _, _, ours), frame = dhcp.next()
    assert (kind, ours, frame[:6]) == (REQUEST, OFFERED, ALL_MAC)
    assert dhcp.network["address"] == int(OFFERED)
    dhcp.network.run(80 * CLOCKS_PER_SECOND)
    assert dhcp.network["address"] == 0


def test_without_a_server_the_fixed_address_is_used_until_one_answers(dhcp):
    assert dhcp.network["address"] == 0
    begun = dhcp.network.clocks
    dhcp.until(lambda: dhcp.network["dhcp_silent"], 40 * CLOCKS_PER_SECOND)
    assert 26 <= (dhcp.network.clocks - begun) / CLOCKS_PER_SECOND <= 30
    assert dhcp.network["address"] == int(IP)
    dhcp.alive_after_announcement()
    while dhcp.network.sent():
        pass
    dhcp.bind()
    assert not dhcp.network["dhcp_silent"]
