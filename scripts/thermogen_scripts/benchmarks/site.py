"""A whole site and cloud at full speed: simulated clocks per second beside Amaranth's own simulator, and the daemon's memory."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from amaranth.sim import Simulator
from thermogen_gateware.node import Node

from ..cloud_client import CloudClient
from ..launch import start_all
from ..processes import Running, Supervisor, wait_until
from ..provision import compile_gateware, provision
from ..settings import read_settings
from ..world import World
from . import receiving
from .measurement import Row
from .memory import mib_of_libraries, resident_mib

TOPIC = "simulated site"
EPOCHS = 3
PEER_CLOCKS = 1_000
NODE_HZ = 50e6


def measure() -> list[Row]:
    """Runs a site as fast as it goes until a few of its batches are believed, then measures the receiver with them."""
    with tempfile.TemporaryDirectory() as directory:
        chosen = {"THERMOGEN_RUN_DIR": str(Path(directory) / "run"), "THERMOGEN_PACE": "max"}
        world = World(read_settings(defaults={**chosen, "THERMOGEN_START": "2026-06-01T00:00:01Z"}))
        compile_gateware(world.settings.clocks_per_site_second)
        provision(world)
        with Supervisor(world.settings.run_dir / "logs") as supervisor:
            programs = start_all(world, supervisor)
            cloud = world.client()
            begin = _progress(programs["site"])
            wait_until(_believed(cloud, world.settings.site, 1), "the first epoch is believed", 300, supervisor.running)
            begin, begin_s = _progress(programs["site"]), time.monotonic()
            wait_until(_believed(cloud, world.settings.site, EPOCHS), "a few epochs are believed", 300, supervisor.running)
            end, seconds = _progress(programs["site"]), time.monotonic() - begin_s
            memory = resident_mib(programs["edge"].process.pid)
            hashes = [batch["hash"] for batch in cloud.get(f"batches?site={world.settings.site}")][::-1]
            messages = [cloud.bytes(f"batches/{each}/frame") for each in hashes]
        received = receiving.measure(world.cloud_dir, world.settings.site, messages)
    clocks, site_s = ((end[name] - begin[name]) / seconds for name in ("clocks", "site_time"))
    peer = _peer_clocks_per_s()
    libraries = mib_of_libraries("thermogen_edge.command")
    return [
        Row(TOPIC, "clocks, both products and the plant", clocks, "clocks/s", f"{clocks / NODE_HZ:.4f}x of real time"),
        Row(TOPIC, "Amaranth's own simulator, the node alone", peer, "clocks/s", f"{peer / clocks:.5f}x of ours"),
        Row(
            TOPIC,
            "site seconds",
            site_s,
            "site s/s",
            f"{site_s:.0f}x of real time at {world.settings.clocks_per_site_second} clocks a site second",
        ),
        Row("daemon", "resident memory", memory, "MiB", f"{memory / libraries:.2f}x of its libraries alone"),
        Row(
            "daemon",
            "a Python that has imported its libraries and does nothing",
            libraries,
            "MiB",
            f"{libraries / memory:.2f}x of the daemon",
        ),
        *received,
    ]


def _believed(cloud: CloudClient, site: str, count: int) -> Callable[[], bool]:
    return lambda: sum(batch["status"] == "believed" for batch in cloud.get(f"batches?site={site}")) >= count


def _progress(site: Running) -> dict[str, float]:
    """The site's last status line; zeros before the first."""
    for line in reversed(site.last_lines(20).splitlines()):
        try:
            status = json.loads(line)
            return {"clocks": float(status["clocks"]), "site_time": float(status["site_time"])}
        except (ValueError, KeyError, TypeError):
            continue
    return {"clocks": 0.0, "site_time": 0.0}


def _peer_clocks_per_s() -> float:
    simulator = Simulator(Node())
    simulator.add_clock(1 / NODE_HZ)
    begin = time.process_time()
    simulator.run_until(PEER_CLOCKS / NODE_HZ)
    return PEER_CLOCKS / (time.process_time() - begin)
