"""Frames from the di-bits of RMII at 100 Mb/s: preamble, bytes, FCS and length, as they come.

Reference: RMII Consortium, RMII specification 1.2, 5.2 to 5.4; IEEE 802.3, 3.2 and 4.2.9; LAN8720A datasheet, 3.4.1. Inputs are those
of the flip-flops in the I/O cells, so they lag the pins by one clock; `rxd` is believed only after di-bits 01 that follow 00, which is
what synchronises the carrier's asynchronous rise. As the carrier ends before the PHY's buffer is empty, CRS_DV is low in the
first di-bit of each nibble and high in the second; a frame is over where it is low in the second. Latency: a byte is there with its last
di-bit, the verdict two clocks after the last di-bit of the FCS. Area, LIFCL: 120 COMB, 55 FF.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .crc32 import INITIAL, RESIDUE, crc32_step

SHORTEST_BYTES = 64
LONGEST_BYTES = 1518
"""With the FCS. A frame with a VLAN's tag may be longer; none is for us."""


class RmiiReceiver(wiring.Component):
    """`start` strobes before a frame's first byte, `valid` with each `byte`, `end` when the frame is over and `good` says what it was
    worth.

    With `end`, one of `fcs_error`, `runt`, `giant` and `line_error` (RX_ER within the frame) may say why it is not good.
    """

    rxd: In(2)
    crs_dv: In(1)
    rx_er: In(1)

    start: Out(1)
    valid: Out(1)
    byte: Out(8)
    end: Out(1)
    good: Out(1)
    fcs_error: Out(1)
    runt: Out(1)
    giant: Out(1)
    line_error: Out(1)

    def elaborate(self, _platform):
        m = Module()
        shift = Signal(6)
        place = Signal(2)  # of the di-bit within its byte
        crc = Signal(32, init=INITIAL)
        crc_next = Signal(32)
        intact = Signal()
        damaged = Signal()
        length = Signal(range(LONGEST_BYTES + 2))
        m.d.comb += [
            crc_next.eq(crc32_step(crc, self.rxd)),
            self.byte.eq(Cat(shift, self.rxd)),
        ]
        with m.FSM():
            with m.State("BUSY"):
                # What began before we looked is not taken for a frame.
                m.d.sync += place.eq(Mux(self.crs_dv, 0, place + 1))
                with m.If(~self.crs_dv & (place == 1)):
                    m.next = "IDLE"
            with m.State("IDLE"):
                m.d.sync += [place.eq(0), crc.eq(INITIAL), length.eq(0), damaged.eq(0), intact.eq(0)]
                with m.If(self.crs_dv & (self.rxd == 0b01)):
                    m.next = "PREAMBLE"
                with m.Elif(self.crs_dv & (self.rxd != 0b00)):
                    m.next = "BUSY"
            with m.State("PREAMBLE"):
                m.d.comb += self.start.eq(self.crs_dv & (self.rxd == 0b11))
                with m.If(self.start):
                    m.next = "FRAME"
                with m.Elif(~self.crs_dv | (self.rxd != 0b01)):
                    m.next = "BUSY"
            with m.State("FRAME"):
                m.d.sync += [
                    shift.eq(self.byte[2:]),
                    place.eq(place + 1),
                    crc.eq(crc_next),
                    damaged.eq(damaged | self.rx_er),
                ]
                with m.If(place[0] & ~self.crs_dv):
                    m.d.comb += self.end.eq(1)
                    m.d.sync += place.eq(0)
                    m.next = "IDLE"
                with m.Elif(place == 3):
                    m.d.comb += self.valid.eq(1)
                    m.d.sync += intact.eq(crc_next == RESIDUE)
                    with m.If(length != LONGEST_BYTES + 1):
                        m.d.sync += length.eq(length + 1)
        with m.If(self.end):
            m.d.comb += [
                self.line_error.eq(damaged),
                self.giant.eq(~damaged & (length == LONGEST_BYTES + 1)),
                self.runt.eq(~damaged & (length < SHORTEST_BYTES)),
                self.fcs_error.eq(~damaged & ~self.giant & ~self.runt & ~intact),
                self.good.eq(~damaged & ~self.giant & ~self.runt & intact),
            ]
        return m
