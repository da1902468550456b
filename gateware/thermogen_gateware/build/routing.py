"""When the LIFCL router is given up: with some placements it goes round for ever.

It rips up ways that are too long (`--tmg-ripup`) until none is, and whether it ends shows in its log, a line a round. A round of one
placement is the same on every machine, so what is given up is, too.
"""

from __future__ import annotations

import re
from pathlib import Path

from .errors import RouterGivenUpError

MOST_ROUNDS = 200
MOST_LATE_ROUNDS = 30
"""Rounds in all, and those in a row in which a way was too long.

Measured on the node of 0.3.0, whose placements differ with the seed and the sources: where it ended, after 62, 70, 70 and 102 rounds with
at most 4 late ones in a row; where it did not, 51 of 67 and 270 of 270 late when it was stopped.
"""

ROUND = re.compile(r"iter=(\d+) .*overused=(\d+).* tmgfail=(\d+)")


def judge_router(log: Path) -> None:
    """Raise RouterGivenUpError where the router's `log` says that it goes round and round; a log that is not there yet says nothing."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    late = 0
    for line in ROUND.finditer(text):
        rounds, overused, failing = (int(number) for number in line.groups())
        late = late + 1 if failing else 0
        if late > MOST_LATE_ROUNDS or rounds > MOST_ROUNDS:
            raise RouterGivenUpError(rounds, overused, failing)
