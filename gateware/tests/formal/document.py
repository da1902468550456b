"""`docs/proofs.md`: the properties as a table, all of it from the declarations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .proof import Property, Task

DOCUMENT = Path(__file__).parents[3] / "docs" / "proofs.md"
COMMAND = "make prove"
_FROM_ANYWHERE = {Task.COVER: "covers", Task.REFUTE: "mutant"}

_HEAD = f"""# What is proven of the gateware

Written by `{COMMAND}`; do not edit. Each property is a circuit around the real core (`gateware/tests/formal/`). Every input of the core,
and its reset, may be anything in every clock: nothing is assumed of them but what the fourth column names as given. SymbiYosys
with z3 decides three questions about it:

- **Proven**: by k-induction over so many clocks from any state in which the property holds, and from power-on.
- **Covered**: what makes the property worth proving can happen, from power-on within so many clocks.
- **Refuted**: the same core with one line of its source broken violates the property, shown by a trace from power-on.

Where "any state" stands instead of power-on, power-on is too many clocks away for a solver; the trace then begins in any state in which the
property holds. A property that is given what another one says names it: together they prove the whole, since what a core promises of a
clock follows from what it was told in those before. A property marked **long** is left out of `make test`: only `{COMMAND}` and
`make soak` prove it.

| property | core | what is proven | for | clocks: induction, covered | mutant that fails |
| --- | --- | --- | --- | --- | --- |
"""


def document(properties: Sequence[Property]) -> str:
    """The page."""
    return _HEAD + "".join(map(_row, properties))


def _row(proof: Property) -> str:
    origin = f" ({' and '.join(_FROM_ANYWHERE[task] for task in Task if task in proof.anywhere)} from any state)" if proof.anywhere else ""
    cells = (
        f"`{proof.name}`" + (" **long**" if proof.long else ""),
        f"`{proof.core}`",
        proof.says,
        proof.parameters,
        f"{proof.depth}, {proof.reach}{origin}",
        proof.mutant.name,
    )
    return f"| {' | '.join(cells)} |\n"
