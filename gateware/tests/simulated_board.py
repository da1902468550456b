"""A board of the tables without its package: the products' tops between ports that a test, or a proof, drives and reads."""

from __future__ import annotations

from amaranth.lib import io


class SimulatedBoard:
    """A board's pin table with simulated ports in place of a package."""

    def __init__(self, pins):
        self.ports = {}
        for pin in pins:
            self.ports.setdefault(pin.signal, []).append(pin)
        for signal, bits in self.ports.items():
            self.ports[signal] = io.SimulationPort(bits[0].direction, len(bits), invert=bits[0].active_low, name=signal)

    def request(self, name, number, dir):
        prefix = f"{name}#{number}" if f"{name}#{number}" in {signal.partition(".")[0] for signal in self.ports} else name
        group = type("Group", (), {})()
        for signal, port in self.ports.items():
            if signal == prefix:
                return port
            if signal.startswith(prefix + "."):
                setattr(group, signal.partition(".")[2], port)
        return group
