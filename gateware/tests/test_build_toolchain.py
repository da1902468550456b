"""Running a tool: every way that it can fail is a typed error that names the tool and its log."""

import os
import sys

import pytest
import wasmtime
from thermogen_gateware.build.errors import OutputMissingError, ToolCrashedError, ToolFailedError
from thermogen_gateware.build.toolchain import LAST_LINES, run_tool


@pytest.fixture
def files(tmp_path):
    return tmp_path / "tool.log", tmp_path / "out.bin"


def tool_that(log=None, output=None, code=0, says=b"", raises=None):
    def tool(arguments):
        os.write(2, says)  # as the sandbox does: at the descriptor, past sys.stderr
        if log:
            log[0].write_text(log[1], encoding="utf-8")
        if output:
            output.write_bytes(b"bits")
        if raises:
            raise raises
        return code

    return tool


def test_a_tool_that_refuses_is_quoted_from_its_log(files):
    log, output = files
    text = "".join(f"line {number}\n\n" for number in range(100)) + "ERROR: no such pin\n"
    with pytest.raises(ToolFailedError) as caught:
        run_tool("placer", tool_that(log=(log, text), code=1), [], log, [output])
    assert (caught.value.tool, caught.value.code, caught.value.log) == ("placer", 1, log)
    assert caught.value.last_lines[-1] == "ERROR: no such pin"
    assert len(caught.value.last_lines) == LAST_LINES
    assert str(log) in str(caught.value)
    assert "ERROR: no such pin" in str(caught.value)


def test_a_tool_that_crashes_is_not_taken_for_one_that_refuses(files):
    log, output = files
    with pytest.raises(ToolCrashedError, match="placer crashed") as caught:
        run_tool("placer", tool_that(log=(log, "routing\n"), raises=wasmtime.Trap("wasm trap: unreachable")), [], log, [output])
    assert "unreachable" in caught.value.trap
    assert caught.value.last_lines == ["routing"]
    assert "--seed" in str(caught.value)


def test_a_tool_that_cannot_be_loaded_is_a_crash_too(files):
    log, output = files
    with pytest.raises(ToolCrashedError, match="out of memory"):
        run_tool("placer", tool_that(raises=wasmtime.WasmtimeError("out of memory")), [], log, [output])


def test_a_tool_that_dies_before_its_log_is_quoted_from_what_it_printed(files):
    log, output = files
    with pytest.raises(ToolFailedError) as caught:
        run_tool("placer", tool_that(says=b"cannot open input\n", code=2), [], log, [output])
    assert caught.value.last_lines == ["cannot open input"]


def test_success_without_output_is_a_failure(files):
    log, output = files
    with pytest.raises(OutputMissingError, match=r"out\.bin"):
        run_tool("packer", tool_that(), [], log, [output])


def test_what_an_earlier_run_left_is_not_taken_for_this_ones(files):
    log, output = files
    output.write_bytes(b"old bits")
    log.write_text("old log\n", encoding="utf-8")
    with pytest.raises(OutputMissingError):
        run_tool("packer", tool_that(), [], log, [output])
    assert not log.exists()


def test_ctrl_c_inside_a_tool_stops_the_build(files):
    log, output = files
    with pytest.raises(KeyboardInterrupt):
        run_tool("placer", tool_that(code=130), [], log, [output])


def test_what_a_tool_prints_goes_beside_its_log_and_the_terminal_comes_back(files, capfd):
    log, output = files
    run_tool("packer", tool_that(says=b"chatter\n", output=output), [], log, [output])
    assert (log.parent / "tool.log.console").read_bytes() == b"chatter\n"
    sys.stderr.write("back\n")
    assert capfd.readouterr().err == "back\n"
