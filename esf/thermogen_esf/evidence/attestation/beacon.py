"""The beacon: a number that nobody knew before the seals of a checkpoint were made, and anybody can recompute afterwards.

    beacon(0) = SHA3-256("TZ beacon0" ‖ hash of the root keys)
    beacon(b) = SHA3-256("TZ beacon2" ‖ beacon(b − 1) ‖ b u64 ‖ contributors u32 ‖ contributions)
    contributions = SHA3-256 over, in order of site, site (8) ‖ epoch u32 ‖ output (64)

with, of each site, the newest epoch among the seals that a checkpoint added to the log. A checkpoint to which fewer than four sites
contributed makes no beacon and leaves the one before as it was: else whoever closes checkpoints would have another beacon for each that it
closes over nothing. Outputs only, never signatures: a signer could sign again until it likes what comes.

Bias: whoever closes checkpoints knows the outputs before others and may choose which seals come into which checkpoint; among how many
beacons, `odds.possible_beacons` counts. A site that withholds its seal chooses among two for each that it could have sent. One chooses
among the values that come, not what comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha3_256

from ..check import Check, Reason, passed, refused
from .seal import Seal

GENESIS_PREFIX = b"TZ beacon0"
PREFIX = b"TZ beacon2"
LEAST_CONTRIBUTORS = 4
"""Sites without whose seals no beacon is made: the one whose day is drawn and three others. From fewer it could be foreseen."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one site adds to a beacon."""

    site: bytes
    epoch: int
    output: bytes

    def encode(self) -> bytes:
        """76 bytes."""
        return self.site + self.epoch.to_bytes(4, "big") + self.output


def contributing(seals: Iterable[Seal]) -> tuple[Seal, ...]:
    """Of the seals that a checkpoint added those that make its beacon: of each site its newest epoch's, in order of site."""
    newest: dict[bytes, Seal] = {}
    for seal in seals:
        known = newest.get(seal.site)
        if known is None or (seal.epoch, seal.output) > (known.epoch, known.output):
            newest[seal.site] = seal
    return tuple(newest[site] for site in sorted(newest))


def contributions(seals: Iterable[Seal]) -> tuple[Contribution, ...]:
    """What the seals that a checkpoint added contribute, in order of site."""
    return tuple(Contribution(seal.site, seal.epoch, seal.output) for seal in contributing(seals))


def contributions_hash(given: Sequence[Contribution]) -> bytes:
    """Hash over contributions in order, 32 bytes."""
    return sha3_256(b"".join(each.encode() for each in given)).digest()


def genesis(root_keys: bytes) -> bytes:
    """Beacon 0, which draws nothing, given the hash of the root keys."""
    return sha3_256(GENESIS_PREFIX + root_keys).digest()


def beacon(previous: bytes, number: int, contributors: int, hashed: bytes) -> bytes:
    """Beacon `number`, 32 bytes, from the one before it and the contributions' count and hash."""
    return sha3_256(PREFIX + previous + number.to_bytes(8, "big") + contributors.to_bytes(4, "big") + hashed).digest()


def draws(contributors: int) -> bool:
    """Whether a checkpoint to which so many sites contributed makes a beacon."""
    return contributors >= LEAST_CONTRIBUTORS


def after(number: int, newest: bytes, contributors: int, hashed: bytes) -> tuple[int, bytes]:
    """Number and value of the newest beacon once a checkpoint with these contributions is closed: as before where it makes none."""
    return (number + 1, beacon(newest, number + 1, contributors, hashed)) if draws(contributors) else (number, newest)


def judge_contributions(seals: Sequence[Seal], vrf_keys: Mapping[bytes, bytes], contributors: int, hashed: bytes) -> Check:
    """Whether a checkpoint's contributions are those of these seals, each proven by the VRF key that the trust list has for its site."""
    name = "beacon's contributions recomputed"
    for seal in seals:
        key = vrf_keys.get(seal.site)
        if key is None or not seal.proven_by(key):
            why = "not enrolled" if key is None else "not proven by its key"
            text = f"the seal of epoch {seal.epoch} of site {seal.site.hex()} is {why}: outputs made at will would choose the beacon"
            return refused(name, Reason.WRONG_BEACON, text, epoch=seal.epoch)
    given = contributions(seals)
    numbers = {"seals": len(seals), "contributors": len(given)}
    if (len(given), contributions_hash(given)) != (contributors, hashed):
        text = f"{len(given)} sites' seals hash to {contributions_hash(given).hex()}; the checkpoint says {contributors}, {hashed.hex()}"
        return refused(name, Reason.WRONG_BEACON, text, **numbers)
    return passed(name, f"{len(given)} sites, {hashed.hex()}", **numbers)
