"""The first set-up of a run directory: passwords, keys, databases, enrolments, and the compiled gateware."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .broker import MOSQUITTO, configure, write_private
from .world import World, program


class ProvisionError(Exception):
    """The first set-up of a run directory did not work."""


def run_command(name: str, arguments: Sequence[str], environment: dict[str, str]) -> str:
    """What one of our commands prints; ProvisionError where it ends with another exit code than 0."""
    done = subprocess.run([program(name), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProvisionError(f"{name} {' '.join(arguments)} ended with exit code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def provision(world: World, wrong_key: bool = False) -> None:
    """Makes what the run directory does not have yet: passwords, keys, databases, enrolments. Repeating it changes nothing.

    `wrong_key` enrols another key than the one that the site signs with: the fault that a demonstration can ask for.
    """
    settings = world.settings
    if not MOSQUITTO.exists():
        raise ProvisionError("the MQTT broker mosquitto is not installed: run `make setup`")
    try:
        settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.run_dir.chmod(0o700)
        done = settings.run_dir / "provisioned.json"
        made_for = {
            "THERMOGEN_SITE": settings.site,
            "THERMOGEN_CLOCKS_PER_SITE_SECOND": settings.clocks_per_site_second,
            "THERMOGEN_APPROVER": settings.approver,
        }
        if done.exists():
            _require_same(json.loads(done.read_text()), made_for, settings.run_dir)
        configure(world.broker, settings.broker_port, (settings.site,), settings.topic_prefix)
        if not done.exists():
            _enrol(world, wrong_key)
            write_private(done, json.dumps(made_for))
    except OSError as error:
        raise ProvisionError(f"{settings.run_dir}: {error}: make room or give write access there, or set THERMOGEN_RUN_DIR") from error
    except subprocess.CalledProcessError as error:
        raise ProvisionError(f"{error.cmd[0]} ended with exit code {error.returncode}: {error.stderr.decode(errors='replace')}") from error


def _require_same(before: dict[str, object], now: dict[str, object], run_dir: Path) -> None:
    for variable, value in now.items():
        if before.get(variable, value) != value:
            raise ProvisionError(
                f"{run_dir} was made with {variable}={before[variable]}, now it is {value}: set it back, or take a new THERMOGEN_RUN_DIR"
            )


def _enrol(world: World, wrong_key: bool) -> None:
    """Keys, database and trust list of a new run directory."""
    settings = world.settings
    cloud = json.loads(run_command("thermogen-cloud", ["init"], world.cloud_environment))
    write_private(settings.run_dir / "cloud-keys.json", json.dumps({"cloud": [cloud["public_key"]]}))
    site = json.loads(run_command("thermogen-edge", ["init", "--site", settings.site], world.edge_environment))
    enrolled = settings.run_dir / "site-public-key.hex"
    key = site["public_key"]
    if wrong_key:
        other = {**world.edge_environment, "THERMOGEN_EDGE_DIR": str(settings.run_dir / "other-edge")}
        key = json.loads(run_command("thermogen-edge", ["init", "--site", settings.site], other))["public_key"]
    enrolled.write_text(key)
    enrol = ["enrol-site", "--name", settings.site, "--public-key", str(enrolled)]
    enrol += ["--clocks-per-site-second", str(settings.clocks_per_site_second)]
    run_command("thermogen-cloud", enrol, world.cloud_environment)
    passphrase = world.approver_passphrase_file
    if not passphrase.exists():
        write_private(passphrase, os.urandom(12).hex())
    run_command(
        "thermogen-cloud",
        ["enrol-approver", "--name", settings.approver, "--role", "approver", "--passphrase-file", str(passphrase)],
        world.cloud_environment,
    )


def compile_gateware(clocks_per_site_second: int, *options: str) -> None:
    """Compiles the gateware for simulation, where it is not in the cache yet; progress goes to the terminal."""
    arguments = ["compile", "--clocks-per-site-second", str(clocks_per_site_second), *options]
    if subprocess.run([program("thermogen-sim"), *arguments], check=False, stdout=sys.stderr).returncode != 0:
        raise ProvisionError("the gateware could not be compiled for simulation; the reason is above")
