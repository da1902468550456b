"""The node's network below TCP, between the PHY's pins and a stream of IPv4 payloads each way.

Addresses come from registers or from DHCP; ARP and ICMP echo are answered here. Pins of RMII are meant for flip-flops in the I/O cells.
Latency: `ingress.commit` two clocks after the last di-bit of the FCS at these ports, the preamble's first one clock after the grant.
Area, LIFCL (synthesis): 1,975 COMB, 1,290 FF, 15 EBR.
"""

from __future__ import annotations

import enum

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .arp import Arp
from .dhcp import DhcpClient, DhcpState
from .egress import Egress
from .ethernet_ingress import EthernetIngress
from .icmp_echo import IcmpEcho
from .ipv4_ingress import Ipv4Ingress
from .mdio import PhyManagement
from .own_bytes import OwnBytes
from .peer_table import ECHOED, PeerTable
from .ports import IP_ADDRESS, MAC_ADDRESS, EgressSignature, IngressSignature
from .rmii_receiver import RmiiReceiver
from .rmii_transmitter import RmiiTransmitter


class NetworkEvent(enum.IntEnum):
    """What can be counted, by its place in `events`."""

    FRAMES_RECEIVED = 0
    """With a right FCS and length, whoever they were for."""
    FCS_ERRORS = 1
    RUNTS = 2
    GIANTS = 3
    LINE_ERRORS = 4
    """Frames within which the PHY raised RX_ER."""
    IPV4_HEADER_ERRORS = 5
    IPV4_FRAGMENTS = 6
    ADDRESS_CONFLICTS = 7
    """ARP packets of another host that has our address."""
    ECHOES_MISSED = 8
    FRAMES_SENT = 9


