"""A fleet under attack: what the table says is what runs, and everything that is not caught is in it by name."""

import json
from pathlib import Path

import pytest
from thermogen_esf.evidence.command import main as verify
from thermogen_sim.command import main
from thermogen_sim.fleet.attacks import ATTACKS, Verdict, World
from thermogen_sim.fleet.attacks.table import row

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/attacks.md").read_text()
QUICK = {"forged-root", "forged-seal", "stolen-key-own-batch", "amplifiers-5-percent", "dropped-dissent", "attested-twice", "sybil"}
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
    for verdict in Verdict:
        count = sum(f"**{verdict}**" in line for line in rows)
        assert f"| {verdict} | {count} |" in DOCUMENT
    for page in ("docs/attestation.md", "sim/README.md"):
        assert f"{len(ATTACKS)} attacks" in (ROOT / page).read_text()
    assert f"{len(ATTACKS)} ways" in (ROOT / "README.md").read_text()


def test_a_verdict_that_changes_is_not_passed_by_writing_the_page_again():
    rows = [line.split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| `")]
    shown = {cells[0].split("`")[1]: (cells[7].split("**")[1], _decisive(*cells[3:7])) for cells in rows}
    assert shown == WANTED


def test_of_a_day_with_a_hidden_restart_what_each_boot_counted_is_attested():
    days, attack = [], next(each for each in ATTACKS if each.name == "hidden-restart")

    def consider(day, node):
        days.append(day)
        return day.found_by(node)

    attack.run(World(consider=consider))
    day, seconds = days[0], [10 * (leaves - 1) for leaves in (90, 180)]  # of the run before the restart, and after it
    assert day.attestation().energy_mj == sum(seconds) * day.site.power_mw * day.scale


def _decisive(state, bundle, colluding, kept):
    """What the verdict rests on: who kept something, else the verifier of a colluding bundle, else of the honest one, else the state."""
    return next(cell.strip() for cell in (kept, colluding, bundle.replace("no bundle", ""), state) if cell.strip())


WANTED = {
    "forged-root": ("caught", "step 4 Merkle roots: root-differs"),
    "leaf-left-out": ("caught", "step 4 Merkle roots: root-differs"),
    "forged-seal": ("caught", "step 2 VRF proofs: bad-seal"),
    "stolen-key-own-seals": ("caught", "step 2 VRF proofs: bad-seal"),
    "stolen-key-own-batch": ("caught", "step 4 Merkle roots: root-differs"),
    "two-batches": ("caught by witnesses", "believed"),
    "replayed-epoch": ("caught", "step 4 Merkle roots: root-differs"),
    "replayed-recording": ("caught", "step 4 Merkle roots: repeated-values"),
    "replayed-recording-after-a-restart": ("caught", "step 4 Merkle roots: repeated-values"),
    "replayed-recording-shifted": ("caught", "step 4 Merkle roots: repeated-values"),
    "replayed-recording-altered": ("not caught", "believed"),
    "frozen-sensors": ("caught", "step 4 Merkle roots: frozen-sensors"),
    "frozen-sensors-gas": ("caught", "step 4 Merkle roots: frozen-sensors"),
    "one-frozen-sensor": ("not caught", "believed"),
    "fast-pulse": ("caught", "step 4 Merkle roots: time-quality"),
    "no-pulse": ("caught", "step 4 Merkle roots: time-quality"),
    "wrong-clock": ("caught", "step 4 Merkle roots: wrong-epoch"),
    "changed-calibration": ("caught", "step 4 Merkle roots: wrong-set-up"),
    "enrolled-high": ("not caught", "believed"),
    "hidden-restart": ("caught", "step 5 claims: wrong-energy"),
    "amplifiers-5-percent": ("not caught", "believed"),
    "amplifiers-doubled": ("caught", "step 4 Merkle roots: above-nameplate"),
    "lag-as-heat": ("caught", "step 4 Merkle roots: above-gas"),
    "lag-as-heat-by-restarts": ("not caught", "believed"),
    "gas-meter-low": ("caught", "step 4 Merkle roots: above-gas"),
    "gas-meter-high": ("not caught", "believed"),
    "gas-counter-jumps": ("caught", "step 4 Merkle roots: counter-went-back"),
    "sensor-drifts-far": ("caught", "step 4 Merkle roots: above-gas"),
    "sensor-drifts-a-little": ("not caught", "believed"),
    "host-supplied-lies": ("not caught", "believed"),
    "seal-withheld": ("caught", "step 2 VRF proofs: seal-withheld"),
    "seal-withheld-at-the-edge": ("caught", "step 2 VRF proofs: seal-withheld"),
    "seal-withheld-at-boot": ("not caught", "believed"),
    "sealed-twice": ("caught", "step 2 VRF proofs: two-seals"),
    "sealed-twice-hidden": ("caught by who kept something", "step 3 quorum: two-seals"),
    "batches-withheld": ("mints nothing", "deferred"),
    "computer-as-a-node": ("not caught", "believed"),
    "own-witness": ("mints nothing", "deferred"),
    "one-operators-witnesses": ("mints nothing", "deferred"),
    "late-witness": ("mints nothing", "deferred"),
    "late-dissent": ("mints nothing", "review"),
    "false-dissent": ("mints nothing", "review"),
    "silent-witnesses": ("mints nothing", "deferred"),
    "one-claims-more": ("caught", "step 8 attestation: not-approved"),
    "colluding-claim": ("caught", "step 5 claims: wrong-energy"),
    "colluding-claim-no-companion": ("not caught", "believed"),
    "forged-statement": ("mints nothing", "deferred"),
    "replayed-statement": ("mints nothing", "deferred"),
    "not-drawn-witness": ("mints nothing", "deferred"),
    "dropped-dissent": ("caught by who kept something", "step 3 quorum: dissent"),
    "dropped-dissent-of-an-attempt": ("caught by who kept something", "step 3 quorum: dissent"),
    "second-word-first": ("caught", "step 7 calculation: wrong-amount"),
    "chosen-beacon": ("caught", "step 2 VRF proofs: wrong-beacon"),
    "made-up-contributions": ("caught", "step 2 VRF proofs: wrong-beacon"),
    "contributions-left-out": ("caught", "step 2 VRF proofs: wrong-beacon"),
    "beacon-before-made-up": ("caught by who kept something", "monitor, checkpoint 1: wrong-beacon"),
    "beacon-of-a-subset": ("not caught", "believed"),
    "beacon-empty-checkpoints": ("caught", "step 2 VRF proofs: wrong-beacon"),
    "beacon-split": ("not caught", "monitor: believed"),
    "beacon-of-unlogged-seals": ("caught by who kept something", "monitor, checkpoint 2: wrong-beacon"),
    "better-beacon": ("caught", "step 2 VRF proofs: wrong-beacon"),
    "stalled-beacon": ("mints nothing", "waiting-for-beacon"),
    "foreseeable-beacon": ("mints nothing", "waiting-for-beacon"),
    "two-roots": ("mints nothing", "roots-disagree"),
    "root-logged-twice": ("caught by who kept something", "monitor, checkpoint 3: logged-twice"),
    "rewritten-log": ("caught by who kept something", "monitor, checkpoint 2: log-forked"),
    "keys-after-the-beacon": ("caught", "step 2 VRF proofs: not-logged"),
    "window-closed-early": ("mints nothing", "deferred"),
    "window-held-open": ("not caught", "believed"),
    "amount-overstated": ("caught", "step 7 calculation: wrong-amount"),
    "energy-overstated": ("caught", "step 7 calculation: wrong-amount"),
    "carry-invented": ("caught", "step 7 calculation: wrong-amount"),
    "label-overstated": ("caught", "step 8 attestation: wrong-attestation"),
    "quorum-overstated": ("caught", "step 3 quorum: no-quorum"),
    "other-methodology": ("caught", "step 7 calculation: unknown-methodology"),
    "attested-twice": ("caught by who kept something", "step 8 attestation: attested-twice"),
    "methodology-chosen-late": ("not caught", "believed"),
    "history-invented": ("not caught", "believed"),
    "approval-missing": ("caught", "step 8 attestation: not-approved"),
    "approval-forged": ("caught", "step 8 attestation: bad-signature"),
    "approval-backdated": ("caught", "step 8 attestation: wrong-time"),
    "forged-checkpoint": ("caught", "step 1 signatures: bad-signature"),
    "checkpoint-left-out": ("caught", "step 1 signatures: log-forked"),
    "companion-changed": ("caught", "step 4 Merkle roots: wrong-batch"),
    "changed-on-the-way": ("mints nothing", "deferred"),
    "own-root-keys": ("caught", "step 1 signatures: wrong-root-keys"),
    "too-few-roots": ("caught", "step 1 signatures: bad-signature"),
    "superseded-list": ("caught by who kept something", "step 1 signatures: superseded"),
    "sybil": ("caught", "step 3 quorum: unknown-site"),
    "not-provisioned": ("caught", "step 1 signatures: not-provisioned"),
    "other-bitstream": ("caught", "step 1 signatures: unknown-gateware"),
    "unknown-provisioner": ("caught", "step 1 signatures: unknown-key"),
}
"""By attack: the verdict, and what it rests on. `make docs` does not write this: the page changes with whatever the attacks come to."""


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
