"""A modelled fleet, fresh for each test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from thermogen_esf.signatures import SigningKey
from thermogen_sim.fleet.enrolling import NOW, Fleet, signing_key
from thermogen_sim.fleet.node import SealingNode


@cache
def _fleet(count: int, operators: int) -> Fleet:
    fleet = Fleet.of(count, operators)
    assert fleet.entries and fleet.trust
    return fleet


@pytest.fixture
def fleet() -> Fleet:
    """Five sites of five operators; nothing sealed yet."""
    known = _fleet(5, 5)
    fresh = Fleet(known.nodes, dict(known.operators))
    fresh.nodes = [SealingNode.named(node.name) for node in known.nodes]
    fresh.__dict__.update(entries=known.entries, trust=known.trust, root=known.root)
    return fresh


@pytest.fixture
def node() -> SealingNode:
    """A node that has sealed nothing yet."""
    return SealingNode.named("tz-test-01")


@pytest.fixture
def other() -> SealingNode:
    """Another one."""
    return SealingNode.named("tz-test-02")


@pytest.fixture(scope="session")
def new_node() -> Callable[[str], SealingNode]:
    """Makes a node by its name."""
    return SealingNode.named


@pytest.fixture
def new_fleet() -> Callable[[int, int], Fleet]:
    """Makes a fleet of so many sites and operators, its list not written yet."""
    return Fleet.of


@pytest.fixture
def keys() -> Callable[[str], SigningKey]:
    """Anybody's signing key."""
    return signing_key


@pytest.fixture
def now() -> int:
    """Unix seconds at the beginning of the day that is sealed."""
    return NOW
