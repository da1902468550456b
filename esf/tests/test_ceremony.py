"""The ceremony: people who trust no machine but their own make one list, and whoever is too few, or signs another list, is told."""

import json
from dataclasses import replace
from hashlib import sha3_256
from pathlib import Path

import pytest
from thermogen_esf.ceremony.listing import site_lines
from thermogen_esf.command import main
from thermogen_esf.evidence.attestation.enrolment import Enrolment, enrolled, judge_enrolment
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.trust import FleetTrust, RootKeys, judge_trust
from thermogen_esf.evidence.catalogue import MethodologyRefusedError, custom, rule
from thermogen_esf.evidence.trust import ApproverKey
from thermogen_esf.hostlink import calibration_hash
from thermogen_esf.keyfile import load_public_key
from thermogen_esf.points import SITE_INPUTS
from thermogen_esf.signatures import SigningKey
from thermogen_sim.ecvrf import SoftwareProver

NOW = 1_790_000_000
PASSPHRASE = "correct horse battery"
HOLDERS = ("rita", "ruth", "rolf")


@pytest.fixture(autouse=True)
def _cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files as everywhere, but for the work of a guess."""
    monkeypatch.setattr("thermogen_esf.encrypted_key._COST", 2**4)


class Ceremony:
    """A table with everybody's files on it; each step is the command that a person types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.passphrase.chmod(0o600)
        (folder / "sites").mkdir()

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def step(self, step: str, *arguments: object, out: str | None = None) -> int:
        written = () if out is None else ("--out", self / out)
        given = [str(each) for each in (*arguments, *written)]
        secret = ["--passphrase-file", str(self.passphrase)] if step in ("key", "certify", "sign", "methodology") else []
        now = [] if step in ("key", "methodology") else ["--now", str(NOW)]
        return main(["trust", step, *given, *secret, *now])

    def keys(self) -> None:
        for name in HOLDERS:
            assert self.step("key", "--use", "root", "--name", name, out=f"{name}.key") == 0
        assert self.step("key", "--use", "provisioner", "--name", "paula", out="paula.key") == 0

    def pin(self) -> None:
        public = (part for name in HOLDERS for part in ("--key", f"{name}={self / f'{name}.key.pub'}"))
        assert self.step("pin", "--threshold", 2, *public, out="root.json") == 0

    def enrol(self, name: str, **calibration: str) -> None:
        said = {"public_key": SigningKey.generate().public_key.hex(), "profile_hash": "aa" * 8, "calibration_hash": "bb" * 8, **calibration}
        (self / f"{name}.said").write_text(json.dumps({"site": name, "key_id": "", **said}))
        (self / "node.bit").write_bytes(b"the bitstream")
        vrf_key = SoftwareProver(name.ljust(32).encode()).public_key.hex()
        node = ("--board-serial", f"B-{name}", "--vrf-key", vrf_key, "--bitstream", self / "node.bit")
        assert self.step("certify", "--key", self / "paula.key", *node, out=f"{name}.cert") == 0
        site = ("--site", self / f"{name}.said", "--certificate", self / f"{name}.cert", "--operator", "acme", "--nameplate-w", 1_140)
        assert self.step("enrol", *site, "--channels", 12, out=f"sites/{name}.json") == 0

    def list(self, *arguments: object, out: str = "list.json") -> int:
        return self.step("list", "--pin", self / "root.json", "--enrolments", self / "sites", *arguments, out=out)

    def first_list(self) -> FleetTrust:
        (self / "cloud.pub").write_text(SigningKey.generate().public_key.hex())
        (self / "alice.pub").write_bytes(SigningKey.generate().public_key)
        people = ("--provisioner", f"paula={self / 'paula.key.pub'}", "--cloud", f"cloud-1={self / 'cloud.pub'}")
        whom = ("--operator", "acme", "--approver", f"alice={self / 'alice.pub'}", "--gateware", f"node-1={self / 'node.bit'}")
        assert self.list(*people, *whom) == 0
        return FleetTrust.parse((self / "list.json").read_bytes())

    def sign(self, name: str, trust: FleetTrust, source: str = "list.json", **changes: str) -> int:
        context = ("--pin", self / "root.json", "--enrolments", self / "sites")
        given = {"fingerprint": trust.hash.hex()[:16], "key": str(self / f"{name}.key"), **changes}
        options = (part for flag, value in given.items() for part in (f"--{flag}", value))
        return self.step("sign", self / source, *context, *options, out=f"{name}.sig")

    def combine(self, *names: str) -> int:
        return self.step("combine", *(self / f"{name}.sig" for name in names), "--pin", self / "root.json", out="trust.signed")


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    """Keys, a pin and one enrolled site."""
    made = Ceremony(tmp_path)
    made.keys()
    made.pin()
    made.enrol("tz-0001")
    return made


