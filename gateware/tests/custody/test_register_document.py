"""The published registers of seals are those of the code."""

from pathlib import Path

from thermogen_esf.hostlink_seal import SEAL_STATUS
from thermogen_gateware.custody.register_document import seal_document

DOCUMENT = Path(__file__).parents[3] / "docs" / "seal-registers.md"


def test_the_document_is_not_stale():
    assert DOCUMENT.read_text(encoding="utf-8") == seal_document(), "write it again: make docs"


def test_every_register_is_in_it():
    assert [name for name in SEAL_STATUS if f"`{name}`" not in seal_document()] == []
