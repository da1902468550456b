"""Noise: ring oscillators of unequal length, sampled by the clock and joined by exclusive or.

Reference: Sunar, Martin, Stinson, "A Provably Secure True Random Number Generator with Built-In Tolerance to Active Attacks" (2007). Each
ring is an odd number of LUTs that invert, in a loop; its phase wanders against the clock, and what it wanders between two samples is the
noise. `keep` holds synthesis off the loop; nextpnr refuses to time one unless it is given `--ignore-loops`, which a product that ships the
rings has to do. What a sample holds has to be measured on the board: until then the health tests assume half a bit. It exists on the FPGA
only: in simulation the bits come from a model.
Area, LIFCL: a COMB for each inverter, two FF for each ring.
"""

from amaranth.hdl import Cat, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

RING_LENGTHS = (3, 5, 7, 11)
"""No two share a factor, so that no two rings lock to each other."""
_NOT_BOTH, _NOT = "0x7777", "0x5555"
"""Of A and B; of A."""


class RingOscillators(wiring.Component):
    """`sample` is a new bit each clock, two clocks old. The rings stand still without `enable`."""

    enable: In(1)
    sample: Out(1)

    def __init__(self, lengths: tuple[int, ...] = RING_LENGTHS):
        if any(length % 2 == 0 or length < 3 for length in lengths):
            raise ValueError(f"rings of {lengths} inverters: give odd numbers from 3 on")
        self._lengths = lengths
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        sampled = Signal(len(self._lengths))
        for number, length in enumerate(self._lengths):
            ring = Signal(length, name=f"ring_{number}", attrs={"keep": 1})
            for place in range(length):
                gate = {"p_INIT": _NOT, "i_B": 0} if place else {"p_INIT": _NOT_BOTH, "i_B": self.enable}
                m.submodules[f"inverter_{number}_{place}"] = Instance(
                    "LUT4", a_keep=1, **gate, i_A=ring[place - 1], i_C=0, i_D=0, o_Z=ring[place]
                )
            m.submodules[f"sampler_{number}"] = FFSynchronizer(ring[-1], sampled[number])
        m.d.comb += self.sample.eq(Cat(sampled).xor())
        return m
