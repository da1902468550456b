"""`make bench`: every figure of one run, as a table and as build/bench.json, with its ratio to what one would use instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .benchmarks import attesting, cores, encoding, modbus, site
from .benchmarks.measurement import Row
from .processes import ProcessError, StopRequestedError, told_to_stop
from .provision import ProvisionError
from .settings import SettingError

RESULT = Path("build/bench.json")
PARTS: tuple[tuple[str, Callable[[], list[Row]]], ...] = (
    ("encoding a frame", encoding.measure),
    ("MODBUS TCP", modbus.measure),
    ("attestation", attesting.measure),
    ("cryptographic cores", cores.measure),
    ("a whole site and its cloud", site.measure),
)


def table(rows: list[Row]) -> Table:
    """The rows as a person reads them."""
    shown = Table(
        title="make bench: one run on this machine; rates per CPU second unless the simulation's and MODBUS's, which are per second"
    )
    for heading in ("topic", "what"):
        shown.add_column(heading)
    for heading in ("value", "unit", "ratio"):
        shown.add_column(heading, justify="right" if heading == "value" else "left")
    topic = ""
    for row in rows:
        shown.add_row(
            row.topic if row.topic != topic else "",
            row.subject,
            _shown(row.value),
            row.unit,
            row.ratio,
        )
        topic = row.topic
    return shown


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def main() -> int:
    """Measures, prints and writes; exit code 1 when a part cannot run."""
    progress = Console(stderr=True)
    rows: list[Row] = []
    for name, measure in PARTS:
        with progress.status(f"measuring {name}…"):
            try:
                with told_to_stop():
                    rows += measure()
            except StopRequestedError:
                return 1
            except (ProcessError, ProvisionError, SettingError) as error:
                print(f"bench: {name}: {error}", file=sys.stderr)
                return 1
    Console(width=140).print(table(rows))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
