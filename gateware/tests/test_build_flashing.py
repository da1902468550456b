"""Programming: the right arguments for each board, only what the last build made, and a clear word where it cannot be done.

openFPGALoader is played by a program of that name that writes down how it was called; the board behind it is not.
"""

import json
import sys
from hashlib import sha256

import pytest
from thermogen_gateware.build import command
from thermogen_gateware.products.boards import BOARDS

IMAGE = b"bits"


@pytest.fixture
def output(tmp_path):
    """What a build of every product leaves behind, in every board's folder."""
    for name, board in BOARDS.items():
        folder = tmp_path / "build" if name == "product" else tmp_path / "build" / name
        folder.mkdir(exist_ok=True)
        entry = {design: {"image": f"{design}.bin", "sha256": sha256(IMAGE).hexdigest()} for design in board.designs}
        (folder / "report.json").write_text(json.dumps({"designs": entry}), encoding="utf-8")
        for design in board.designs:
            (folder / f"{design}.bin").write_bytes(IMAGE)
    return tmp_path / "build"


@pytest.fixture
def loader(tmp_path, monkeypatch):
    """Installs a program that notes its arguments and ends as `loader(code)` says."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(code=0):
        program = folder / "openFPGALoader"
        script = f"import json, sys\nopen({str(tmp_path / 'called')!r}, 'w').write(json.dumps(sys.argv[1:]))\nsys.exit({code})\n"
        program.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install


def flash(output, *arguments):
    return command.main(["flash", *arguments, "--output", str(output)])


@pytest.mark.parametrize(
    ("product", "board", "arguments"),
    [
        ("node", "product", ["--cable", "ft2232", "--write-flash"]),
        ("pcm", "product", ["--board", "ice40_generic"]),
        ("node", "crosslink-nx-evn", ["--board", "crosslinknx_evn", "--write-flash"]),
        ("pcm", "ice40-hx8k-breakout", ["--board", "ice40_generic"]),
        ("pcm", "ice40-up5k-breakout", ["--board", "ice40_generic"]),
    ],
)
def test_each_board_is_programmed_with_its_own_arguments(product, board, arguments, output, loader, tmp_path):
    loader()
    assert flash(output, product, "--board", board) == 0
    image = output / f"{product}.bin" if board == "product" else output / board / f"{product}.bin"
    assert json.loads((tmp_path / "called").read_text(encoding="utf-8")) == [*arguments, str(image)]


def test_another_cable_takes_the_place_of_the_boards(output, capsys):
    assert flash(output, "node", "--cable", "digilent_hs2", "--dry-run") == 0
    assert capsys.readouterr().out == f"openFPGALoader --cable digilent_hs2 --write-flash {output / 'node.bin'}\n"


def test_where_the_loader_is_not_installed_it_says_how_to_get_it_and_what_it_would_run(output, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert flash(output, "pcm") == 2
    said = capfd.readouterr().err
    assert "openFPGALoader is not installed, so nothing was programmed" in said
    assert f"openFPGALoader --board ice40_generic {output / 'pcm.bin'}" in said


def test_a_loader_that_fails_fails_the_command(output, loader, capfd):
    loader(code=3)
    assert flash(output, "pcm") == 2
    assert "ended with code 3" in capfd.readouterr().err


def test_an_image_that_was_not_built_is_not_programmed(output, loader, tmp_path, capfd):
    loader()
    (output / "node.bin").unlink()
    assert flash(output, "node") == 2
    assert "has no image of node; build it first" in capfd.readouterr().err
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    report["designs"]["pcm"]["image"] = None  # as of a build that missed a clock
    (output / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert flash(output, "pcm") == 2
    assert not (tmp_path / "called").exists()


def test_an_image_that_is_not_the_one_that_was_judged_is_not_programmed(output, loader, tmp_path, capfd):
    loader()
    (output / "pcm.bin").write_bytes(b"other bits")
    assert flash(output, "pcm") == 2
    assert "is not what the last build made" in capfd.readouterr().err
    assert not (tmp_path / "called").exists()
