"""Text becomes the words that the prover's sequencer reads, or a reason with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_gateware.vrf.assembler import AssemblyError, assemble
from thermogen_gateware.vrf.instructions import Index, Instruction, Operation
from thermogen_gateware.vrf.program import ELEMENTS, PROGRAM

NAMES = {"A": 1, "PAIR": 70, "PAIR_END": 71, "LAST": 127}


def words(text):
    return [Instruction.from_bits(word) for word in assemble(text, NAMES).words]


@given(
    d=st.sampled_from(sorted(NAMES)),
    a=st.sampled_from(sorted(NAMES)),
    b=st.sampled_from(sorted(NAMES)),
    digits=st.tuples(*[st.booleans()] * 3),
)
def test_operands_are_where_the_sequencer_looks(d, a, b, digits):
    shown = [name + ("[digit]" if digit else "") for name, digit in zip((d, a, b), digits, strict=True)]
    (word,) = words(f"mul {', '.join(shown)}")
    assert word.operation == Operation.MUL
    assert (word.d, word.a, word.b.operand.element) == (NAMES[d], NAMES[a], NAMES[b])
    assert (word.d_digit, word.a_digit, word.b.operand.index == Index.DIGIT) == digits


def test_labels_flags_and_numbers():
    text = """
    begin:
        count 63
        addr A, A, PAIR[carry]   ; one of two
    again:
        fail_if not zero
        fail_if odd
        loop again
        call begin
        give A, 32, last
        hash_end PAIR, quarter
    """
    assembled = assemble(text, NAMES)
    assert assembled.labels == {"begin": 0, "again": 2}
    count, addr, opposite, odd, loop, call, give, end = words(text)
    assert count.b.value == 63
    assert addr.b.operand.index == Index.CARRY
    assert (opposite.b.operand.index, opposite.d) == (Index.ZERO, 1)
    assert (odd.b.operand.index, odd.d) == (Index.ODD, 0)
    assert (loop.b.value, call.b.value) == (2, 0)
    assert (give.a, give.b.value, give.d) == (1, 32, 1)
    assert (end.d, end.b.value) == (70, 2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("divide A, A, A", "no operation"),
        ("mul A, A", "takes 3 operands"),
        ("mul A, A, B", "no element 'B'"),
        ("mul A, A, PAIR_END[carry]", "not the first of a pair"),
        ("mul A[carry], A, A", "only operand b"),
        ("mul A, A, PAIR[parity]", "none of digit, carry"),
        ("count 1024", "no number below 1024"),
        ("loop nowhere", "no label 'nowhere'"),
        ("fail_if never", "none of"),
        ("give A, 3, first", "none of more, last"),
        ("hash_end A, half", "none of whole"),
        ("return A", "takes 0 operands"),
        ("first:", "no new label"),
    ],
)
def test_a_line_without_meaning_is_told_with_its_number(line, says):
    with pytest.raises(AssemblyError, match=r"^line 3: ") as error:
        assemble(f"first:\n  return\n{line}\n", NAMES)
    assert says in str(error.value)


def test_the_program_fits_its_memory_and_names_no_element_twice():
    assert len(PROGRAM.words) <= 512
    assert all(word < 1 << 36 for word in PROGRAM.words)
    assert len(set(ELEMENTS.values())) == len(ELEMENTS)
    assert all(element < 128 for element in ELEMENTS.values())
