"""Management of the PHY: resets it, makes sure that it is the one we know, has it negotiate 100 Mb/s full duplex, and polls the link.

Reference: IEEE 802.3, 22.2.4 and clause 28; LAN8720A datasheet (DS00002165), 3.5, 3.8.5 and 4.2. Nothing but 100BASE-TX full duplex is
advertised, as RMII here knows nothing else; a partner that does not negotiate gets a link of half duplex, which is shown. A PHY that
answers wrongly, or no more, is reset and looked for again. MDC is a 32nd of the clock (1.6 MHz; 2.5 are allowed), MDIO is taken and
changed at least 300 ns from its rise. Latency: a frame takes 2,048 clocks, the link is looked at every
67 frames (2.7 ms). Area, LIFCL: 84 COMB, 45 FF, 1 EBR.
"""

import enum

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

IDENTIFIER_1 = 0x0007
IDENTIFIER_2 = 0xC0F
"""Without the revision."""
ADVERTISED = 0x0101
"""100BASE-TX full duplex, IEEE 802.3."""
NEGOTIATE = 0x3300
RESET_SLOTS = 7
"""Frames' times, 287 µs, for which the reset is held, and again before the PHY is spoken to; it asks for 100 µs."""
POLL_SLOTS = 63
_FRAME_BITS = 64
_HEADER_BITS = 14


class _Step(enum.Enum):
    RESET = 0
    WAKE = 1
    IDENTIFY_1 = 2
    IDENTIFY_2 = 3
    ADVERTISE = 4
    NEGOTIATE = 5
    LINK = 6
    MODE = 7
    PRESENCE = 8
    PAUSE = 9


_FRAMES = {
    _Step.IDENTIFY_1: (2, None),
    _Step.IDENTIFY_2: (3, None),
    _Step.ADVERTISE: (4, ADVERTISED),
    _Step.NEGOTIATE: (0, NEGOTIATE),
    _Step.LINK: (1, None),
    _Step.MODE: (31, None),
    _Step.PRESENCE: (2, None),
}
"""Register, and what is written to it."""


_LINE = data.StructLayout({"level": 1, "driven": 1})
"""What MDIO is in a bit of a step's frame."""


def _line() -> list[dict[str, int]]:
    """For each step the preamble's 32 bits, then the frame's."""
    bits = []
    for step in range(1 << _STEP_BITS):
        register, value = _FRAMES.get(_Step(step), _NO_FRAME) if step < len(_Step) else _NO_FRAME
        frame = 0b01 << 30 | (2 if value is None else 1) << 28 | (register or 0) << 18 | 0b10 << 16 | (value or 0)
        for bit in range(_FRAME_BITS):
            behind = bit - _FRAME_BITS // 2
            driven = register is not None and (value is not None or behind < _HEADER_BITS)
            bits.append({"level": 1 if behind < 0 or register is None else frame >> 31 - behind & 1, "driven": int(driven)})
    return bits


_STEP_BITS = 4
_NO_FRAME = (None, None)


class PhyManagement(wiring.Component):
    """`identified`: the PHY is a LAN8720A. `link`, `speed_100` and `full_duplex` as it said at the last poll."""

    mdc: Out(1)
    mdio_i: In(1)
    mdio_o: Out(1)
    mdio_oe: Out(1)
    phy_reset_n: Out(1)

    identified: Out(1)
    link: Out(1)
    speed_100: Out(1)
    full_duplex: Out(1)

    def elaborate(self, _platform):
        m = Module()
        answer = Signal()
        m.submodules += FFSynchronizer(self.mdio_i, answer)
        step = Signal(_Step)
        phase = Signal(5)
        bit = Signal(range(_FRAME_BITS))
        slots = Signal(range(max(RESET_SLOTS, POLL_SLOTS) + 1), init=RESET_SLOTS)
        word = Signal(16)
        active = Signal()
        m.submodules.line = line = Memory(shape=_LINE, depth=_FRAME_BITS << _STEP_BITS, init=_line(), attrs={"ram_style": "block"})
        read = line.read_port()
        m.d.comb += [
            active.eq(Cat(step == one for one in _FRAMES).any()),
            read.addr.eq(Cat(bit, step)),
            self.mdio_o.eq(read.data.level),
            self.mdio_oe.eq(read.data.driven),
        ]
        m.d.sync += [
            phase.eq(phase + 1),
            self.mdc.eq(phase[4] & active),
            self.phy_reset_n.eq(step != _Step.RESET),
        ]
        with m.If(phase == 15):
            m.d.sync += word.eq(Cat(answer, word))
        with m.If(phase == 31):
            m.d.sync += bit.eq(bit + 1)
            with m.If(bit == _FRAME_BITS - 1):
                m.d.sync += slots.eq(slots - 1)
                with m.Switch(step):
                    with m.Case(_Step.RESET):
                        m.d.sync += [self.identified.eq(0), self.link.eq(0)]
                        with m.If(slots == 0):
                            m.d.sync += [step.eq(_Step.WAKE), slots.eq(RESET_SLOTS)]
                    with m.Case(_Step.WAKE), m.If(slots == 0):
                        m.d.sync += step.eq(_Step.IDENTIFY_1)
                    with m.Case(_Step.IDENTIFY_2):
                        m.d.sync += [step.eq(_Step.ADVERTISE), self.identified.eq(1)]
                        with m.If(word[4:] != IDENTIFIER_2):
                            m.d.sync += [step.eq(_Step.RESET), slots.eq(RESET_SLOTS), self.identified.eq(0)]
                    with m.Case(_Step.ADVERTISE):
                        m.d.sync += step.eq(_Step.NEGOTIATE)
                    with m.Case(_Step.NEGOTIATE):
                        m.d.sync += step.eq(_Step.LINK)
                    with m.Case(_Step.LINK):
                        m.d.sync += [self.link.eq(word[2]), step.eq(_Step.MODE)]
                    with m.Case(_Step.MODE):
                        m.d.sync += [self.speed_100.eq(word[3]), self.full_duplex.eq(word[4]), step.eq(_Step.PRESENCE)]
                    with m.Case(_Step.IDENTIFY_1, _Step.PRESENCE):
                        m.d.sync += [step.eq(Mux(step == _Step.PRESENCE, _Step.PAUSE, _Step.IDENTIFY_2)), slots.eq(POLL_SLOTS)]
                        with m.If(word != IDENTIFIER_1):
                            m.d.sync += [step.eq(_Step.RESET), slots.eq(RESET_SLOTS)]
                    with m.Case(_Step.PAUSE), m.If(slots == 0):
                        m.d.sync += step.eq(_Step.LINK)
        return m
