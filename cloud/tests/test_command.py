"""`thermogen-cloud` as an operator uses it: each subcommand does its part, each mistake is answered with what to do."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest
import uvicorn
from thermogen_cloud.accounting import balanced
from thermogen_cloud.api import application
from thermogen_cloud.command import main
from thermogen_cloud.directory import ExposedSecretError
from thermogen_cloud.ledger.store import LedgerStore
from thermogen_cloud.settings import SETTINGS, SettingError, read_settings
from thermogen_esf.evidence.trust import TrustList
from thermogen_esf.evidence.verification import verify_bundle
from thermogen_esf.keyfile import load_seed, save_seed
from thermogen_esf.signatures import SigningKey
from thermogen_sim.fleet.enrolling import signing_key

from .test_attested_minting import Minting

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An operator's environment, with a directory that does not exist yet."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.setenv("THERMOGEN_CLOUD_DIR", str(tmp_path / "cloud"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("THERMOGEN_CLOUD_PORT", str(probe.getsockname()[1]))
    return tmp_path


@pytest.fixture
def run(environment, capsys):
    """Runs a subcommand; exit code, its JSON (None where it printed none) and its messages."""

    def run_one(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out.strip() else None, captured.err

    return run_one


def test_init_makes_everything_private_and_again_changes_nothing(run, environment):
    code, first, _ = run("init")
    assert code == 0
    root = environment / "cloud"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    for path in root.iterdir():
        if path.is_file() and path.name != "trust.json":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    before = {path.name: path.read_bytes() for path in root.iterdir() if path.suffix in (".key", ".json", ".password")}
    assert run("init")[1] == first
    assert {name: (root / name).read_bytes() for name in before} == before
    trust = TrustList.parse((root / "trust.json").read_bytes())
    assert not trust.demonstration
    assert trust.cloud[0].public_key.hex() == first["public_key"]


def test_a_demonstration_is_marked_only_when_asked_for(run, environment, monkeypatch):
    monkeypatch.setenv("THERMOGEN_CLOUD_DEMONSTRATION", "1")
    run("init")
    assert TrustList.parse((environment / "cloud" / "trust.json").read_bytes()).demonstration


def test_sites_and_approvers_are_enrolled_once(run, environment):
    run("init")
    key = environment / "site.hex"
    key.write_text(SigningKey.generate().public_key.hex() + "\n")
    passphrase = environment / "passphrase"
    passphrase.write_text("correct horse battery\n")
    passphrase.chmod(0o600)
    for _ in range(2):
        assert run("enrol-site", "--name", "tz-a", "--public-key", key, "--channels", "36")[0] == 0
        assert run("enrol-approver", "--name", "ada", "--passphrase-file", passphrase)[0] == 0
    trust = TrustList.parse((environment / "cloud" / "trust.json").read_bytes())
    assert [(site.name, site.channels, site.nameplate_w) for site in trust.sites] == [("tz-a", 36, 3434)]
    assert [(approver.name, approver.role) for approver in trust.approvers] == [("ada", "approver")]


def test_a_new_key_of_a_site_ends_the_old_one(run, environment):
    run("init")
    for number, valid_from in enumerate((1_000, 2_000)):
        key = environment / f"{number}.hex"
        key.write_text(SigningKey.generate().public_key.hex())
        assert run("enrol-site", "--name", "tz-a", "--public-key", key, "--valid-from", valid_from)[0] == 0
    trust = TrustList.parse((environment / "cloud" / "trust.json").read_bytes())
    assert [(site.valid_from, site.valid_to) for site in trust.sites] == [(1_000, 1_999), (2_000, None)]


def test_what_bounds_a_sites_claims_changes_under_its_key_and_its_time_does_not(run, environment):
    run("init")
    old, new = (environment / f"{each}.hex" for each in ("old", "new"))
    for key in (old, new):
        key.write_text(SigningKey.generate().public_key.hex())
    enrol = ("enrol-site", "--name", "tz-a", "--public-key")
    assert run(*enrol, old, "--channels", "36", "--valid-from", 1_000)[0] == 0
    assert run(*enrol, old, "--channels", "72", "--nameplate-w", 7_000, "--valid-from", 1_500)[0] == 0
    assert run(*enrol, new, "--valid-from", 2_000)[0] == 0
    assert run(*enrol, old, "--nameplate-w", 6_500)[0] == 0, "a key that was replaced is not in use again"
    trust = TrustList.parse((environment / "cloud" / "trust.json").read_bytes())
    assert [(site.channels, site.nameplate_w, site.valid_from, site.valid_to) for site in trust.sites] == [
        (12, 6_500, 1_000, 1_999),
        (12, 1_145, 2_000, None),
    ]


@pytest.mark.parametrize("name", ["Ada", "../ada", "a b", ""])
def test_a_name_that_cannot_be_one_is_refused_and_makes_no_file(run, environment, name):
    run("init")
    passphrase = environment / "passphrase"
    passphrase.write_text("correct horse battery")
    passphrase.chmod(0o600)
    code, _, message = run("enrol-approver", "--name", name, "--passphrase-file", passphrase)
    assert code == 1 and "name" in message
    assert list((environment / "cloud" / "approvers").iterdir()) == []


@pytest.mark.parametrize(
    "how", [["--name", "TZ A"], ["--name", "tz-a", "--channels", "109"], ["--name", "tz-a", "--clocks-per-site-second", "10000"]]
)
def test_an_enrolment_that_cannot_be_leaves_the_trust_list_as_it_was(run, environment, how):
    run("init")
    before = (environment / "cloud" / "trust.json").read_bytes()
    key = environment / "site.hex"
    key.write_text(SigningKey.generate().public_key.hex())
    code, _, message = run("enrol-site", "--public-key", key, *how)
    assert code == 1 and "cannot be enrolled" in message
    assert (environment / "cloud" / "trust.json").read_bytes() == before


def test_mistakes_are_answered_with_what_to_do(run, environment, monkeypatch):
    code, _, message = run("serve")
    assert (code, "thermogen-cloud init" in message) == (1, True)
    run("init")
    short = environment / "short.hex"
    short.write_text("00")
    code, _, message = run("enrol-site", "--name", "tz-a", "--public-key", short)
    assert (code, "ML-DSA-87 public key" in message) == (1, True)
    code, _, message = run("enrol-site", "--name", "tz-a", "--public-key", environment / "nothing")
    assert (code, "nothing" in message) == (1, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("THERMOGEN_CLOUD_PORT", str(taken.getsockname()[1]))
        code, _, message = run("serve")
        assert (code, "in use" in message, "THERMOGEN_CLOUD_PORT" in message) == (1, True, True)
    code, _, message = run("request-mint", "--site", "tz-a", "--first-epoch", 1, "--last-epoch", 2)
    assert (code, "thermogen-cloud serve" in message) == (1, True)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("THERMOGEN_CLOUD_PORT", "none"),
        ("THERMOGEN_CLOUD_PORT", "70000"),
        ("THERMOGEN_API_PREFIX", "api/v1"),
        ("THERMOGEN_API_PREFIX", "/api/v1/"),
        ("THERMOGEN_API_PREFIX", "/"),
        ("THERMOGEN_API_PREFIX", "/api//v1"),
        ("THERMOGEN_API_PREFIX", "/api/../v1"),
        ("THERMOGEN_API_PREFIX", "/{name}"),
        ("THERMOGEN_API_PREFIX", "/a b"),
        ("THERMOGEN_API_PREFIX", "/api\n"),
        ("THERMOGEN_VIEWER", "a:b"),
        ("THERMOGEN_VIEWER", "zo\u00eb"),
        ("THERMOGEN_BROKER", "http://127.0.0.1"),
        ("THERMOGEN_BROKER", "mqtt://cloud:secret@127.0.0.1"),
        ("THERMOGEN_BROKER", "mqtt://cloud@127.0.0.1:none"),
        ("THERMOGEN_BROKER", f"mqtt://{'a' * 64}"),
        ("THERMOGEN_TOPIC_PREFIX", "tz/#"),
        ("THERMOGEN_TOPIC_PREFIX", "tz/\udcff"),
        ("THERMOGEN_CLOUD_DEMONSTRATION", "yes"),
    ],
)
def test_a_setting_that_cannot_be_is_named(variable, value):
    with pytest.raises(SettingError, match=variable):
        read_settings({variable: value})


def test_the_defaults_need_nothing_and_secrets_are_never_in_an_error(tmp_path):
    settings = read_settings({})
    assert (settings.port, settings.api_prefix, settings.viewer, settings.directory.viewer_password.name) == (
        8080,
        "/api/v1",
        "viewer",
        "viewer.password",
    )
    assert (str(settings.broker), settings.topic_prefix, settings.demonstration) == ("mqtt://127.0.0.1:1883", "tz/v1", False)
    with pytest.raises(SettingError) as error:
        read_settings({"THERMOGEN_BROKER": "mqtt://cloud:secret@127.0.0.1"})
    assert "secret" not in str(error.value)


def test_a_brokers_password_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "broker.password"
    settings = read_settings({"THERMOGEN_BROKER_PASSWORD_FILE": str(file)})
    with pytest.raises(SettingError, match="THERMOGEN_BROKER_PASSWORD_FILE"):
        settings.broker_password()
    file.write_text("hush\n")
    file.chmod(0o640)
    with pytest.raises(ExposedSecretError, match="others") as error:
        settings.broker_password()
    assert "hush" not in str(error.value)
    file.chmod(0o600)
    assert settings.broker_password() == "hush"


@pytest.fixture
def secret(environment):
    """Writes a file that only its owner can read."""

    def write(name, content):
        file = environment / name
        file.write_bytes(content)
        file.chmod(0o600)
        return file

    return write


def test_a_passphrase_that_is_not_text_is_answered_with_what_to_do_and_makes_nothing(run, environment, secret):
    run("init")
    passphrase = secret("passphrase", b"\xff\xfec\0o\0r\0r\0e\0c\0t\0")  # UTF-16, as some editors save
    code, _, message = run("enrol-approver", "--name", "ada", "--passphrase-file", passphrase)
    assert (code, "UTF-8" in message, str(passphrase) in message) == (1, True, True)
    assert list((environment / "cloud" / "approvers").iterdir()) == []
    run("enrol-approver", "--name", "ada", "--passphrase-file", secret("good", b"correct horse battery"))
    key = environment / "cloud" / "approvers" / "ada.key"
    decision = ("--request", "0" * 64, "--key", key, "--passphrase-file", passphrase, "--reason", "looked at it", "--print")
    code, _, message = run("approve", *decision)
    assert (code, "UTF-8" in message, str(passphrase) in message) == (1, True, True)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b'{"a":' + b"[" * 4_000,
        b'{"version":1,"approver":"\\ud800","salt":"%s","nonce":"%s","sealed":""}' % (b"00" * 16, b"00" * 12),
    ],
    ids=["not text", "nested without end", "a name that is no text"],
)
def test_a_key_file_that_is_none_is_answered_with_what_to_do(run, secret, content):
    run("init")
    key, passphrase = secret("ada.key", content), secret("passphrase", b"correct horse battery")
    decision = ("--request", "0" * 64, "--approver", "ada", "--key", key, "--passphrase-file", passphrase, "--reason", "looked at it")
    code, _, message = run("approve", *decision, "--print")
    assert (code, str(key) in message, "enrol-approver" in message) == (1, True, True)


def test_a_viewers_password_that_is_not_text_is_answered_with_what_to_do(run, environment, secret):
    run("init")
    secret("cloud/viewer.password", b"\xff\xfe")
    for command in (("serve",), ("bundle", "--credit", "SC-2026-TZ-000001", "--out", environment / "out")):
        code, _, message = run(*command)
        assert (code, "viewer.password" in message, "UTF-8" in message) == (1, True, True)


@pytest.mark.parametrize("command", [("request-mint", "--site", "\udcff"), ("bundle", "--out", "out", "--credit", "\udcff")])
def test_an_argument_that_is_not_text_is_asked_for_as_it_is(run, command):
    run("init")
    code, _, message = run(*command)
    assert (code, "no cloud answers" in message) == (1, True)


def test_a_full_disk_is_said_with_what_to_do(run, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("thermogen_esf.keyfile.os.fsync", full)
    code, _, message = run("init")
    assert (code, "free space" in message) == (1, True)


@pytest.mark.slow
def test_a_start_on_a_full_disk_says_so_and_calls_no_whole_file_broken(run, environment, on_a_full_disk):
    run("init")
    directory = environment / "cloud"
    LedgerStore(directory / "ledger.sqlite", bytes(32)).close()
    command = f"{sys.executable} -m thermogen_cloud.command"
    served = on_a_full_disk(directory, f"{command} serve", dict(os.environ))
    assert (served.returncode, "no space left to store" in served.stderr, "free space" in served.stderr) == (1, True, True), served.stderr
    assert "backup" not in served.stderr
    opening = f"{sys.executable} -c 'from thermogen_cloud.ledger.store import *; LedgerStore(Path(\"ledger.sqlite\"), bytes(32))'"
    ledger = on_a_full_disk(directory, opening, dict(os.environ))
    assert "StorageFullError" in ledger.stderr
    roomy = on_a_full_disk(directory, f"{command} serve; rm ballast; {command} init && {opening}", dict(os.environ))
    assert roomy.returncode == 0, roomy.stderr


@pytest.mark.parametrize("name", ["registry.sqlite", "ledger.sqlite"])
def test_a_database_that_cannot_be_opened_is_not_to_be_restored_from_a_backup(run, environment, name):
    run("init")
    (environment / "cloud" / name).unlink(missing_ok=True)
    (environment / "cloud" / name).mkdir()
    code, _, message = run("serve")
    assert (code, name in message, "may be whole" in message, "backup" in message) == (1, True, True, False), message


def test_two_inits_at_once_make_one_cloud(run, environment, monkeypatch):
    made = []

    def save_after_another(path, key):
        made.append(path)
        save_seed(path, SigningKey.generate())  # the other `init` is a moment earlier
        save_seed(path, key)

    monkeypatch.setattr("thermogen_cloud.initialise.save_seed", save_after_another)
    code, printed, _ = run("init")
    assert (code, len(made)) == (0, 3)
    assert printed["public_key"] == load_seed(environment / "cloud" / "cloud.key").public_key.hex()


@pytest.fixture
def stranger(monkeypatch):
    """Some other program on the cloud's port: answers each connection with the bytes it is given; None is silence."""
    ended, served = threading.Event(), []

    def answer_with(content):
        listening = socket.create_server(("127.0.0.1", 0))
        monkeypatch.setenv("THERMOGEN_CLOUD_PORT", str(listening.getsockname()[1]))

        def serve():
            with contextlib.suppress(OSError), listening, listening.accept()[0] as connection:
                connection.recv(65_536)
                if content is None:
                    ended.wait(30)
                    return
                connection.sendall(content)
                # Closed with a part of the request unread, the kernel would reset the connection and could take the answer with it.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass

        served.append(threading.Thread(target=serve))
        served[-1].start()

    yield answer_with
    ended.set()
    for thread in served:
        thread.join()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot here\n", "is not a thermogen-cloud"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n[]", "is not a thermogen-cloud"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is not a thermogen-cloud"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "is not a thermogen-cloud"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{", "is not a thermogen-cloud"),
        (b"SSH-2.0-OpenSSH\r\n", "is not a thermogen-cloud"),
        (b"", "broke"),
        (None, "did not answer within"),
    ],
    ids=["404 in text", "500 in JSON", "200 in HTML", "200 in other JSON", "cut short", "not HTTP", "hangs up", "silent"],
)
def test_another_program_on_the_port_or_silence_is_said_with_what_to_do(run, stranger, monkeypatch, content, says):
    run("init")
    monkeypatch.setattr("thermogen_cloud.command.ANSWER_S", 0.5)
    stranger(content)
    code, printed, message = run("request-mint", "--site", "tz-a", "--first-epoch", 1, "--last-epoch", 2)
    assert (code, printed) == (1, None)
    assert says in message
    assert "THERMOGEN_CLOUD_PORT" in message or "ask again" in message


