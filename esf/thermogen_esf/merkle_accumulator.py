"""The root of a Merkle tree that grows for ever, in as many hashes as its count has binary digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from .merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash


class Accumulator:
    """The root over leaves that come one after the other, none of which is kept: the roots of whole subtrees, the largest first."""

    def __init__(self, count: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """Goes on where another stood; ValueError unless a tree of `count` leaves has so many subtrees."""
        if len(subtrees) != count.bit_count() or any(len(each) != HASH_BYTES for each in subtrees):
            raise ValueError(f"a tree of {count} leaves has {count.bit_count()} whole subtrees, not {len(subtrees)}")
        self.count = count
        self.subtrees = list(subtrees)

    def copy(self) -> Self:
        """Another that stands where this one does."""
        return type(self)(self.count, self.subtrees)

    def append(self, leaf: bytes) -> None:
        """Take the next leaf."""
        running = leaf_hash(leaf)
        for _ in range((self.count ^ self.count + 1).bit_length() - 1):
            running = node_hash(self.subtrees.pop(), running)
        self.subtrees.append(running)
        self.count += 1

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.subtrees:
            return EMPTY_ROOT
        running = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            running = node_hash(left, running)
        return running
