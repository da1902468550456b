"""The daemon as a process between a node model and a real broker, killed and cut off."""

from __future__ import annotations

import json
import random

import pytest
from thermogen_edge.buffer import Buffer
from thermogen_esf.frames import AlertCode, RootSource, Telemetry, decode, frame_hash, verify_frame
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.merkle import root

from .conftest import Site
from .site_services import ticking, wait_until

pytestmark = pytest.mark.slow


def armed(site: Site) -> bool:
    return NodeFlag.ARMED in site.model.flags


def live_epochs(site: Site, epochs: int) -> None:
    """Lets the site live whole epochs, no faster than the daemon empties the node."""
    for _ in range(epochs * 9):
        site.model.tick(100)
        wait_until(lambda: site.model.leaf_oldest == site.model.leaf_next, "all leaves are acknowledged")


def status(site: Site) -> dict[str, int]:
    answer = site.daemon.command("status")
    assert answer.returncode == 0, answer.stderr
    found: dict[str, int] = json.loads(answer.stdout)
    return found


def test_leaves_become_signed_batches_that_are_receipted(site: Site) -> None:
    site.daemon.start()
    wait_until(lambda: armed(site), "the node is armed")
    live_epochs(site, 3)
    wait_until(lambda: len(site.cloud.batches()) == 3, "three batches arrive")
    batches = site.cloud.batches()
    previous = bytes(32)
    for number, data in enumerate(site.cloud.of_kind("batch")):
        batch = batches[number]
        assert verify_frame(batch, site.public_key, data)
        assert (batch.previous, batch.root, batch.root_source) == (previous, root(batch.leaves), RootSource.GATEWARE)
        assert list(batch.leaves) == [site.model.made[1, batch.first_sequence + index] for index in range(90)]
        previous = frame_hash(data)
    wait_until(lambda: status(site)["depth_batches"] == 0, "all batches are receipted")
    live = [decode(data) for data in site.cloud.of_kind("live")]
    assert live and all(isinstance(frame, Telemetry) and frame.header.live for frame in live)
    assert site.daemon.terminate() == 0


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_daemon_killed_at_random_moments_loses_nothing_and_signs_nothing_twice(site: Site, kills: int) -> None:
    chance = random.Random(kills)
    site.daemon.start()
    wait_until(lambda: armed(site), "the node is armed")
    for _ in range(kills):
        with ticking(lambda: site.model.tick(10), 0.004):
            moment = site.model.leaf_next + chance.randrange(20, 100)
            wait_until(lambda moment=moment: site.model.leaf_next >= moment, "the site lives on")  # type: ignore[misc]
            site.daemon.kill()
        if chance.random() < 0.3:
            site.model.power_cycle()
            site.model.tick(5)
        site.daemon.start()
        wait_until(lambda: armed(site), "the node is armed")
        wait_until(lambda: site.model.leaf_oldest == site.model.leaf_next, "all leaves are acknowledged")
    live_epochs(site, 2)
    wait_until(lambda: status(site)["depth_batches"] == 0, "all batches are receipted")
    assert site.daemon.terminate() == 0
    batches = site.cloud.batches()
    assert sorted(batches) == list(range(len(batches)))
    epochs = [(batch.epoch, batch.boot_count) for batch in batches.values()]
    assert len(set(epochs)) == len(epochs)
    arrived = [leaf for batch in batches.values() for leaf in batch.leaves]
    buffer = Buffer(site.edge_dir / "buffer.sqlite", 10_000_000)
    arrived += [row[0] for row in buffer.database.rows("SELECT leaf FROM leaves ORDER BY sequence")]
    buffer.close()
    assert [Telemetry(leaf).header.sequence for leaf in arrived] == list(range(len(arrived)))
    boots = [boot for _, boot in site.model.introduced]
    assert len(set(boots)) == len(boots)


def test_a_link_to_the_node_that_breaks_is_told_and_taken_up_again(site: Site) -> None:
    site.daemon.start()
    wait_until(lambda: armed(site), "the node is armed")
    live_epochs(site, 1)
    site.node.disconnect()

    def alerts() -> list[tuple[int, bool]]:
        return [(alert.code, alert.raised) for alert in map(decode, site.cloud.of_kind("alert"))]

    wait_until(lambda: (AlertCode.HOST_LINK_FAULT, True) in alerts(), "the loss is told")
    wait_until(lambda: (AlertCode.HOST_LINK_FAULT, False) in alerts(), "its end is told")
    live_epochs(site, 1)
    assert len(site.model.introduced) == 1, "a node that was armed was armed again"
    assert site.daemon.terminate() == 0


def test_an_outage_of_the_broker_costs_nothing(site: Site) -> None:
    site.daemon.start()
    wait_until(lambda: armed(site), "the node is armed")
    site.broker.kill()
    live_epochs(site, 3)
    assert status(site)["depth_frames"] == 270
    assert status(site)["oldest_age_s"] == 2_690
    site.broker.start()
    wait_until(lambda: len(site.cloud.batches()) == 3, "all batches arrive after the outage")
    assert site.daemon.terminate() == 0


def test_neither_key_nor_password_is_in_the_log(site: Site) -> None:
    site.daemon.start()
    wait_until(lambda: armed(site), "the node is armed")
    live_epochs(site, 1)
    assert site.daemon.terminate() == 0
    log = site.daemon.log.read_text()
    assert "the node is armed" in log
    assert "site-secret" not in log
    assert (site.edge_dir / "site.key").read_text().strip() not in log
    assert "Traceback" not in log
