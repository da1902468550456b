"""How fast site time may run against the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_DEBT_S = 0.25
"""Wall time that may be made up for after falling behind; what is older is forgiven, so that a pause is not followed by a rush."""


class Pacer:
    """Says how many clocks are due. `pace` is site seconds per wall second, None for as fast as the machine can."""

    def __init__(self, clocks_per_site_second: int, clocks: int, pace: float | None, now: Callable[[], float] = time.monotonic):
        self._clocks_per_site_second = clocks_per_site_second
        self._now = now
        self.change(pace, clocks)

    def change(self, pace: float | None, clocks: int) -> None:
        """Run at another pace from here on."""
        self._pace = pace
        self._origin_clocks = clocks
        self._origin_s = self._now()

    def due(self, clocks: int, slice_clocks: int) -> int:
        """Clocks to run now, at most `slice_clocks`; 0 when site time is ahead."""
        if self._pace is None:
            return slice_clocks
        rate = self._pace * self._clocks_per_site_second
        now = self._now()
        behind = self._origin_clocks + (now - self._origin_s) * rate - clocks
        if behind > MOST_DEBT_S * rate:
            self._origin_clocks, self._origin_s = clocks, now - MOST_DEBT_S
            behind = MOST_DEBT_S * rate
        return max(0, min(slice_clocks, int(behind)))

    def ahead_s(self, clocks: int) -> float:
        """Wall seconds until the clocks that have been run are due."""
        if self._pace is None:
            return 0.0
        return max(0.0, (clocks - self._origin_clocks) / (self._pace * self._clocks_per_site_second) - (self._now() - self._origin_s))
