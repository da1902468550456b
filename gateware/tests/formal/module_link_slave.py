"""What has to hold of a module's end of the link, whatever comes over its three wires.

The specification reads the wires by itself, two clocks late as the core does: a bit at each rising SCLK inside of a chip select, counted;
start, sequence, flag and duties from their places among the bits; the CRC as a shift register with taps. It shares no line with the core.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, Value

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, word

CHANNELS = 2
DUTIES_AT = 24
CRC_END = DUTIES_AT + 16 * CHANNELS + 16
FRAME_BITS = 8 * (9 + 2 * CHANNELS)
TOO_LONG = FRAME_BITS + 8
START = 0xA5


class _Wires:
    """A frame as it stands on the wires."""

    def __init__(self, m: Module, sclk: Value, cs_n: Value, copi: Value) -> None:
        self.sclk, self.cs_n, self.copi = (self._two_clocks_late(m, wire, init) for wire, init in ((sclk, 0), (cs_n, 1), (copi, 0)))
        sclk_before, cs_n_before = Signal(), Signal(init=1)
        m.d.sync += [sclk_before.eq(self.sclk), cs_n_before.eq(self.cs_n)]
        self.inside = ~cs_n_before
        self.begins = cs_n_before & ~self.cs_n
        self.ends = ~cs_n_before & self.cs_n
        bit = ~self.cs_n & self.sclk & ~sclk_before
        self.count, self.crc, self.last_bits = Signal(range(TOO_LONG + 1)), Signal(16), Signal(16)
        self.start_good, self.crc_good = Signal(), Signal()
        self.sequence, self.flag = Signal(8), Signal()
        self.duties = [Signal(12, name=f"sent_duty_{k}") for k in range(CHANNELS)]
        bits = Cat(self.copi, self.last_bits[:15])
        feedback = self.crc[15] ^ self.copi
        divided = Cat(feedback, self.crc[:4], self.crc[4] ^ feedback, self.crc[5:11], self.crc[11] ^ feedback, self.crc[12:15])
        with m.If(self.begins):
            m.d.sync += [self.count.eq(0), self.crc.eq(0xFFFF), self.start_good.eq(0), self.crc_good.eq(0)]
        with m.Elif(bit):
            m.d.sync += [
                self.count.eq(Mux(self.count == TOO_LONG, TOO_LONG, self.count + 1)),
                self.crc.eq(divided),
                self.last_bits.eq(bits),
            ]
            with m.Switch(self.count):
                with m.Case(7):
                    m.d.sync += self.start_good.eq(bits[:8] == START)
                with m.Case(15):
                    m.d.sync += self.sequence.eq(bits[:8])
                with m.Case(DUTIES_AT - 1):
                    m.d.sync += self.flag.eq(bits[0])
                for k in range(CHANNELS):
                    with m.Case(DUTIES_AT + 16 * k + 15):
                        m.d.sync += self.duties[k].eq(bits[:12])
                with m.Case(CRC_END - 1):
                    m.d.sync += self.crc_good.eq(divided == 0)
        self.good = self.ends & self.start_good & self.crc_good & (self.count == FRAME_BITS)

    def _two_clocks_late(self, m: Module, wire: Value, init: int) -> Signal:
        for _ in range(2):
            late = Signal(init=init, reset_less=True, name="late")
            m.d.sync += late.eq(wire)
            wire = late
        return wire


class OnlyGoodFrames(Spec):
    """Duties and flags change only by a frame with right start, CRC and length and a sequence 1 to 127 ahead of the last good one's."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.module_link_slave import ModuleLinkSlave

        core = ModuleLinkSlave(48_000_000, CHANNELS)
        inside = self.around(core)
        wires = _Wires(m, core.link_sclk, core.link_cs_n, core.link_copi)
        known = internal(inside, "known")
        last, ahead = Signal(8), Signal(8)
        m.d.comb += ahead.eq(wires.sequence - last)
        newer = (ahead >= 1) & (ahead <= 127)
        applies = wires.good & known & newer
        flag, duties = Signal(), [Signal(12, name=f"duty_{k}") for k in range(CHANNELS)]
        with m.If(wires.good & (newer | ~known)):
            m.d.sync += last.eq(wires.sequence)
        with m.If(applies):
            m.d.sync += [flag.eq(wires.flag), *(kept.eq(sent) for kept, sent in zip(duties, wires.duties, strict=True))]

        self._core_reads_the_same(inside, wires, last)
        bank = internal(inside, "bank")
        for k in range(CHANNELS):
            in_use, receiving = (word(inside, "duties", Cat(Const(k, 1), which)) for which in (bank, ~bank))
            self.always(~core.valid | (in_use == duties[k]), "a duty in use is not of the last good frame")
            here = wires.inside & (wires.count >= DUTIES_AT + 16 * (k + 1))
            self.always(~here | (receiving == wires.duties[k]), "a duty is received as another")
        self.always(~core.valid | known, "the link is valid without a sequence")
        self.always(core.valid | ~core.enable, "enabled without a valid link")

        reset = self.past(self.domain.rst)
        self.always(core.applied == (self.past(applies) & ~reset), "another frame was applied, or a good one was not")
        self.always((bank == self.past(bank)) | self.past(applies) | reset, "duties changed without a good frame")
        self.always(~core.enable | flag, "enabled against the last good frame")
        steady = self.past(core.valid) & core.valid & ~reset
        asked = self.past(Mux(core.duty_addr == 0, duties[0], duties[1]))
        self.always(~steady | (core.duty_data == asked), "a duty is given out that is not of the last good frame")
        self.possible(core.applied & core.enable & (core.duty_data == 0x123))

    def _core_reads_the_same(self, inside: Fragment, wires: _Wires, last: Signal) -> None:
        rx_index, rx_bit, rx_channel = (internal(inside, name) for name in ("rx_index", "rx_bit", "rx_channel"))
        too_long = wires.count == TOO_LONG
        self.always(wires.count <= TOO_LONG, "counted past the end")
        self.always((rx_index == wires.count[3:]) & (too_long | (rx_bit == wires.count[:3])), "the core counts other bits")
        self.always(rx_channel == sum(wires.count >= DUTIES_AT + 16 * (k + 1) for k in range(CHANNELS)), "or other channels")
        same = {"rx_crc": wires.crc, "rx_shift": wires.last_bits, "start_good": wires.start_good, "crc_good": wires.crc_good}
        for name, value in same.items():
            self.always(internal(inside, name) == value, f"{name} differs from what the wires say")
        self.always((wires.count < 16) | (internal(inside, "sequence") == wires.sequence), "the core reads another sequence")
        self.always((wires.count < 24) | (internal(inside, "flags") == wires.flag), "the core reads another flag")
        self.always(internal(inside, "last_good") == last, "the core remembers another sequence")


PROPERTIES = (
    Property(
        name="only_good_frames",
        core="module_link_slave",
        says="The link applies no frame with a bad start, CRC or length or an old sequence: duties and enable are always, and all at once, "
        "those of the last good one.",
        parameters="2 channels, 48 MHz",
        spec=OnlyGoodFrames,
        mutant=Mutant("the CRC is not looked at", "module_link_slave", "crc_good.eq(rx_crc_next == 0)", "crc_good.eq(1)"),
        depth=5,
        reach=150,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
