"""The README keeps to what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "@@" not in README and "TODO" not in README


@pytest.mark.parametrize("link", sorted({target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("http")}))
def test_every_link_leads_somewhere(link: str) -> None:
    path, _, heading = link.partition("#")
    assert (ROOT / path).exists()
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE) if heading else []
    assert not heading or heading in {each.lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", README))))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
