"""How long a thing takes, and a row of the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

TRIALS = 5
TRIAL_S = 0.2


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what was measured, its value (None: it was not, and `subject` says why) and unit, and its ratio to a peer of the same
    run where there is one."""

    topic: str
    subject: str
    value: float | None
    unit: str
    ratio: str = ""


def rate_per_s(action: Callable[[], object]) -> float:
    """Calls of `action` per CPU second: the best of several trials, so that a busy machine disturbs it least."""
    action()
    best = 0.0
    for _ in range(TRIALS):
        calls, begin = 0, time.process_time()
        while (spent := time.process_time() - begin) < TRIAL_S:
            action()
            calls += 1
        best = max(best, calls / spent)
    return best
