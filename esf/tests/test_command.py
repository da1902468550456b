"""thermogen-esf: what people and programs get to see, and what they are told when the input is bad."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from thermogen_esf.command import main
from thermogen_esf.documents.examples import examples
from thermogen_esf.frames import Alert, Frame, encode

WORKED: dict[str, Frame] = {frame.type.name.lower(): frame for frame in examples()}
CAPTURE = b"".join(encode(frame) for frame in WORKED.values())


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.bin"
    path.write_bytes(CAPTURE)
    return path


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_decode_shows_fields_with_units(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(capture)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "telemetry, 510 bytes at offset 0",
        "350 2 bus_voltage 50.112 V",
        "26 3 channels[0].current 1.794 A",
        "439 1 site_state PRODUCING",
        "404 4 faults none",
        "374 8 electrical_energy 128411093.127 J",
        "26 2 code RESEND_BATCHES",
        "26 2 code HOT_FLOW_LOW",
        "32 8 value 4.81 L/min",
        "batch, 5333 bytes at offset 5277",
        "leaves[0]: sequence 70213, time 1784592010, bus 50.11 V, channels 1081.7 W",
        "30 1 result DONE",
    ):
        assert line in lines
    assert "96 of 108 channels are absent; --leaves shows them" in lines


@pytest.mark.parametrize("name", WORKED)
def test_every_frame_is_shown_by_every_way_in(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(WORKED[name])
    (tmp_path / "frame").write_bytes(data)
    assert main(["decode", str(tmp_path / "frame")]) == 0
    from_file = capsys.readouterr().out
    assert from_file.startswith(f"{name}, {len(data)} bytes at offset 0\n")
    assert main(["decode", "--hex", data.hex(" ")]) == 0
    assert capsys.readouterr().out == from_file
    for arguments, given in ((["decode"], data), (["decode", "-"], data), (["decode", "--hex", "-"], data.hex().encode())):
        standard_input(monkeypatch, given)
        assert main(arguments) == 0
        assert capsys.readouterr().out == from_file


@pytest.mark.parametrize("name", WORKED)
def test_the_fields_shown_are_all_the_bytes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = encode(WORKED[name])
    assert main(["decode", "--json", "--hex", data.hex()]) == 0
    shown = json.loads(capsys.readouterr().out)
    covered = {byte for field in shown["fields"].values() for byte in range(field["offset"], field["offset"] + field["bytes"])}
    carried = 506 * len(shown.get("leaves", [])) + sum(2 + alert["bytes"] for alert in shown.get("alerts", []))
    assert len(covered) + carried == len(data) == shown["bytes"]


def test_json_is_one_object_a_line_with_exact_raw_values(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--json", str(capture)]) == 0
    telemetry, command, alert, batch, receipt, *_ = map(json.loads, capsys.readouterr().out.splitlines())
    assert telemetry["fields"]["bus_voltage"] == {"offset": 350, "bytes": 2, "raw": 50112, "value": 50.112, "unit": "V"}
    assert telemetry["fields"]["site_state"] == {"offset": 439, "bytes": 1, "raw": 2, "text": "PRODUCING"}
    assert len([field for field in telemetry["fields"] if field.endswith(".state")]) == 108
    assert command["offset"] == 510 and command["fields"]["arguments"]["raw"] == [1982876, 1982880]
    assert alert["fields"]["threshold"]["value"] == 5.0
    assert batch["leaves"][0]["fields"]["bus_voltage"]["raw"] == 50112
    assert batch["alerts"][0]["fields"]["code"]["text"] == "HOT_FLOW_LOW"
    assert len(receipt["fields"]["signature"]["raw"]) == 2 * 4627


def test_leaves_of_a_batch_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--leaves", "--hex", encode(WORKED["batch"]).hex()]) == 0
    out = capsys.readouterr().out
    assert "bus_voltage                 50.112 V" in out and "channels[107].state" in out


def test_a_leaf_that_is_no_telemetry_does_not_hide_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    batch = replace(WORKED["batch"], leaves=(bytes(506), WORKED["telemetry"].leaf))
    assert main(["decode", "--hex", encode(batch).hex()]) == 0
    out = capsys.readouterr().out
    assert "leaves[0] is no telemetry: offset 0, magic: 0000 is not 545a" in out and "leaves[1]: sequence 70213" in out
    assert main(["decode", "--json", "--hex", encode(batch).hex()]) == 0
    assert json.loads(capsys.readouterr().out)["leaves"][0]["error"]["field"] == "magic"


def test_a_damaged_frame_is_named_and_the_rest_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(CAPTURE)
    damaged[100] ^= 0x40
    (tmp_path / "capture").write_bytes(damaged)
    assert main(["decode", str(tmp_path / "capture")]) == 1
    shown = capsys.readouterr()
    assert "510 bytes at offset 0 are no frame\n  ChecksumError: offset 506, crc: " in shown.out
    assert "command, 4687 bytes at offset 510" in shown.out
    assert shown.err == "thermogen-esf: 1 of 7 stretches are no frame\n"
    assert main(["decode", "--json", str(tmp_path / "capture")]) == 1
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["error"]["kind"] == "ChecksumError" and first["error"]["field"] == "crc"


def test_text_from_a_site_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    alert = WORKED["alert"]
    assert isinstance(alert, Alert)
    hostile = encode(replace(alert, text="a\x1b[2Jb\n\u202ec\x9b"))
    for arguments in ([], ["--json"]):
        assert main(["decode", *arguments, "--hex", hostile.hex()]) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\u202e", "\x9b"} & set(out)
    assert main(["decode", "--hex", hostile.hex()]) == 0
    assert "a\\x1b[2Jb\\n\\u202ec\\x9b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decode", "no-such-file"], "no-such-file: No such file or directory; name a file that can be read"),
        (["decode", "."], "Is a directory"),
        (["decode", "--hex", "5"], "give pairs of hexadecimal digits"),
        (["decode", "--hex", "zz"], "give pairs of hexadecimal digits"),
        (["decode", "--hex", ""], "the input is empty"),
        (["decode", "file", "--hex", "00"], "not both"),
        (["document", "--directory", "no-such-directory"], "run this in the project's root"),
    ],
)
def test_unusable_input_says_what_to_do(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert says in shown.err and shown.out == ""


def test_document_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["document", "--directory", str(tmp_path), "--check"]) == 1
    assert "esf-frames.md is not up to date: run thermogen-esf document" in capsys.readouterr().out
    assert main(["document", "--directory", str(tmp_path)]) == 0
    assert main(["document", "--directory", str(tmp_path), "--check"]) == 0


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "capture").write_bytes(CAPTURE * 20)
    program = [sys.executable, "-m", "thermogen_esf.command", "decode", "--json", str(tmp_path / "capture")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("arguments", [["--help"], ["decode", "--help"], ["document", "--help"]])
def test_help_is_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "thermogen-esf" in capsys.readouterr().out
