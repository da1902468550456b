"""One site and one cloud on this machine: provisioned once, then started and stopped together.

Everything that lasts lies in the run directory (mode 0700):

    broker/   mosquitto's configuration, passwords and persisted messages
    cloud/    registry.sqlite, ledger.sqlite, cloud.key, trust.json, approver keys
    edge/     buffer.sqlite, site.key, profile.json
    plant/    the simulated plant's temperatures, charge and clock
    logs/     one file a process
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .broker import MOSQUITTO, BrokerFiles, configure, write_private
from .processes import ProcessError, Running, Supervisor, listening, require_free_port, wait_until
from .settings import RunSettings

APPROVER = "demo-approver"
START_S = 60.0
COMPILE_S = 900.0


class ProvisionError(Exception):
    """The first set-up of a run directory did not work."""


def program(name: str) -> str:
    """The path of one of our commands, in the environment that this interpreter belongs to."""
    return str(Path(sys.executable).parent / name)


@dataclass(frozen=True, slots=True)
class World:
    """The paths and addresses of one run."""

    settings: RunSettings

    @property
    def broker(self) -> BrokerFiles:
        return BrokerFiles(self.settings.run_dir / "broker")

    @property
    def cloud_dir(self) -> Path:
        return self.settings.run_dir / "cloud"

    @property
    def edge_dir(self) -> Path:
        return self.settings.run_dir / "edge"

    @property
    def plant_dir(self) -> Path:
        return self.settings.run_dir / "plant"

    @property
    def host_link(self) -> Path:
        return self.plant_dir / "host-link.sock"

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.settings.cloud_port}/"

    @property
    def approver_key(self) -> Path:
        return self.cloud_dir / "approvers" / f"{APPROVER}.key"

    @property
    def approver_passphrase_file(self) -> Path:
        return self.settings.run_dir / "approver.passphrase"

    @property
    def viewer_password_file(self) -> Path:
        return self.cloud_dir / "viewer.password"

    @property
    def trust(self) -> Path:
        return self.cloud_dir / "trust.json"

    @property
    def cloud_environment(self) -> dict[str, str]:
        return {
            "THERMOGEN_CLOUD_DIR": str(self.cloud_dir),
            "THERMOGEN_CLOUD_PORT": str(self.settings.cloud_port),
            "THERMOGEN_CLOUD_DEMONSTRATION": "1",
            "THERMOGEN_BROKER": f"mqtt://cloud@127.0.0.1:{self.settings.broker_port}",
            "THERMOGEN_BROKER_PASSWORD_FILE": str(self.broker.password_file("cloud")),
            "THERMOGEN_TOPIC_PREFIX": self.settings.topic_prefix,
        }

    @property
    def edge_environment(self) -> dict[str, str]:
        return {
            "THERMOGEN_SITE": self.settings.site,
            "THERMOGEN_EDGE_DIR": str(self.edge_dir),
            "THERMOGEN_HOST_LINK": f"unix:{self.host_link}",
            "THERMOGEN_RTU": f"tcp://127.0.0.1:{self.settings.rtu_port}",
            "THERMOGEN_CLOCK": f"gpsd://127.0.0.1:{self.settings.clock_port}",
            "THERMOGEN_BROKER": f"mqtt://{self.settings.site}@127.0.0.1:{self.settings.uplink_port}",
            "THERMOGEN_BROKER_PASSWORD_FILE": str(self.broker.password_file(self.settings.site)),
            "THERMOGEN_TOPIC_PREFIX": self.settings.topic_prefix,
            "THERMOGEN_CLOUD_KEYS": str(self.settings.run_dir / "cloud-keys.json"),
            "THERMOGEN_POLL_S": "0.05",
            "THERMOGEN_RETRY_S": "3",
        }


def _command(name: str, arguments: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run([program(name), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProvisionError(f"{name} {' '.join(arguments)} ended with exit code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def provision(world: World, wrong_key: bool = False) -> None:
    """Makes what the run directory does not have yet: passwords, keys, databases, enrolments. Repeating it changes nothing.

    `wrong_key` enrols another key than the one that the site signs with: the fault that a demonstration can ask for.
    """
    settings = world.settings
    settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.run_dir.chmod(0o700)
    configure(world.broker, settings.broker_port, settings.site, settings.topic_prefix)
    done = settings.run_dir / "provisioned"
    if done.exists():
        return
    cloud = json.loads(_command("thermogen-cloud", ["init"], world.cloud_environment))
    write_private(settings.run_dir / "cloud-keys.json", json.dumps({"cloud": [cloud["public_key"]]}))
    site = json.loads(_command("thermogen-edge", ["init", "--site", settings.site], world.edge_environment))
    enrolled = settings.run_dir / "site-public-key.hex"
    key = site["public_key"]
    if wrong_key:
        other = {**world.edge_environment, "THERMOGEN_EDGE_DIR": str(settings.run_dir / "other-edge")}
        key = json.loads(_command("thermogen-edge", ["init", "--site", settings.site], other))["public_key"]
    enrolled.write_text(key)
    _command("thermogen-cloud", ["enrol-site", "--name", settings.site, "--public-key", str(enrolled)], world.cloud_environment)
    passphrase = world.approver_passphrase_file
    if not passphrase.exists():
        write_private(passphrase, os.urandom(12).hex())
    _command(
        "thermogen-cloud",
        ["enrol-approver", "--name", APPROVER, "--role", "approver", "--passphrase-file", str(passphrase)],
        world.cloud_environment,
    )
    done.touch()


@dataclass(frozen=True, slots=True)
class Started:
    """The processes of a started world that others act on."""

    supervisor: Supervisor
    site: Running
    uplink: Running

    def cut_uplink(self) -> None:
        """Breaks the site's way to the broker."""
        self.uplink.process.send_signal(signal.SIGUSR1)

    def restore_uplink(self) -> None:
        """Mends the site's way to the broker."""
        self.uplink.process.send_signal(signal.SIGUSR2)


