"""The host link's registers of seals and draws: what the node proved, how its key stands, and how a draw is asked for.

They are there where the node says `NodeFlag.SEALS`; elsewhere their addresses are BAD_ADDRESS. No register holds the key or anything of
it but the public key and proofs. A proof stays until the next of its kind; who reads one reads `proof_state` and its count before and
after. The last RING_SEALS seals stay besides, for a host that was away.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .vrf import KEY_BYTES, OUTPUT_BYTES, PROOF_BYTES
from .vrf_inputs import DRAW_BYTES, DRAW_FIELDS, SEAL_BYTES


class CustodyState(enum.IntEnum):
    """How the node's key stands."""

    STARTING = 0
    """The part is being read, the counters moved, or the key taken to the prover."""
    MAKING_KEY = 1
    READY = 2
    WIPED = 3
    """The part was tampered with: the key is gone. `make_key` makes a new one, which is a new enrolment."""
    DAMAGED = 4
    """The part is armed and holds no whole record. `make_key` gives it up."""
    NO_ENTROPY = 5
    """The noise source failed its health tests: no key was made. `make_key` tries again."""
    NO_MEMORY = 6
    """The part does not answer, or does not keep what is written: nothing is sealed until the next power-up."""


class ProofState(enum.IntEnum):
    """What the prover does."""

    IDLE = 0
    SEALING = 1
    DRAWING = 2


class ProofError(enum.IntEnum):
    """Why the last proof that was asked for is not there."""

    NONE = 0
    NOT_READY = 1
    """See `custody_state`."""
    EPOCH_REFUSED = 2
    """An epoch not after the last one that was sealed: there is no second seal of an epoch."""
    NO_POINT = 3
    """RFC 9381's 256 tries gave no point."""
    MISSED = 4
    """An epoch ended while another was being sealed: it has no seal."""


SEAL_STATUS_BASE = 0x800
SEAL_STATUS: dict[str, tuple[int, int]] = {
    # name: (word address, words); read only
    "custody_state": (0x800, 1),
    "proof_state": (0x801, 1),
    "proof_error": (0x802, 1),
    "battery_low": (0x803, 1),
    "boot_count": (0x804, 2),
    "last_epoch": (0x806, 2),
    "seals": (0x808, 1),
    "draws": (0x809, 1),
    "seals_kept": (0x80A, 1),
}
SEAL_STATUS_WORDS = 0x0B
"""Counts are since power-up, mod 65,536. `boot_count` and `last_epoch` are the part's own."""

MAKE_KEY = (0x820, 1)
MAKE_KEY_WORD = 0x4E4B
"""Taken where `custody_state` is WIPED, DAMAGED or NO_ENTROPY."""

DRAW_REQUEST = (0x840, (sum(DRAW_FIELDS.values()) - DRAW_FIELDS["site"]) // 2)
"""Day, root and beacon, written whole in one request; the site is the node's own. REFUSED while a proof is being made, or without a key."""

SEAL = (0x880, (SEAL_BYTES + PROOF_BYTES + OUTPUT_BYTES) // 2)
"""What was proven, the proof, its output: 250 bytes, of which the first 186 are the seal as it is published."""

DRAW = (0x900, (DRAW_BYTES + PROOF_BYTES + OUTPUT_BYTES) // 2)
"""The same of the last draw: 228 bytes."""

PUBLIC_KEY = (0x980, KEY_BYTES // 2)
"""Of the node's key; zeros where there is none."""

RING_SLOTS, RING_SLOT_WORDS = 256, 128
RING_BASE = 0x8000
RING_SEAL_WORDS = (SEAL_BYTES + PROOF_BYTES) // 2
RING_SEALS = RING_SLOTS - 1
"""The n-th seal since power-up, n from 0, is RING_SEAL_WORDS words, as it is published, from RING_BASE + n mod RING_SLOTS × RING_SLOT_WORDS
on. Those from `seals` − `seals_kept` to `seals` − 1 are there, RING_SEALS at most: the slot that comes next may just be written. A READ
that begins or ends in the rest of a slot is BAD_ADDRESS; one that goes on from a seal into the next gives words of no meaning between
them. A slot that is none of these holds nothing that means anything."""


@dataclass(frozen=True, slots=True)
class KeptSeal:
    """A seal that the ring keeps: its number since power-up, mod 65,536, and its 186 bytes as they are published."""

    number: int
    data: bytes


def ring_slot(number: int) -> tuple[int, int]:
    """Word address and words of the seal with that number in the ring."""
    return RING_BASE + number % RING_SLOTS * RING_SLOT_WORDS, RING_SEAL_WORDS
