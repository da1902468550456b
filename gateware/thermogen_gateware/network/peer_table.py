"""The hosts that the layers below TCP send to, in one small memory: those that ARP was told of, and whom an answer in progress is for.

Latency: what is read is there a clock after its place; an entry written in between is not in it. Area, LIFCL: 3 EBR.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ports import PEER

KNOWN_PEERS = 4
"""The first entries are ARP's."""
ANSWERED = 4
"""Who asked for our hardware address."""
ALL_HOSTS = 5
"""The broadcast addresses; never written."""
ECHOED = 6
"""Who asked for an echo, for each of the two buffers."""
PEERS = 8


class PeerTable(wiring.Component):
    """`write` puts `written` at `write_place`; `read` is what was at `read_place` a clock ago."""

    write: In(1)
    write_place: In(range(PEERS))
    written: In(PEER)
    read_place: In(range(PEERS))
    read: Out(PEER)

    def elaborate(self, _platform):
        m = Module()
        everyone = {"ip": 0xFFFF_FFFF, "mac": 0xFFFF_FFFF_FFFF}
        nobody = {"ip": 0, "mac": 0}
        m.submodules.memory = memory = Memory(
            shape=PEER,
            depth=PEERS,
            init=[everyone if place == ALL_HOSTS else nobody for place in range(PEERS)],
            attrs={"ram_style": "block"},
        )
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_place),
            write.data.eq(self.written),
            read.addr.eq(self.read_place),
            self.read.eq(read.data),
        ]
        return m
