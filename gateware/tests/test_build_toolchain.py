"""Running a tool: every way that it can fail is a typed error that names the tool and its log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from thermogen_gateware.build.errors import OutputMissingError, RouterGivenUpError, ToolCrashedError, ToolFailedError, ToolNotStartedError
from thermogen_gateware.build.routing import MOST_LATE_ROUNDS, MOST_ROUNDS, judge_router
from thermogen_gateware.build.toolchain import LAST_LINES, run_tool, wasm_tool


@pytest.fixture
def files(tmp_path):
    return tmp_path / "tool.log", tmp_path / "out.bin"


@pytest.fixture
def tool_that(tmp_path, monkeypatch):
    """A package with a tool, as the real ones are: a function that takes arguments and gives a code."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(log=None, output=None, code=0, says=b"", does=""):
        lines = ["import os, time, wasmtime", "def tool(arguments):", f"    os.write(2, {says!r})"]
        if log:
            lines.append(f"    open({str(log[0])!r}, 'w').write({log[1]!r})")
        if output:
            lines.append(f"    open({str(output)!r}, 'wb').write(b'bits')")
        (tmp_path / "some_tool.py").write_text("\n".join([*lines, f"    {does}", f"    return {code}"]) + "\n", encoding="utf-8")
        return wasm_tool("some_tool", "tool")

    return make


def test_a_tool_that_refuses_is_quoted_from_its_log(files, tool_that):
    log, output = files
    text = "".join(f"line {number}\n\n" for number in range(100)) + "ERROR: no such pin\n"
    with pytest.raises(ToolFailedError) as caught:
        run_tool("placer", tool_that(log=(log, text), code=1), log, [output])
    assert (caught.value.tool, caught.value.code, caught.value.log) == ("placer", 1, log)
    assert caught.value.last_lines[-1] == "ERROR: no such pin"
    assert len(caught.value.last_lines) == LAST_LINES
    assert str(log) in str(caught.value)
    assert "ERROR: no such pin" in str(caught.value)


def test_a_tool_that_crashes_is_not_taken_for_one_that_refuses(files, tool_that):
    log, output = files
    with pytest.raises(ToolCrashedError, match="placer crashed") as caught:
        run_tool("placer", tool_that(log=(log, "routing\n"), does="raise wasmtime.Trap('wasm trap: unreachable')"), log, [output])
    assert "unreachable" in caught.value.trap
    assert caught.value.last_lines == ["routing"]
    assert "--seed" in str(caught.value)


def test_a_tool_that_cannot_be_loaded_is_a_crash_too(files, tool_that):
    log, output = files
    with pytest.raises(ToolCrashedError, match="out of memory"):
        run_tool("placer", tool_that(does="raise wasmtime.WasmtimeError('out of memory')"), log, [output])


def test_a_tool_that_the_system_kills_has_crashed(files, tool_that):
    log, output = files
    with pytest.raises(ToolCrashedError, match="killed by SIGKILL") as caught:
        run_tool("placer", tool_that(log=(log, "routing\n"), does="os.kill(os.getpid(), 9)"), log, [output])
    assert "free memory" in str(caught.value)


@pytest.mark.parametrize("does", ["import no_such_package", "raise PermissionError"])
def test_a_tool_that_cannot_be_run_is_our_fault_and_not_the_designs(does, files, tool_that):
    log, output = files
    with pytest.raises(ToolNotStartedError, match=r"ModuleNotFoundError: No module|PermissionError"):
        run_tool("placer", tool_that(does=does), log, [output])


def test_what_a_tool_keeps_for_itself_goes_with_it(files, tool_that):
    log, output = files
    keeps = tool_that(
        log=(log, rounds(*[7] * (MOST_LATE_ROUNDS + 1))), does=f"open({str(output)!r}, 'w').write(os.environ['TMPDIR']), time.sleep(600)"
    )
    with pytest.raises(RouterGivenUpError):
        run_tool("placer", keeps, log, [], judge_router)
    assert not Path(output.read_text(encoding="utf-8")).exists()


