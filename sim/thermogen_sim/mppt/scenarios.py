"""The scenarios of `make bench-mppt`: conditions, how much of a run counts, and what the tracker is to reach in each."""

from __future__ import annotations

from dataclasses import dataclass

from .bench import Conditions
from .offline import COLD_K

RATED_K = 128.0
QUARTER_POWER_K = 64.0
"""Power goes with the square of the temperature difference."""
RAMP_SECONDS = (2.0, 8.0, 20.0, 60.0)
HEAT_W = 85.0
"""Of a module: about the rated temperature difference at the slow optimum."""
FLUX_PARAMETERS = {"probe_phase": 36}
"""59 s, 2.4 times the lag of the bench's plate: what a commissioning engineer sets for this plate."""

STATIC, STATIC_NOISY, DYNAMIC = 0.9995, 0.999, 0.995


@dataclass(frozen=True)
class Scenario:
    """`counted_from_s`: before it nothing counts (start, and where it says so the search for the slow optimum)."""

    name: str
    about: str
    conditions: Conditions
    aim: float
    counted_from_s: float = 2.0
    flux: bool = False
    step_at_s: float | None = None


def _ramp(seconds: float) -> Scenario:
    dwell_s, step_s = 10.0, 0.1
    drive: list[float] = [QUARTER_POWER_K] * round(dwell_s / step_s)
    count = round(seconds / step_s)
    rise = [QUARTER_POWER_K + (RATED_K - QUARTER_POWER_K) * n / count for n in range(count)]
    drive += [*rise, *[RATED_K] * round(dwell_s / step_s), *reversed(rise), *[QUARTER_POWER_K] * round(dwell_s / step_s)]
    return Scenario(
        f"ramp {seconds:g} s",
        f"25 to 100 % of the rated power and back in {seconds:g} s each, 10 s between",
        Conditions((len(drive) - 1) * step_s, tuple(drive), step_s, noise_lsb=1.0),
        DYNAMIC,
    )


def _static(noise_lsb: float) -> Scenario:
    seconds = 60.0
    return Scenario(
        f"constant, {noise_lsb:g} LSB",
        f"constant temperatures, {noise_lsb:g} LSB of noise in a sample",
        Conditions(seconds, (RATED_K, RATED_K), seconds, noise_lsb=noise_lsb),
        STATIC if noise_lsb <= 2 else STATIC_NOISY,
        counted_from_s=30.0,
    )


def scenarios() -> tuple[Scenario, ...]:
    """All of them, in the table's order."""
    flux_s, cycling_s, steady_s = 1500.0, 1140.0, 600
    fire = [HEAT_W * (1.0 if n < steady_s or (n - steady_s) % 180 >= 60 else 0.55) for n in range(round(cycling_s) + 1)]
    cycling = [HEAT_W * (1.0 if n % 180 >= 60 else 0.55) for n in range(round(cycling_s) + 1)]
    step = (104.0,) * 501 + (RATED_K,) * 501
    return (
        *(_static(noise) for noise in (1.0, 2.0, 4.0)),
        *(_ramp(seconds) for seconds in RAMP_SECONDS),
        Scenario("step", "from 104 K to 128 K at once", Conditions(10.0, step, 0.01, record_s=0.01), DYNAMIC, step_at_s=5.01),
        Scenario(
            "broken strings",
            "six strings, ±3 % apart; after 15 s one is shorted and a module of another opens",
            Conditions(30.0, (120.0, 120.0), 30.0, channels=6, spread=0.03, broken_at_s=15.0),
            DYNAMIC,
        ),
        Scenario(
            "constant heat",
            f"{HEAT_W:g} W into each module's plate, whose lag is 25 s; the first 750 s are the search",
            Conditions(flux_s, (HEAT_W, HEAT_W), flux_s, flux=True, hot_start_k=COLD_K + RATED_K, record_s=1.0, parameters=FLUX_PARAMETERS),
            DYNAMIC,
            counted_from_s=750.0,
            flux=True,
        ),
        Scenario(
            "burner cycling",
            f"after {steady_s} s of steady fire, 60 s of 55 % of its heat and 120 s of {HEAT_W:g} W in turn",
            Conditions(cycling_s, tuple(fire), 1.0, flux=True, hot_start_k=COLD_K + RATED_K, record_s=1.0, parameters=FLUX_PARAMETERS),
            DYNAMIC,
            counted_from_s=float(steady_s),
            flux=True,
        ),
        *(
            Scenario(
                f"cycling from power-up, {name}",
                f"55 % of {HEAT_W:g} W for 60 s and all of it for 120 s in turn from the start; {how}",
                Conditions(
                    cycling_s,
                    tuple(cycling),
                    1.0,
                    flux=True,
                    hot_start_k=COLD_K + RATED_K,
                    record_s=1.0,
                    parameters={**FLUX_PARAMETERS, **parameters},
                ),
                DYNAMIC,
                flux=True,
            )
            for name, how, parameters in (
                ("as shipped", "the search begins at half of the open-circuit voltage", {}),
                ("commissioned", "`ratio_start` is 1.5, where the plate's search once ended", {"ratio_start": 6_144}),
            )
        ),
    )
