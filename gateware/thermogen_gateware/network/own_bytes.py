"""Our addresses and what the DHCP client says of itself, byte by byte: each layer that compares or sends them reads one where it stands.

The bytes are written round and round, one each clock, so whatever changes is read at most ROWS clocks later. Latency: a byte one clock
after its row. Area, LIFCL: 127 COMB, 27 FF, an EBR for each reader.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ports import IP_ADDRESS, MAC_ADDRESS

XID_ROW, OFFERED_ROW, SERVER_ROW, MAC_ROW, ADDRESS_ROW, ROWS = 0, 4, 8, 12, 18, 22
"""Of the first byte on the wire, the uppermost, of each."""


class OwnBytes(wiring.Component):
    """`row0` → `byte0` and so on for each of `readers`. `offered` and `server` are the DHCP client's, `mac` and `address` ours."""

    def __init__(self, readers: int):
        self._readers = readers
        ports = {f"row{reader}": In(range(ROWS)) for reader in range(readers)} | {f"byte{reader}": Out(8) for reader in range(readers)}
        fields = {"xid": 32, "offered": IP_ADDRESS, "server": IP_ADDRESS, "mac": MAC_ADDRESS, "address": IP_ADDRESS}
        super().__init__({name: In(bits) for name, bits in fields.items()} | ports)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=ROWS, init=[], attrs={"ram_style": "block"})
        write = memory.write_port()
        row, turn = Signal(range(ROWS)), Signal(ROWS, init=1)
        m.d.sync += [row.eq(row + 1), turn.eq(turn.rotate_left(1))]
        with m.If(turn[-1]):
            m.d.sync += row.eq(0)
        values = [
            field.word_select(place, 8)
            for field in (self.xid, self.offered, self.server, self.mac, self.address)
            for place in reversed(range(len(field) // 8))
        ]
        m.d.comb += [
            write.addr.eq(row),
            write.data.eq(reduce(or_, (Mux(chosen, value, 0) for chosen, value in zip(turn, values, strict=True)))),
            write.en.eq(1),
        ]
        for reader in range(self._readers):
            read = memory.read_port()
            m.d.comb += [read.addr.eq(getattr(self, f"row{reader}")), getattr(self, f"byte{reader}").eq(read.data)]
        return m
