"""The Merkle tree of epochs, days and the log: the shape of RFC 9162, section 2.1, over SHA3-256.

A leaf hashes to SHA3-256(0x00 ‖ leaf), a node to SHA3-256(0x01 ‖ left ‖ right), so that no node can pass for a leaf. A tree of n leaves
splits at the largest power of two below n: seen from the leaves, pairs are joined level by level and an odd last one moves up as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha3_256(b"").digest()
"""The root of no leaves at all."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf's bytes."""
    return hashlib.sha3_256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children's hashes."""
    return hashlib.sha3_256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over the leaves' bytes, in order."""
    return root_of_hashes([leaf_hash(leaf) for leaf in leaves])


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves that are hashed already."""
    level = list(hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from leaf `index` (from 0) up to the root; at most ceil(log2(n)) of them.

    Raises IndexError where there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of a tree of {len(leaves)}: give an index from 0 to {len(leaves) - 1}")
    proof = []
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level = _next_level(level)
        index //= 2
    return proof


def verify_inclusion(leaf: bytes, index: int, count: int, proof: Sequence[bytes], expected_root: bytes) -> bool:
    """Whether `leaf` is leaf `index` of the tree of `count` leaves with that root. False for any malformed proof."""
    if not 0 <= index < count:
        return False
    running, position, last = leaf_hash(leaf), index, count - 1
    remaining = iter(proof)
    while last:
        if position & 1 or position < last:
            sibling = next(remaining, None)
            if sibling is None or len(sibling) != HASH_BYTES:
                return False
            running = node_hash(sibling, running) if position & 1 else node_hash(running, sibling)
        position //= 2
        last //= 2
    return next(remaining, None) is None and running == expected_root


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The hashes that show the tree of all leaves to begin with the tree of the first `old` of them (RFC 9162, 2.1.4.1).

    Raises IndexError unless 0 < old <= len(leaves).
    """
    if not 0 < old <= len(leaves):
        raise IndexError(f"a tree of {old} leaves does not begin one of {len(leaves)}: give a size from 1 to {len(leaves)}")
    return _subproof([leaf_hash(leaf) for leaf in leaves], old, whole=True)


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with the tree of `old` leaves, by their roots. False for any malformed proof."""
    if not 0 < old <= new or any(len(each) != HASH_BYTES for each in proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position // 2, last // 2
    in_old = in_new = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if position & 1 or position == last:
            in_old, in_new = node_hash(sibling, in_old), node_hash(sibling, in_new)
            while not position & 1 and position:
                position, last = position // 2, last // 2
        else:
            in_new = node_hash(in_new, sibling)
        position, last = position // 2, last // 2
    return not last and in_old == old_root and in_new == new_root


def _subproof(hashes: list[bytes], old: int, whole: bool) -> list[bytes]:
    if old == len(hashes):
        return [] if whole else [root_of_hashes(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= split:
        return [*_subproof(hashes[:split], old, whole), root_of_hashes(hashes[split:])]
    return [*_subproof(hashes[split:], old - split, whole=False), root_of_hashes(hashes[:split])]


def _next_level(level: list[bytes]) -> list[bytes]:
    joined = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return joined + level[len(level) & ~1 :]
