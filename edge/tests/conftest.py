"""Fixtures of the daemon's tests: a node model, the services around it, and a whole site with the daemon as a process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from thermogen_edge.buffer import Buffer
from thermogen_edge.command import initialise
from thermogen_esf.signatures import SigningKey

from .node_model import NodeModel, NodeServer
from .site_services import Broker, CloudStub, DaemonProcess, GpsdModel

SITE = "tz-test-site"
START_S = 1_780_272_000
"""2026-06-01T00:00:00Z, a quarter-hour's beginning."""


@pytest.fixture
def site_key() -> SigningKey:
    return SigningKey.from_seed(bytes(31) + b"S")


@pytest.fixture
def model() -> NodeModel:
    return NodeModel(START_S)


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    opened = Buffer(tmp_path / "buffer.sqlite", 10_000_000)
    yield opened
    opened.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path / "broker", SITE)
    started.start()
    yield started
    started.kill()


@pytest.fixture
def cloud(broker: Broker) -> Iterator[CloudStub]:
    stub = CloudStub(broker.port, SITE)
    yield stub
    stub.close()


@pytest.fixture
def clock(model: NodeModel) -> Iterator[GpsdModel]:
    served = GpsdModel(lambda: model.plant_time_s)
    yield served
    served.close()


@dataclass
class Site:
    """A whole site: node model, clock, broker, cloud stub, and the daemon's process, not started yet."""

    model: NodeModel
    node: NodeServer
    clock: GpsdModel
    broker: Broker
    cloud: CloudStub
    daemon: DaemonProcess
    edge_dir: Path
    public_key: bytes


@pytest.fixture
def site(model: NodeModel, clock: GpsdModel, broker: Broker, cloud: CloudStub, tmp_path: Path) -> Iterator[Site]:
    edge_dir = tmp_path / "edge"
    made = initialise(edge_dir, SITE)
    node = NodeServer(model, tmp_path / "node.sock")
    keys = tmp_path / "cloud-keys.json"
    keys.write_text(json.dumps({"cloud": [cloud.key.public_key.hex()]}))
    environment = {
        "THERMOGEN_SITE": SITE,
        "THERMOGEN_EDGE_DIR": str(edge_dir),
        "THERMOGEN_HOST_LINK": f"unix:{tmp_path / 'node.sock'}",
        "THERMOGEN_CLOCK": f"gpsd://127.0.0.1:{clock.port}",
        "THERMOGEN_BROKER": f"mqtt://{SITE}@127.0.0.1:{broker.port}",
        "THERMOGEN_BROKER_PASSWORD_FILE": str(broker.password_file),
        "THERMOGEN_CLOUD_KEYS": str(keys),
        "THERMOGEN_POLL_S": "0.01",
        "THERMOGEN_RETRY_S": "1",
    }
    daemon = DaemonProcess(environment, tmp_path / "edge.log")
    yield Site(model, node, clock, broker, cloud, daemon, edge_dir, bytes.fromhex(made["public_key"]))
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.kill()
    node.close()
