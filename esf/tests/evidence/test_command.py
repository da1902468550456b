"""`thermogen-verify` tells a person what it checked, and a script by its exit status."""

import io
import json
import sys

import pytest
from thermogen_esf.evidence.command import main


@pytest.fixture
def files(world, credit, tmp_path):
    """A bundle and its trust list on disk."""
    bundle, trust = tmp_path / "credit.bundle", tmp_path / "trust.json"
    bundle.write_bytes(world.bundle(credit))
    trust.write_bytes(world.trust.encode())
    return bundle, trust


def _run(*arguments):
    return main([str(argument) for argument in arguments])


def test_a_believed_bundle_exits_with_0_and_shows_each_step(files, world, capsys):
    bundle, trust = files
    assert _run(bundle, "--trust", trust) == 0
    shown = capsys.readouterr().out
    assert world.trust.fingerprint.hex() in shown
    assert "BELIEVED: SC-2026-TZ-000001, 0.001616 t CO2e of tz-test-01" in shown
    assert shown.count("✓ epoch 19900") == 3
    for step in ("cloud's signature", "approval signature", "energy recomputed", "amount recomputed", "ledger address recomputed"):
        assert f"✓ {step}" in shown
    assert "not sealed, not witnessed" in shown
    assert "✓ epoch 1990001: batch 1, 90 leaves, counter 8604500000 to 17015000000 mJ; 19 of 19 steps pass" in shown
    assert "✗" not in shown


def test_all_steps_of_all_epochs_are_shown_on_request(files, capsys):
    bundle, trust = files
    assert _run(bundle, "--trust", trust, "--all") == 0
    assert capsys.readouterr().out.count("✓ root recomputed") == 3


def test_a_changed_byte_exits_with_1_and_names_the_step(files, capsys):
    bundle, trust = files
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    assert _run(bundle, "--trust", trust) == 1
    shown = capsys.readouterr().out
    assert "✗ cloud's signature" in shown and "[bad-signature]" in shown
    assert "BELIEVED:" not in shown.replace("REFUSED", "")


def test_json_has_every_step_for_machines(files, world, capsys):
    bundle, trust = files
    assert _run(bundle, "--trust", trust, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["believed"] is True
    assert report["trust_sha3_256"] == world.trust.fingerprint.hex()
    assert (report["credit"], report["amount"]) == ("SC-2026-TZ-000001", 1_616)
    assert all(check["passed"] is not False for part in report["parts"] for check in part["checks"])


@pytest.mark.parametrize("broken", ["bundle", "trust"])
@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "a directory"])
def test_what_cannot_be_read_exits_with_2_and_says_so(files, capsys, broken, how):
    bundle, trust = files
    path = bundle if broken == "bundle" else trust
    data = path.read_bytes()
    path.unlink()
    if how == "a directory":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(b"" if how == "empty" else data[:-1])
    assert _run(bundle, "--trust", trust) == 2
    output = capsys.readouterr()
    assert output.err.startswith("thermogen-verify: cannot be read: ")
    assert output.out == ""
    assert _run(bundle, "--trust", trust, "--json") == 2
    assert json.loads(capsys.readouterr().out)["believed"] is False


def test_a_trust_list_is_needed(files):
    with pytest.raises(SystemExit) as stop:
        _run(files[0])
    assert stop.value.code == 2


def test_a_terminal_without_the_marks_still_gets_its_answer(files, monkeypatch):
    bundle, trust = files
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert _run(bundle, "--trust", trust) == 0