def test_what_another_program_answers_is_not_kept_as_a_bundle(run, environment, stranger):
    run("init")
    stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
    code, _, message = run("bundle", "--credit", "SC-2026-TZ-000001", "--out", environment / "out")
    assert (code, "is not a thermogen-cloud" in message, (environment / "out").exists()) == (1, True, False)


def test_every_setting_and_subcommand_is_documented():
    text = README.read_text()
    for setting in SETTINGS:
        assert f"`{setting.variable}`" in text
    for subcommand in (
        "init",
        "serve",
        "enrol-site",
        "enrol-approver",
        "adopt-trust",
        "choose-methodology",
        "request-mint",
        "approve",
        "bundle",
    ):
        assert f"thermogen-cloud {subcommand}" in text


@pytest.fixture
def attested(cloud, environment, monkeypatch):
    """A served cloud on which an attested day and a mint of alpha wait for a person; how `approve` is called on a hash."""
    made = Minting(cloud, environment / "attesting")
    made.attest()
    made.minting.round()
    server = uvicorn.Server(uvicorn.Config(application(cloud.services), log_config=None))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    serving.start()
    monkeypatch.setenv("THERMOGEN_CLOUD_DIR", str(cloud.directory.root))
    monkeypatch.setenv("THERMOGEN_CLOUD_PORT", str(listening.getsockname()[1]))
    monkeypatch.setattr("thermogen_cloud.command.unix_seconds", lambda: cloud.now)
    yield made
    server.should_exit = True
    serving.join()


