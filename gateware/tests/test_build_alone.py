"""One core alone on the LIFCL: its cells are those of what it is made of."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_gateware.build.alone import COMB, EBR, FF, MULTIPLIERS, area_alone, counted


class Sample(wiring.Component):
    """A product of 18 bits, a register of eight, and a block RAM."""

    a: In(18)
    b: In(18)
    product: Out(36)
    kept: Out(8)
    word: Out(16)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.words = words = Memory(shape=16, depth=512, init=[])
        read, write = words.read_port(), words.write_port()
        total = Signal(8)
        m.d.comb += [
            self.product.eq(self.a * self.b),
            read.addr.eq(self.a),
            write.addr.eq(self.b),
            write.data.eq(self.a),
            write.en.eq(self.b[-1]),
            self.word.eq(read.data),
            self.kept.eq(total),
        ]
        m.d.sync += total.eq(total ^ self.a[:8])
        return m


@pytest.mark.slow
def test_a_core_alone_takes_the_cells_that_it_is_made_of(tmp_path):
    area = area_alone(Sample(), tmp_path)
    assert (area[FF], area[EBR], area[MULTIPLIERS]) == (8, 1, 1)
    assert 8 <= area[COMB] <= 12


def test_cells_of_two_tables_and_of_four_count_as_such():
    assert counted({"LUT4": 3, "CCU2": 2, "WIDEFN9": 1, "DPR16X4": 1, "VLO": 1, "MULT36X36": 2}) == {
        COMB: 13,
        FF: 0,
        EBR: 0,
        MULTIPLIERS: 8,
    }
