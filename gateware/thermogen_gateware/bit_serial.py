"""Arithmetic on numbers that pass by bit after bit, the lowest first: what takes a carry chain as wide as the number takes two LUTs here.

Each function makes of two bits of this clock, and of what it made a clock before, the bit for this clock or what the next one needs.
"""

from __future__ import annotations

from amaranth.hdl import Value, ValueLike


def sum_bit(a: Value, b: ValueLike, carry: Value) -> Value:
    """The sum's; also the difference's, with a borrow for the carry."""
    return a ^ b ^ carry


def carry_bit(a: Value, b: ValueLike, carry: Value) -> Value:
    """What the next bit's sum needs; with ~a it is the borrow of a - b."""
    return (a & b) | (carry & (a | b))


def greater(a: Value, b: Value, so_far: Value) -> Value:
    """Whether `a` is greater, by its bits up to this one."""
    return (a & ~b) | (so_far & ~(a ^ b))
