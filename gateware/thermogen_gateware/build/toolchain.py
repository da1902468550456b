"""Run one FPGA tool inside this process and turn every way it can fail into a typed error.

The tools are WebAssembly. A refusal is a return code, a crash an exception (`wasmtime.Trap`), and what they print goes to the
process's own descriptors 1 and 2, so those are pointed at a file beside the log while the tool runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import wasmtime

from .errors import OutputMissingError, ToolCrashedError, ToolFailedError

Tool = Callable[[Sequence[str]], int]
"""Takes the arguments, gives the return code."""

LAST_LINES = 12


def run_tool(name: str, tool: Tool, arguments: Sequence[str], log: Path, outputs: Sequence[Path]) -> None:
    """Run `tool` with `arguments`; `log` is the file that it writes itself, `outputs` what must be there afterwards.

    Old logs and outputs are removed first, so that nothing of an earlier run is taken for this one's.
    Raises ToolFailedError, ToolCrashedError or OutputMissingError.
    """
    console = log.with_suffix(log.suffix + ".console")
    for path in (log, *outputs):
        path.unlink(missing_ok=True)
    try:
        with _console_to(console):
            code = tool(list(arguments))
    except wasmtime.Trap as trap:
        raise ToolCrashedError(name, str(trap).strip().splitlines()[-1], log.absolute(), _last_lines(log, console)) from trap
    except wasmtime.WasmtimeError as error:
        raise ToolCrashedError(name, str(error).strip().splitlines()[0], log.absolute(), _last_lines(log, console)) from error
    if code == 128 + signal.SIGINT:  # the runtime swallows Ctrl-C and reports it as a shell would
        raise KeyboardInterrupt
    if code != 0:
        raise ToolFailedError(name, code, log.absolute(), _last_lines(log, console))
    for path in outputs:
        if not path.is_file() or path.stat().st_size == 0:
            raise OutputMissingError(name, path.absolute())


@contextlib.contextmanager
def _console_to(path: Path) -> Iterator[None]:
    """Point descriptors 1 and 2 at `path`: the sandbox writes to them directly, past sys.stdout and sys.stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        with path.open("wb") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def _last_lines(log: Path, console: Path) -> list[str]:
    """The end of the log; of what was printed where the tool got no further than that."""
    for path in (log, console):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as lines:
            tail = [line.rstrip() for line in deque((line for line in lines if line.strip()), maxlen=LAST_LINES)]
            if tail:
                return tail
    return []
