"""Broker, cloud and daemon are each killed at random moments of an upload: nothing is lost, stored twice or minted twice.

An upload sees all three die, in a random order and at random moments, each so soon after the other that the batch is still on its way.
A mint takes 17 epochs of this site at least, so the books fill while the kills go on: whenever there is enough it is minted, with the cloud
killed in the middle, and after the last kill each program is killed once more over books that are not empty.
"""

import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from thermogen_scripts.cloud_client import ApiError
from thermogen_scripts.launch import site_time, start_all, start_broker, start_cloud, start_edge
from thermogen_scripts.processes import Supervisor, wait_until
from thermogen_scripts.provision import compile_gateware, provision
from thermogen_scripts.settings import read_settings
from thermogen_scripts.world import World, program

EPOCH_S = 900
START = {"broker": start_broker, "cloud": start_cloud, "edge": start_edge}
ADVANCE_S = 120
"""Wall seconds within which the site must get through an epoch."""
MOMENTS_S = 200
"""Site seconds from one start to the next kill, at most: at full speed about what a program takes to start and to send its batch."""
MINTABLE_EPOCHS = 18
"""0.0011 t, a little above the least mint."""


class Story:
    """A run that is killed piece by piece, and what its books must say."""

    def __init__(self, world: World, supervisor: Supervisor, chance: random.Random) -> None:
        self.world = world
        self.supervisor = supervisor
        self.chance = chance
        self.programs = start_all(world, supervisor)
        self.cloud = world.client()
        self.killed: Counter[str] = Counter()
        self.issued = 0

    @property
    def now(self) -> int:
        """Site time."""
        return site_time(self.programs["site"])

    def wait_for_site_time(self, moment: int) -> None:
        wait_until(lambda: self.now >= moment, f"site time {moment}", ADVANCE_S, self.supervisor.running)

    def wait_into_an_upload(self) -> None:
        """To a random moment soon after the next epoch's end, when its batch is on the way."""
        self.wait_for_site_time((self.now // EPOCH_S + 1) * EPOCH_S + self.chance.randrange(200))

    def kill(self, victim: str) -> None:
        """SIGKILL, a new start, and a look at the books."""
        self.supervisor.kill(self.programs[victim])
        self.programs[victim] = START[victim](self.world, self.supervisor)
        self.killed[victim] += 1
        accounting = self.cloud.get("accounting")
        assert accounting["held"] + accounting["retired"] + accounting["cancelled"] == accounting["issued"] == self.issued, dict(
            self.killed
        )

    @property
    def unminted(self) -> dict[str, Any]:
        """The believed epochs that no mint has consumed: count, first and last."""
        try:
            found: dict[str, Any] = self.cloud.get(f"sites/{self.world.settings.site}")["unminted"]
        except ApiError:
            return {"count": 0, "first": None, "last": None}
        return found

    def mint(self) -> None:
        """Kills the cloud while it mints, asks again, and counts."""
        span = self.unminted
        order = {
            "site": self.world.settings.site,
            "first_epoch": span["first"],
            "last_epoch": span["last"],
            "methodology": "TZ-DISPLACED-GRID",
        }
        request = self.cloud.post("mints", order)["hash"]
        approve = [
            program("thermogen-cloud"),
            "approve",
            "--request",
            request,
            "--key",
            str(self.world.approver_key),
            "--reason",
            "counted",
        ]
        approve += ["--passphrase-file", str(self.world.approver_passphrase_file)]
        surroundings = {**os.environ, **self.world.cloud_environment}
        with subprocess.Popen(approve, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as approving:
            # The approver's key takes a moment to unlock; somewhere between nothing done and everything done, the power fails.
            self.wait_for_site_time(self.now + self.chance.randrange(30, 300))
            self.supervisor.kill(self.programs["cloud"])
            self.killed["cloud"] += 1
            self.programs["cloud"] = start_cloud(self.world, self.supervisor)
            approving.wait(120)
        subprocess.run(approve, env=surroundings, check=False, capture_output=True)
        assert self.cloud.get(f"mints/{request}")["state"] == "minted"
        credits = self.cloud.get("credits")
        assert len({credit["serial"] for credit in credits}) == len(credits)
        before, self.issued = self.issued, sum(credit["amount"] for credit in credits)
        assert self.issued > before
        accounting = self.cloud.get("accounting")
        assert accounting["issued"] == accounting["held"] == self.issued
        with pytest.raises(ApiError) as refused:
            self.cloud.post("mints", order)
        assert refused.value.status == 409

    def batches_before(self, epoch: int) -> list[dict[str, Any]]:
        """What the cloud has of the site's batches, in the order of their frames."""
        try:
            known = self.cloud.get(f"batches?site={self.world.settings.site}")
        except ApiError:
            return []
        return sorted((batch for batch in known if batch["epoch"] < epoch), key=lambda batch: int(batch["first_sequence"]))


@pytest.fixture
def world(environment: Callable[..., dict[str, str]]) -> World:
    return World(read_settings(environment()))


@pytest.mark.parametrize(
    "uploads",
    [pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1600)]), pytest.param(200, marks=pytest.mark.soak)],
)
def test_no_frame_is_lost_none_is_stored_twice_and_no_tonne_is_minted_twice(world: World, uploads: int) -> None:
    compile_gateware(world.settings.clocks_per_site_second)
    provision(world)
    with Supervisor(world.settings.run_dir / "logs") as supervisor:
        story = Story(world, supervisor, random.Random(uploads))
        wait_until(lambda: story.now > 0, "the site reports its time", 60, supervisor.running)
        for _ in range(uploads):
            story.wait_into_an_upload()
            for victim in story.chance.sample(sorted(START), len(START)):
                story.kill(victim)
                story.wait_for_site_time(story.now + story.chance.randrange(MOMENTS_S))
            if story.unminted["count"] >= MINTABLE_EPOCHS:
                story.mint()
        if not story.issued:
            wait_until(lambda: story.unminted["count"] >= MINTABLE_EPOCHS, "there is enough to mint", 2 * ADVANCE_S, supervisor.running)
            story.mint()
        for victim in START:
            story.kill(victim)
        assert all(story.killed[victim] > uploads for victim in START), dict(story.killed)
        everything_arrived_once(story, story.now // EPOCH_S)


def everything_arrived_once(story: Story, last: int) -> None:
    """Every frame of the epochs before `last` is in exactly one batch, and each of these is believed."""

    def complete() -> bool:
        batches = story.batches_before(last)
        epochs = [batch["epoch"] for batch in batches]
        return bool(epochs) and max(epochs) == last - 1 and all(batch["status"] == "believed" for batch in batches)

    wait_until(complete, f"all batches to epoch {last - 1} are believed", 120, story.supervisor.running)
    arrived = story.batches_before(last)
    expected = 0
    for batch in arrived:
        assert batch["first_sequence"] == expected, f"frames lost or repeated before epoch {batch['epoch']}"
        expected += batch["count"]
    assert len({batch["epoch"] for batch in arrived}) == len(arrived) == last - arrived[0]["epoch"]
