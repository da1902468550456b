"""`make demo` from outside: its one line of JSON, its files, and who refuses when something is wrong."""

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import thermogen_sim
from rich.progress import Progress
from thermogen_esf.frames import Batch, Telemetry, decode
from thermogen_scripts.demo import Demonstration, reporting
from thermogen_scripts.launch import start_broker, start_cloud
from thermogen_scripts.picture_page import picture_demonstration
from thermogen_scripts.processes import Supervisor
from thermogen_scripts.provision import provision
from thermogen_scripts.run_directory import RunDirectoryError
from thermogen_scripts.settings import read_settings
from thermogen_scripts.world import World, program
from thermogen_sim.series import read_series

from .conftest import run_environment

Environment = Callable[..., dict[str, str]]
Whole = tuple[dict[str, str], subprocess.CompletedProcess[str]]


SERIES = Path(thermogen_sim.__file__).parent / "data" / "greensboro-january.csv"
COMMAND = [sys.executable, "-m", "thermogen_scripts.demo"]


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=1500)


def verify(bundle: Path, trust: Path) -> subprocess.CompletedProcess[str]:
    command = [program("thermogen-verify"), str(bundle), "--trust", str(trust)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A demonstration from its beginning to its end: its environment, and how it ended."""
    environment = run_environment(tmp_path_factory.mktemp("demo"))
    return environment, demo(environment)


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_demonstration_ends_in_a_minted_credit_that_a_stranger_can_verify(whole: Whole, tmp_path: Path) -> None:
    _, done = whole
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


def before_its_mint(finished: Path, directory: Path) -> None:
    """A copy of a demonstration's run directory as it was when all its epochs were believed and nobody had asked for a mint."""
    shutil.copytree(finished, directory, ignore=shutil.ignore_patterns("*.sock", "ledger.sqlite*", "*.bundle"))
    with closing(sqlite3.connect(directory / "cloud" / "registry.sqlite")) as registry, registry:
        for table in ("consumed_epochs", "credits", "approvals", "mint_requests"):
            registry.execute(f"DELETE FROM {table}")


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_steps_after_belief_refuse_without_an_approval_and_after_a_flipped_bit(
    whole: Whole, environment: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(read_settings(environment()))
    before_its_mint(Path(whole[0]["THERMOGEN_RUN_DIR"]), world.settings.run_dir)
    provision(world)

    def ends(fault: str, step: Callable[[Demonstration], dict[str, Any]]) -> tuple[int, str, str]:
        """How a demonstration with that fault ends that has got as far as `step`."""

        def action(progress: Progress) -> dict[str, Any]:
            first = min(batch["epoch"] for batch in cloud.get(f"batches?site={world.settings.site}"))
            return step(Demonstration(world.settings, world, programs, cloud, fault, first, progress))

        code = reporting(action)
        said = capsys.readouterr()
        return code, said.out, said.err

    with Supervisor(world.settings.run_dir / "logs") as supervisor:
        programs = {"broker": start_broker(world, supervisor), "cloud": start_cloud(world, supervisor)}
        cloud = world.client()
        code, out, err = ends("no-approval", lambda demonstration: demonstration.mint()[1])
        assert (code, out) == (1, "") and "refused at approval" in err and "nothing was minted" in err
        assert (cloud.get("accounting")["issued"], cloud.get("credits")) == (0, [])
        code, out, err = ends("", lambda demonstration: demonstration.mint()[1])
        assert code == 0, err
        serial = json.loads(out)["serial"]
        code, out, err = ends("flip", lambda demonstration: {"bundle": str(demonstration.verify(serial))})
        assert (code, out) == (1, "") and "refused at offline verification of the bundle" in err
        code, out, err = ends("", lambda demonstration: {"bundle": str(demonstration.verify(serial))})
        assert code == 0, err
        assert verify(Path(json.loads(out)["bundle"]), world.trust).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_page_of_a_finished_demonstration_can_be_pictured(whole: Whole, tmp_path: Path) -> None:
    picture_demonstration(World(read_settings(whole[0])), tmp_path / "page.png")
    picture = (tmp_path / "page.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG") and width == 1280 and height > 1500, "24 batches are a long page"


def test_what_is_no_demonstration_is_not_pictured(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="make demo"):
        picture_demonstration(World(read_settings(environment())), tmp_path / "page.png")


@pytest.mark.soak
@pytest.mark.timeout(1600)
def test_a_demonstration_on_a_recorded_series_measures_what_the_series_says(environment: Environment) -> None:
    series = read_series(SERIES)
    chosen = environment(THERMOGEN_REPLAY=str(SERIES), THERMOGEN_START="")
    done = demo(chosen)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["frames"], result["batches"], result["verified_batches"]) == (2160, 24, 24)
    assert result["held"] == result["issued"] == result["ledger"]["supply"] >= 1_000
    with closing(sqlite3.connect(Path(chosen["THERMOGEN_RUN_DIR"]) / "cloud" / "registry.sqlite")) as registry:
        batches = [decode(body) for (body,) in registry.execute("SELECT body FROM batches ORDER BY epoch LIMIT 24")]
    leaves = [Telemetry(leaf) for batch in batches if isinstance(batch, Batch) for leaf in batch.leaves]
    assert leaves[0].header.time - series.start < 900, "the site begins where the series does"
    for leaf in leaves[5:]:  # the first ones are older than the first reading of the site's sensors
        then = series.at(leaf.header.time)
        assert float(leaf.value("ambient_temperature")) == pytest.approx(then.ambient_degc, abs=0.1)
        assert float(leaf.value("load_power")) == pytest.approx(then.load_w, abs=1)
        assert float(leaf.value("gas_flow")) <= then.gas_available_mcf_d + 0.01, "the burner takes no more than there is"


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
