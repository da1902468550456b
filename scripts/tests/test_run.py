"""`make run` from outside: it says where things are, Ctrl-C leaves nothing behind, and a second run carries on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from thermogen_scripts.cloud_client import ApiError
from thermogen_scripts.processes import listening, wait_until
from thermogen_scripts.settings import read_settings
from thermogen_scripts.world import World

Environment = Callable[..., dict[str, str]]
SITE = "tz-wellpad-alpha-01"


@contextmanager
def running(environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as log:
        command = [sys.executable, "-m", "thermogen_scripts.run"]
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: b"Ctrl-C stops it" in output.read_bytes() or process.poll() is not None, "the run is up", 300)
            assert process.poll() is None, output.read_text()
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def believed(environment: dict[str, str]) -> list[dict[str, Any]]:
    try:
        batches: list[dict[str, Any]] = World(read_settings(environment)).client().get(f"batches?site={SITE}")
    except ApiError:
        return []
    return sorted((batch for batch in batches if batch["status"] == "believed"), key=lambda batch: int(batch["number"]))


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_running_and_a_second_run_carries_on(environment: Environment, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("chosen by the operator")
    credentials = {"THERMOGEN_VIEWER": "ada", "THERMOGEN_VIEWER_PASSWORD_FILE": str(secret), "THERMOGEN_APPROVER": "grace"}
    chosen = environment(THERMOGEN_API_PREFIX="/credits/v9", THERMOGEN_APPROVER_PASSPHRASE_FILE=str(secret), **credentials)
    with running(chosen, tmp_path / "first.log") as first:
        wait_until(lambda: len(believed(chosen)) >= 1, "a first epoch is believed", 240)
    assert first.returncode == 0
    for name, value in chosen.items():
        assert not name.endswith("_PORT") or not listening(int(value)), name
    with running(chosen, tmp_path / "second.log"):
        wait_until(lambda: any(batch["boot_count"] == 2 and batch["count"] == 90 for batch in believed(chosen)), "boot 2 is believed", 240)
        batches = believed(chosen)
    assert len({batch["epoch"] for batch in batches}) == len(batches)
    assert [batch["number"] for batch in batches] == sorted(batch["number"] for batch in batches)
    for before, after in pairwise(batches):
        if after["number"] == before["number"] + 1:
            assert after["first_sequence"] == before["last_sequence"] + 1


@pytest.mark.slow
def test_a_directory_made_for_other_settings_is_not_run(environment: Environment, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "provisioned.json").write_text('{"THERMOGEN_SITE": "tz-other", "THERMOGEN_CLOCKS_PER_SITE_SECOND": 10000}')
    command = [sys.executable, "-m", "thermogen_scripts.run"]
    done = subprocess.run(command, env={**os.environ, **environment()}, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1 and "was made with THERMOGEN_SITE=tz-other" in done.stderr
