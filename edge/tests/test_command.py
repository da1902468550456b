"""`thermogen-edge` as a person uses it: what it makes, prints and refuses."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from hashlib import sha3_256
from pathlib import Path

import pytest
from thermogen_edge import version
from thermogen_edge.buffer import open_buffer
from thermogen_edge.command import initialise, main
from thermogen_edge.settings import SETTINGS
from thermogen_esf.describing import version_text
from thermogen_esf.frames import site_identity
from thermogen_esf.keyfile import load_seed

from .conftest import Site
from .site_services import wait_until


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.setenv("THERMOGEN_EDGE_DIR", str(tmp_path / "site"))


def test_people_and_frames_are_told_the_version_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    released = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == released == version.TEXT
    assert version_text(version.RAW) == released


def test_a_version_in_a_frame_has_sixteen_bits_of_patch() -> None:
    assert version.raw("1.2.259") == 0x0102_0103
    assert version.raw("1.2.3rc1") == version.raw("1.2.3") and version.raw("1.2") == 0x0102_0000


def test_init_makes_a_private_directory_with_key_and_profile_and_prints_the_public_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--site", "tz-a"]) == 0
    printed = json.loads(capsys.readouterr().out)
    directory = tmp_path / "site"
    key = load_seed(directory / "site.key")
    assert printed["public_key"] == key.public_key.hex()
    assert sha3_256(bytes.fromhex(printed["calibration"])).hexdigest()[:16] == printed["calibration_hash"]
    assert len(printed["calibration"]) == 2 * 264
    assert printed["site_identity"] == site_identity("tz-a").hex()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert key.seed.hex() not in json.dumps(printed)


def test_init_again_keeps_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--site", "tz-a"])
    first = capsys.readouterr().out
    assert main(["init", "--site", "tz-a"]) == 0
    assert capsys.readouterr().out == first


def test_a_directory_belongs_to_one_site(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--site", "tz-a"])
    assert main(["init", "--site", "tz-b"]) == 2
    assert "THERMOGEN_EDGE_DIR" in capsys.readouterr().err


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--site", "tz-a"])
    (tmp_path / "site").chmod(0o755)
    assert main(["init", "--site", "tz-a"]) == 2
    assert "chmod 700" in capsys.readouterr().err


def test_status_before_the_first_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--site", "tz-a"])
    assert main(["status"]) == 2
    assert "thermogen-edge run" in capsys.readouterr().err


def run_with(monkeypatch: pytest.MonkeyPatch, **settings: str) -> int:
    for name, value in settings.items():
        monkeypatch.setenv(f"THERMOGEN_{name}", value)
    return main(["run"])


def test_a_start_on_a_full_disk_says_what_to_do_and_the_buffer_is_used_again_once_there_is_room(
    tmp_path: Path, on_a_full_disk: Callable[[Path, str, dict[str, str]], subprocess.CompletedProcess[str]]
) -> None:
    directory, keys = tmp_path / "site", tmp_path / "keys.json"
    made = initialise(directory, "tz-a")
    keys.write_text(json.dumps({"cloud": [made["public_key"]]}))
    buffer = open_buffer(directory / "buffer.sqlite", 10_000_000)
    buffer.begin_boot()
    buffer.close()
    settings = {"SITE": "tz-a", "CLOUD_KEYS": str(keys), "BROKER": "mqtt://tz-a@127.0.0.1:1", "HOST_LINK": f"unix:{tmp_path / 'none'}"}
    environment = {**os.environ, **{f"THERMOGEN_{name}": value for name, value in settings.items()}}
    command = f"{sys.executable} -m thermogen_edge.command"
    for subcommand in ("run", "status"):
        full = on_a_full_disk(directory, f"{command} {subcommand}", environment)
        assert full.returncode == 2
        assert f"the disk of {directory} is full: make room on it" in full.stderr
    roomy = on_a_full_disk(directory, f"{command} status; rm ballast; {command} status", environment)
    assert roomy.returncode == 0, roomy.stderr
    assert json.loads(roomy.stdout)["boot_count"] == 1


def test_a_buffer_that_may_not_be_opened_is_not_called_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    initialise(tmp_path / "site", "tz-a")
    (tmp_path / "site" / "buffer.sqlite").mkdir()
    assert main(["status"]) == 2
    said = capsys.readouterr().err
    assert "could not be used" in said and "it may be whole" in said and "damaged" not in said


def test_a_file_that_cannot_be_written_is_said_with_what_to_do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("thermogen_edge.command.os.fsync", full)
    assert main(["init", "--site", "tz-a"]) == 2
    assert "make room on that disk" in capsys.readouterr().err


def test_run_names_what_is_missing_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, password = tmp_path / "keys.json", tmp_path / "password"
    assert run_with(monkeypatch) == 2
    assert "THERMOGEN_CLOUD_KEYS is not set" in capsys.readouterr().err
    assert run_with(monkeypatch, CLOUD_KEYS=str(keys), SITE="tz-a", BROKER="mqtt://tz-a@127.0.0.1:1") == 2
    assert "thermogen-edge init --site tz-a" in capsys.readouterr().err
    main(["init", "--site", "tz-a"])
    public_key = json.loads(capsys.readouterr().out)["public_key"]
    for content, said in (
        (None, "no cloud keys"),
        ("{", "not a file of cloud keys"),
        ('{"cloud": []}', "holds no key"),
        ('{"cloud": ["00"]}', "2592 bytes"),
    ):
        if content is not None:
            keys.write_text(content)
        assert run_with(monkeypatch) == 2
        assert said in capsys.readouterr().err
    keys.write_text(json.dumps({"cloud": [public_key]}))
    assert run_with(monkeypatch, BROKER_PASSWORD_FILE=str(password)) == 2
    assert "THERMOGEN_BROKER_PASSWORD_FILE" in capsys.readouterr().err
    password.write_text("secret-word")
    password.chmod(0o644)
    assert run_with(monkeypatch) == 2
    said = capsys.readouterr().err
    assert "chmod 600" in said and "secret-word" not in said
    password.chmod(0o600)
    assert run_with(monkeypatch, SITE="tz-b") == 2
    assert "is of the site 'tz-a'" in capsys.readouterr().err
    (tmp_path / "site" / "site.key").chmod(0o644)
    assert run_with(monkeypatch, SITE="tz-a") == 2
    assert "chmod 600" in capsys.readouterr().err


def test_a_second_daemon_in_the_same_directory_is_refused(site: Site) -> None:
    site.daemon.start()
    wait_until(lambda: site.model.introduced, "the first one works")
    second = site.daemon.command("run")
    assert second.returncode == 2
    assert "in use by another thermogen-edge" in second.stderr
    assert site.daemon.terminate() == 0


def test_help_names_every_setting() -> None:
    shown = subprocess.run([sys.executable, "-m", "thermogen_edge.command", "--help"], capture_output=True, text=True, check=True)
    for setting in SETTINGS:
        assert f"{setting.variable}  {setting.meaning}" in shown.stdout


def test_the_readme_shows_what_help_prints() -> None:
    environment = {**os.environ, "COLUMNS": "100"}
    shown = subprocess.run(
        [sys.executable, "-m", "thermogen_edge.command", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    usage = shown.stdout.split("settings, from the environment:")[0].rstrip()
    assert usage in (Path(__file__).parents[1] / "README.md").read_text()
