"""Five sites and a cloud on this machine: where their files lie, on which ports they listen, and what each program is told.

broker/, cloud/, logs/   as in `thermogen_scripts.world`
sites/NAME/edge          the daemon's directory
sites/NAME/plant         the simulated site's, with the node's key
ceremony/                root keys, certificates, enrolments and the trust list
attestation/             what a witness believes
"""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..broker import BrokerFiles
from ..cloud_client import CloudClient
from ..settings import CLOUD_USER

PREFIX = "tz/v1"
CLOCKS_PER_SITE_SECOND = 10_000
VIEWER = "viewer"


def free_ports(count: int) -> list[int]:
    """So many loopback ports that nobody uses now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@dataclass(frozen=True)
class Site:
    """One site: its name, its paths and its ports."""

    name: str
    directory: Path
    rtu_port: int
    clock_port: int
    pace: int
    """Site seconds a wall second: less for a site of which only few seals are wanted."""
    forges: bool = False
    """Whether its Linux side is compromised."""

    @property
    def edge(self) -> Path:
        """The daemon's directory."""
        return self.directory / "edge"

    @property
    def plant(self) -> Path:
        """The simulated site's directory."""
        return self.directory / "plant"

    @property
    def host_link(self) -> Path:
        """The node's socket."""
        return self.plant / "host-link.sock"


@dataclass(frozen=True)
class FleetWorld:
    """The paths and addresses of one run."""

    directory: Path
    sites: tuple[Site, ...]
    broker_port: int
    cloud_port: int

    @property
    def broker(self) -> BrokerFiles:
        """The broker's files."""
        return BrokerFiles(self.directory / "broker")

    @property
    def names(self) -> tuple[str, ...]:
        """The sites'."""
        return tuple(site.name for site in self.sites)

    @property
    def cloud_directory(self) -> Path:
        """The cloud's."""
        return self.directory / "cloud"

    @property
    def ceremony(self) -> Path:
        """Everything that people made."""
        return self.directory / "ceremony"

    @property
    def root_keys(self) -> Path:
        """The pin."""
        return self.ceremony / "root.json"

    @property
    def enrolments(self) -> Path:
        """Every site's enrolment."""
        return self.ceremony / "sites"

    @property
    def attestation(self) -> Path:
        """What a witness believes."""
        return self.directory / "attestation"

    @property
    def log_address(self) -> str:
        """The attestation's API."""
        return f"http://127.0.0.1:{self.cloud_port}/api/v1/attestation"

    @property
    def viewer_password_file(self) -> Path:
        """The API's password, once the cloud is set up."""
        return self.cloud_directory / "viewer.password"

    def client(self) -> CloudClient:
        """The API with the viewer's password."""
        return CloudClient(f"http://127.0.0.1:{self.cloud_port}/api/v1/", VIEWER, self.viewer_password_file.read_text().strip())

    @property
    def cloud_environment(self) -> dict[str, str]:
        """What the cloud is told."""
        return {
            "THERMOGEN_CLOUD_DIR": str(self.cloud_directory),
            "THERMOGEN_CLOUD_PORT": str(self.cloud_port),
            "THERMOGEN_CLOUD_DEMONSTRATION": "1",
            "THERMOGEN_API_PREFIX": "/api/v1",
            "THERMOGEN_VIEWER": VIEWER,
            "THERMOGEN_VIEWER_PASSWORD_FILE": "",
            "THERMOGEN_BROKER": f"mqtt://{CLOUD_USER}@127.0.0.1:{self.broker_port}",
            "THERMOGEN_BROKER_PASSWORD_FILE": str(self.broker.password_file(CLOUD_USER)),
            "THERMOGEN_TOPIC_PREFIX": PREFIX,
        }

    def edge_environment(self, site: Site) -> dict[str, str]:
        """What a site's daemon is told."""
        return {
            "THERMOGEN_SITE": site.name,
            "THERMOGEN_EDGE_DIR": str(site.edge),
            "THERMOGEN_HOST_LINK": f"unix:{site.host_link}",
            "THERMOGEN_RTU": f"tcp://127.0.0.1:{site.rtu_port}",
            "THERMOGEN_CLOCK": f"gpsd://127.0.0.1:{site.clock_port}",
            "THERMOGEN_BROKER": f"mqtt://{site.name}@127.0.0.1:{self.broker_port}",
            "THERMOGEN_BROKER_PASSWORD_FILE": str(self.broker.password_file(site.name)),
            "THERMOGEN_TOPIC_PREFIX": PREFIX,
            "THERMOGEN_CLOUD_KEYS": str(self.directory / "cloud-keys.json"),
            "THERMOGEN_ATTESTATION": str(self.attestation),
            "THERMOGEN_POLL_S": "0.1",
            "THERMOGEN_RETRY_S": "1",
        }

    def daemon_command(self, site: Site) -> list[str]:
        """The product's daemon, or what a compromised host runs in its place."""
        if site.forges:
            return [sys.executable, "-m", "thermogen_scripts.daemon_fleet.compromised_host", "run"]
        return [str(Path(sys.executable).parent / "thermogen-edge"), "run"]
