"""The hash of a bitstream's sources: changes with every source that goes in, and with nothing else."""

import shutil
import subprocess
import sys

import pytest
from thermogen_gateware.build import sources
from thermogen_gateware.build.sources import register_value, source_hash

pytestmark = pytest.mark.slow

NODE, PCM = "thermogen_gateware.products.node", "thermogen_gateware.products.pcm"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Our rooms in another folder, where a test may change them."""
    for room, folder in sources.ROOMS.items():
        shutil.copytree(folder, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "ROOMS", {room: tmp_path / room for room in sources.ROOMS})
    return tmp_path


def test_the_same_sources_hash_the_same_in_another_folder(request):
    here = source_hash(NODE), source_hash(PCM)
    request.getfixturevalue("copied")
    assert (source_hash(NODE), source_hash(PCM)) == here
    assert here[0] != here[1]


@pytest.mark.parametrize(
    "changed",
    [
        "thermogen_gateware/products/node.py",
        "thermogen_gateware/sha3.py",  # imported by what is imported
        "thermogen_gateware/build/workarounds.py",
        "thermogen_boards/pins.py",
        "thermogen_esf/layout.py",
    ],
)
def test_any_source_that_goes_in_changes_the_hash(changed, copied):
    before = source_hash(NODE)
    with (copied / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert source_hash(NODE) != before


@pytest.mark.parametrize("changed", ["thermogen_gateware/pcm.py", "thermogen_esf/evidence/mint.py", "thermogen_gateware/build/picture.py"])
def test_what_does_not_go_in_does_not_change_the_hash(changed, copied):
    before = source_hash(NODE)
    with (copied / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert source_hash(NODE) == before


def test_whatever_of_ours_the_products_module_loads_is_hashed():
    script = f"import sys, {NODE}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    ours = {name for name in loaded if name.partition(".")[0] in sources.ROOMS}
    assert len(ours) > 30
    assert ours <= set(sources.sources(NODE))


def test_the_register_holds_the_first_bits():
    assert register_value("0123456789abcdef" + "f" * 48) == 0x0123456789ABCDEF
