"""Comparison with a constant, bit by bit: a third of the logic of a subtraction."""

from amaranth.hdl import C, Value


def exceeds(value: Value, limit: int) -> Value:
    """Whether `value`, unsigned, is more than `limit`."""
    result: Value = C(0)
    for place in range(len(value)):
        result = (value[place] & result) if limit >> place & 1 else (value[place] | result)
    return result if limit >> len(value) == 0 else C(0)
