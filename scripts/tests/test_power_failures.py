"""Broker, cloud and daemon are killed at random moments of an upload: nothing is lost, stored twice or minted twice."""

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from thermogen_scripts.cloud_client import ApiError, CloudClient
from thermogen_scripts.launch import site_time, start_all, start_broker, start_cloud, start_edge
from thermogen_scripts.processes import Supervisor, wait_until
from thermogen_scripts.provision import compile_gateware, provision
from thermogen_scripts.settings import read_settings
from thermogen_scripts.world import World

EPOCH_S = 900
START = {"broker": start_broker, "cloud": start_cloud, "edge": start_edge}
ADVANCE_S = 120
"""Wall seconds within which the site must get through an epoch."""


def free_ports(count: int) -> Iterator[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    yield from [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    names = ("BROKER", "UPLINK", "CLOUD", "RTU", "CLOCK")
    ports = {f"THERMOGEN_{name}_PORT": str(port) for name, port in zip(names, list(free_ports(len(names))), strict=True)}
    chosen = {"THERMOGEN_RUN_DIR": str(tmp_path / "run"), "THERMOGEN_PACE": "120", "THERMOGEN_START": "2026-06-01T00:00:01Z"}
    return World(read_settings({**ports, **chosen}))


def balanced(cloud: CloudClient) -> bool:
    accounting = cloud.get("accounting")
    return bool(accounting["held"] + accounting["retired"] + accounting["cancelled"] == accounting["issued"])


@pytest.mark.parametrize(
    "kills",
    [pytest.param(20, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.soak)],
)
def test_no_frame_is_lost_and_none_is_stored_twice(world: World, kills: int) -> None:
    chance = random.Random(kills)
    compile_gateware(world)
    provision(world)
    with Supervisor(world.settings.run_dir / "logs") as supervisor:
        programs = start_all(world, supervisor)
        site = programs["site"]
        cloud = CloudClient(world.page, world.viewer_password_file.read_text().strip())
        wait_until(lambda: site_time(site) > 0, "the site reports its time", 60, supervisor.running)
        for number in range(kills):
            after_seal = site_time(site) // EPOCH_S * EPOCH_S + (EPOCH_S if number % 2 == 0 else 0)
            moment = max(site_time(site), after_seal) + chance.randrange(150)
            wait_until(lambda moment=moment: site_time(site) >= moment, f"site time {moment}", ADVANCE_S, supervisor.running)
            victim = chance.choice(sorted(START))
            supervisor.kill(programs[victim])
            programs[victim] = START[victim](world, supervisor)
            assert balanced(cloud), f"after kill {number} ({victim})"
        last = site_time(site) // EPOCH_S

        def batches() -> list[dict[str, int]]:
            try:
                return [batch for batch in cloud.get(f"batches?site={world.settings.site}") if batch["epoch"] < last]
            except ApiError:
                return []

        def complete() -> bool:
            epochs = [batch["epoch"] for batch in batches()]
            return bool(epochs) and max(epochs) == last - 1 and all(batch["status"] == "believed" for batch in batches())

        wait_until(complete, f"all batches to epoch {last - 1} are believed", 120, supervisor.running)
        arrived = sorted(batches(), key=lambda batch: batch["first_sequence"])
        expected = arrived[0]["first_sequence"]
        for batch in arrived:
            assert batch["first_sequence"] == expected, f"frames lost or repeated before epoch {batch['epoch']}"
            expected += batch["count"]
        assert len({batch["epoch"] for batch in arrived}) == len(arrived) == last - arrived[0]["epoch"]
