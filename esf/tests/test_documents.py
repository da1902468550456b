"""The published documents say what the code does, and their worked examples are frames."""

import re
from pathlib import Path

import pytest
from thermogen_esf.command import main
from thermogen_esf.documents import DOCUMENTS, stale, write
from thermogen_esf.documents.examples import examples
from thermogen_esf.frames import Batch, FrameType, Telemetry, decode, encode, frame_hash
from thermogen_esf.frames.declared import BODIES, HEADER
from thermogen_esf.layout import TELEMETRY_BYTES
from thermogen_esf.merkle import leaf_hash
from thermogen_esf.points import POINTS

PUBLISHED = Path(__file__).parents[2] / "docs"
FRAMES = (PUBLISHED / "esf-frames.md").read_text("utf-8")
ROW = re.compile(r"^ *(?P<offset>\d*)  (?P<bytes>[0-9a-f]{2}(?:[0-9a-f× ])*?) *(?:\|.*)?$")


def read_back(block: str) -> bytes:
    """A worked example's bytes, by the rules that the document gives."""
    data = bytearray()
    for line in block.strip().splitlines():
        row = ROW.match(line)
        assert row, line
        if row["offset"]:
            assert int(row["offset"]) == len(data), line
        for value, count in re.findall(r"([0-9a-f]{2})(?: × (\d+))?(?= |$)", row["bytes"]):
            data += bytes.fromhex(value) * int(count or 1)
    return bytes(data)


def worked(name: str) -> bytes:
    section = FRAMES.split(f"### Worked example: {name}\n")[1]
    return read_back(section.split("```hex\n")[1].split("```")[0])


def test_published_documents_are_up_to_date() -> None:
    """`thermogen-esf document` brings them up to date."""
    assert stale(PUBLISHED) == []


@pytest.mark.parametrize("example", examples(), ids=lambda frame: frame.type.name.lower())
def test_a_worked_example_is_the_frame_that_it_says(example: object) -> None:
    data = worked(example.type.name.lower())
    assert decode(data) == example
    assert encode(decode(data)) == data


def test_hashes_in_the_document_are_those_of_its_examples() -> None:
    telemetry, batch = decode(worked("telemetry")), worked("batch")
    assert isinstance(telemetry, Telemetry) and isinstance(decode(batch), Batch)
    assert f"`{leaf_hash(telemetry.leaf).hex()}`" in FRAMES
    assert f"`{frame_hash(batch).hex()}`" in FRAMES


@pytest.mark.parametrize("frame_type", FrameType, ids=lambda frame_type: frame_type.name.lower())
def test_every_field_of_every_frame_is_in_its_table(frame_type: FrameType) -> None:
    section = FRAMES.split(f"\n## {frame_type.name.capitalize()}\n")[1].split("\n## ")[0]
    for part in BODIES[frame_type].subcons:
        assert f"| `{part.name}` |" in section
    for part in HEADER.subcons:
        assert f"| `{part.name}` |" in FRAMES


def test_the_byte_budget_adds_up() -> None:
    table = FRAMES.split("### Byte budget\n")[1].split("###")[0]
    sizes = {row[0]: int(row[1]) for row in re.findall(r"^\| ([^|]+) \| (\d+) \|", table, re.M)}
    total = sizes.pop("**frame**")
    assert sum(sizes.values()) == total == TELEMETRY_BYTES < 512
    assert sizes["reserved"] >= 32


def test_every_point_is_in_the_document_of_points() -> None:
    text = (PUBLISHED / "points.md").read_text("utf-8")
    for point in POINTS:
        assert f"| {point.number} | `{point.identifier}` |" in text


def test_a_changed_document_is_stale_and_written_again(tmp_path: Path) -> None:
    assert stale(tmp_path) == list(DOCUMENTS)
    assert write(tmp_path) == list(DOCUMENTS)
    assert stale(tmp_path) == []
    (tmp_path / "points.md").write_text("edited")
    assert write(tmp_path) == ["points.md"]


def test_what_the_readme_shows_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    shown = re.findall(r'```console\n\$ thermogen-esf (decode --hex) "([^"]+)"\n(.*?)```', readme, re.S)
    assert len(shown) == 2
    for arguments, digits, output in shown:
        main([*arguments.split(), digits])
        assert capsys.readouterr().out == output
