"""What comes to the site from outside: gas, weather and the demand for power."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Inputs:
    """`load_w` None: the site's load follows what it generates."""

    gas_available_mcf_d: float
    ambient_degc: float
    load_w: float | None


class InputSource(Protocol):
    """Inputs by site time (Unix seconds, UTC)."""

    def at(self, site_time: int) -> Inputs:
        """The inputs at a site second."""
        ...


@dataclass(frozen=True)
class OrdinaryDay:
    """A well at its nominal flow that wanders by 1 % within the hour, mild weather with its warmest at 15:00 UTC, a load that follows."""

    gas_mcf_d: float = 2.95
    mean_degc: float = 20.0
    swing_k: float = 6.0

    @classmethod
    def for_channels(cls, channels: int) -> OrdinaryDay:
        """A well that feeds so many channels; the default one feeds twelve."""
        return cls(gas_mcf_d=cls.gas_mcf_d * channels / 12)

    def at(self, site_time: int) -> Inputs:
        """The inputs at a site second."""
        hour = 2.0 * math.pi * site_time / 3600.0
        day = 2.0 * math.pi * (site_time / 86_400.0 - 15.0 / 24.0)
        return Inputs(self.gas_mcf_d * (1.0 + 0.01 * math.sin(hour)), self.mean_degc + self.swing_k * math.cos(day), None)
