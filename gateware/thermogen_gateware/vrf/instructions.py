"""The prover's instructions: one 36-bit word each, so that the program fits the width of a block RAM.

Operands are elements: 256-bit numbers of the arithmetic unit's memory. An element's number can be ORed with an index as the instruction
is carried out: a flag of the last addition picks one of a pair, the digit one of a table's sixteen entries. An access to block RAM takes
a clock whatever its address, so such a choice takes no time that would depend on it; there is no other way to choose on a secret.
"""

from amaranth.lib import data, enum

ELEMENT_BITS = 7
VALUE_BITS = 10


class Operation(enum.Enum, shape=5):  # type: ignore[call-arg]
    """What an instruction does."""

    MUL = 0
    """d = a b mod p."""
    RMUL = 1
    """Both halves of the integer a b, in the two scratch elements."""
    ADD = 2
    """d = a + b mod p."""
    SUB = 3
    """d = a - b mod p."""
    ADDR = 4
    """d = a + b mod 2^256; carry."""
    ADCR = 5
    """d = a + b + carry mod 2^256; carry."""
    SUBR = 6
    """d = a - b mod 2^256; carry when a >= b."""

    COUNT = 8
    """Set the counter."""
    LOOP = 9
    """Jump as long as the counter is not 0, and count down."""
    CALL = 10
    RETURN = 11
    JUMP = 12
    FAIL_IF = 13
    """Remember that the try failed, by the index's flag; `d` = 1 for its opposite."""
    RETRY = 14
    """If the try failed, jump to the next one; end with an error when there is none."""
    END = 15
    DIGIT = 16
    """The digit of four bits of element a at the counter."""
    ENTRY = 17
    """The digit that is 15 less the counter."""
    FIRST_ENTRY = 18
    """The digit 1."""
    HASH_BYTE = 19
    HASH_TRY = 20
    HASH_ALPHA = 21
    HASH_SEED = 22
    HASH_ELEMENT = 23
    """`value` bytes of element a."""
    HASH_END = 24
    """The digest in elements d and d + 1, in one of the forms of `DigestForm`."""
    GIVE = 25
    """`value` bytes of element a for the outside; `d` = 1 for the last ones."""


LAST_ARITHMETIC = Operation.SUBR


class Index(enum.Enum, shape=3):  # type: ignore[call-arg]
    """What is ORed to the number of operand b."""

    NONE = 0
    DIGIT = 1
    CARRY = 2
    ZERO = 3
    ODD = 4
    TOP = 5
    """Bit 255."""


class DigestForm(enum.Enum, shape=2):  # type: ignore[call-arg]
    """How a digest is kept."""

    WHOLE = 0
    CLAMPED = 1
    """The first half as a secret scalar, RFC 8032 5.1.5."""
    QUARTER = 2
    """16 bytes; the rest of element d stays."""


class Instruction(data.Struct):
    """`value` is a jump's target, a count, a byte: where there is no operand b."""

    operation: Operation
    d: ELEMENT_BITS
    d_digit: 1
    a: ELEMENT_BITS
    a_digit: 1
    b: data.UnionLayout(
        {
            "operand": data.StructLayout({"element": ELEMENT_BITS, "index": Index}),
            "value": VALUE_BITS,
        }
    )
