"""Fixtures of custody's tests: the compiled sealer, and a part that has been through its first power-up."""

import pytest
from thermogen_sim.custody.sealer import CompiledSealer, Library, sealer_library

from .echo_prover import EchoProver


@pytest.fixture(scope="session")
def library():
    return Library(sealer_library(EchoProver()))


@pytest.fixture(scope="session")
def _keyed(library):
    part = library.part()
    sealer = CompiledSealer(part)
    sealer.settle()
    return part, sealer.public_key


@pytest.fixture
def part(_keyed):
    """A part with a key, its counters at 1 and 0."""
    return _keyed[0].copy()


@pytest.fixture
def public_key(_keyed):
    """Of that key."""
    return _keyed[1]
