"""Clocks that are only ever compared with constants, counted by a shift register with one feedback: no carry, and one LUT4 in all.

Reference: Peterson and Weldon, Error-Correcting Codes, 2nd edition, appendix C: x^28 + x^25 + 1 is primitive. In Galois form a step
multiplies by x, so that the state after n of them is x^n modulo the polynomial, and none comes twice in 2^28 - 1 clocks (5.3 s).
"""

from __future__ import annotations

from amaranth.hdl import Cat, Value

ELAPSED_BITS = 28
PERIOD = (1 << ELAPSED_BITS) - 1
_TAP = 25
_POLYNOMIAL = 1 << ELAPSED_BITS | 1 << _TAP | 1


def elapsed_next(state: Value) -> Value:
    """The state one clock later."""
    return Cat(state[-1], state[: _TAP - 1], state[_TAP - 1] ^ state[-1], state[_TAP:-1])


def elapsed(clocks: int) -> int:
    """The state that stands for so many clocks, fewer than PERIOD."""
    if not 0 <= clocks < PERIOD:
        raise ValueError(f"{clocks} clocks are not told apart; use 0 to {PERIOD - 1}")
    state = 1
    for bit in reversed(range(clocks.bit_length())):
        state = _product(state, state)
        if clocks >> bit & 1:
            state = _product(state, 0b10)
    return state


def _product(left: int, right: int) -> int:
    """Of two polynomials over GF(2), modulo the polynomial."""
    product = 0
    for bit in range(right.bit_length()):
        if right >> bit & 1:
            product ^= left << bit
    for bit in reversed(range(ELAPSED_BITS, product.bit_length())):
        if product >> bit & 1:
            product ^= _POLYNOMIAL << bit - ELAPSED_BITS
    return product