class NetworkInterface(wiring.Component):
    """`mac`, `dhcp` and the `fixed_` addresses are the settings; a `fixed_address` of 0 is none. With `dhcp` the fixed address is used
    when no server answers (`dhcp_silent`); `dhcp_bound` says that a server gave the address, for `lease_s` more seconds (else 0).
    `address`, `netmask` and `gateway` are what is in force. `clocks_per_second` is what timers count as a second. `events` has a strobe
    for each NetworkEvent.

    `ingress` has all IPv4 payloads for us; `checksum_good` is right with its `commit` for protocols with TCP's pseudo header. `egress` is
    for the layers above.
    """

    def __init__(self, clocks_per_second: int):
        self._clocks_per_second = clocks_per_second
        super().__init__(
            {
                "rxd": In(2),
                "crs_dv": In(1),
                "rx_er": In(1),
                "txd": Out(2),
                "tx_en": Out(1),
                "mdc": Out(1),
                "mdio_i": In(1),
                "mdio_o": Out(1),
                "mdio_oe": Out(1),
                "phy_reset_n": Out(1),
                "mac": In(MAC_ADDRESS),
                "dhcp": In(1),
                "fixed_address": In(IP_ADDRESS),
                "fixed_netmask": In(IP_ADDRESS),
                "fixed_gateway": In(IP_ADDRESS),
                "events": Out(len(NetworkEvent)),
                "address": Out(IP_ADDRESS),
                "netmask": Out(IP_ADDRESS),
                "gateway": Out(IP_ADDRESS),
                "dhcp_state": Out(DhcpState),
                "dhcp_silent": Out(1),
                "dhcp_bound": Out(1),
                "lease_s": Out(32),
                "phy_identified": Out(1),
                "link": Out(1),
                "speed_100": Out(1),
                "full_duplex": Out(1),
                "ingress": Out(IngressSignature()),
                "checksum_good": Out(1),
                "egress": In(EgressSignature()),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.receiver = receiver = RmiiReceiver()
        m.submodules.transmitter = transmitter = RmiiTransmitter()
        m.submodules.ethernet = ethernet = EthernetIngress()
        m.submodules.ipv4 = ipv4 = Ipv4Ingress()
        m.submodules.arp = arp = Arp()
        m.submodules.peers = peers = PeerTable()
        m.submodules.echo = echo = IcmpEcho()
        m.submodules.dhcp = dhcp = DhcpClient()
        m.submodules.sender = sender = Egress()
        m.submodules.management = management = PhyManagement()

        # Time.
        prescaler = Signal(range(self._clocks_per_second))
        seconds = Signal(range(60))
        second, minute = Signal(), Signal()
        m.d.comb += [second.eq(prescaler == self._clocks_per_second - 1), minute.eq(second & (seconds == 59))]
        m.d.sync += prescaler.eq(prescaler + 1)
        with m.If(second):
            m.d.sync += [prescaler.eq(0), seconds.eq(seconds + 1)]
        with m.If(minute):
            m.d.sync += seconds.eq(0)

        # Addresses: what is in force follows the settings or DHCP a clock later, and is announced when it or the link is new.
        addressed, link_before = Signal(), Signal()
        new_address, addresses = Signal(IP_ADDRESS), Signal()
        with m.If(dhcp.bound):
            m.d.comb += new_address.eq(dhcp.address)
            m.d.sync += [self.netmask.eq(dhcp.netmask), self.gateway.eq(dhcp.gateway)]
        with m.Else():
            with m.If(~self.dhcp | dhcp.silent):
                m.d.comb += new_address.eq(self.fixed_address)
            m.d.sync += [self.netmask.eq(self.fixed_netmask), self.gateway.eq(self.fixed_gateway)]
        m.d.comb += addresses.eq(new_address != 0)
        m.d.sync += [
            self.address.eq(new_address),
            addressed.eq(addresses),
            link_before.eq(self.link),
            arp.announce.eq(addresses & ((self.address != new_address) | (self.link & ~link_before))),
        ]

        # In.
        m.d.comb += [
            receiver.rxd.eq(self.rxd),
            receiver.crs_dv.eq(self.crs_dv),
            receiver.rx_er.eq(self.rx_er),
            ethernet.start.eq(receiver.start),
            ethernet.valid.eq(receiver.valid),
            ethernet.byte.eq(receiver.byte),
            ethernet.shift_mac.eq(arp.shift_mac),
            ethernet.shift_ip.eq(arp.shift_ip | ipv4.shift_ip),
            ipv4.packet.eq(ethernet.ipv4),
            ipv4.broadcast.eq(ethernet.broadcast),
            arp.packet.eq(ethernet.arp),
            arp.address.eq(self.address),
            arp.second.eq(second),
            arp.minute.eq(minute),
        ]
        for layer in (ipv4, arp):
            m.d.comb += [
                layer.start.eq(receiver.start),
                layer.byte.eq(receiver.byte),
                layer.end.eq(receiver.end),
                layer.good.eq(receiver.good),
                layer.sender.eq(ethernet.sender),
                layer.addressed.eq(addressed),
            ]
        wiring.connect(m, ipv4.ingress, wiring.flipped(self.ingress))
        m.d.comb += self.checksum_good.eq(ipv4.checksum_good)
        for layer in (echo, dhcp):
            m.d.comb += layer.checksum_good.eq(ipv4.checksum_good)
            for name in layer.ingress.signature.members:
                m.d.comb += getattr(layer.ingress, name).eq(getattr(ipv4.ingress, name))
        m.d.comb += [
            peers.write.eq(arp.write | echo.remember),
            peers.write_place.eq(arp.place),
            peers.written.eq(ethernet.sender),
        ]
        with m.If(echo.remember):
            m.d.comb += peers.write_place.eq(ECHOED + echo.into)

        readers = (
            (ethernet.own_row, ethernet.own_byte),
            (ipv4.own_row, ipv4.own_byte),
            (arp.own_row, arp.own_byte),
            (dhcp.answer_row, dhcp.answer_byte),
            (dhcp.message_row, dhcp.message_byte),
            (sender.own_row, sender.own_byte),
        )
        m.submodules.own = own = OwnBytes(len(readers))
        m.d.comb += [
            own.xid.eq(dhcp.xid),
            own.offered.eq(dhcp.address),
            own.server.eq(dhcp.server),
            own.mac.eq(self.mac),
            own.address.eq(self.address),
        ]
        for reader, (row, byte) in enumerate(readers):
            m.d.comb += [getattr(own, f"row{reader}").eq(row), byte.eq(getattr(own, f"byte{reader}"))]

        # Out.
        wiring.connect(m, wiring.flipped(self.egress), sender.upper)
        wiring.connect(m, echo.egress, sender.echo)
        wiring.connect(m, dhcp.egress, sender.dhcp)
        m.d.comb += [
            sender.echo_buffer.eq(echo.out_of),
            sender.address.eq(self.address),
            sender.netmask.eq(self.netmask),
            sender.gateway.eq(self.gateway),
            sender.addressed.eq(addressed),
            sender.answer.eq(arp.answer),
            arp.answer_granted.eq(sender.answer_granted),
            sender.ask.eq(arp.ask),
            arp.ask_granted.eq(sender.ask_granted),
            sender.ask_target.eq(arp.target),
            arp.wanted.eq(sender.wanted),
            arp.wanted_ip.eq(sender.wanted_ip),
            sender.known.eq(arp.known),
            peers.read_place.eq(sender.read_place),
            sender.read.eq(peers.read),
            sender.idle.eq(transmitter.idle),
            sender.take.eq(transmitter.take),
            transmitter.start.eq(sender.start),
            transmitter.byte.eq(sender.byte),
            transmitter.last.eq(sender.last),
            sender.dhcp_to_all.eq(dhcp.to_all),
            sender.dhcp_unnamed.eq(dhcp.unnamed),
            sender.dhcp_server.eq(dhcp.server),
            dhcp.unreachable.eq(sender.dhcp_unreachable),
            dhcp.enable.eq(self.dhcp),
            dhcp.link.eq(self.link),
            dhcp.second.eq(second),
            dhcp.minute.eq(minute),
            self.dhcp_state.eq(dhcp.state),
            self.dhcp_silent.eq(dhcp.silent),
            self.dhcp_bound.eq(dhcp.bound),
            self.lease_s.eq(dhcp.left_s),
            management.mdio_i.eq(self.mdio_i),
            self.phy_identified.eq(management.identified),
            self.txd.eq(transmitter.txd),
            self.tx_en.eq(transmitter.tx_en),
        ]

        for name in ("mdc", "mdio_o", "mdio_oe", "phy_reset_n", "link", "speed_100", "full_duplex"):
            m.d.comb += getattr(self, name).eq(getattr(management, name))

        events = {
            NetworkEvent.FRAMES_RECEIVED: receiver.end & receiver.good,
            NetworkEvent.FCS_ERRORS: receiver.fcs_error,
            NetworkEvent.RUNTS: receiver.runt,
            NetworkEvent.GIANTS: receiver.giant,
            NetworkEvent.LINE_ERRORS: receiver.line_error,
            NetworkEvent.IPV4_HEADER_ERRORS: ipv4.header_error,
            NetworkEvent.IPV4_FRAGMENTS: ipv4.fragment,
            NetworkEvent.ADDRESS_CONFLICTS: arp.conflict,
            NetworkEvent.ECHOES_MISSED: echo.missed,
            NetworkEvent.FRAMES_SENT: sender.start,
        }
        m.d.comb += self.events.eq(Cat(events[kind] for kind in NetworkEvent))
        return m
