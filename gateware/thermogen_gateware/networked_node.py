"""The node with its network: `Node`, the stack below TCP, and MODBUS TCP on the registers that SCADA sees.

The daemon sets addresses, keys and who may write over the host link; all of it is kept while the daemon is away, and MODBUS answers
without it: until and beside the daemon's key for initial sequence numbers there is one from noise. The stack counts the clock, never site
time. Area and timing: docs/network.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink_network import LinkFlag

from .network.modbus_identification import Identification
from .network.modbus_tcp import ModbusTcp, ModbusTcpEvent
from .network.network_interface import NetworkEvent, NetworkInterface
from .network.noise_key import KEY_BITS, RINGS, NoiseKey
from .network.tcp import TICKS_PER_SECOND
from .node import GATEWARE_VERSION, Node
from .scada.registers import COUNTED

ETHERNET_PINS = ("rxd", "crs_dv", "rx_er", "txd", "tx_en", "mdc", "mdio_i", "mdio_o", "mdio_oe", "phy_reset_n")
VERSION = f"{GATEWARE_VERSION >> 24}.{GATEWARE_VERSION >> 16 & 0xFF}.{GATEWARE_VERSION & 0xFFFF}"
IDENTIFICATION = Identification("Thermogen Zero", "TZ-NODE", VERSION, "", "Thermoelectric controller node", "LIFCL-40", "Well pad")
_OF_THE_STACK = ("scada", "stack", "stack_count", "dhcp", "ip", "mask", "gateway", "mac")
_OF_TCP = ("preferred", "isn_key")


_DAMAGED = (NetworkEvent.FCS_ERRORS, NetworkEvent.RUNTS, NetworkEvent.GIANTS, NetworkEvent.LINE_ERRORS)
_DROPPED = (NetworkEvent.IPV4_HEADER_ERRORS, NetworkEvent.IPV4_FRAGMENTS, NetworkEvent.ECHOES_MISSED)


class NetworkedNode(wiring.Component):
    """`node` has the ports for a network (`Node(network=True)`). Pins are the node's, the PHY's (RMII, management) and `panel_enable`.

    `noise` (asynchronous) is wanted while `gathers_noise`, from power-up until the link is up for the first time.
    """

    def __init__(self, node: Node):
        self._node = node
        self._interface = NetworkInterface(node.clocks_per_second)
        self._modbus = ModbusTcp(node.clocks_per_second // TICKS_PER_SECOND, IDENTIFICATION)
        self._node_pins = tuple(name for name in node.signature.members if name not in (*_OF_THE_STACK, *_OF_TCP))
        super().__init__(
            {
                **{name: node.signature.members[name] for name in self._node_pins},
                **{name: self._interface.signature.members[name] for name in ETHERNET_PINS},
                "noise": In(RINGS),
                "gathers_noise": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.node = node = self._node
        m.submodules.interface = interface = self._interface
        m.submodules.modbus = modbus = self._modbus
        m.submodules.noise_key = noise_key = NoiseKey()
        for names, core in ((self._node_pins, node), (ETHERNET_PINS, interface)):
            for name in names:
                pin, inner = getattr(self, name), getattr(core, name)
                m.d.comb += inner.eq(pin) if self.signature.members[name].flow == In else pin.eq(inner)
        wiring.connect(m, interface.ingress, modbus.ingress)
        wiring.connect(m, modbus.egress, interface.egress)
        wiring.connect(m, modbus.registers, node.scada)

        link, valid = Signal(), Signal()
        m.d.comb += [
            interface.mac.eq(node.mac),
            interface.dhcp.eq(node.dhcp),
            interface.fixed_address.eq(node.ip),
            interface.fixed_netmask.eq(node.mask),
            interface.fixed_gateway.eq(node.gateway),
            noise_key.noise.eq(self.noise),
            noise_key.link.eq(interface.link),
            self.gathers_noise.eq(noise_key.gathers),
            # No segment is believed before there is a key, and whoever knows one of them does not know both.
            modbus.checksum_good.eq(interface.checksum_good & noise_key.ready),
            modbus.own_ip.eq(interface.address),
            modbus.isn_key.eq(noise_key.key ^ node.isn_key[:KEY_BITS] ^ node.isn_key[KEY_BITS:]),
            modbus.preferred.eq(node.preferred),
            link.eq(interface.link),
            valid.eq(interface.address != 0),
            node.stack.link_flags.eq(
                Mux(link, LinkFlag.LINK_UP, 0) | Mux(valid, LinkFlag.ADDRESS_VALID, 0) | Mux(interface.dhcp_bound, LinkFlag.FROM_DHCP, 0)
            ),
            node.stack.connections.eq(sum(modbus.used)),
            node.stack.live_ip.eq(interface.address),
            node.stack.live_mask.eq(interface.netmask),
            node.stack.live_gateway.eq(interface.gateway),
            node.stack.lease_s.eq(interface.lease_s),
        ]
        counts = _counts(interface.events, modbus.events)
        m.d.comb += node.stack_count.eq(Cat(counts[name] for name in COUNTED))
        return m


def _counts(frames: Value, requests: Value) -> Mapping[str, Value]:
    """A strobe for each counter that SCADA sees."""
    return {
        "frames_received": frames[NetworkEvent.FRAMES_RECEIVED],
        "frames_damaged": Cat(frames[kind] for kind in _DAMAGED).any(),
        "frames_dropped": Cat(frames[kind] for kind in _DROPPED).any(),
        "frames_sent": frames[NetworkEvent.FRAMES_SENT],
        "tcp_accepted": requests[ModbusTcpEvent.ACCEPTED],
        "tcp_refused": requests[ModbusTcpEvent.REFUSED],
        "tcp_retransmitted": requests[ModbusTcpEvent.RETRANSMITTED],
        "modbus_requests": requests[ModbusTcpEvent.REQUESTS],
        "modbus_exceptions": requests[ModbusTcpEvent.EXCEPTIONS],
    }
