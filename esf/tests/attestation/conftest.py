"""Nodes in software: each seals and draws as the gateware does, and every field can be bent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha3_256
from typing import Any

import pytest
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal
from thermogen_esf.frames import site_identity
from thermogen_esf.vrf_inputs import SEAL_FIELDS, seal_input
from thermogen_sim.ecvrf import SoftwareProver

DAY = 20_700
"""In September 2026."""
PROFILE, CALIBRATION = b"profile.", b"calibrat"


@dataclass
class Node:
    """A node's seals, made one after the other."""

    name: str
    prover: SoftwareProver
    boot: int = 1
    link: bytes = NO_PREVIOUS
    seals: list[Seal] = field(default_factory=list)

    @classmethod
    def named(cls, name: str) -> Node:
        """A node whose key follows from its name."""
        return cls(name, SoftwareProver(sha3_256(name.encode()).digest()))

    @property
    def identity(self) -> bytes:
        """Of its site, 8 bytes."""
        return site_identity(self.name)

    def seal(self, epoch: int, root: bytes | None = None, **changes: Any) -> Seal:
        """The next seal."""
        values: dict[str, Any] = {
            "site": self.identity,
            "epoch": epoch,
            "boot_count": self.boot,
            "previous": self.link,
            "leaf_count": 90,
            "root": root or sha3_256(b"leaves %d" % epoch).digest(),
            "profile_hash": PROFILE,
            "calibration_hash": CALIBRATION,
            **changes,
        }
        octets = {name: value.to_bytes(SEAL_FIELDS[name], "big") if isinstance(value, int) else value for name, value in values.items()}
        seal = Seal(proof=self.prover.prove(seal_input(octets)), **values)
        self.link = seal.link
        self.seals.append(seal)
        return seal

    def reboot(self) -> None:
        """Power was lost."""
        self.boot += 1
        self.link = NO_PREVIOUS

    def day(self, number: int = DAY, epochs: int = 4) -> Day:
        """A day of the first so many epochs, closed by the first seal of the next."""
        made = tuple(self.seal(number * 96 + index) for index in range(epochs))
        return Day(made, self.seal((number + 1) * 96))


@pytest.fixture
def node() -> Node:
    """A node that has sealed nothing yet."""
    return Node.named("tz-test-01")


@pytest.fixture
def other() -> Node:
    """Another one."""
    return Node.named("tz-test-02")


@pytest.fixture(scope="session")
def new_node() -> Callable[[str], Node]:
    """Makes a node by its name."""
    return Node.named
