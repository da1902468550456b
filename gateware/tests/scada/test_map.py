# amaranth: UnusedElaboratable=no
"""The MODBUS map is complete, fits its requests, and what was published of it stays where it is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from thermogen_esf.points import CHANNELS_PER_SITE, POINTS, Kind
from thermogen_esf.scada import WRITABLE_BY_ADDRESS, WRITABLES
from thermogen_gateware.scada.live import ALIAS, ALONE, BITS
from thermogen_gateware.scada.map import (
    BLOCKS,
    COILS,
    DISCRETE_COUNT,
    DISCRETE_INPUTS,
    DISCRETE_VECTORS,
    REGISTERS,
    SCADA_MAP_VERSION,
    WIDE,
    WORDS,
)
from thermogen_gateware.scada.registers import ScadaRegisters
from thermogen_gateware.scada.registers_declared import MOST_REGISTERS, Origin, block, constant, gap, point

PUBLISHED = Path(__file__).with_name("published_addresses.txt")
"""The table as it stands; it changes with what is declared."""
VERSIONS = {number: PUBLISHED.with_stem(f"{PUBLISHED.stem}_version_{number}") for number in range(1, SCADA_MAP_VERSION + 1)}
"""Each version's table as it was published. Such a file is kept, and never changes: what is declared later is in the next one."""


def addresses_now() -> list[str]:
    registers = [
        f"register {each.address:5} {each.words} {each.count:3} {each.form:4} {each.scale} {each.identifier}" for each in REGISTERS
    ]
    coils = [f"coil     {each.address:5} {each.identifier}" for each in COILS]
    return [*registers, *coils, *(f"input    {each.address:5} {each.identifier}" for each in DISCRETE_INPUTS)]


def test_what_is_declared_is_what_is_published():
    """Whoever declares something new puts it into the file; the tests below look at what was there before."""
    assert addresses_now() == PUBLISHED.read_text("utf-8").splitlines()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_published_address_never_moves(version):
    """Nor does it go, or become another type, scale or name: what was published once is in the map for good."""
    then = VERSIONS[version].read_text("utf-8").splitlines()
    assert then, "the version's table is empty"
    assert [line for line in then if line not in set(addresses_now())] == []


def test_every_version_of_the_map_keeps_its_table():
    """A new version comes with its file, and contains the one before."""
    assert sorted(PUBLISHED.parent.glob(f"{PUBLISHED.stem}_version_*.txt")) == sorted(VERSIONS.values())
    tables = [set(path.read_text("utf-8").splitlines()) for path in VERSIONS.values()]
    assert all(before <= after for before, after in pairwise(tables))


def test_every_point_is_in_the_map_with_its_unit_and_scale():
    by_name = {register.identifier: register for register in REGISTERS}
    for each in POINTS:
        register = by_name[each.identifier]
        assert (register.unit, register.scale, register.count, register.values) == (each.unit, each.scale, each.count, each.values)
        assert register.form[0] == ("i" if each.kind is Kind.SIGNED or each.offset else "u")
        assert 16 * register.words >= each.width


def test_the_magic_is_at_register_0_and_every_block_is_read_in_one_request():
    assert REGISTERS[0].identifier == "magic" and REGISTERS[0].address == 0
    for each in BLOCKS:
        assert each.size <= MOST_REGISTERS
        assert set(range(each.base, each.base + each.size)) <= set(WORDS)
    assert len(WORDS) == sum(each.size for each in BLOCKS)


def test_no_two_registers_overlap_and_gaps_are_declared():
    taken = [address for register in REGISTERS for address, _ in register.sources()]
    gaps = [address for address, word in WORDS.items() if word.origin is Origin.GAP and address not in taken]
    assert len(set(taken)) == len(taken)
    assert sorted([*taken, *gaps]) == sorted(WORDS)
    assert gaps == [315]


def test_wide_values_lie_so_that_an_exclusive_or_turns_their_words_round():
    for words, addresses in WIDE.items():
        assert {address ^ (words - 1) for address in addresses} == addresses
    assert all(register.address % register.words == 0 for register in REGISTERS)


def test_channels_have_a_block_each_of_current_duty_and_state():
    assert [(each.name, each.size) for each in BLOCKS if each.name.startswith("channel_")] == [
        (name, CHANNELS_PER_SITE) for name in ("channel_current", "channel_duty", "channel_state")
    ]


def test_what_is_writable_is_what_the_house_declares():
    writable = {register.address: register.identifier for register in REGISTERS if register.writable}
    assert writable == {address: each.identifier for address, each in WRITABLE_BY_ADDRESS.items()}
    assert [(coil.address, coil.identifier) for coil in COILS] == [
        (each.coil, each.identifier) for each in WRITABLES if each.coil is not None
    ]


def test_discrete_inputs_fit_their_vectors():
    places = [place for first, width in DISCRETE_VECTORS.values() for place in range(first, first + width)]
    assert sorted(places) == list(range(DISCRETE_COUNT))
    assert len({each.address for each in DISCRETE_INPUTS}) == len(DISCRETE_INPUTS)
    for each in DISCRETE_INPUTS:
        first, width = DISCRETE_VECTORS[each.vector]
        assert each.address == first + each.place < first + width


def test_every_published_bit_is_one_that_is_kept():
    file = ScadaRegisters(200, 12)
    for each in DISCRETE_INPUTS:
        vector = ALIAS.get(each.vector, each.vector)
        assert each.place < (BITS | ALONE)[vector], each.identifier
        if hasattr(file, vector):
            assert each.place < len(getattr(file, vector)), each.identifier


def test_a_misplaced_register_is_refused_where_it_is_declared():
    with pytest.raises(ValueError, match="gap"):
        block(1, "crooked", "", point("uptime"))
    with pytest.raises(ValueError, match="divide"):
        block(0, "long", "", constant("one", "u16", ""), gap(125))
