"""Resident memory of a program, and of a Python that has imported the same libraries and nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_IMPORTED = """
import json, sys, {module}
print(json.dumps([name for name in sys.modules if not name.startswith(("thermogen_", "__"))]))
"""
_WITH_LIBRARIES = """
import contextlib, importlib, json, sys
for name in json.load(sys.stdin):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
print(open("/proc/self/status").read())
"""


def resident_mib(pid: int) -> float:
    """Resident memory of a running process."""
    return _resident_mib(Path(f"/proc/{pid}/status").read_text())


def libraries_of(module: str) -> list[str]:
    """What importing our `module` loads that is not ours, in the order in which it comes."""
    done = subprocess.run([sys.executable, "-c", _IMPORTED.format(module=module)], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout)
    return names


def mib_of_libraries(module: str) -> float:
    """Resident memory of a Python that has imported `libraries_of(module)` and does nothing."""
    names = json.dumps(libraries_of(module))
    done = subprocess.run([sys.executable, "-c", _WITH_LIBRARIES], input=names, capture_output=True, text=True, check=True)
    return _resident_mib(done.stdout)


def _resident_mib(status: str) -> float:
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError("a process has no resident memory: it has ended")
