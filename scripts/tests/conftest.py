"""Worlds on ports of their own, so that tests run beside whatever runs here."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

NAMES = ("BROKER", "UPLINK", "CLOUD", "RTU", "CLOCK")


def run_environment(directory: Path, **changed: str) -> dict[str, str]:
    """Settings of a run in `directory` on free ports; `changed` goes on top."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in NAMES]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = {f"THERMOGEN_{name}_PORT": str(probe.getsockname()[1]) for name, probe in zip(NAMES, probes, strict=True)}
    chosen = {"THERMOGEN_RUN_DIR": str(directory / "run"), "THERMOGEN_PACE": "max", "THERMOGEN_START": "2026-06-01T00:00:01Z"}
    return {**ports, **chosen, **changed}


@pytest.fixture
def environment(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Makes the settings of a run in the test's own directory."""
    return partial(run_environment, tmp_path)
