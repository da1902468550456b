"""`python -m thermogen_sim.validation`: writes docs/plant.md and its plots again."""

from __future__ import annotations

from pathlib import Path

from .document import write

DOCS = Path(__file__).parents[3] / "docs"

if __name__ == "__main__":
    write(DOCS)
