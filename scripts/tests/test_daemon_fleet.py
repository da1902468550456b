"""Five sites with the product's own processes come to what docs/attacks.md says of them. It takes a quarter of an hour."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from thermogen_esf import merkle
from thermogen_esf.frames import Batch, decode, verify_frame
from thermogen_esf.keyfile import save_seed
from thermogen_scripts.broker import BrokerFiles, allow, configure
from thermogen_scripts.daemon_fleet.intruder import another_batch
from thermogen_scripts.daemon_fleet.world import Site
from thermogen_sim.fleet.attacks.with_daemons import CAME_TO
from thermogen_sim.fleet.enrolling import signing_key
from thermogen_sim.fleet.synthetic_site import SyntheticSite

LONGEST_S = 1_500


@pytest.mark.soak
@pytest.mark.timeout(1_600)
def test_days_of_real_processes_come_to_what_the_document_says() -> None:
    with tempfile.TemporaryDirectory(prefix="tz-") as short:  # a socket's path has 107 bytes at most: pytest's own folders are too long
        command = [str(Path(sys.executable).parent / "thermogen-sim"), "fleet", "--daemons", "--run-dir", f"{short}/fleet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stderr
    shown = {each.pop("attack"): each for each in map(json.loads, done.stdout.splitlines())}
    assert {name: {key: shown[name][key] for key in wanted} for name, wanted in CAME_TO.items()} == CAME_TO
    assert shown.keys() == CAME_TO.keys()


def test_what_the_broker_holds_back_is_that_and_nothing_else(tmp_path: Path) -> None:
    files = BrokerFiles(tmp_path / "broker")
    configure(files, 1883, ("tz-one", "tz-two"), "tz/v1")
    everything = set((files.directory / "access").read_text().splitlines())
    allow(files, ("tz-one", "tz-two"), "tz/v1", [("tz-two", "seals"), ("tz-one", "drawing")])
    left = set((files.directory / "access").read_text().splitlines())
    assert everything - left == {"topic write tz/v1/tz-two/seals", "topic read tz/v1/tz-one/drawing"}
    assert left < everything


def test_another_batch_of_an_epoch_is_whole_and_signed_and_not_what_was_sealed(tmp_path: Path) -> None:
    site = Site("tz-one", tmp_path, 1, 2, 1)
    key = signing_key("tz-one")
    site.edge.mkdir()
    save_seed(site.edge / "site.key", key)
    honest = SyntheticSite("tz-one", key).epoch(5)
    forged, before = decode(another_batch(site, honest)), decode(honest)
    assert isinstance(forged, Batch) and isinstance(before, Batch)
    assert verify_frame(forged, key.public_key, another_batch(site, honest))
    assert forged.epoch == before.epoch and forged.root == merkle.root(forged.leaves) != before.root


def test_daemons_and_the_modelled_attacks_are_not_asked_for_together(capfd: pytest.CaptureFixture[str]) -> None:
    command = [str(Path(sys.executable).parent / "thermogen-sim"), "fleet", "--daemons", "--attack", "all"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 2
    assert "--daemons runs attacks of its own" in capfd.readouterr().err
