"""The Merkle tree has the shape of RFC 9162, and a proof holds for one leaf in one place only."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_esf import merkle
from thermogen_esf.merkle_accumulator import Accumulator

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=100)


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha3_256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha3_256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha3_256(b"\x01" + recursive_root(leaves[:split]) + recursive_root(leaves[split:])).digest()


def recursive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162, 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*recursive_path(index, leaves[:split]), recursive_root(leaves[split:])]
    return [*recursive_path(index - split, leaves[split:]), recursive_root(leaves[:split])]


@given(LEAVES)
def test_root_is_the_recursive_definition(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == recursive_root(leaves)


def test_root_of_no_leaves_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == merkle.EMPTY_ROOT == recursive_root([])


@given(st.lists(st.binary(max_size=4), max_size=40), st.data())
def test_a_root_that_grows_is_the_root_of_all_wherever_it_stopped_in_between(leaves: list[bytes], data: st.DataObject) -> None:
    stop = data.draw(st.integers(0, len(leaves)))
    first = Accumulator()
    for leaf in leaves[:stop]:
        first.append(leaf)
    assert first.root == merkle.root(leaves[:stop])
    again = Accumulator(first.count, first.subtrees)
    for leaf in leaves[stop:]:
        again.append(leaf)
    assert (again.count, again.root) == (len(leaves), merkle.root(leaves))
    assert first.count == stop and first.root == merkle.root(leaves[:stop])


def test_a_root_does_not_go_on_from_subtrees_that_are_not_its_leaves() -> None:
    for count, subtrees in ((1, []), (0, [bytes(32)]), (2, [bytes(32)] * 2), (1, [bytes(31)])):
        with pytest.raises(ValueError, match="whole subtrees"):
            Accumulator(count, subtrees)


def test_root_of_hashes_is_the_root_of_their_leaves() -> None:
    leaves = [bytes([number]) for number in range(90)]
    assert merkle.root_of_hashes([merkle.leaf_hash(leaf) for leaf in leaves]) == merkle.root(leaves)


@given(LEAVES, st.data())
def test_proof_is_the_recursive_path_and_verifies(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.inclusion_proof(leaves, index)
    assert proof == recursive_path(index, leaves)
    assert merkle.verify_inclusion(leaves[index], index, len(leaves), proof, merkle.root(leaves))


@given(st.integers(1, 40), st.data())
def test_proof_holds_for_nothing_else(count: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2, "big") for number in range(count)]
    index = data.draw(st.integers(0, count - 1))
    proof, root = merkle.inclusion_proof(leaves, index), merkle.root(leaves)
    leaf = leaves[index]
    assert not merkle.verify_inclusion(leaf + b"x", index, count, proof, root)
    assert not merkle.verify_inclusion(leaf, index, count, proof, merkle.leaf_hash(b"another root"))
    assert not merkle.verify_inclusion(leaf, index, count, [*proof, root], root)
    assert not merkle.verify_inclusion(leaf, count, count, proof, root)
    assert not merkle.verify_inclusion(leaf, -1, count, proof, root)
    for other in set(range(count)) - {index}:
        assert not merkle.verify_inclusion(leaf, other, count, proof, root)
    for at in range(len(proof)):
        assert not merkle.verify_inclusion(leaf, index, count, proof[:at] + proof[at + 1 :], root)
        assert not merkle.verify_inclusion(leaf, index, count, [*proof[:at], proof[at][:-1], *proof[at + 1 :]], root)
        assert not merkle.verify_inclusion(leaf, index, count, [*proof[:at], bytes(32), *proof[at + 1 :]], root)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    leaves = [b"a", b"b", b"c", b"d"]
    left = merkle.leaf_hash(b"a") + merkle.leaf_hash(b"b")
    right = merkle.leaf_hash(b"c") + merkle.leaf_hash(b"d")
    assert merkle.root([left, right]) != merkle.root(leaves)


def test_proof_of_a_leaf_that_is_not_there_says_so() -> None:
    with pytest.raises(IndexError, match="0 to 2"):
        merkle.inclusion_proof([b"a", b"b", b"c"], 3)


@given(st.integers(1, 40), st.data())
def test_a_log_that_grew_shows_that_it_begins_as_it_was(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(size)]
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(leaves, old)
    old_root, new_root = merkle.root(leaves[:old]), merkle.root(leaves)
    assert merkle.verify_consistency(old, size, old_root, new_root, proof)
    changed = [*leaves[: old - 1], b"changed", *leaves[old:]]
    assert not merkle.verify_consistency(old, size, old_root, merkle.root(changed), merkle.consistency_proof(changed, old))
    if proof:
        assert not merkle.verify_consistency(old, size, old_root, new_root, proof[:-1])
    assert not merkle.verify_consistency(old, size, old_root, new_root, [*proof, bytes(32)])


@given(st.integers(0, 70), st.integers(0, 70), st.lists(st.binary(min_size=31, max_size=32), max_size=8))
def test_whatever_comes_as_a_proof_of_growth_is_answered(old: int, new: int, proof: list[bytes]) -> None:
    assert not merkle.verify_consistency(old, new, bytes(32), b"1" * 32, proof)


@pytest.mark.parametrize("old", [0, -1, 4])
def test_a_proof_of_growth_from_no_such_size_is_an_error(old: int) -> None:
    with pytest.raises(IndexError):
        merkle.consistency_proof([b"a", b"b", b"c"], old)
