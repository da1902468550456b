"""The pin tables: nothing is soldered twice, without a reason, or in a way that lets power switch by itself."""

import re
from pathlib import Path

import pytest
from thermogen_boards import ControllerNode, PowerModule, controller_node, power_module
from thermogen_boards.pins import GATE_PULL_DOWN, Pin, PinTableError, check, markdown_table, resources

BOARDS = {"controller node": controller_node, "power module": power_module}
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(params=BOARDS, ids=str)
def board(request):
    return BOARDS[request.param]


def test_no_ball_is_used_twice(board):
    balls = [pin.ball for pin in board.PINS]
    assert len(balls) == len(set(balls))


def test_every_pin_says_why(board):
    for pin in board.PINS:
        assert len(pin.reason) > 10, pin.signal


def test_what_switches_power_is_held_off_by_a_resistor_that_beats_the_internal_pull(board):
    switching = [pin for pin in board.PINS if pin.direction == "o" and re.search(r"pwm_|driver_enable|\.run$", pin.signal)]
    assert switching
    assert {pin.pull for pin in switching} == {GATE_PULL_DOWN}
    ohms = 1000 * float(GATE_PULL_DOWN.split()[0])
    assert ohms * 150e-6 < 0.8  # volts, at the largest internal pull-up current


def test_selects_idle_high_and_the_comparator_fails_towards_a_trip(board):
    for pin in board.PINS:
        if pin.signal.endswith("cs_n") or pin.signal == "ov_comparator":
            assert pin.pull.endswith("up"), pin.signal


def test_each_converter_input_is_described_and_answers_on_a_line_that_exists(board):
    lines = [pin.signal for pin in board.PINS]
    answers = []
    for converter in board.CONVERTERS:
        assert len(converter.inputs) == 12
        assert converter.select in lines
        assert lines.count(converter.answer) > converter.answer_bit
        answers.append((converter.answer, converter.answer_bit))
    assert len(set(answers)) == len(answers)


def test_both_sides_of_every_channel_are_in_one_bank():
    high = [pin for pin in power_module.PINS if pin.signal == "pwm_hi"]
    low = [pin for pin in power_module.PINS if pin.signal == "pwm_lo"]
    assert len(high) == len(low) == power_module.CHANNELS
    for channel in range(power_module.CHANNELS):
        assert high[channel].bank == low[channel].bank
        assert f"channel {channel}," in high[channel].reason
        assert f"channel {channel}," in low[channel].reason


def test_the_controller_node_uses_only_banks_that_bear_three_volts():
    assert {pin.bank for pin in controller_node.PINS} <= {0, 1, 2, 6, 7}


def test_an_input_without_a_resistor_is_not_left_floating_inside_the_node():
    platform = ControllerNode()
    port = platform.request("host", 0, dir="-").copi
    assert port.io.metadata[0].attrs["PULLMODE"] == "DOWN"
    comparator = platform.request("ov_comparator", 0, dir="-")
    assert comparator.io.metadata[0].attrs["PULLMODE"] == "UP"


def test_clocks_are_what_the_boards_say():
    assert ControllerNode().default_clk_frequency == controller_node.CLOCK_HZ == 50_000_000
    assert PowerModule().default_clk_frequency == power_module.OSCILLATOR_HZ
    assert power_module.CLOCK_HZ == 48_000_000


def _pin(**changes):
    return Pin(**({"signal": "a", "direction": "o", "ball": "A1", "bank": 0, "reason": "because it is there"} | changes))


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ([_pin(), _pin(signal="b")], "b: ball A1 already carries a"),
        ([_pin(ball="R1")], "a: ball R1 is kept for reset"),
        ([_pin(bank=5)], "a: ball A1 is in bank 5, which has no supply"),
        ([_pin(reason="")], "a: ball A1 has no reason"),
    ],
)
def test_a_wrong_table_is_refused_by_name(pins, says):
    with pytest.raises(PinTableError, match=re.escape(says)):
        check(pins, {0: 3.3}, {"R1": "reset"})


def test_a_bus_whose_bits_differ_is_refused():
    pins = [_pin(), _pin(ball="A2", direction="i")]
    with pytest.raises(PinTableError, match="the bits of a bus differ"):
        resources(pins, lambda pin: {})


def test_the_readme_shows_the_tables_that_are_built(board):
    assert markdown_table(board.PINS) in README.read_text(encoding="utf-8")
