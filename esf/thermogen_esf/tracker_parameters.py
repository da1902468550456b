"""The tracker's parameters: what a hardware engineer or technician may set, and within which limits.

Each is one 16-bit register of the node, written over the host link; a value outside of its range is refused. Declared here once:
the gateware's registers, the daemon's profile and the register map are made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackerParameter:
    """One parameter; `minimum` to `maximum` and `default` are raw values, one step of which is worth `scale` of `unit`."""

    identifier: str
    unit: str
    scale: float
    minimum: int
    maximum: int
    default: int
    meaning: str

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.default <= self.maximum <= 0xFFFF:
            raise ValueError(f"{self.identifier}: {self.minimum} ≤ {self.default} ≤ {self.maximum} does not hold within 16 bits")


TRACKER_PARAMETERS: tuple[TrackerParameter, ...] = (
    TrackerParameter("current_limit_ma", "A", 0.001, 0, 4_000, 3_000, "most output current of a channel"),
    TrackerParameter("site_power_limit", "W", 10.0, 0, 2_000, 1_200, "most power of all channels together"),
)
"""In the order of their registers."""
