"""What is known of the site at one site second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thermogen_esf.points import POINT, BurnerFlag


@dataclass(frozen=True, slots=True)
class Readings:
    """Raw values by point at site time `time_s`; a point that nobody has told yet is absent. `tripped`: a latched trip."""

    time_s: int
    raw: Mapping[str, int]
    tripped: bool = False

    def value(self, identifier: str) -> float | None:
        """The physical value in the point's unit, or None."""
        raw = self.raw.get(identifier)
        return None if raw is None else float(POINT[identifier].physical(raw))

    def above(self, identifier: str, limit: float) -> bool:
        """Whether the point is known and above `limit`, in its unit."""
        value = self.value(identifier)
        return value is not None and value > limit

    def below(self, identifier: str, limit: float) -> bool:
        """Whether the point is known and below `limit`, in its unit."""
        value = self.value(identifier)
        return value is not None and value < limit

    def flags(self, identifier: str, bits: int) -> bool:
        """Whether the point is known and has one of `bits` set."""
        return bool(self.raw.get(identifier, 0) & bits)

    @property
    def flame_missing(self) -> bool:
        """The burner is to run, and the flame detector sees nothing."""
        return self.flags("burner_flags", BurnerFlag.RUNNING) and not self.flags("burner_flags", BurnerFlag.FLAME)

    @property
    def difference_k(self) -> float | None:
        """Hot supply minus cold supply temperature, in kelvin."""
        hot, cold = self.value("hot_supply_temperature"), self.value("cold_supply_temperature")
        return None if hot is None or cold is None else hot - cold


class Held:
    """Whether something has been true for long enough, in site seconds, without a break."""

    def __init__(self, hold_s: int) -> None:
        self._hold_s = hold_s
        self._since_s: int | None = None

    def update(self, now: bool, time_s: int) -> bool:
        """Takes the truth at `time_s`; whether it has held. A clock that is set back begins anew."""
        if not now:
            self._since_s = None
            return False
        if self._since_s is None or time_s < self._since_s:
            self._since_s = time_s
        return time_s - self._since_s >= self._hold_s
