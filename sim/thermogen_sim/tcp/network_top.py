"""The network stack with MODBUS on it and a memory of registers behind it, for real clients through a TAP device.

Holding registers 0 to 299 begin with their address and can be written below 200; input registers 0 to 299 are their address inverted; coils
0 to 63 can be written; discrete inputs are the lowest bit of their address.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_gateware.network.modbus_identification import Identification
from thermogen_gateware.network.modbus_tcp import ModbusTcp
from thermogen_gateware.network.network_interface import NetworkInterface
from thermogen_gateware.network.ports import IP_ADDRESS, MAC_ADDRESS, Refusal, RegisterPortSignature
from thermogen_gateware.network.tcp import TICKS_PER_SECOND

REGISTERS, WRITABLE, COILS = 300, 200, 64
_MOST_STAGED = 128


class MemoryRegisters(wiring.Component):
    """A register file of block RAM; what was staged is copied after `end`, a word a clock.

    A write that comes meanwhile is refused (BUSY), a read sees what is copied so far.
    `trespassed` stays once a register that nobody may write has been written.
    """

    def __init__(self) -> None:
        super().__init__({"port": In(RegisterPortSignature()), "trespassed": Out(1)})

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        port = self.port
        m.submodules.words = words = Memory(shape=16, depth=512, init=list(range(512)))
        m.submodules.staged = staged = Memory(shape=32, depth=_MOST_STAGED, init=[])
        coils = Array(Signal(name=f"coil{number}") for number in range(COILS))
        read, write, put, take = words.read_port(), words.write_port(), staged.write_port(), staged.read_port()
        count, total, copied, copying, valid = Signal(8), Signal(8), Signal(8), Signal(), Signal()
        holding, space, address = Signal(), Signal(2), Signal(16)
        m.d.sync += [space.eq(port.space), address.eq(port.address)]
        m.d.comb += [
            read.addr.eq(port.address),
            put.addr.eq(count),
            put.data.eq(Cat(port.value, port.address[:12], port.space)),
            put.en.eq(port.write & ~copying),
            take.addr.eq(copied),
            write.addr.eq(take.data[16:25]),
            write.data.eq(take.data[:16]),
            holding.eq(port.space == 3),
        ]
        with m.Switch(space):
            with m.Case(0):
                m.d.comb += [port.data.eq(coils[address[:6]]), port.exists.eq(address < COILS)]
            with m.Case(1):
                m.d.comb += [port.data.eq(address[0]), port.exists.eq(address < 2000)]
            with m.Case(2):
                m.d.comb += [port.data.eq(~address), port.exists.eq(address < REGISTERS)]
            with m.Case(3):
                m.d.comb += [port.data.eq(read.data), port.exists.eq(address < REGISTERS)]
        with m.If(port.begin):
            m.d.sync += [port.refusal.eq(Refusal.NONE), count.eq(0)]
        with m.If(port.write):
            m.d.sync += count.eq(count + 1)
            with m.If(port.refusal == Refusal.NONE):
                with m.If(port.address >= Mux(holding, WRITABLE, COILS)):
                    m.d.sync += port.refusal.eq(Refusal.ILLEGAL_ADDRESS)
                with m.Elif(copying):
                    m.d.sync += port.refusal.eq(Refusal.BUSY)
        with m.If(port.end & (port.refusal == Refusal.NONE) & (count != 0)):
            m.d.sync += [copying.eq(1), copied.eq(0), valid.eq(0), total.eq(count)]
        with m.If(copying):
            # The word that was asked for in the clock before is written.
            m.d.sync += [copied.eq(copied + 1), valid.eq(1)]
            with m.If(valid):
                m.d.comb += write.en.eq(take.data[28])
                with m.If(take.data[16:28] >= Mux(take.data[28], WRITABLE, COILS)):
                    m.d.sync += self.trespassed.eq(1)
                with m.If(~take.data[28]):
                    m.d.sync += coils[take.data[16:22]].eq(take.data[0])
            with m.If(copied == total):
                m.d.sync += copying.eq(0)
        return m


class NetworkTop(wiring.Component):
    """RMII and management pins on one side; settings as ports."""

    def __init__(self, clocks_per_second: int, keep_alive_s: float = 30):
        self._interface = NetworkInterface(clocks_per_second)
        identification = Identification(
            "Thermogen Zero", "TZ-NODE", "0.1.0", "https://example.org", "Controller node", "LIFCL-40", "Well pad"
        )
        self._modbus = ModbusTcp(clocks_per_second // TICKS_PER_SECOND, identification, keep_alive_s)
        self._registers = MemoryRegisters()
        self._pins = ("rxd", "crs_dv", "rx_er", "txd", "tx_en", "mdc", "mdio_i", "mdio_o", "mdio_oe", "phy_reset_n")
        members: dict[str, Any] = {name: self._interface.signature.members[name] for name in self._pins}
        super().__init__(
            members
            | {
                "mac": In(MAC_ADDRESS),
                "ip": In(IP_ADDRESS),
                "netmask": In(IP_ADDRESS),
                "isn_key": In(64),
                "preferred0": In(IP_ADDRESS),
                "used": Out(8),
                "link": Out(1),
                "trespassed": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        m.submodules.interface = interface = self._interface
        m.submodules.modbus = modbus = self._modbus
        m.submodules.registers = registers = self._registers
        wiring.connect(m, interface.ingress, modbus.ingress)
        wiring.connect(m, modbus.egress, interface.egress)
        wiring.connect(m, modbus.registers, registers.port)
        for name in self._pins:
            pin, inner = getattr(self, name), getattr(interface, name)
            m.d.comb += inner.eq(pin) if self.signature.members[name].flow == In else pin.eq(inner)
        m.d.comb += [
            interface.mac.eq(self.mac),
            interface.fixed_address.eq(self.ip),
            interface.fixed_netmask.eq(self.netmask),
            modbus.checksum_good.eq(interface.checksum_good),
            modbus.own_ip.eq(interface.address),
            modbus.isn_key.eq(self.isn_key),
            modbus.preferred[0].eq(self.preferred0),
            self.used.eq(modbus.used),
            self.link.eq(interface.link),
            self.trespassed.eq(registers.trespassed),
        ]
        return m
