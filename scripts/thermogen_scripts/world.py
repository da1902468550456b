"""One site and one cloud on this machine: where their files lie and what each program is told.

Everything that lasts lies in the run directory (mode 0700):

    broker/   mosquitto's configuration, passwords and persisted messages
    cloud/    registry.sqlite, ledger.sqlite, cloud.key, trust.json, approver keys
    edge/     buffer.sqlite, site.key, profile.json
    plant/    the simulated plant's temperatures, charge and clock
    logs/     one file a process
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .broker import BrokerFiles
from .cloud_client import CloudClient
from .settings import RunSettings


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
    def api(self) -> str:
        return f"{self.page.rstrip('/')}{self.settings.api_prefix}/"

    def client(self) -> CloudClient:
        """The API with the viewer's password, which is there once the cloud is set up."""
        return CloudClient(self.api, self.settings.viewer, self.viewer_password_file.read_text().strip())

    @property
    def approver_key(self) -> Path:
        return self.cloud_dir / "approvers" / f"{self.settings.approver}.key"

    @property
    def approver_passphrase_file(self) -> Path:
        return self.settings.approver_passphrase_file or self.settings.run_dir / "approver.passphrase"

    @property
    def viewer_password_file(self) -> Path:
        return self.settings.viewer_password_file or self.cloud_dir / "viewer.password"

    @property
    def trust(self) -> Path:
        return self.cloud_dir / "trust.json"

    @property
    def cloud_environment(self) -> dict[str, str]:
        return {
            "THERMOGEN_CLOUD_DIR": str(self.cloud_dir),
            "THERMOGEN_CLOUD_PORT": str(self.settings.cloud_port),
            "THERMOGEN_CLOUD_DEMONSTRATION": "1",
            "THERMOGEN_API_PREFIX": self.settings.api_prefix,
            "THERMOGEN_VIEWER": self.settings.viewer,
            "THERMOGEN_VIEWER_PASSWORD_FILE": str(self.settings.viewer_password_file or ""),
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
