"""What a node measures with, for the person who is to sign for it: an enrolment has eight bytes of the hash of it and no more.

The words lie beside the enrolment, in a file of the same name that ends with `.calibration`. They are found by their hash, so that no file
stands for another enrolment than that which names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..evidence.attestation.enrolment import Enrolment
from ..hostlink import CALIBRATION_HASH_WORDS, CALIBRATION_WORDS, CHANNEL_GAIN_ONE, calibration_hash
from ..points import POINT, SITE_INPUTS

SUFFIX = ".calibration"
CALIBRATION_BYTES = 2 * len(CALIBRATION_HASH_WORDS)
"""Gain and offset of each site input, then each channel's gain; 16 bits each, big-endian."""
_GAIN_ONE, _LAST_SAMPLE = 4_096, 4_095


def words_of(content: bytes) -> list[int]:
    """The words; ValueError where there are more or fewer than a calibration has."""
    if len(content) != CALIBRATION_BYTES:
        raise ValueError(f"{len(content)} bytes: a calibration has {CALIBRATION_BYTES}")
    return [int.from_bytes(content[at : at + 2], "big") for at in range(0, len(content), 2)]


def calibrations(folder: Path) -> dict[bytes, list[int]]:
    """By its eight-byte hash, each calibration that lies in a folder; a file that is none is passed over."""
    found = (path.read_bytes() for path in sorted(folder.glob(f"*{SUFFIX}")))
    words = [words_of(content) for content in found if len(content) == CALIBRATION_BYTES]
    return {calibration_hash(each): each for each in words}


def calibration_lines(enrolments: Iterable[Enrolment], known: Mapping[bytes, list[int]]) -> list[str]:
    """What each site measures with, a line an input with its gain, offset and what the converter's ends read as."""
    lines = []
    for each in enrolments:
        words = known.get(each.calibration_hash)
        said = ["not here: only its hash is known"] if words is None else _meaning(words)
        lines += [f"calibration of {each.name}, {line}" for line in said]
    return lines


def _meaning(words: list[int]) -> list[str]:
    pairs = zip(words[0:CALIBRATION_WORDS:2], words[1:CALIBRATION_WORDS:2], strict=True)
    lines = [_input(name, gain, offset) for name, (gain, offset) in zip(SITE_INPUTS, pairs, strict=True)]
    gains = words[CALIBRATION_WORDS:]
    others = [f"channel {number} {gain / CHANNEL_GAIN_ONE:.5f}" for number, gain in enumerate(gains) if gain != CHANNEL_GAIN_ONE]
    return [*lines, f"channels' gains: {len(gains) - len(others)} are 1{', '.join(['', *others])}"]


def _input(name: str, gain: int, word: int) -> str:
    point, offset = POINT[name], word - (word >> 15 << 16)
    low, high = point.raw_limits
    ends = (min(max(sample * gain // _GAIN_ONE + offset, low), high) for sample in (0, _LAST_SAMPLE))
    reads = " to ".join(f"{float(point.physical(raw)):g}" for raw in ends)
    return f"{name}: gain {gain}, offset {offset}, reads {reads} {point.unit}"
