"""Whether an address is one of some constant numbers, by their bits: a run is cut into aligned pieces, each one comparison of upper bits.

`membership.py` does the same with carry chains, which cost more where the runs are many and the numbers small.
"""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Value


def matches_any(address: Value, numbers: Iterable[int]) -> Value:
    """1 where the unsigned `address` is among `numbers`."""
    return address.matches(*patterns(numbers, len(address)))


def patterns(numbers: Iterable[int], bits: int) -> list[str]:
    """The fewest aligned powers of two that together are `numbers`, as patterns of so many bits, `-` for any."""
    left, found = sorted(set(numbers)), []
    wanted = set(left)
    place = 0
    while place < len(left):
        first, size = left[place], 1
        while size < 1 << bits and first % (2 * size) == 0 and wanted.issuperset(range(first + size, first + 2 * size)):
            size *= 2
        free = size.bit_length() - 1
        found.append(format(first >> free, f"0{bits - free}b") + "-" * free if free < bits else "-" * bits)
        place += size
    return found
