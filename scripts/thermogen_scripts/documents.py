"""`make docs`: writes every generated document again, and measures the plant anew for its page and plots; the rooms' tests fail while one
is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from thermogen_edge import state_document
from thermogen_esf import documents as esf_documents
from thermogen_gateware import register_map_document
from thermogen_gateware.custody import register_document as seal_register_document
from thermogen_gateware.scada import published as scada_published
from thermogen_sim.fleet.attacks.table import attacks_document

DIRECTORY = Path(__file__).parents[2] / "docs"

DOCUMENTS: dict[str, Callable[[], str | bytes]] = {
    **esf_documents.DOCUMENTS,
    "register-map.md": register_map_document.document,
    "seal-registers.md": seal_register_document.seal_document,
    "site-states.md": state_document.document,
    "attacks.md": attacks_document,
    **scada_published.FILES,
}


def main() -> int:
    """Writes those that changed, and says which."""
    for name, text in DOCUMENTS.items():
        path, made = DIRECTORY / name, text()
        fresh = made.encode("utf-8") if isinstance(made, str) else made
        if not path.exists() or path.read_bytes() != fresh:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(fresh)
            print(f"written: docs/{name}")
    from thermogen_sim.validation import document as plant  # slow to import, and needs what only tests need

    print("measuring the plant for docs/plant.md, about a minute", flush=True)
    plant.write(DIRECTORY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
