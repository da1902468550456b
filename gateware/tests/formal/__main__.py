"""`make prove`: every property proven, covered and its mutant refuted; writes the page when all went well, and says what did not."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .document import COMMAND, DOCUMENT, document
from .proof import Property, Task, Verdict, decide
from .properties import PROPERTIES

FOLDER = Path(__file__).parents[3] / "build" / "formal"
_HELD = {Task.PROVE: "proven", Task.COVER: "covered", Task.REFUTE: "fails, as it must"}
_FELL = {Task.PROVE: "NOT PROVEN", Task.COVER: "NOT COVERED", Task.REFUTE: "MUTANT SURVIVES"}


def main(arguments: list[str] | None = None) -> int:
    """0 when everything held."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("names", nargs="*", help="properties to prove; all without names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="properties at a time")
    chosen = parser.parse_args(arguments)
    known = {proof.name: proof for proof in PROPERTIES}
    if unknown := [name for name in chosen.names if name not in known]:
        parser.error(f"no property {', '.join(unknown)}; there are {', '.join(known)}")
    proofs = [known[name] for name in chosen.names] or list(PROPERTIES)
    verdicts: dict[tuple[str, Task], Verdict] = {}
    console = Console(width=max(Console().width, 150))
    # Processes: a mutant is an import of its own, and a process has only one of each module.
    with Live(_table(proofs, {}), console=console, refresh_per_second=2) as live, ProcessPoolExecutor(chosen.jobs) as pool:
        asked = {pool.submit(_decide, proof.name, task): (proof.name, task) for proof in proofs for task in Task}
        for answered in as_completed(asked):
            verdicts[asked[answered]] = answered.result()
            live.update(_table(proofs, verdicts))
    fallen = [(name, task) for (name, task), verdict in verdicts.items() if not verdict.holds]
    for name, task in fallen:
        console.print(f"{name}: {_FELL[task]} ({verdicts[name, task].status}); see {FOLDER / f'{name}_{task.value}' / 'logfile.txt'}")
    if not fallen:
        DOCUMENT.write_text(document(PROPERTIES), encoding="utf-8")
    return 1 if fallen else 0


def _decide(name: str, task: Task) -> Verdict:
    return decide(next(proof for proof in PROPERTIES if proof.name == name), task, FOLDER)


def _table(proofs: list[Property], verdicts: dict[tuple[str, Task], Verdict]) -> Table:
    table = Table(show_lines=True, expand=True)
    table.add_column("property", no_wrap=True)
    table.add_column("what is proven", ratio=5)
    table.add_column("for", ratio=2)
    for heading in ("k, reach", "induction", "cover"):
        table.add_column(heading)
    table.add_column("mutant", ratio=2)
    table.add_column("")
    table.add_column("s", justify="right")
    for proof in proofs:
        own = {task: verdicts[proof.name, task] for task in Task if (proof.name, task) in verdicts}
        words = [(_HELD if own[task].holds else _FELL)[task] if task in own else "…" for task in Task]
        table.add_row(
            proof.name + (" (long)" if proof.long else ""),
            proof.says,
            proof.parameters,
            f"{proof.depth}, {proof.reach}" + (" any state" if proof.anywhere else ""),
            words[0],
            words[1],
            proof.mutant.name,
            words[2],
            f"{sum(verdict.seconds for verdict in own.values()):.0f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
