"""Noise of the FPGA: ring oscillators, whose phases wander against the clock.

Reference: Sunar, Martin, Stinson, "A Provably Secure True Random Number Generator with Built-In Tolerance to Active Attacks" (2007). Each
ring is an odd number of LUTs that invert, in a loop; `keep` holds synthesis off it. It exists on the FPGA only: what is simulated or proven
gets a model's bits. What a sample holds has to be measured on the board; its users say what they assume.
Area, LIFCL: a COMB for each inverter.
"""

from math import gcd

from amaranth.hdl import Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

_NOT_BOTH, _NOT = "0x7777", "0x5555"
"""Of A and B; of A."""


class RingOscillators(wiring.Component):
    """`noise` is the level of each ring of so many inverters, asynchronous to everything. The rings stand still without `enable`."""

    def __init__(self, lengths: tuple[int, ...]):
        if any(length % 2 == 0 or length < 3 for length in lengths):
            raise ValueError(f"rings of {lengths} inverters: give odd numbers from 3 on")
        if any(gcd(length, other) != 1 for place, length in enumerate(lengths) for other in lengths[:place]):
            raise ValueError(f"rings of {lengths} inverters: two that share a factor can lock to each other")
        self._lengths = lengths
        super().__init__({"enable": In(1), "noise": Out(len(lengths))})

    def elaborate(self, _platform):
        m = Module()
        for number, length in enumerate(self._lengths):
            ring = Signal(length, name=f"ring_{number}", attrs={"keep": 1})
            for place in range(length):
                gate = {"p_INIT": _NOT, "i_B": 0} if place else {"p_INIT": _NOT_BOTH, "i_B": self.enable}
                m.submodules[f"inverter_{number}_{place}"] = Instance(
                    "LUT4", a_keep=1, **gate, i_A=ring[place - 1], i_C=0, i_D=0, o_Z=ring[place]
                )
            m.d.comb += self.noise[number].eq(ring[-1])
        return m
