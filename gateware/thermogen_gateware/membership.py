"""Whether a value is one of some constant numbers, by their runs: two comparisons a run, where one a number would be many."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from amaranth.hdl import Cat, Value


def is_one_of(value: Value, numbers: Iterable[int]) -> Value:
    """1 where the unsigned `value` is among `numbers`."""
    wanted = set(numbers)
    firsts = sorted(number for number in wanted if number - 1 not in wanted)
    runs = [(first, next(number for number in itertools.count(first) if number not in wanted)) for first in firsts]
    return Cat((value >= first) & (value < stop) for first, stop in runs).any()
