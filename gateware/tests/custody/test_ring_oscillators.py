# amaranth: UnusedElaboratable=no
"""The rings are what synthesis would best like to take away."""

import pytest
from thermogen_gateware.build.alone import COMB, FF, area_alone
from thermogen_gateware.custody.ring_oscillators import RING_LENGTHS, RingOscillators


def test_every_inverter_is_still_there_after_synthesis(tmp_path):
    area = area_alone(RingOscillators(), tmp_path)
    joined = 1
    assert area[COMB] == sum(RING_LENGTHS) + joined
    assert area[FF] == 2 * len(RING_LENGTHS)


def test_one_inverter_less_would_be_seen(tmp_path):
    area = area_alone(RingOscillators((3, 5, 7, 9)), tmp_path)
    assert area[COMB] == sum(RING_LENGTHS) - 2 + 1


@pytest.mark.parametrize("lengths", [(3, 4), (1,)])
def test_a_ring_that_would_not_swing_is_refused(lengths):
    with pytest.raises(ValueError, match="odd numbers"):
        RingOscillators(lengths)
