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

CRASHED = 70
"""Exit code of a tool that died; what it died of is the last line of standard error."""


def main() -> int:
    """Run the tool; the return value is its own exit code, or CRASHED."""
    threading.Thread(target=_end_with_our_starter, daemon=True).start()
    package, function, *arguments = sys.argv[1:]
    try:
        code: int = getattr(importlib.import_module(package), function)(arguments)
    except wasmtime.Trap as trap:
        return _crashed(str(trap).strip().splitlines()[-1])
    except wasmtime.WasmtimeError as error:
        return _crashed(str(error).strip().splitlines()[0])
    return code


def _crashed(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return CRASHED


def _end_with_our_starter() -> None:
    os.read(0, 1)
    os._exit(CRASHED)


if __name__ == "__main__":
    sys.exit(main())
