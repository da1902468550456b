"""Who has the transmitter, and the frames it sends: layers take turns, headers are made while the layer that was granted computes.

Turns go round, so that no layer waits for more than one frame of each other. A layer that knows its peer by its IP address only is looked
up: on our network directly, elsewhere the gateway. Latency: the first di-bit of the preamble leaves `RmiiTransmitter` in the clock after
the grant, the grant is in the clock of the request if the transmitter is idle; a look-up takes eight clocks. A layer's
first byte is taken 168 clocks after its grant. Area, LIFCL: 595 COMB, 211 FF, 1 EBR, the header's among them.
"""

import enum

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .egress_header import EgressHeader
from .ipv4_ingress import ICMP, UDP
from .own_bytes import ROWS
from .peer_table import ALL_HOSTS, ANSWERED, ECHOED, KNOWN_PEERS, PEERS
from .ports import IP_ADDRESS, PEER, EgressSignature


class Layer(enum.IntEnum):
    """Who may send."""

    UPPER = 0
    ECHO = 1
    DHCP = 2
    ANSWER = 3
    ASK = 4


class LayerSignature(wiring.Signature):
    """An IPv4 payload of one of our own layers, whose peer is in the peer table. As `EgressSignature`, without what these do not choose."""

    def __init__(self) -> None:
        super().__init__({"request": Out(1), "length": Out(11), "grant": In(1), "take": In(1), "byte": Out(8), "sent": In(1)})


