"""Everything that is published of the map, by its file under docs/."""

from __future__ import annotations

from collections.abc import Callable

from .document import map_csv, map_page, map_xlsx
from .examples import ignition_tags, mbpoll_script, node_red_flow, pymodbus_program
from .host_document import network_document

FILES: dict[str, Callable[[], str | bytes]] = {
    "scada-map.md": map_page,
    "network-registers.md": network_document,
    "scada/scada-map.csv": map_csv,
    "scada/scada-map.xlsx": map_xlsx,
    "scada/mbpoll.sh": mbpoll_script,
    "scada/thermogen_scada.py": pymodbus_program,
    "scada/node-red-flow.json": node_red_flow,
    "scada/ignition-tags.json": ignition_tags,
}


def content(name: str) -> bytes:
    """A file's bytes."""
    made = FILES[name]()
    return made.encode("utf-8") if isinstance(made, str) else made
