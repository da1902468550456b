"""The pin tables: nothing is soldered twice, without a reason, or in a way that lets power switch by itself."""

import re
from pathlib import Path

import pytest
from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform
from amaranth_boards.ice40_up5k_b_evn import ICE40UP5KBEVNPlatform
from thermogen_boards import (
    ControllerNode,
    CrossLinkNxEvn,
    Ice40Hx8kBreakout,
    Ice40Up5kBreakout,
    PowerModule,
    controller_node,
    crosslink_nx_evn,
    ice40_hx8k_breakout,
    ice40_up5k_breakout,
    power_module,
)
from thermogen_boards.pins import GATE_PULL_DOWN, SUPERVISOR_PULL_UP, Pin, PinTableError, check, markdown_table, resources

NODES = {"controller node": controller_node, "CrossLink-NX evaluation board": crosslink_nx_evn}
MODULES = {
    "power module": power_module,
    "iCE40-HX8K breakout": ice40_hx8k_breakout,
    "iCE40 UltraPlus breakout": ice40_up5k_breakout,
}
BOARDS = NODES | MODULES
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(params=BOARDS, ids=str)
def board(request):
    return BOARDS[request.param]


@pytest.fixture(params=NODES, ids=str)
def node(request):
    return NODES[request.param]


@pytest.fixture(params=MODULES, ids=str)
def module(request):
    return MODULES[request.param]


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


@pytest.mark.parametrize("board", [controller_node, power_module, ice40_up5k_breakout], ids=lambda board: board.__name__)
def test_each_converter_input_is_described_and_answers_on_a_line_that_exists(board):
    lines = [pin.signal for pin in board.PINS]
    answers = []
    for converter in board.CONVERTERS:
        assert len(converter.inputs) == 12
        assert converter.select in lines
        assert lines.count(converter.answer) > converter.answer_bit
        answers.append((converter.answer, converter.answer_bit))
    assert len(set(answers)) == len(answers)


def test_both_sides_of_every_channel_are_in_one_bank(module):
    high = [pin for pin in module.PINS if pin.signal == "pwm_hi"]
    low = [pin for pin in module.PINS if pin.signal == "pwm_lo"]
    assert len(high) == len(low) == module.CHANNELS
    for channel in range(module.CHANNELS):
        assert f"channel {channel}," in high[channel].reason
        assert f"channel {channel}," in low[channel].reason
        assert high[channel].bank == low[channel].bank


def test_a_module_sees_its_supply_supervisor_and_the_nodes_wire_through_resistors(module):
    pulls = {pin.signal: pin.pull for pin in module.PINS}
    assert pulls["supply_good"] == SUPERVISOR_PULL_UP
    assert pulls["run"] == "2.2 kohm down"


def test_a_node_has_wires_of_its_own_to_every_module_but_for_the_clock(node):
    signals = [pin.signal for pin in node.PINS]
    for number in range(controller_node.MODULES):
        assert {f"module#{number}.{wire}" for wire in ("cs_n", "copi", "cipo", "run")} <= set(signals)
    assert [signal for signal in signals if signal.startswith("module_bus")] == ["module_bus.sclk"]


def test_the_same_signals_are_on_a_board_and_on_what_stands_in_for_it():
    for pair, clocks in (((controller_node, crosslink_nx_evn), {"clk50", "clk12"}), ((power_module, ice40_hx8k_breakout), set())):
        first, second = ([(pin.signal, pin.direction, pin.pull) for pin in board.PINS if pin.signal not in clocks] for board in pair)
        assert sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("board", "published", "missing_there"),
    [
        (ice40_hx8k_breakout, ICE40HX8KBEVNPlatform, set()),
        (ice40_up5k_breakout, ICE40UP5KBEVNPlatform, {"4", "35"}),  # 4 is where the published table says 3 twice; J51 feeds 35
    ],
)
def test_a_breakouts_signals_are_on_its_headers_and_fight_no_other_part(board, published, missing_there):
    on_headers = {ball for connector in published.connectors for ball in connector.mapping.values()}
    assert {pin.ball for pin in board.PINS} <= on_headers | missing_there
    bridge = {ball for resource in published.resources if resource.name == "uart" for part in resource.ios for ball in part.ios[0].names}
    assert bridge.isdisjoint(pin.ball for pin in board.PINS)
    assert bridge or board is ice40_up5k_breakout


def test_the_nodes_use_only_banks_that_bear_three_volts(node):
    assert {pin.bank for pin in node.PINS} <= {0, 1, 2, 6, 7}


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
    assert ice40_up5k_breakout.CLOCK_HZ == 24_000_000
    for platform in (CrossLinkNxEvn, Ice40Hx8kBreakout, Ice40Up5kBreakout):
        assert platform().default_clk_frequency == 12_000_000


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
    shown = README.read_text(encoding="utf-8")
    moved = [pin for pin in board.PINS if pin not in power_module.PINS]
    assert markdown_table(moved if board is ice40_hx8k_breakout else board.PINS) in shown
