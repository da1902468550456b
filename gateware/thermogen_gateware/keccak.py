"""Keccak's tables and the streams of a hash core: what every form of SHA3-256 has in common.

Reference: FIPS 202 (Keccak-f[1600], rate 1088, suffix 01, pad10*1).
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

LANES = 25
LANE_BITS = 64
ROUNDS = 24
RATE_LANES = 17
"""1,088 bits: the lanes of a block that take message bytes."""
RATE_BYTES = 8 * RATE_LANES
DIGEST_LANES = 4
DIGEST_BYTES = 8 * DIGEST_LANES

SUFFIX = 0x06
"""The domain bits 01 of SHA-3 and the first bit of the padding, in the order of FIPS 202's byte strings (appendix B.1)."""
LAST_PADDING_BIT = 0x80

IOTA_BITS = 7
"""A round's constant is 0 but for its bits 2^j - 1, j below this."""


def message_layout() -> data.StructLayout:
    """One transfer of a message: a byte where `keep` is set, none otherwise (so that a message can be empty); `last` ends the message."""
    return data.StructLayout({"data": 8, "keep": 1, "last": 1})


def byte_layout() -> data.StructLayout:
    """One byte of a digest, or of anything else that is never empty; `last` ends it."""
    return data.StructLayout({"data": 8, "last": 1})


class HashSignature(wiring.Signature):
    """A hash core as its user sees it: a message out, its digest in. Cores of any speed fit behind it."""

    def __init__(self):
        super().__init__({"message": Out(stream.Signature(message_layout())), "digest": In(stream.Signature(byte_layout()))})


def rho_offsets() -> list[int]:
    """FIPS 202, algorithm 2: how far each lane (index 5y + x) turns."""
    offsets = [0] * LANES
    x, y = 1, 0
    for t in range(24):
        offsets[5 * y + x] = (t + 1) * (t + 2) // 2 % LANE_BITS
        x, y = y, (2 * x + 3 * y) % 5
    return offsets


def pi_targets() -> list[int]:
    """FIPS 202, algorithm 3: where each lane goes."""
    return [5 * ((2 * x + 3 * y) % 5) + y for y in range(5) for x in range(5)]


def iota_bits() -> list[int]:
    """FIPS 202, algorithms 5 and 6: bit j of an entry is bit 2^j - 1 of a round's constant."""

    def rc(t: int) -> int:
        register = 0x01
        for _ in range(t % 255):
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        return register & 1

    return [sum(rc(j + 7 * number) << j for j in range(IOTA_BITS)) for number in range(ROUNDS)]