def test_a_tool_that_dies_before_its_log_is_quoted_from_what_it_printed(files, tool_that):
    log, output = files
    with pytest.raises(ToolFailedError) as caught:
        run_tool("placer", tool_that(says=b"cannot open input\n", code=2), log, [output])
    assert caught.value.last_lines == ["cannot open input"]


def test_success_without_output_is_a_failure(files, tool_that):
    log, output = files
    with pytest.raises(OutputMissingError, match=r"out\.bin"):
        run_tool("packer", tool_that(), log, [output])


def test_what_an_earlier_run_left_is_not_taken_for_this_ones(files, tool_that):
    log, output = files
    output.write_bytes(b"old bits")
    log.write_text("old log\n", encoding="utf-8")
    with pytest.raises(OutputMissingError):
        run_tool("packer", tool_that(), log, [output])
    assert not log.exists()


def test_ctrl_c_inside_a_tool_stops_the_build(files, tool_that):
    log, output = files
    with pytest.raises(KeyboardInterrupt):
        run_tool("placer", tool_that(code=130), log, [output])


def test_what_a_tool_prints_goes_beside_its_log_and_the_terminal_comes_back(files, tool_that, capfd):
    log, output = files
    run_tool("packer", tool_that(says=b"chatter\n", output=output), log, [output])
    assert (log.parent / "tool.log.console").read_bytes() == b"chatter\n"
    sys.stderr.write("back\n")
    assert capfd.readouterr().err == "back\n"


ROUND = "Info:     iter={} wires=534774 overused={} overuse={} tmgfail={} archfail=NA\n"


def rounds(*failing):
    return "".join(ROUND.format(number + 1, 20, 20, late) for number, late in enumerate(failing))


def test_a_router_that_goes_round_and_round_is_stopped(files, tool_that):
    log, output = files
    endless = tool_that(log=(log, rounds(*[7] * (MOST_LATE_ROUNDS + 1))), does="time.sleep(600)")
    with pytest.raises(RouterGivenUpError, match=f"round {MOST_LATE_ROUNDS + 1}: 20 wires used twice, 7 ways too long"):
        run_tool("placer", endless, log, [output], judge_router)


@pytest.mark.parametrize("code", [0, 1])
def test_what_a_router_is_given_up_for_does_not_depend_on_when_somebody_looks(code, files, tool_that):
    log, output = files
    late_but_ended = tool_that(log=(log, rounds(*[7] * (MOST_LATE_ROUNDS + 1), 0)), output=output, code=code)
    with pytest.raises(RouterGivenUpError):
        run_tool("placer", late_but_ended, log, [output], judge_router)


@pytest.mark.parametrize("failing", [[0] * MOST_ROUNDS, [7] * MOST_LATE_ROUNDS + [0] + [7] * MOST_LATE_ROUNDS, []])
def test_a_router_that_comes_to_an_end_is_left_alone(failing, files, tool_that):
    log, output = files
    run_tool("placer", tool_that(log=(log, rounds(*failing)), output=output), log, [output], judge_router)


def test_a_router_that_takes_too_many_rounds_is_given_up(tmp_path):
    (tmp_path / "log").write_text(rounds(*[0] * (MOST_ROUNDS + 1)), encoding="utf-8")
    with pytest.raises(RouterGivenUpError):
        judge_router(tmp_path / "log")
    judge_router(tmp_path / "not there yet")


BUILDER = "import subprocess, sys; subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, pass_fds=[int(sys.argv[1])]).wait()"


def test_a_tool_ends_with_the_build_that_started_it(tool_that):
    ends, held = os.pipe()
    endless = tool_that(does=f"os.write({held}, b'running'), time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", BUILDER, str(held), *endless], pass_fds=[held]) as builder:
        os.close(held)
        assert os.read(ends, 100) == b"running"
        builder.kill()
        assert os.read(ends, 100) == b"", "the tool outlives its build"
    os.close(ends)
