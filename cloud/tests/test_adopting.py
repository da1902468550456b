"""A trust list is adopted: cut anywhere it is adopted by running it again, and a cloud that runs takes it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from dataclasses import replace
from hashlib import sha3_256

import pytest
from starlette.testclient import TestClient
from thermogen_cloud.api import application
from thermogen_cloud.attestation_trust import AttestationTrust
from thermogen_cloud.command import main
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.initialise import read_key
from thermogen_cloud.methodology_choices import MethodologyChoices
from thermogen_cloud.serving import opened
from thermogen_cloud.settings import read_settings
from thermogen_cloud.trust_file import TrustFile
from thermogen_esf.evidence.attestation.exchange import encode_seals
from thermogen_esf.evidence.attestation.log import seal_entry
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.canonical import canonical
from thermogen_esf.evidence.catalogue import METHODOLOGY_CONTEXT, rule
from thermogen_esf.evidence.trust import NamedKey
from thermogen_sim.fleet.enrolling import SINCE, Fleet, signing_key
from thermogen_sim.fleet.node import SealingNode

from .attesting_fleet import FIRST, write_trust
from .conftest import NOW, free_port

SWEPT = {"_adopt_trust", "adopt", "_write", "enrol_sites", "_change", "replace_file"}
"""Functions between whose lines power fails: all that write, and what calls them."""


CUT = 9


def run_until(line, arguments):
    """Runs the command in a process that dies before its line of this number, of those that are swept; its exit code, CUT where it died."""
    child = os.fork()
    if child == 0:
        left = line

        def trace(frame, event, _argument):
            nonlocal left
            if frame.f_code.co_name not in SWEPT:
                return None
            if event == "line":
                if left == 0:
                    os._exit(CUT)
                left -= 1
            return trace

        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.settrace(trace)
        os._exit(main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def adopting(initialised, tmp_path, monkeypatch, capsys):
    """A cloud's directory, the command line that adopts a list of two sites, and the sites' names."""
    fleet = Fleet.of(2, 2)
    own = read_key(CloudDirectory(initialised).cloud_key).public_key
    fleet.__dict__["trust"] = replace(fleet.trust, clouds=(NamedKey("cloud-1", own, 0, None),), valid_to=2**32 - 1)
    pin, signed, sites = write_trust(fleet, tmp_path / "ceremony")
    monkeypatch.setattr("thermogen_cloud.command.logging.basicConfig", lambda **_: None)
    return ["adopt-trust", "--pin", str(pin), "--trust", str(signed), "--enrolments", str(sites)], {node.name for node in fleet.nodes}


def enrolled(root):
    return {key.name for key in TrustFile(CloudDirectory(root)).current().sites}


@pytest.mark.slow
def test_power_that_fails_while_a_list_is_adopted_leaves_what_running_it_again_completes(
    adopting, initialised, tmp_path, monkeypatch, capsys
):
    arguments, sites = adopting
    cuts, whole = 0, False
    while not whole:
        root = tmp_path / f"cloud-{cuts}"
        shutil.copytree(initialised, root)
        monkeypatch.setenv("THERMOGEN_CLOUD_DIR", str(root))
        code = run_until(cuts, arguments)
        assert code in (0, CUT)
        whole, cuts = code == 0, cuts + 1
        found = AttestationTrust.load(CloudDirectory(root))
        assert found is None or enrolled(root) >= sites, f"cut {cuts}: seals are taken of sites whose batches are not"
        capsys.readouterr()
        assert main(arguments) == 0, f"cut {cuts}: {capsys.readouterr().err}"
        assert json.loads(capsys.readouterr().out)["revision"] == 1
        assert AttestationTrust.load(CloudDirectory(root)).newest.trust.revision == 1 and enrolled(root) >= sites
        shutil.rmtree(root)
    assert cuts > 60, "the sweep met the lines that write"


@pytest.fixture
def serving(initialised, tmp_path, monkeypatch):
    """A cloud that attests, as `serve` opens it, whose receiver runs without a broker; how a list of so many sites is adopted beside it."""
    monkeypatch.setattr("thermogen_cloud.receiver.UPKEEP_S", 0.0)
    monkeypatch.setattr("thermogen_cloud.receiver.RETRY_S", 0.02)
    root = tmp_path / "cloud"
    shutil.copytree(initialised, root)
    monkeypatch.setenv("THERMOGEN_CLOUD_DIR", str(root))
    monkeypatch.setenv("THERMOGEN_BROKER", f"mqtt://cloud@127.0.0.1:{free_port()}")
    own = NamedKey("cloud-1", read_key(CloudDirectory(root).cloud_key).public_key, 0, None)
    adopted = []

    def adopt(sites, **changes):
        fleet = Fleet.of(sites, 2)
        fleet.changes = {fleet.nodes[0].name: changes}
        follows = {"revision": len(adopted) + 1, "previous": adopted[-1].trust.hash if adopted else None}
        fleet.__dict__["trust"] = replace(fleet.trust, clouds=(own,), valid_to=2**32 - 1, **follows)
        pin, signed, enrolments = write_trust(fleet, tmp_path / f"ceremony-{len(adopted)}")
        assert main(["adopt-trust", "--pin", str(pin), "--trust", str(signed), "--enrolments", str(enrolments)]) == 0
        adopted.append(fleet)
        return fleet

    adopt(2)
    with opened(read_settings(), lambda: NOW) as cloud:
        receiving = threading.Thread(target=cloud.receiver.run)
        receiving.start()
        yield cloud.services, adopt
        cloud.receiver.stop()
        receiving.join()


def test_a_list_that_is_adopted_beside_a_running_cloud_is_taken_by_it(serving, wait):
    services, adopt = serving
    attestor = services.attestor
    wait(lambda: attestor.log.last, "the first list is in the log")
    fleet = adopt(3)
    wait(lambda: attestor.trust.newest.trust.revision == 2, "the second list is taken")
    assert services.minting.attested() == {node.name for node in fleet.nodes}
    attestor.take_seals(encode_seals([fleet.nodes[2].seal(FIRST)]))
    wait(lambda: attestor.log.index_of(seal_entry(fleet.nodes[2].seals[0])), "a seal of the site that is new is logged")


def test_a_nameplate_that_changed_under_the_same_key_bounds_the_sites_batches(serving):
    services, adopt = serving
    before = {key.name: key for key in services.trust.current().sites}
    adopt(2, nameplate_w=900, channels=9, valid_from=SINCE + 1)
    after = {key.name: key for key in services.trust.current().sites}
    assert after == before | {"tz-0000": replace(before["tz-0000"], nameplate_w=900, channels=9)}


@pytest.fixture
def choose(serving, monkeypatch, capsys):
    """Chooses a methodology beside the running cloud; exit code, what was printed, the message."""
    monkeypatch.setattr("thermogen_cloud.command.unix_seconds", lambda: NOW)

    def choose_one(*arguments):
        capsys.readouterr()
        code = main(["choose-methodology", *map(str, arguments)])
        shown = capsys.readouterr()
        return code, json.loads(shown.out) if shown.out else None, shown.err

    return choose_one


def test_a_methodology_is_chosen_beside_a_running_cloud_and_published_with_its_evidence(serving, choose, tmp_path):
    services, _ = serving
    permit, digest = tmp_path / "permit.pdf", sha3_256(b"flare permit").hexdigest()
    permit.write_bytes(b"flare permit")
    flare = ("--methodology", "EPA-AP42-CH4-FLARE", "--evidence", permit)
    named = {"methodology": "EPA-AP42-CH4-FLARE", "evidence": digest, "since": NOW}
    assert choose(*flare) == (0, {"site": None, "hash": rule("EPA-AP42-CH4-FLARE").hash.hex(), **named}, "")
    signed = tmp_path / "own.signed"
    own = canonical({**json.loads(rule("IPCC-AR5-100Y").document), "id": "CUSTOM"})
    signed.write_bytes(Signed.by(own, [signing_key("anna")], METHODOLOGY_CONTEXT).encode())
    for _ in range(2):
        code, printed, _ = choose("--site", "tz-0001", "--methodology", "CUSTOM", "--document", signed, "--evidence", permit)
        assert (code, printed["hash"]) == (0, sha3_256(own).hexdigest())
    with TestClient(application(services), base_url="http://127.0.0.1") as client:
        client.auth = ("viewer", services.directory.read_viewer_password())
        assert client.get("/api/v1/attestation/methodologies").json() == [
            {"site": None, "own": None, "hash": rule("EPA-AP42-CH4-FLARE").hash.hex(), **named},
            {
                "site": "tz-0001",
                "own": sha3_256(signed.read_bytes()).hexdigest(),
                "hash": printed["hash"],
                **named,
                "methodology": "CUSTOM",
            },
        ]
        assert client.get(f"/api/v1/attestation/evidence/{digest}").content == b"flare permit"
        assert client.get(f"/api/v1/attestation/evidence/{'0' * 64}").status_code == 404
        (services.directory.methodologies / "evidence" / digest).write_bytes(b"another permit")
        damaged = client.get(f"/api/v1/attestation/evidence/{digest}")
        assert damaged.status_code == 503 and "restore it" in damaged.text and b"another permit" not in damaged.content


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--methodology", "EPA-AP42-CH4-FLARE"), "needs: Flare permits"),
        (("--methodology", "GS-MICRO-SCALE"), "refuses"),
        (("--methodology", "EPA"), "known are"),
        (("--methodology", "CUSTOM"), "--document"),
        (("--methodology", "TZ-DISPLACED-GRID", "--document", "{bad}"), "--document"),
        (("--methodology", "CUSTOM", "--document", "{bad}"), "this is IPCC-AR5-100Y"),
        (("--methodology", "TZ-DISPLACED-GRID", "--site", "tz-0009"), "tz-0000, tz-0001"),
        (("--methodology", "EPA-AP42-CH4-FLARE", "--evidence", "nowhere"), "nowhere"),
    ],
)
def test_a_choice_that_cannot_be_is_answered_with_what_to_do_and_changes_nothing(serving, choose, tmp_path, arguments, says):
    services, _ = serving
    bad = tmp_path / "bad.signed"
    bad.write_bytes(Signed.by(rule("IPCC-AR5-100Y").document, [signing_key("anna")], METHODOLOGY_CONTEXT).encode())
    code, printed, message = choose(*(each.format(bad=bad) for each in arguments))
    assert (code, printed, says in message) == (1, None, True), message
    assert MethodologyChoices(services.directory).made() == ()


def test_a_cloud_that_attests_nothing_has_no_methodology_to_choose(initialised, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("THERMOGEN_CLOUD_DIR", str(shutil.copytree(initialised, tmp_path / "cloud")))
    assert main(["choose-methodology", "--methodology", "TZ-DISPLACED-GRID"]) == 1
    assert "adopt-trust" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_leaves_the_one_before_it(serving, wait, caplog):
    services, _ = serving
    attestor = services.attestor
    wait(lambda: attestor.log.last, "the first list is in the log")
    (services.directory.attestation / "current").write_text("2\n")
    wait(lambda: "trust lists of attestation cannot be read" in caplog.text, "it is said")
    before = attestor.log.last.number
    attestor.take_seals(encode_seals([SealingNode.named("tz-0000").seal(FIRST)]))
    wait(lambda: attestor.log.last.number > before, "rounds go on")
    assert attestor.trust.newest.trust.revision == 1
