"""`make docs`: writes every generated document again, and measures the plant anew for its page and plots; the rooms' tests fail while one
is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from thermogen_edge import state_document
from thermogen_esf import documents as esf_documents
from thermogen_gateware import register_map_document

DIRECTORY = Path(__file__).parents[2] / "docs"

DOCUMENTS: dict[str, Callable[[], str]] = {
    **esf_documents.DOCUMENTS,
    "register-map.md": register_map_document.document,
    "site-states.md": state_document.document,
}


def main() -> int:
    """Writes those that changed, and says which."""
    for name, text in DOCUMENTS.items():
        path, fresh = DIRECTORY / name, text()
        if not path.exists() or path.read_text(encoding="utf-8") != fresh:
            path.write_text(fresh, encoding="utf-8")
            print(f"written: docs/{name}")
    from thermogen_sim.validation import document as plant  # slow to import, and needs what only tests need

    print("measuring the plant for docs/plant.md, about a minute", flush=True)
    plant.write(DIRECTORY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
