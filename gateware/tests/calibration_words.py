"""What a node measures with after power-up, as the words that the host would load."""

from __future__ import annotations

from thermogen_esf.hostlink import CALIBRATION_HASH_WORDS, CHANNEL_GAIN_ONE, CHANNEL_GAIN_WORDS
from thermogen_gateware.calibration import DEFAULT_CALIBRATION

_INPUTS = [word for one in DEFAULT_CALIBRATION.values() for word in (one.gain, one.offset & 0xFFFF)]
AFTER_POWER_UP: dict[int, int] = dict(zip(CALIBRATION_HASH_WORDS, [*_INPUTS, *[CHANNEL_GAIN_ONE] * CHANNEL_GAIN_WORDS], strict=True))
"""By word address, in the order in which the node hashes them."""
