# amaranth: UnusedElaboratable=no
"""The rings are what synthesis would best like to take away."""

import pytest
from thermogen_gateware.build.alone import COMB, area_alone
from thermogen_gateware.ring_oscillators import RingOscillators


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(3, 5), (3, 5, 7, 11)])
def test_every_inverter_is_still_there_after_synthesis(lengths, tmp_path):
    assert area_alone(RingOscillators(lengths), tmp_path)[COMB] == sum(lengths)


@pytest.mark.parametrize(("lengths", "why"), [((3, 4), "odd numbers"), ((1,), "odd numbers"), ((3, 5, 9), "share a factor")])
def test_rings_that_would_not_swing_or_swing_together_are_refused(lengths, why):
    with pytest.raises(ValueError, match=why):
        RingOscillators(lengths)
