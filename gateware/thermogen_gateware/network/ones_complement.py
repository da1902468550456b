"""The Internet checksum's sum over bytes as they pass, eight bits at a time.

Reference: RFC 1071, section 2. The halves of the sum change places with each byte, and the carry out of one is the carry into the other, so
an adder of eight bits does. The last carries are in after two zeros more, which leave the halves as they were. Area, LIFCL: 20 COMB, 17 FF.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

FLUSH_BYTES = 2


class OnesComplementSum(wiring.Component):
    """`clear` begins anew; `add` takes `byte`. `next_half` is the half of the sum that the next byte belongs to (of an even number of bytes
    the upper one), `other_half` the other. After FLUSH_BYTES zeros `summed` says that the sum is 0xFFFF: what was added has its right
    checksum in it."""

    clear: In(1)
    add: In(1)
    byte: In(8)
    next_half: Out(8)
    other_half: Out(8)
    summed: Out(1)

    def elaborate(self, _platform):
        m = Module()
        carry = Signal()
        m.d.comb += self.summed.eq(self.next_half.all() & self.other_half.all() & ~carry)
        with m.If(self.add):
            m.d.sync += [Cat(self.other_half, carry).eq(self.next_half + self.byte + carry), self.next_half.eq(self.other_half)]
        with m.If(self.clear):
            m.d.sync += [self.next_half.eq(0), self.other_half.eq(0), carry.eq(0)]
        return m