def approval(secret, request, approver, key):
    """The arguments that approve."""
    file = secret(f"{approver}.seed", key.seed.hex().encode())
    return ("approve", "--request", request.hex(), "--key", file, "--approver", approver, "--reason", "looked at it")


def test_an_attestation_is_approved_by_its_hash_and_again_is_refused(run, attested, cloud, secret):
    approve = approval(secret, attested.row.attestation, "alice", signing_key("alice"))
    code, printed, message = run(*approve)
    assert (code, message) == (0, "")
    row = attested.row
    assert printed == {"hash": row.attestation.hex(), "state": "minted", "amount": row.amount, "credit": row.serial}
    assert balanced(cloud.registry, cloud.ledger).issued == row.amount > 0
    code, printed, message = run(*approve)
    assert (code, printed, "decided already" in message) == (1, None, True)


def test_an_attestation_is_rejected_by_its_hash(run, attested, cloud, secret):
    code, printed, _ = run(*approval(secret, attested.row.attestation, "alice", signing_key("alice")), "--reject")
    assert (code, printed["state"], printed["credit"]) == (0, "rejected", None)
    assert balanced(cloud.registry, cloud.ledger).issued == 0


def test_a_request_is_approved_by_its_hash_where_the_cloud_attests_too(run, attested, cloud, site, secret):
    for batch in site.batches(2):
        cloud.receive(batch)
    request = cloud.minting.request_unminted(site.name, "TZ-DISPLACED-GRID")
    code, printed, _ = run(*approval(secret, request, "ada", cloud.approver_key))
    assert (code, printed["hash"], printed["state"]) == (0, request.hex(), "minted")


