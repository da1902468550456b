"""The daemon as a process between a node model and a real broker."""

from __future__ import annotations

import json

from thermogen_esf.frames import RootSource, Telemetry, decode, frame_hash, verify_frame
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.merkle import root

from .conftest import Site
from .site_services import wait_until


def armed(site: Site) -> bool:
    return NodeFlag.ARMED in site.model.flags


def live_epochs(site: Site, epochs: int) -> None:
    """Lets the site live whole epochs, no faster than the daemon empties the node."""
    for _ in range(epochs * 9):
        site.model.tick(100)
        wait_until(lambda: site.model.leaf_oldest == site.model.leaf_next, "all leaves are acknowledged")


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
        assert batch.previous == previous
        assert batch.root_source is RootSource.GATEWARE
        assert batch.root == root(batch.leaves)
        assert list(batch.leaves) == [site.model.made[1, batch.first_sequence + index] for index in range(90)]
        previous = frame_hash(data)

    def status() -> dict[str, object]:
        return json.loads(site.daemon.command("status").stdout)

    wait_until(lambda: status()["depth_batches"] == 0, "all batches are receipted")
    live = [decode(data) for data in site.cloud.of_kind("live")]
    assert live and all(isinstance(frame, Telemetry) and frame.header.live for frame in live)
    assert site.daemon.terminate() == 0
