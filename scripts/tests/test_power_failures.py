"""Broker, cloud and daemon are killed at random moments of an upload: nothing is lost, stored twice or minted twice."""

import os
import random
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from thermogen_scripts.cloud_client import ApiError, CloudClient
from thermogen_scripts.launch import site_time, start_all, start_broker, start_cloud, start_edge
from thermogen_scripts.processes import Running, Supervisor, wait_until
from thermogen_scripts.provision import compile_gateware, provision
from thermogen_scripts.settings import read_settings
from thermogen_scripts.world import World, program

EPOCH_S = 900
START = {"broker": start_broker, "cloud": start_cloud, "edge": start_edge}
ADVANCE_S = 120
"""Wall seconds within which the site must get through an epoch."""


@pytest.fixture
def world(environment: Callable[..., dict[str, str]]) -> World:
    return World(read_settings(environment()))


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
            moment = (site_time(site) // EPOCH_S + 1) * EPOCH_S + chance.randrange(200)
            wait_until(lambda moment=moment: site_time(site) >= moment, f"site time {moment}", ADVANCE_S, supervisor.running)
            victim = chance.choice(sorted(START))
            supervisor.kill(programs[victim])
            programs[victim] = START[victim](world, supervisor)
            assert balanced(cloud), f"after kill {number} ({victim})"
        last = site_time(site) // EPOCH_S

        def batches() -> list[dict[str, Any]]:
            try:
                return [batch for batch in cloud.get(f"batches?site={world.settings.site}") if batch["epoch"] < last]
            except ApiError:
                return []

        def complete() -> bool:
            epochs = [batch["epoch"] for batch in batches()]
            return bool(epochs) and max(epochs) == last - 1 and all(batch["status"] == "believed" for batch in batches())

        wait_until(complete, f"all batches to epoch {last - 1} are believed", 120, supervisor.running)
        arrived = sorted(batches(), key=lambda batch: batch["first_sequence"])
        expected = 0
        for batch in arrived:
            assert batch["first_sequence"] == expected, f"frames lost or repeated before epoch {batch['epoch']}"
            expected += batch["count"]
        assert len({batch["epoch"] for batch in arrived}) == len(arrived) == last - arrived[0]["epoch"]
        minted_once(world, supervisor, programs, cloud, arrived, chance)


def minted_once(
    world: World,
    supervisor: Supervisor,
    programs: dict[str, Running],
    cloud: CloudClient,
    batches: list[dict[str, Any]],
    chance: random.Random,
) -> None:
    """Kills the cloud while it mints, asks again, and counts."""
    epochs = [batch["epoch"] for batch in batches]
    order = {"site": world.settings.site, "first_epoch": epochs[0], "last_epoch": epochs[-1], "methodology": "TZ-DISPLACED-GRID"}
    request = cloud.post("mints", order)["hash"]
    approve = [program("thermogen-cloud"), "approve", "--request", request, "--key", str(world.approver_key), "--reason", "counted"]
    approve += ["--passphrase-file", str(world.approver_passphrase_file)]
    surroundings = {**os.environ, **world.cloud_environment}
    with subprocess.Popen(approve, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as approving:
        # The approver's key takes a moment to unlock; somewhere between nothing done and everything done, the power fails.
        moment = site_time(programs["site"]) + chance.randrange(30, 300)
        wait_until(lambda: site_time(programs["site"]) >= moment, f"site time {moment}", ADVANCE_S, supervisor.running)
        supervisor.kill(programs["cloud"])
        programs["cloud"] = start_cloud(world, supervisor)
        approving.wait(120)
    subprocess.run(approve, env=surroundings, check=False, capture_output=True)
    assert cloud.get(f"mints/{request}")["state"] == "minted"
    (credit,) = cloud.get("credits")
    accounting = cloud.get("accounting")
    assert accounting["issued"] == accounting["held"] == credit["amount"] > 0
    with pytest.raises(ApiError) as refused:
        cloud.post("mints", order)
    assert refused.value.status == 409
