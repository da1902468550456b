"""The published register map is that of the code."""

from __future__ import annotations

from pathlib import Path

from thermogen_esf.hostlink import CONTROL_REGISTERS, STATUS_REGISTERS
from thermogen_esf.layout import TELEMETRY_FIELDS
from thermogen_gateware.register_map_document import COMMAND, document

DOCUMENT = Path(__file__).parents[2] / "docs" / "register-map.md"


def test_the_document_is_not_stale():
    assert DOCUMENT.read_text(encoding="utf-8") == document(), f"write it again: {COMMAND}"


def test_every_register_and_point_is_in_it():
    named = [*STATUS_REGISTERS, *CONTROL_REGISTERS, *(placed.point.identifier for placed in TELEMETRY_FIELDS)]
    assert [name for name in named if f"`{name}`" not in document()] == []
