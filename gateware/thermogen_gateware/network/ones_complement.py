"""The Internet checksum's sum over bytes as they pass.

Reference: RFC 1071. The carry out of a byte's addition comes in with the next one, so the sum is whole one clock after the last byte;
`add_word` takes 16 bits at once. Area, LIFCL: 45 COMB, 18 FF.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class OnesComplementSum(wiring.Component):
    """`clear` begins anew, with an upper byte next. `add` takes `byte`, `add_word` takes `word`, not both at once.

    `sum` is right one clock after the last of them, when nothing is added then.
    """

    clear: In(1)
    add: In(1)
    byte: In(8)
    add_word: In(1)
    word: In(16)
    sum: Out(16)

    def elaborate(self, _platform):
        m = Module()
        total = Signal(17)
        lower = Signal()
        operand = Signal(16)
        with m.If(self.add_word):
            m.d.comb += operand.eq(self.word)
        with m.Elif(self.add):
            m.d.comb += operand.eq(Mux(lower, self.byte, Cat(C(0, 8), self.byte)))
            m.d.sync += lower.eq(~lower)
        m.d.sync += total.eq(total[:16] + operand + total[16])
        m.d.comb += self.sum.eq(total[:16])
        with m.If(self.clear):
            m.d.sync += [total.eq(0), lower.eq(0)]
        return m