class Egress(wiring.Component):
    """`upper` is that of the layers above, which wait while we have no address (`addressed`).

    `dhcp_to_all`: the DHCP client sends to all hosts, from 0.0.0.0 if it says `dhcp_unnamed`; otherwise to `dhcp_server`, which is looked
    up: `dhcp_unreachable` instead of a grant says that it is not known. `answer` and `ask` are ARP's. `wanted` (strobe) says that the
    hardware address of `wanted_ip` is not known. `own_row` → `own_byte`: of `OwnBytes`. From `idle` on: the transmitter's.
    """

    upper: In(EgressSignature())
    echo: In(LayerSignature())
    echo_buffer: In(1)
    dhcp: In(LayerSignature())
    dhcp_to_all: In(1)
    dhcp_unnamed: In(1)
    dhcp_server: In(IP_ADDRESS)
    dhcp_unreachable: Out(1)

    own_row: Out(range(ROWS))
    own_byte: In(8)
    address: In(IP_ADDRESS)
    netmask: In(IP_ADDRESS)
    gateway: In(IP_ADDRESS)
    addressed: In(1)

    answer: In(1)
    answer_granted: Out(1)
    ask: In(1)
    ask_granted: Out(1)
    ask_target: In(IP_ADDRESS)
    wanted: Out(1)
    wanted_ip: Out(IP_ADDRESS)

    known: In(KNOWN_PEERS)
    read_place: Out(range(PEERS))
    read: In(PEER)

    idle: In(1)
    start: Out(1)
    byte: Out(8)
    last: Out(1)
    take: In(1)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.header = header = EgressHeader()
        upper, echo, dhcp = self.upper, self.echo, self.dhcp
        owner, chosen = Signal(Layer), Signal(Layer)
        peer = Signal(PEER)
        protocol, length, left = Signal(8), Signal(11), Signal(11)
        unnamed, arp, asks = Signal(), Signal(), Signal()

        # Of those that ask, the first behind the one that was last.
        requests = Signal(len(Layer))
        m.d.comb += requests.eq(Cat(upper.request & self.addressed, echo.request, dhcp.request, self.answer, self.ask))
        with m.Switch(owner):
            for layer in Layer:
                with m.Case(layer):
                    for behind in range(len(Layer), 0, -1):
                        candidate = Layer((layer + behind) % len(Layer))
                        with m.If(requests[candidate]):
                            m.d.comb += chosen.eq(candidate)

        granted, granted_to, unreachable = Signal(), Signal(Layer), Signal()
        m.d.comb += [
            upper.grant.eq(granted & (granted_to == Layer.UPPER)),
            echo.grant.eq(granted & (granted_to == Layer.ECHO)),
            dhcp.grant.eq(granted & (granted_to == Layer.DHCP)),
            self.answer_granted.eq(granted & (granted_to == Layer.ANSWER)),
            self.ask_granted.eq(granted & (granted_to == Layer.ASK)),
            upper.unreachable.eq(unreachable & (owner == Layer.UPPER)),
            self.dhcp_unreachable.eq(unreachable & (owner == Layer.DHCP)),
            self.wanted.eq(unreachable),
            self.start.eq(granted),
        ]
        m.d.comb += [
            header.begin.eq(granted),
            header.own_byte.eq(self.own_byte),
            self.own_row.eq(header.own_row),
            header.peer.eq(peer),
            header.arp.eq(arp),
            header.asks.eq(asks),
            header.unnamed.eq(unnamed),
            header.protocol.eq(protocol),
            header.length.eq(length),
        ]

        entry, found = Signal(range(KNOWN_PEERS + 2)), Signal()
        # What is read of the table comes a clock after the grant.
        fetches_ip, fetches_mac = Signal(), Signal()
        chooses, searches, revises = Signal(), Signal(), Signal()
        m.d.sync += [fetches_ip.eq(0), fetches_mac.eq(0)]
        ips = (upper.peer.ip, self.dhcp_server, self.ask_target, self.read.ip)
        ip_from = Cat(~chooses | (chosen == Layer.DHCP), ~chooses | (chosen == Layer.ASK))
        with m.If(chooses | fetches_ip):
            m.d.sync += peer.ip.eq(Cat(ips).word_select(ip_from, IP_ADDRESS))
        with m.If(chooses | fetches_mac | searches):
            m.d.sync += peer.mac.eq(Mux(chooses, upper.peer.mac, self.read.mac))
        with m.If(chooses):
            m.d.sync += protocol.eq(Mux(chosen == Layer.UPPER, upper.protocol, Mux(chosen == Layer.ECHO, ICMP, UDP)))
        with m.If(chooses | revises):
            m.d.sync += length.eq(upper.length)
            with m.If(chooses & (chosen == Layer.ECHO)):
                m.d.sync += length.eq(echo.length)
            with m.If(chooses & (chosen == Layer.DHCP)):
                m.d.sync += length.eq(dhcp.length)
        with m.Switch(chosen):
            with m.Case(Layer.ECHO):
                m.d.comb += self.read_place.eq(ECHOED + self.echo_buffer)
            with m.Case(Layer.ANSWER):
                m.d.comb += self.read_place.eq(ANSWERED)
            with m.Default():
                m.d.comb += self.read_place.eq(ALL_HOSTS)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [granted_to.eq(chosen), chooses.eq(1)]
                m.d.sync += [entry.eq(0), found.eq(0)]
                with m.If(self.idle & requests.any()):
                    m.d.sync += [
                        owner.eq(chosen),
                        arp.eq((chosen == Layer.ANSWER) | (chosen == Layer.ASK)),
                        asks.eq(chosen == Layer.ASK),
                        unnamed.eq((chosen == Layer.DHCP) & self.dhcp_unnamed),
                        fetches_mac.eq(chosen != Layer.UPPER),
                        fetches_ip.eq((chosen != Layer.UPPER) & (chosen != Layer.ASK)),
                    ]
                    m.d.comb += granted.eq(1)
                    m.next = "HEADER"
                    with m.Switch(chosen):
                        with m.Case(Layer.UPPER), m.If(upper.lookup):
                            m.d.comb += granted.eq(0)
                            m.next = "NETWORK"
                        with m.Case(Layer.DHCP), m.If(~self.dhcp_to_all):
                            m.d.sync += fetches_ip.eq(0)
                            m.d.comb += granted.eq(0)
                            m.next = "NETWORK"
            with m.State("NETWORK"):
                on_network = ((peer.ip ^ self.address) & self.netmask) == 0
                m.d.comb += self.read_place.eq(entry)
                m.d.sync += [self.wanted_ip.eq(Mux(on_network, peer.ip, self.gateway)), entry.eq(entry + 1)]
                m.next = "SEARCH"
            with m.State("SEARCH"):
                # While an entry is looked at, `entry` is the next, and `found` is about the one before.
                m.d.comb += [self.read_place.eq(entry), granted_to.eq(owner)]
                with m.If(found):
                    m.d.comb += granted.eq(1)
                    m.next = "HEADER"
                with m.Elif(entry == KNOWN_PEERS + 1):
                    m.d.comb += unreachable.eq(1)
                    m.next = "IDLE"
                with m.Else():
                    looked_at = (entry - 1)[: KNOWN_PEERS.bit_length() - 1]
                    m.d.comb += searches.eq(1)
                    m.d.sync += [
                        found.eq(self.known.bit_select(looked_at, 1) & (self.read.ip == self.wanted_ip)),
                        entry.eq(entry + 1),
                    ]
            with m.State("HEADER"):
                m.d.comb += [self.byte.eq(header.byte), self.last.eq(header.last & arp), header.take.eq(self.take)]
                m.d.sync += left.eq(length)
                # The upper layer may only now know how long its answer is.
                m.d.comb += revises.eq((owner == Layer.UPPER) & header.length_open)
                with m.If(self.take & header.last):
                    m.next = "PAYLOAD"
                    with m.If(arp):
                        m.next = "IDLE"
            with m.State("PAYLOAD"):
                m.d.comb += self.last.eq(left == 1)
                for layer, port in ((Layer.UPPER, upper), (Layer.ECHO, echo), (Layer.DHCP, dhcp)):
                    with m.If(owner == layer):
                        m.d.comb += [self.byte.eq(port.byte), port.take.eq(self.take), port.sent.eq(self.take & self.last)]
                with m.If(self.take):
                    m.d.sync += left.eq(left - 1)
                    with m.If(self.last):
                        m.next = "IDLE"
        return m