def test_a_hash_of_nothing_is_said_to_be_none(run, attested, secret):
    code, printed, message = run(*approval(secret, bytes(32), "alice", signing_key("alice")))
    assert (code, printed, "no mint request" in message, "attestation" in message) == (1, None, True, True)


@pytest.mark.slow
def test_from_a_batch_to_a_bundle_by_the_command_alone(cloud_process, uplink, site, approver_key, tmp_path, wait):
    cloud_process.start()
    link = uplink()
    for batch in site.batches(2):
        link.send(batch)
    wait(lambda: [row["status"] for row in cloud_process.get("batches")] == ["believed"] * 2, "both are believed")
    requested = json.loads(cloud_process.run("request-mint", "--site", site.name).stdout)
    key = tmp_path / "ada.seed"
    key.write_text(approver_key.seed.hex() + "\n")
    key.chmod(0o600)
    approve = ("approve", "--request", requested["hash"], "--key", str(key), "--approver", "ada", "--reason", "looked at it")
    printed = json.loads(cloud_process.run(*approve, "--print").stdout)
    assert printed["approver"] == "ada" and len(printed["signature"]) == 2 * 4_627
    minted = json.loads(cloud_process.run(*approve).stdout)
    assert minted["state"] == "minted"
    again = cloud_process.run(*approve, check=False)
    assert again.returncode == 1 and "decided already" in again.stderr
    out = tmp_path / "credit.bundle"
    cloud_process.run("bundle", "--credit", minted["credit"], "--out", str(out))
    trust = TrustList.parse((cloud_process.root / "trust.json").read_bytes())
    assert verify_bundle(out.read_bytes(), trust).believed
    second = cloud_process.run("serve", check=False)
    assert second.returncode == 1 and "in use" in second.stderr


