"""A key that nobody knows, from noise: what the initial sequence numbers are made with until the daemon gives a better one.

The noise is shifted through a register of 64 bits with feedback, a bit a clock, until the link is up for the first time; then the key
stands until power-off, or until a reset, from which more is gathered on top. The feedback's polynomial, x^64 + x^4 + x^3 + x + 1, is
irreducible (that of ISO 3309's CRC-64): every step can be undone, so each bit of noise changes the key however long ago it came, and 64
of one ring fill it. It holds no more than 64 bits: what is gathered beyond them is added, and makes it no easier to guess.
What is assumed of a ring oscillator: that from period to period its phase wanders by 1 ps rms and no less (2 to 10 ps are reported of
FPGAs). With periods of about 3 ns, half a period takes 1.5 ns² / 1 ps² of them, 7 ms, after which a sample cannot be told from its
predecessors: some 150 bits a second and ring. The PHY negotiates for more than 1.2 s, in which a partner must see no link (IEEE 802.3
clause 28.3.2, break_link_timer): 180 bits of each of two rings for 64, if one of them is all that oscillates.
Latency: 3 clocks from the noise to the key. Area, LIFCL (synthesis): 6 COMB, 69 FF.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

RINGS = 2
"""Sources of noise, each of which is enough."""
KEY_BITS = 64
FEEDBACK = 0x1B
PLACES = (0, KEY_BITS // 2)
"""Where each source's bit enters: apart, so that two that agree do not cancel."""


class NoiseKey(wiring.Component):
    """`noise` (asynchronous levels, wanted while `gathers`) → `key`, which stands from `ready` on: the first `link`, until a reset."""

    noise: In(RINGS)
    link: In(1)
    gathers: Out(1, init=1)
    key: Out(KEY_BITS)
    ready: Out(1)

    def elaborate(self, _platform):
        m = Module()
        sampled = Signal(RINGS)
        m.submodules.synchroniser = FFSynchronizer(self.noise, sampled)
        # What was gathered before a reset is not lost in it.
        gathered = Signal(KEY_BITS, reset_less=True)
        shifted = [gathered[-1], *gathered[:-1]]
        for place in range(1, KEY_BITS):
            if FEEDBACK >> place & 1:
                shifted[place] ^= gathered[-1]
        for bit, place in zip(sampled, PLACES, strict=True):
            shifted[place] ^= bit
        m.d.comb += [self.gathers.eq(~self.ready), self.key.eq(gathered)]
        with m.If(self.gathers):
            m.d.sync += gathered.eq(Cat(shifted))
        with m.If(self.link):
            m.d.sync += self.ready.eq(1)
        return m
