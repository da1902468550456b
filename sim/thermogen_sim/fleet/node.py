"""A node's seals and draws as its gateware makes them, in software: for large fleets, and to doubt verifiers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha3_256
from typing import Any

from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.draw import Drawing
from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal
from thermogen_esf.frames import site_identity
from thermogen_esf.hostlink import CHANNEL_GAIN_ONE, CHANNEL_GAIN_WORDS, calibration_hash
from thermogen_esf.points import SITE_INPUTS
from thermogen_esf.vrf_inputs import SEAL_FIELDS, seal_input

from ..ecvrf import SoftwareProver

INPUT_WORDS, GAIN_WORDS = (4096, 0) * len(SITE_INPUTS), (CHANNEL_GAIN_ONE,) * CHANNEL_GAIN_WORDS
"""What every node measures with: gain and offset of each input, and the channels' gains, as they are hashed."""
PROFILE, CALIBRATION = b"profile.", calibration_hash((*INPUT_WORDS, *GAIN_WORDS))
DAY = 20_700
"""A day in September 2026."""


@dataclass
class SealingNode:
    """A node that seals one epoch after the other; every field of a seal can be bent."""

    name: str
    prover: SoftwareProver
    boot: int = 1
    link: bytes = NO_PREVIOUS
    calibration: bytes = CALIBRATION
    """Hash of what it measures with."""
    seals: list[Seal] = field(default_factory=list)

    @classmethod
    def named(cls, name: str, seed: int = 0) -> SealingNode:
        """A node whose key follows from its name and, where it is not 0, a seed."""
        return cls(name, SoftwareProver(sha3_256((f"{name} {seed}" if seed else name).encode()).digest()))

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
            "calibration_hash": self.calibration,
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

    def draw(self, drawing: Drawing) -> bytes:
        """The node's proof for a drawing, 80 bytes."""
        return self.prover.prove(drawing.input_of(self.identity))