@pytest.mark.slow
def test_the_command_and_the_server_go_by_the_same_settings(cloud_process, site, tmp_path):
    password = tmp_path / "auditor.password"
    settings = {"THERMOGEN_API_PREFIX": "/wells/v1", "THERMOGEN_VIEWER": "auditor", "THERMOGEN_VIEWER_PASSWORD_FILE": str(password)}
    cloud_process.environment |= settings
    (cloud_process.root / "viewer.password").unlink()
    assert json.loads(cloud_process.run("init").stdout)["viewer_password_file"] == str(password)
    assert not (cloud_process.root / "viewer.password").exists() and stat.S_IMODE(password.stat().st_mode) == 0o600
    cloud_process.start()
    asked = cloud_process.run("request-mint", "--site", site.name, check=False)
    assert "has no believed epoch" in asked.stderr, "the answer of the API, behind the password"
    for variable, says in (("THERMOGEN_API_PREFIX", "THERMOGEN_API_PREFIX"), ("THERMOGEN_VIEWER", "THERMOGEN_VIEWER_PASSWORD_FILE")):
        del cloud_process.environment[variable]
        asked = cloud_process.run("request-mint", "--site", site.name, check=False)
        assert asked.returncode == 1 and says in asked.stderr
        cloud_process.environment |= settings
