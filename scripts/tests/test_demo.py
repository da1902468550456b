"""`make demo` from outside: its one line of JSON, its files, and who refuses when something is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from thermogen_scripts.world import program

Environment = Callable[..., dict[str, str]]


COMMAND = [sys.executable, "-m", "thermogen_scripts.demo"]


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=1500)


def verify(bundle: Path, trust: Path) -> subprocess.CompletedProcess[str]:
    command = [program("thermogen-verify"), str(bundle), "--trust", str(trust)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_demonstration_ends_in_a_minted_credit_that_a_stranger_can_verify(environment: Environment, tmp_path: Path) -> None:
    done = demo(environment())
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result) == [
        "site",
        "frames",
        "batches",
        "verified_batches",
        "outage_s",
        "tonnes_co2e",
        "credit",
        "issued",
        "held",
        "retired",
        "cancelled",
        "bundle",
        "trust",
        "ledger",
    ]
    assert (result["frames"], result["batches"], result["verified_batches"]) == (2160, 24, 24)
    assert result["outage_s"] >= 900
    assert result["held"] + result["retired"] + result["cancelled"] == result["issued"] == result["ledger"]["supply"]
    assert Decimal(result["tonnes_co2e"]) == Decimal(result["issued"]).scaleb(-6) >= Decimal("0.001")
    bundle, trust = Path(result["bundle"]), Path(result["trust"])
    assert bundle.is_absolute() and trust.is_absolute()
    assert verify(bundle, trust).returncode == 0
    changed = bytearray(bundle.read_bytes())
    changed[len(changed) // 3] ^= 1
    (tmp_path / "changed.bundle").write_bytes(changed)
    assert verify(tmp_path / "changed.bundle", trust).returncode == 1
    (tmp_path / "cut.bundle").write_bytes(bundle.read_bytes()[:1000])
    assert verify(tmp_path / "cut.bundle", trust).returncode == 2


@pytest.mark.slow
def test_a_key_that_is_not_enrolled_is_refused_at_the_first_batch(environment: Environment) -> None:
    done = demo(environment(DEMO_FAULT="wrong-key"))
    assert done.returncode == 1
    assert "refused at verification of the batch" in done.stderr and "not in the trust list" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize(("fault", "step"), [("no-approval", "approval"), ("flip", "offline verification of the bundle")])
def test_the_step_that_refuses_is_named(environment: Environment, fault: str, step: str) -> None:
    done = demo(environment(DEMO_FAULT=fault))
    assert done.returncode == 1 and f"refused at {step}" in done.stderr
    assert not done.stdout, "a refused demonstration has no result"


def test_an_unknown_fault_says_which_there_are(environment: Environment) -> None:
    done = demo(environment(DEMO_FAULT="rain"))
    assert done.returncode == 2 and "flip, wrong-key, no-approval" in done.stderr


def test_a_port_in_use_is_named_before_anything_is_emptied(environment: Environment, tmp_path: Path) -> None:
    import socket

    kept = tmp_path / "run" / "trust.json"
    kept.parent.mkdir()
    (kept.parent / ".thermogen-demo").touch()
    kept.write_text("{}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = demo(environment(THERMOGEN_CLOUD_PORT=str(taken.getsockname()[1])))
    assert done.returncode == 1 and "set THERMOGEN_CLOUD_PORT to a free port" in done.stderr
    assert kept.exists()
