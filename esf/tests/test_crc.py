"""CRC-32C agrees with published values and with long division at every length that the folding treats differently."""

import random

import pytest
from thermogen_esf.crc import crc32c


def by_long_division(data: bytes) -> int:
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # RFC 3720, B.4, and the catalogue's check value.
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"", 0),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@pytest.mark.parametrize("length", [*range(1, 9), *range(252, 272), 510, 511, 512, 513, 1023, 1024, 1025, 1028, 4099, 20_001])
def test_every_length_agrees_with_long_division(length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert crc32c(data) == by_long_division(data)


def test_any_bytes_like_object_will_do() -> None:
    data = random.Random(1).randbytes(1000)
    assert crc32c(bytearray(data)) == crc32c(memoryview(data)) == crc32c(data)


def test_a_changed_bit_anywhere_in_a_batch_changes_the_crc() -> None:
    generator = random.Random(2)
    data = generator.randbytes(50_285)
    right = crc32c(data)
    for _ in range(200):
        at = generator.randrange(8 * len(data))
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        assert crc32c(changed) != right
