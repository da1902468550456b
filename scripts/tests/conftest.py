"""Worlds on ports of their own, so that tests run beside whatever runs here."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

NAMES = ("BROKER", "UPLINK", "CLOUD", "RTU", "CLOCK")


@pytest.fixture
def environment(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Settings of a run in `tmp_path` on free ports; `changed` goes on top."""

    def made(**changed: str) -> dict[str, str]:
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in NAMES]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            ports = {f"THERMOGEN_{name}_PORT": str(probe.getsockname()[1]) for name, probe in zip(NAMES, probes, strict=True)}
        chosen = {"THERMOGEN_RUN_DIR": str(tmp_path / "run"), "THERMOGEN_PACE": "max", "THERMOGEN_START": "2026-06-01T00:00:01Z"}
        return {**ports, **chosen, **changed}

    return made
