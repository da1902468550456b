"""A node carries no FPGA tools and an auditor no web server: each extra, installed alone, is enough for its command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from thermogen_sim.command import main as simulate

ROOT = Path(__file__).parents[2]

EXTRAS = {
    "esf": (["thermogen-esf"], ["paho", "fastapi", "amaranth", "numpy", "base58"]),
    "verify": (["thermogen-verify"], ["paho", "fastapi", "amaranth", "numpy", "sqlalchemy"]),
    "edge": (["thermogen-edge"], ["fastapi", "amaranth", "numpy", "sqlalchemy", "solders"]),
    "cloud": (["thermogen-cloud"], ["amaranth", "pymodbus"]),
    "gateware": (["thermogen-build"], ["paho", "fastapi", "sqlalchemy"]),
    "sim": (["thermogen-sim"], ["paho", "fastapi", "sqlalchemy"]),
}


@pytest.fixture(scope="module")
def pins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lock's versions without its hashes, which pip does not take together with a local project."""
    path = tmp_path_factory.mktemp("pins") / "constraints.txt"
    lines = (line.removesuffix(" \\") for line in (ROOT / "requirements.lock").read_text().splitlines())
    path.write_text("\n".join(line for line in lines if re.match(r"[a-z0-9].*==", line)))
    return path


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a day's bundle, its companion and the root keys."""
    folder = tmp_path_factory.mktemp("attested")
    assert simulate(["fleet", "--sites", "5", "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone_runs_its_command_and_carries_nothing_else(extra: str, pins: Path, attested: Path, tmp_path: Path) -> None:
    commands, absent = EXTRAS[extra]
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", pins, f"{ROOT}[{extra}]"]
    subprocess.run(install, check=True, capture_output=True, text=True)
    for command in commands:
        shown = subprocess.run([environment / "bin" / command, "--help"], check=True, capture_output=True, text=True)
        assert command in shown.stdout
    if extra == "verify":
        files = ["tz-0000.bundle", "--root", "root.json", "--frames", "tz-0000.frames"]
        judged = subprocess.run([environment / "bin" / commands[0], *files], cwd=attested, capture_output=True, text=True, check=False)
        assert judged.returncode == 0 and "BELIEVED" in judged.stdout, judged.stdout + judged.stderr
    for module in absent:
        found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        assert found.returncode != 0, f"the extra {extra} brought {module}"