def compile_gateware(world: World) -> None:
    """Compiles the gateware for simulation, where it is not in the cache yet; progress goes to the terminal."""
    arguments = ["compile", "--clocks-per-site-second", str(world.settings.clocks_per_site_second)]
    if subprocess.run([program("thermogen-sim"), *arguments], check=False, stdout=sys.stderr).returncode != 0:
        raise ProvisionError("the gateware could not be compiled for simulation; the reason is above")


def start(world: World, supervisor: Supervisor) -> Started:
    """Starts broker, cloud, uplink, daemon and site, each once what it needs answers."""
    settings = world.settings
    for port, variable in (
        (settings.broker_port, "THERMOGEN_BROKER_PORT"),
        (settings.uplink_port, "THERMOGEN_UPLINK_PORT"),
        (settings.cloud_port, "THERMOGEN_CLOUD_PORT"),
        (settings.rtu_port, "THERMOGEN_RTU_PORT"),
        (settings.clock_port, "THERMOGEN_CLOCK_PORT"),
    ):
        require_free_port(port, variable)
    if not MOSQUITTO.exists():
        raise ProcessError("the MQTT broker mosquitto is not installed: run `make setup`")

    running = supervisor.running
    supervisor.start("broker", [MOSQUITTO, "-c", world.broker.configuration])
    wait_until(lambda: listening(settings.broker_port), "the broker listens", START_S, running)
    supervisor.start("cloud", [program("thermogen-cloud"), "serve"], world.cloud_environment)
    uplink = supervisor.start(
        "uplink",
        [program("thermogen-sim"), "uplink", "--listen", str(settings.uplink_port), "--to", str(settings.broker_port)],
    )
    wait_until(lambda: listening(settings.cloud_port), "the cloud listens", START_S, running)
    wait_until(lambda: listening(settings.uplink_port), "the uplink listens", START_S, running)
    world.plant_dir.mkdir(exist_ok=True, mode=0o700)
    site = supervisor.start("site", _site_command(world))
    wait_until(lambda: world.host_link.exists() and listening(settings.clock_port), "the site is ready to power up", COMPILE_S, running)
    supervisor.start("edge", [program("thermogen-edge"), "run"], world.edge_environment)
    return Started(supervisor, site, uplink)


def _site_command(world: World) -> list[str]:
    settings = world.settings
    command = [program("thermogen-sim"), *(("replay", settings.replay) if settings.replay else ("site",))]
    command += ["--name", settings.site, "--run-dir", str(world.plant_dir), "--host-link", str(world.host_link)]
    command += ["--rtu", str(settings.rtu_port), "--clock", str(settings.clock_port), "--pace", settings.pace]
    command += ["--clocks-per-site-second", str(settings.clocks_per_site_second), "--state", "warm"]
    return [*command, "--start", settings.start] if settings.start else command
