"""The network interface with its events counted, as the node counts them: what a test of it compiles."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_gateware.network.network_interface import NetworkEvent, NetworkInterface
from thermogen_gateware.scada.counters import EventCounters


class CountedInterface(wiring.Component):
    """The interface's ports; `counter` → `count` in place of `events`."""

    def __init__(self, clocks_per_second):
        self._interface = NetworkInterface(clocks_per_second)
        self._through = {name: member for name, member in self._interface.signature.members.items() if name != "events"}
        super().__init__({**self._through, "counter": In(range(len(NetworkEvent))), "count": Out(32)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.interface = interface = self._interface
        m.submodules.counters = counters = EventCounters(len(NetworkEvent))
        for name, member in self._through.items():
            ours, inner = getattr(self, name), getattr(interface, name)
            if member.is_signature:
                wiring.connect(m, wiring.flipped(ours), inner)
            else:
                m.d.comb += inner.eq(ours) if member.flow == In else ours.eq(inner)
        m.d.comb += [counters.count.eq(interface.events), counters.index.eq(self.counter), self.count.eq(counters.value)]
        return m
