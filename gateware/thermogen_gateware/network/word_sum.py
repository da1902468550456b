"""The Internet checksum's sum, a word a clock.

Reference: RFC 1071. The carry of each addition enters with the next one, so a 0 is added last; over data with its checksum `value` ends at
0xFFFF. Latency: a clock. Area, LIFCL: 20 COMB, 17 FF.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class WordSum(wiring.Component):
    """Adds `word` in each clock with `add`; `clear` begins anew, from `word` if it is added at once. `value` is the sum of what came before
    a 0."""

    clear: In(1)
    add: In(1)
    word: In(16)
    value: Out(16)

    def elaborate(self, _platform):
        m = Module()
        total, carry = self.value, Signal()
        result = Signal(17)
        m.d.comb += result.eq(total + self.word + carry)
        with m.If(self.add):
            m.d.sync += [total.eq(result[:16]), carry.eq(result[16])]
        with m.If(self.clear):
            m.d.sync += [total.eq(0), carry.eq(0)]
            with m.If(self.add):
                m.d.sync += total.eq(self.word)
        return m
