"""A fleet under attack: what the table says is what runs, and everything that is not caught is in it by name."""

import json
from pathlib import Path

import pytest
from thermogen_esf.evidence.command import main as verify
from thermogen_sim.command import main
from thermogen_sim.fleet.attacks import ATTACKS, Verdict, World
from thermogen_sim.fleet.attacks.table import row

DOCUMENT = (Path(__file__).parents[2] / "docs/attacks.md").read_text()
QUICK = {"forged-root", "forged-seal", "stolen-key-own-batch", "gains-5-percent", "dropped-dissent", "sybil"}
WORLD = World()


@pytest.mark.parametrize(
    "attack", [pytest.param(each, id=each.name, marks=() if each.name in QUICK else pytest.mark.slow) for each in ATTACKS]
)
def test_an_attack_comes_to_what_the_document_says(attack):
    assert row(attack, attack.run(WORLD)) in DOCUMENT.splitlines()


def test_the_document_has_each_attack_once_and_no_other():
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in rows] == [attack.name for attack in ATTACKS]
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 25


NOT_CAUGHT = {
    "gains-5-percent",
    "gas-meter-high",
    "sensor-drifts-a-little",
    "host-supplied-lies",
    "seal-withheld-at-boot",
    "computer-as-a-node",
    "colluding-claim-no-companion",
    "beacon-of-a-subset",
    "history-invented",
}


def test_what_is_not_caught_is_known_by_name():
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `") and f"**{Verdict.NOT_CAUGHT}**" in line]
    assert {line.split("`")[1] for line in rows} == NOT_CAUGHT


@pytest.mark.slow
def test_each_sites_day_is_attested_and_a_stranger_believes_the_files(tmp_path, capsys):
    assert main(["fleet", "--sites", "5", "--seed", "3", "--out", str(tmp_path)]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["site"] for each in shown] == [f"tz-{number:04}" for number in range(5)]
    assert {(each["state"], each["label"], each["thermogen_verify"]) for each in shown} == {("attested", "peer-checked", "believed")}
    files = [str(tmp_path / name) for name in ("tz-0004.bundle", "root.json", "tz-0004.frames")]
    assert verify([files[0], "--root", files[1], "--frames", files[2]]) == 0


def test_an_attack_is_tried_by_name_and_comes_to_the_same_from_another_seed(capsys):
    for seed in ("0", "9"):
        assert main(["fleet", "--attack", "forged-seal", "--seed", seed]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second and first["verdict"] == "caught" and first["colluding"]["said"] == "step 2 VRF proofs: bad-seal"


@pytest.mark.parametrize("arguments", [["--attack", "no-such"], ["--sites", "4"], ["--seed", "-1"]])
def test_what_cannot_be_run_is_said(arguments, capsys):
    assert main(["fleet", *arguments]) == 2
    assert "thermogen-sim: --" in capsys.readouterr().err
