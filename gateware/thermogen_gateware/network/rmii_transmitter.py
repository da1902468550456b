"""Frames to the di-bits of RMII at 100 Mb/s full duplex: preamble, bytes, padding, FCS and the gap after it.

Reference: RMII Consortium, RMII specification 1.2, 5.5; IEEE 802.3, 3.2 and 4.2.7. The outputs are meant for flip-flops in the I/O cells,
from which they leave a clock later. Latency: the first di-bit of the preamble is there in the clock after `start`, the first of the
frame's bytes 32 clocks later. Area, LIFCL: 112 COMB, 58 FF.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .crc32 import INITIAL, crc32_step

PREAMBLE_DI_BITS = 32
"""With the delimiter."""
SHORTEST_BYTES = 60
"""Without the FCS; shorter frames are filled with zeros."""
FCS_DI_BITS = 16
GAP_DI_BITS = 48
"""96 bit times."""


class RmiiTransmitter(wiring.Component):
    """`start` (strobe, only while `idle`) begins a frame. `take` strobes when `byte` is taken and the next one is asked for; `last` goes
    with a frame's last byte. `done` strobes when the last byte of a frame is taken."""

    start: In(1)
    byte: In(8)
    last: In(1)
    take: Out(1)
    done: Out(1)
    idle: Out(1)

    txd: Out(2)
    tx_en: Out(1)

    def elaborate(self, _platform):
        m = Module()
        count = Signal(range(max(GAP_DI_BITS, PREAMBLE_DI_BITS)))
        shift = Signal(8)
        place = Signal(2)
        crc = Signal(32)
        length = Signal(range(SHORTEST_BYTES + 1))
        over = Signal()  # the layer's bytes are over, the rest is padding
        load = Signal()
        long_enough = Signal()
        m.d.comb += [
            long_enough.eq(length == SHORTEST_BYTES),
            self.take.eq(load & ~over),
            self.done.eq(self.take & self.last),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [count.eq(PREAMBLE_DI_BITS - 1), crc.eq(INITIAL), length.eq(0), over.eq(0)]
                with m.If(self.start):
                    m.next = "PREAMBLE"
            with m.State("PREAMBLE"):
                m.d.comb += [self.tx_en.eq(1), self.txd.eq(Mux(count == 0, 0b11, 0b01))]
                m.d.sync += count.eq(count - 1)
                with m.If(count == 0):
                    m.d.comb += load.eq(1)
                    m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [self.tx_en.eq(1), self.txd.eq(shift[:2])]
                m.d.sync += [shift.eq(Cat(shift[2:], 0b00)), place.eq(place + 1), crc.eq(crc32_step(crc, shift[:2]))]
                m.d.sync += count.eq(FCS_DI_BITS - 1)
                with m.If(place == 3):
                    with m.If(over & long_enough):
                        m.next = "FCS"
                    with m.Else():
                        m.d.comb += load.eq(1)
            with m.State("FCS"):
                m.d.comb += [self.tx_en.eq(1), self.txd.eq(~crc[:2])]
                m.d.sync += [crc.eq(crc >> 2), count.eq(count - 1)]
                with m.If(count == 0):
                    m.d.sync += count.eq(GAP_DI_BITS - 2)  # the idle clock before the next preamble is one of them
                    m.next = "GAP"
            with m.State("GAP"):
                m.d.sync += count.eq(count - 1)
                with m.If(count == 0):
                    m.next = "IDLE"
        with m.If(load):
            m.d.sync += [shift.eq(Mux(over, 0, self.byte)), over.eq(over | self.last), place.eq(0)]
            with m.If(~long_enough):
                m.d.sync += length.eq(length + 1)
        return m
