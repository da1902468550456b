"""The battery: 14 LFP cells in series, open-circuit voltage over state of charge and a resistance.

The curve is the flat plateau of a lithium iron phosphate cell; its last percents stand for the constant-voltage end of charging,
where the pack floats in normal use, so that a full pack shows 51.1 V.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CELLS = 14
_CHARGE = (0.0, 0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95, 0.97, 0.98, 0.99, 1.00)
_CELL_V = (2.80, 3.10, 3.20, 3.24, 3.27, 3.285, 3.295, 3.305, 3.33, 3.34, 3.35, 3.37, 3.40, 3.45, 3.53, 3.65)


@dataclass
class Battery:
    """`charge` is 0 to 1. The pack's own management keeps it there: it takes no charge when full and gives none when empty."""

    charge: float
    capacity_ah: float = 200.0
    resistance_ohm: float = 0.020
    """Of twelve channels' pack."""

    @classmethod
    def sized(cls, charge: float, packs: float) -> Battery:
        """So many packs of twelve channels side by side."""
        return cls(charge, packs * cls.capacity_ah, cls.resistance_ohm / packs)

    @property
    def open_circuit_v(self) -> float:
        """Voltage of the pack at rest."""
        return CELLS * float(np.interp(self.charge, _CHARGE, _CELL_V))

    def pass_charge(self, ampere_seconds: float) -> None:
        """Count what flowed in (positive) or out."""
        self.charge = min(1.0, max(0.0, self.charge + ampere_seconds / (3600.0 * self.capacity_ah)))
