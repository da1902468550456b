"""Two register files on one host link's bus: which of them answers is a matter of the address.

Every order reaches both, so that one that takes two words in a row (`trip_clear`) sees what comes between; who has no such register changes
nothing. Combinational. Area, LIFCL (synthesis): 20 COMB.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .host_link import RegisterBusSignature

_ORDERS = ("address", "freeze", "write_data", "offered", "first", "last", "commit", "committing")
_ANSWERS = ("region", "read_data", "verdict")


class BusSplit(wiring.Component):
    """`bus` is the host link's; `second` answers while `to_second` is 1, else `first`. Only `first` can block the bus."""

    bus: In(RegisterBusSignature())
    first: Out(RegisterBusSignature())
    second: Out(RegisterBusSignature())
    to_second: In(1)

    def elaborate(self, _platform):
        m = Module()
        for target in (self.first, self.second):
            m.d.comb += [getattr(target, name).eq(getattr(self.bus, name)) for name in _ORDERS]
        with m.If(self.to_second):
            m.d.comb += [getattr(self.bus, name).eq(getattr(self.second, name)) for name in _ANSWERS]
        with m.Else():
            m.d.comb += [getattr(self.bus, name).eq(getattr(self.first, name)) for name in _ANSWERS]
        m.d.comb += self.bus.blocked.eq(self.first.blocked)
        return m
