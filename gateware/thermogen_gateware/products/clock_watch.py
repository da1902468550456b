"""A second clock watches the first, so that a dead oscillator cannot leave power switched on.

The product's clock toggles `beat` every 2**`beat_bits` clocks. The domain `watch`, fed by the FPGA's own oscillator, expects an edge of it
within `patience` of its clocks; otherwise `alive` falls and stays down until edges come again. What could be stuck in the watched
domain is gated with `alive` combinationally. With 50 MHz, 64 clocks a beat and 16 clocks of 1.76 MHz, a stopped clock is seen
within 12 µs, and one slower than about 8 MHz counts as stopped. Area: about 25 cells.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out


class Heartbeat(wiring.Component):
    """Toggles `beat` every 2**`beat_bits` clocks of `sync`."""

    def __init__(self, beat_bits: int = 6) -> None:
        self._beat_bits = beat_bits
        super().__init__({"beat": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        count = Signal(self._beat_bits + 1)
        m.d.sync += count.eq(count + 1)
        m.d.comb += self.beat.eq(count[-1])
        return m


class ClockWatch(wiring.Component):
    """`alive` while `beat` changes at least once in `patience` clocks of the domain `watch`; 0 from configuration on until it does."""

    def __init__(self, patience: int = 16) -> None:
        if patience < 2:
            raise ValueError(f"patience must be at least 2 clocks, not {patience}")
        self._patience = patience
        super().__init__({"beat": In(1), "alive": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        beat = Signal()
        before = Signal()
        silent = Signal(range(self._patience + 1), init=self._patience)
        m.submodules.synchronised = FFSynchronizer(self.beat, beat, o_domain="watch")
        m.d.watch += before.eq(beat)
        with m.If(beat != before):
            m.d.watch += silent.eq(0)
        with m.Elif(silent != self._patience):
            m.d.watch += silent.eq(silent + 1)
        # Registered, so that the gate that it drives never sees the glitches of a comparison.
        m.d.watch += self.alive.eq(silent != self._patience)
        return m
