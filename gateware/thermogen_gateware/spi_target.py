"""A target on a SPI bus, mode 0, most significant bit first, oversampled by the one clock there is.

Reference: the Motorola SPI Block Guide, CPOL = CPHA = 0: COPI is taken at SCLK's rise, CIPO changes after its fall. The inputs pass
through two flip-flops each, so CIPO follows at most three clocks after the fall: SCLK may be as fast as one eighth of the clock.
Area, LIFCL: 30 COMB, 36 FF.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out


class SpiTarget(wiring.Component):
    """Bytes in, bytes out.

    `begins` and `ends` strobe as chip select falls and rises; `touched` says that SCLK has moved since it fell. `received` strobes for
    each whole byte, then in `byte`. The byte to be sent next is taken from `to_send` at `begins` and at each `received`: it leaves
    while the following byte comes in.
    """

    sclk: In(1)
    cs_n: In(1, init=1)
    copi: In(1)
    cipo: Out(1)

    begins: Out(1)
    ends: Out(1)
    touched: Out(1)
    received: Out(1)
    byte: Out(8)
    to_send: In(8)

    def elaborate(self, _platform):
        m = Module()
        sclk, cs_n, copi = Signal(), Signal(init=1), Signal()
        m.submodules += [
            FFSynchronizer(self.sclk, sclk),
            FFSynchronizer(self.cs_n, cs_n, init=1),
            FFSynchronizer(self.copi, copi),
        ]
        sclk_before, cs_n_before = Signal(), Signal(init=1)
        m.d.sync += [sclk_before.eq(sclk), cs_n_before.eq(cs_n)]
        rises, falls = Signal(), Signal()
        m.d.comb += [
            self.begins.eq(cs_n_before & ~cs_n),
            self.ends.eq(~cs_n_before & cs_n),
            rises.eq(~cs_n & ~self.begins & sclk & ~sclk_before),
            falls.eq(~cs_n & ~self.begins & ~sclk & sclk_before),
        ]

        bits = Signal(3)
        incoming, outgoing = Signal(7), Signal(8)
        m.d.comb += [
            self.byte.eq(Cat(copi, incoming)),
            self.received.eq(rises & (bits == 7)),
            self.cipo.eq(outgoing[7]),
        ]
        reload = Signal()
        with m.If(rises):
            m.d.sync += [incoming.eq(self.byte[:7]), bits.eq(bits + 1), self.touched.eq(1), reload.eq(bits == 7)]
        with m.If(falls):
            m.d.sync += outgoing.eq(outgoing << 1)
        next_byte = Signal(8)
        with m.If(self.received):
            m.d.sync += next_byte.eq(self.to_send)
        with m.If(falls & reload):
            m.d.sync += [outgoing.eq(next_byte), reload.eq(0)]
        with m.If(self.begins):
            m.d.sync += [outgoing.eq(self.to_send), bits.eq(0), self.touched.eq(0), reload.eq(0)]
        return m
