"""The Ethernet header of a received frame: for whom it is, from whom, and what it carries; and who is the sender of an ARP or IP packet in
it.

Reference: IEEE 802.3, 3.2; RFC 894. Frames to our address go on, those to all hosts are marked; multicast, frames that we are not meant in
and frames whose source is a group address end here. The sender's addresses are kept once, in shift registers: the hardware address of the
Ethernet header, over which an ARP packet shifts its own, and the protocol address of either. Latency: none, bytes pass as they
come. Area, LIFCL: 35 COMB, 90 FF.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .own_bytes import MAC_ROW, ROWS
from .ports import IP_ADDRESS, MAC_ADDRESS, PEER

HEADER_BYTES = 14
MAC_BYTES = MAC_ADDRESS // 8
TYPE_IPV4 = 0x0800
TYPE_ARP = 0x0806


class EthernetIngress(wiring.Component):
    """`start`, `valid` and `byte` are the receiver's. `ipv4` or `arp` strobes with each byte behind a header of that type; `broadcast` says
    that the frame is for all, otherwise it is for us alone. `shift_mac` and `shift_ip` take the byte into `sender`. `own_row` → `own_byte`:
    of `OwnBytes`."""

    start: In(1)
    valid: In(1)
    byte: In(8)
    own_row: Out(range(ROWS))
    own_byte: In(8)
    shift_mac: In(1)
    shift_ip: In(1)

    ipv4: Out(1)
    arp: Out(1)
    broadcast: Out(1)
    sender: Out(PEER)

    def elaborate(self, _platform):
        m = Module()
        place = Signal(range(HEADER_BYTES + 1))
        for_us, from_host, is_ipv4, is_arp = Signal(), Signal(), Signal(), Signal()
        passed, upper_type = Signal(), Signal()
        m.d.comb += [
            passed.eq(place == HEADER_BYTES),
            self.ipv4.eq(self.valid & passed & is_ipv4 & from_host & (for_us | self.broadcast)),
            self.arp.eq(self.valid & passed & is_arp & from_host & (for_us | self.broadcast)),
        ]
        m.d.comb += self.own_row.eq(MAC_ROW + place[:3])
        shift_source = Signal()
        with m.If(self.valid & ~passed):
            m.d.sync += place.eq(place + 1)
            with m.If(place < MAC_BYTES):
                m.d.sync += [
                    for_us.eq(for_us & (self.byte == self.own_byte)),
                    self.broadcast.eq(self.broadcast & (self.byte == 0xFF)),
                ]
            with m.Elif(place < 2 * MAC_BYTES):
                m.d.comb += shift_source.eq(1)
                with m.If(place == MAC_BYTES):
                    m.d.sync += from_host.eq(~self.byte[0])
            with m.Elif(place == 2 * MAC_BYTES):
                m.d.sync += upper_type.eq(self.byte == TYPE_IPV4 >> 8)
            with m.Else():
                m.d.sync += [
                    is_ipv4.eq(upper_type & (self.byte == TYPE_IPV4 & 0xFF)),
                    is_arp.eq(upper_type & (self.byte == TYPE_ARP & 0xFF)),
                ]
        with m.If(shift_source | self.shift_mac):
            m.d.sync += self.sender.mac.eq(Cat(self.byte, self.sender.mac)[:MAC_ADDRESS])
        with m.If(self.shift_ip):
            m.d.sync += self.sender.ip.eq(Cat(self.byte, self.sender.ip)[:IP_ADDRESS])
        with m.If(self.start):
            m.d.sync += [place.eq(0), for_us.eq(1), self.broadcast.eq(1)]
        return m
