"""What the command tells a person who gave it something it cannot use."""

import importlib.resources
from pathlib import Path

import pytest
from thermogen_sim.command import main
from thermogen_sim.compiler import SiteDesign

SHIPPED = Path(str(importlib.resources.files("thermogen_sim") / "data" / "greensboro-january.csv"))
SITE = ["site", "--name", "alpha"]


def _site(tmp_path, *more):
    return [*SITE, "--run-dir", str(tmp_path / "run"), "--host-link", str(tmp_path / "link"), *more]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pace", "fast"], "site seconds per wall second"),
        (["--pace", "0"], "site seconds per wall second"),
        (["--rtu", "70000"], "not a port"),
        (["--clock", "http"], "not a port"),
        (["--start", "soon"], "ISO 8601"),
        (["--clocks-per-site-second", "100"], "10000 to 50000000"),
        (["--seed", "-1"], "0 or more"),
        (["--channels", "37"], "1 to 36"),
        (["--modules", "4"], "1 to 3"),
        (["--state", "tepid"], "invalid choice"),
    ],
)
def test_a_setting_without_meaning_is_explained(tmp_path, capsys, options, says):
    try:
        code = main(_site(tmp_path, *options))
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert says in capsys.readouterr().err


KEY, ALPHA = ["--key", "00" * 32], ["--alpha", "72"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([*KEY, "--alpha", "7"], "not hexadecimal"),
        (["--key", "secret", *ALPHA], "not hexadecimal"),
        (["--key", "00" * 31, *ALPHA], "31 bytes: give 32"),
        ([*KEY, "--alpha", "00" * 257], "257 bytes: give 256 at most"),
        (KEY, "--alpha"),
    ],
)
def test_a_key_or_alpha_that_cannot_be_used_is_explained(capsys, options, says):
    try:
        code = main(["vrf", *options])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert says in capsys.readouterr().err


def test_a_bad_series_is_told_before_anything_is_started(tmp_path, capsys, series_file):
    path = series_file("time,gas_flow_mcf_d,ambient_degc,load_w\n1,3,1,1\n2,x,1,1\n")
    assert main(["replay", str(path), *_site(tmp_path)[1:]]) == 1
    error = capsys.readouterr().err
    assert "row 2" in error and "gas_flow_mcf_d" in error
    assert not (tmp_path / "run").exists()


def test_a_run_directory_that_is_a_file_is_told(tmp_path, capsys):
    (tmp_path / "run").write_text("")
    assert main(_site(tmp_path)) == 1
    assert "--run-dir" in capsys.readouterr().err


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert all(command in output for command in ("site", "replay", "compile", "uplink", "vrf"))


@pytest.mark.parametrize("given", [["--name", "beta"], []])
def test_a_series_alone_is_enough_to_run_a_site(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    settings = []
    monkeypatch.setattr("thermogen_sim.command.SiteService", lambda chosen, *_: settings.append(chosen) or _Ended())
    assert main(["replay", str(SHIPPED), *given]) == 0
    name = given[1] if given else "tz-simulated"
    assert (settings[0].run_dir, settings[0].host_link) == (Path("run") / name, Path("run") / name / "host-link.sock")


def test_a_cache_that_cannot_be_made_is_told_with_what_to_do(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THERMOGEN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("thermogen_sim.command.site_design", lambda *_: SiteDesign("", "", channels=12))
    assert main(["compile"]) == 1
    assert "set THERMOGEN_CACHE_DIR" in capsys.readouterr().err


class _Ended:
    async def run(self):
        pass
