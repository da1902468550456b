"""What the conditioning puts on the pins is what the node's calibration makes of them again."""

import pytest
from thermogen_esf.points import POINT
from thermogen_gateware.calibration import DEFAULT_CALIBRATION
from thermogen_sim.sensors import CONVERTER_CODES, REFERENCE_V, SITE_INPUT_RANGE


@pytest.mark.parametrize("identifier", list(SITE_INPUT_RANGE))
def test_a_value_comes_back_through_the_calibration_within_one_step(identifier):
    span, calibration = SITE_INPUT_RANGE[identifier], DEFAULT_CALIBRATION[identifier]
    step = (span.high - span.low) / CONVERTER_CODES
    for part in (0.03, 0.31, 0.5, 0.77, 0.98):
        value = span.low + part * (span.high - span.low)
        code = int(span.volts(value) / REFERENCE_V * CONVERTER_CODES)
        raw = code * calibration.gain // 4096 + calibration.offset
        point = POINT[identifier]
        assert float(point.physical(raw)) == pytest.approx(value, abs=1.1 * max(step, float(point.scale)))


def test_the_amplifier_stops_at_its_rails():
    span = SITE_INPUT_RANGE["bus_voltage"]
    assert span.volts(1000.0) == REFERENCE_V
    assert span.volts(-5.0) == 0.0
