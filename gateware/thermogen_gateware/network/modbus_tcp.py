"""MODBUS TCP: the TCP server and the MODBUS server on it, between the IP layer and the registers.

Reference: those of tcp.py and modbus_server.py. Area, LIFCL (synthesis): 5,154 COMB, 1,558 FF, 8 EBR, 8 DPR16X4; of it the MODBUS server
913, the segments that come in 452, handshakes' hash 436, the segments that leave 362, visits 358, the state machine the most.
"""

from __future__ import annotations

import enum

from amaranth.hdl import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .modbus_identification import Identification
from .modbus_server import ModbusServer
from .ports import EgressSignature, IngressSignature, RegisterPortSignature
from .tcp import CONNECTIONS, TcpServer
from .tcp_handshake import MOST_PREFERRED


class ModbusTcpEvent(enum.IntEnum):
    """What can be counted, by its place in `events`."""

    ACCEPTED = 0
    """Connections."""
    REFUSED = 1
    """Segments of no connection that got a reset, a SYN that found no place among them."""
    RETRANSMITTED = 2
    """Segments with what had been sent before."""
    REQUESTS = 3
    """Answered, with an exception or not."""
    EXCEPTIONS = 4


class ModbusTcp(wiring.Component):
    """For the parameters and ports see `TcpServer` and `ModbusServer`; `events` has a strobe for each ModbusTcpEvent."""

    def __init__(self, clocks_per_tick: int, identification: Identification, keep_alive_s: float = 30):
        self._tcp = TcpServer(clocks_per_tick, keep_alive_s)
        self._modbus = ModbusServer(identification)
        super().__init__(
            {
                "ingress": In(IngressSignature()),
                "checksum_good": In(1),
                "egress": Out(EgressSignature()),
                "registers": Out(RegisterPortSignature()),
                "own_ip": In(32),
                "isn_key": In(64),
                "preferred": In(data.ArrayLayout(32, MOST_PREFERRED)),
                "used": Out(CONNECTIONS),
                "events": Out(len(ModbusTcpEvent)),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.tcp = tcp = self._tcp
        m.submodules.modbus = modbus = self._modbus
        wiring.connect(m, wiring.flipped(self.ingress), tcp.ingress)
        wiring.connect(m, wiring.flipped(self.egress), tcp.egress)
        wiring.connect(m, wiring.flipped(self.registers), modbus.registers)
        wiring.connect(m, tcp.stream, modbus.stream)
        m.d.comb += [
            tcp.checksum_good.eq(self.checksum_good),
            tcp.own_ip.eq(self.own_ip),
            tcp.isn_key.eq(self.isn_key),
            tcp.preferred.eq(self.preferred),
            self.used.eq(tcp.used),
            self.events.eq(Cat(tcp.accepted, tcp.refused, tcp.retransmitted, modbus.answered, modbus.refused)),
        ]
        return m
