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


PROBE_STEP_S = 128 * 128 / 10_000
"""One step of `probe_phase`: 128 steps of the tracker, each of 128 exchanges at 10 kHz."""

TRACKER_PARAMETERS: tuple[TrackerParameter, ...] = (
    TrackerParameter(
        "current_limit_ma",
        "A",
        0.001,
        0,
        3_500,
        3_000,
        "most output current of a channel; one that stopped for it starts again from 0.6 A on",
    ),
    TrackerParameter("site_power_limit", "W", 10.0, 0, 2_000, 1_200, "most power of all channels together"),
    TrackerParameter("autonomous_limit_ma", "A", 0.001, 0, 3_000, 1_500, "most output current of a channel while nobody supervises"),
    TrackerParameter("overcurrent_ma", "A", 0.001, 500, 3_900, 3_900, "one sample above it switches the channel off"),
    TrackerParameter("reverse_ma", "A", 0.001, 40, 500, 100, "a mean current into the string above it switches the channel off"),
    TrackerParameter("flowing_ma", "A", 0.001, 10, 200, 20, "current from which a string is tracked; below half of it the source is lost"),
    TrackerParameter("string_resistance", "ohm", 0.01, 1_200, 9_600, 4_800, "of a string as built; learnt between half and twice of it"),
    TrackerParameter(
        "perturbation", "", 1 / 4096, 8, 128, 32, "of the string voltage, to either side, from which the fast optimum is learnt"
    ),
    TrackerParameter("slew", "duty", 1 / 3840, 1, 16, 8, "most change of a duty in an exchange, at a bus of 50 V"),
    TrackerParameter("ratio_start", "", 1 / 4096, 2_048, 10_240, 4_096, "load resistance over string resistance at power-up"),
    TrackerParameter("ratio_least", "", 1 / 4096, 2_048, 4_096, 3_687, "least ratio that the slow optimum may have"),
    TrackerParameter("ratio_most", "", 1 / 4096, 4_096, 10_240, 8_192, "greatest ratio that the slow optimum may have"),
    TrackerParameter("probe_depth", "", 1 / 4096, 0, 96, 64, "of the ratio, to either side, in search of the slow optimum; 0 searches not"),
    TrackerParameter("probe_phase", "s", PROBE_STEP_S, 4, 2_197, 78, "one side of the search: at least twice the heat's time constant"),
    TrackerParameter("steady", "", 1 / 1024, 1, 256, 32, "greatest spread of the power over a search that is believed"),
)
"""In the order of their registers."""

TRACKER_PARAMETER: dict[str, TrackerParameter] = {parameter.identifier: parameter for parameter in TRACKER_PARAMETERS}
"""Parameters by identifier."""
