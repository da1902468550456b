"""`python -m thermogen_gateware.build.wasm_tool PACKAGE FUNCTION ARGUMENT…`: one tool of WebAssembly, in a process of its own.

So it can be stopped, what it prints goes where that process's output goes, and a crash is told from a refusal. The process ends with the
one that started it: that one holds the other end of its standard input.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading

import wasmtime

CRASHED, NOT_STARTED = 70, 71
"""Exit codes of a tool that died, and of one that never began to run; why is the last line of standard error."""


def main() -> int:
    """Run the tool; the return value is its own exit code, CRASHED or NOT_STARTED."""
    threading.Thread(target=_end_with_our_starter, daemon=True).start()
    package, function, *arguments = sys.argv[1:]
    try:
        code: int = getattr(importlib.import_module(package), function)(arguments)
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        return _died(CRASHED, error)
    except Exception as error:
        return _died(NOT_STARTED, error)
    return code


def _died(code: int, error: Exception) -> int:
    lines = str(error).strip().splitlines() or [""]
    # A trap ends with what it is, an error of the runtime begins with it.
    sys.stderr.write(f"{type(error).__name__}: {lines[-1] if isinstance(error, wasmtime.Trap) else lines[0]}\n")
    return code


def _end_with_our_starter() -> None:
    os.read(0, 1)
    os._exit(CRASHED)


if __name__ == "__main__":
    sys.exit(main())