def test_two_of_three_make_a_list_that_a_verifier_believes_and_its_site_is_provisioned(
    ceremony: Ceremony, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = ceremony.first_list()
    assert ceremony.step("show", ceremony / "list.json", "--pin", ceremony / "root.json", "--enrolments", ceremony / "sites") == 0
    assert trust.hash.hex() in capsys.readouterr().out
    assert ceremony.sign("rita", trust) == ceremony.sign("rolf", trust) == 0
    assert ceremony.combine("rita", "rolf") == 0
    root = RootKeys.parse((ceremony / "root.json").read_bytes())
    found, checks = judge_trust(Signed.parse((ceremony / "trust.signed").read_bytes()), root, NOW + 1)
    assert found == trust and all(check.passed for check in checks)
    (entry,) = enrolled([Enrolment.parse((ceremony / "sites/tz-0001.json").read_bytes())])
    assert all(check.passed for check in judge_enrolment(entry, trust, NOW + 1))
    assert ceremony.step("check", ceremony / "trust.signed", "--pin", ceremony / "root.json") == 0


def test_no_key_is_readable_by_others_or_shown(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    from thermogen_esf.encrypted_key import Use, decrypt

    for name, use in (("rita", Use.ROOT), ("paula", Use.PROVISIONER)):
        path = ceremony / f"{name}.key"
        assert path.stat().st_mode & 0o777 == 0o600
        seed = decrypt(use, path.read_bytes(), PASSPHRASE)
        said = capsys.readouterr()
        assert seed.hex() not in path.read_text() + said.out + said.err


def test_one_holder_is_too_few_and_twice_the_same_is_one(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    assert ceremony.sign("rita", ceremony.first_list()) == 0
    assert ceremony.combine("rita") == 1
    assert ceremony.combine("rita", "rita") == 1
    assert "1 of 3 root keys signed (rita), 2 are needed" in capsys.readouterr().out
    assert not (ceremony / "trust.signed").exists()


def test_a_list_that_the_holder_did_not_read_is_not_signed(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ceremony.first_list()
    assert ceremony.sign("rita", trust, fingerprint="0123456789abcdef") == 2
    assert ceremony.sign("rita", trust, fingerprint=trust.hash.hex()[:8]) == 2
    assert "not the list that you read" in capsys.readouterr().err
    assert not (ceremony / "rita.sig").exists()


def test_a_provisioners_key_signs_no_list_and_a_strangers_root_key_neither(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ceremony.first_list()
    assert ceremony.sign("paula", trust) == 2
    assert ceremony.step("key", "--use", "root", "--name", "eve", out="eve.key") == 0
    assert ceremony.sign("eve", trust) == 2
    assert "not among the pinned root keys" in capsys.readouterr().err


def test_a_list_over_other_sites_than_the_holder_was_given_is_refused(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ceremony.first_list()
    ceremony.enrol("tz-0002")
    assert ceremony.sign("rita", trust) == 2
    assert "sites are those given" in capsys.readouterr().out


def test_a_site_that_nobody_provisioned_is_refused(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    path = ceremony / "sites/tz-0001.json"
    content = json.loads(path.read_bytes())
    content["board_serial"] = "B-another"
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")))
    trust = ceremony.first_list()
    assert ceremony.sign("rita", trust) == 2
    assert "not-provisioned" in capsys.readouterr().out


def test_signatures_of_two_lists_do_not_add_up(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ceremony.first_list()
    assert ceremony.sign("rita", trust) == 0
    (ceremony / "list.json").unlink()
    ceremony.enrol("tz-0002")
    assert ceremony.sign("ruth", ceremony.first_list()) == 0
    assert ceremony.combine("rita", "ruth") == 2
    assert "2 different lists" in capsys.readouterr().err


def test_the_next_list_carries_over_what_the_signed_one_names_and_says_what_changed(
    ceremony: Ceremony, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ceremony.first_list()
    assert ceremony.sign("rita", first) == ceremony.sign("ruth", first) == 0
    assert ceremony.combine("rita", "ruth") == 0
    ceremony.enrol("tz-0002")
    previous = ("--previous", ceremony / "trust.signed")
    assert ceremony.list(*previous, "--end", "alice", "--drop", "nobody", out="next.json") == 2
    assert "no nobody to end or drop" in capsys.readouterr().err
    assert ceremony.list(*previous, "--end", "alice", out="next.json") == 0
    second = FleetTrust.parse((ceremony / "next.json").read_bytes())
    assert (second.revision, second.previous, second.site_count) == (2, first.hash, 2)
    assert (second.clouds, second.operators, second.gateware) == (first.clouds, first.operators, first.gateware)
    assert [each.valid_to for each in second.approvers] == [NOW]
    context = ("--pin", ceremony / "root.json", "--enrolments", ceremony / "sites")
    assert ceremony.step("show", ceremony / "next.json", *context, *previous) == 0
    assert f"+ approver alice as approver key {second.approvers[0].key_id.hex()} valid {NOW} to {NOW}" in capsys.readouterr().out
    assert ceremony.step("show", ceremony / "next.json", *context) == 1  # without the one that it follows


def test_a_holder_reads_every_field_of_a_site(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    ceremony.first_list()
    site = Enrolment.parse((ceremony / "sites" / "tz-0001.json").read_bytes())
    capsys.readouterr()
    context = ("--pin", ceremony / "root.json", "--enrolments", ceremony / "sites")
    assert ceremony.step("show", ceremony / "list.json", *context) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("site ")]
    for name, value in site.values().items():
        long = name in ("public_key", "certificate")
        shown = sha3_256(getattr(site, name)).hexdigest() if long else str(value)
        assert name in ("version", "valid_to") or shown in line, name
    changes = {
        "public_key": SigningKey.generate().public_key,
        "profile_hash": bytes(8),
        "calibration_hash": bytes(8),
        "gateware": site.gateware[:31] + b"x",
        "channels": 13,
        "nameplate_w": 1_141,
        "hot_fluid": "ethylene-glycol-50",
        "cold_fluid": "therminol-vp1",
        "clocks_per_site_second": 1,
        "valid_from": 1,
        "valid_to": NOW + 1,
        "certificate": bytes(4_627),
    }
    for name, value in changes.items():
        assert site_lines([replace(site, **{name: value})]) != site_lines([site]), name


def test_a_holder_reads_what_a_site_measures_with_where_it_was_given(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    words = [value for _ in SITE_INPUTS for value in (4_096, 0)] + [0x8000] * 108
    words[0:2], words[2:4], words[-1] = [65_535, 0], [16_384, 0xE000], 0x8666
    content = b"".join(word.to_bytes(2, "big") for word in words)
    ceremony.enrol("tz-0002", calibration_hash=calibration_hash(words).hex(), calibration=content.hex())
    wanted = [
        "calibration of tz-0002, bus_voltage: gain 65535, offset 0, reads 0 to 65.519 V",
        "calibration of tz-0002, bus_current: gain 16384, offset -8192, reads -81.92 to 81.88 A",
        "calibration of tz-0002, channels' gains: 107 are 1, channel 107 1.04999",
    ]
    assert set(wanted) <= set(capsys.readouterr().out.splitlines())
    ceremony.first_list()
    context = ("--pin", ceremony / "root.json", "--enrolments", ceremony / "sites")
    capsys.readouterr()
    assert ceremony.step("show", ceremony / "list.json", *context) == 0
    shown = capsys.readouterr().out.splitlines()
    assert set(wanted) <= set(shown) and "calibration of tz-0001, not here: only its hash is known" in shown
    kept = ceremony / "sites" / "tz-0002.calibration"
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert ceremony.step("show", ceremony / "list.json", *context) == 0
    assert "calibration of tz-0002, not here: only its hash is known" in capsys.readouterr().out.splitlines()


def test_a_calibration_that_is_not_what_its_hash_is_of_is_not_enrolled(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    for content in ("00" * 264, "00" * 263, ""):
        (ceremony / "said").write_text(json.dumps({**json.loads((ceremony / "tz-0001.said").read_text()), "calibration": content}))
        site = ("--site", ceremony / "said", "--certificate", ceremony / "tz-0001.cert", "--operator", "acme", "--nameplate-w", 1_140)
        assert ceremony.step("enrol", *site, "--channels", 12, out="other.json") == 2
        assert "calibration" in capsys.readouterr().err
        assert not (ceremony / "other.json").exists() and not (ceremony / "other.calibration").exists()


def test_a_site_that_changed_since_the_list_before_is_shown(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    first = ceremony.first_list()
    assert ceremony.sign("rita", first) == ceremony.sign("ruth", first) == 0
    assert ceremony.combine("rita", "ruth") == 0
    before, path = ceremony / "before", ceremony / "sites" / "tz-0001.json"
    before.mkdir()
    old = Enrolment.parse(path.read_bytes())
    (before / path.name).write_bytes(old.encode())
    new = replace(old, public_key=SigningKey.generate().public_key)
    path.write_bytes(new.encode())
    previous = ("--previous", ceremony / "trust.signed")
    assert ceremony.list(*previous, out="next.json") == 0
    shown = ("show", ceremony / "next.json", "--pin", ceremony / "root.json", "--enrolments", ceremony / "sites", *previous)
    capsys.readouterr()
    assert ceremony.step(*shown, "--previous-enrolments", before) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[:6] in ("- site", "+ site")] == [f"- {site_lines([old])[0]}", f"+ {site_lines([new])[0]}"]
    assert ceremony.step(*shown) == 0
    assert "--previous-enrolments" in capsys.readouterr().out
    assert ceremony.step(*shown, "--previous-enrolments", ceremony / "sites") == 1  # not those that the list before is over


def test_nothing_is_written_over(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    key = (ceremony / "rita.key").read_bytes()
    assert ceremony.step("key", "--use", "root", "--name", "rita", out="rita.key") == 2
    assert ceremony.step("pin", "--threshold", 1, "--key", f"rita={ceremony / 'rita.key.pub'}", out="root.json") == 2
    assert "exists" in capsys.readouterr().err
    assert (ceremony / "rita.key").read_bytes() == key


def test_an_auditor_signs_a_methodology_of_ones_own_and_no_other(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    assert ceremony.step("key", "--use", "approver", "--name", "anna", out="anna.key") == 0
    own = {**json.loads(rule("EPA-AP42-CH4-FLARE").document), "id": "CUSTOM", "title": "Our flare"}
    (ceremony / "own.json").write_text(json.dumps(own, indent=2))
    assert ceremony.step("methodology", ceremony / "own.json", "--key", ceremony / "anna.key", out="own.signed") == 0
    auditor = ApproverKey("anna", "auditor", load_public_key(ceremony / "anna.key.pub"), NOW, None)
    signed = Signed.parse((ceremony / "own.signed").read_bytes())
    found = custom(signed, [auditor], NOW)
    assert found.title == "Our flare" and found.hash.hex() in capsys.readouterr().out
    with pytest.raises(MethodologyRefusedError):
        custom(signed, [replace(auditor, role="approver")], NOW)
    for name, wrong in (("renamed", {**own, "id": "EPA-AP42-CH4-FLARE"}), ("unread", {**own, "kind": "wind"})):
        (ceremony / name).write_text(json.dumps(wrong))
        assert ceremony.step("methodology", ceremony / name, "--key", ceremony / "anna.key", out=f"{name}.signed") == 2
        assert not (ceremony / f"{name}.signed").exists()
    assert ceremony.step("methodology", ceremony / "own.json", "--key", ceremony / "paula.key", out="paula.signed") == 2


def test_a_file_that_is_no_json_is_no_methodology(ceremony: Ceremony, capsys: pytest.CaptureFixture[str]) -> None:
    (ceremony / "own.json").write_text("{")
    assert ceremony.step("methodology", ceremony / "own.json", "--key", ceremony / "paula.key", out="own.signed") == 2
    assert "JSON" in capsys.readouterr().err


def test_a_vrf_key_that_is_no_point_is_not_certified(ceremony: Ceremony) -> None:
    node = ("--board-serial", "B", "--vrf-key", "00" * 32, "--bitstream", ceremony / "node.bit")
    assert ceremony.step("certify", "--key", ceremony / "paula.key", *node, out="b.cert") == 2
    assert not (ceremony / "b.cert").exists()
