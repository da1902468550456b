"""The same circuit as an ngspice netlist, solved by ngspice (Debian's package): switches, body diodes and string from its own elements."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

from ..errors import SimulatorError
from ..switched import Switched
from .cases import CASES, DEAD_S, LOAD_STEP_S, PARTS, PERIOD_S, TEMPERATURE_STEP_S, WINDOW_S, WINDOWS, Case, Parts

STEP_S = 400e-9
EDGE_S = 1e-9
_JUNCTION_V = 0.027
"""What the diode model itself drops at an ampere (saturation current 1 nA, emission coefficient 0.05)."""


SPICE_CASES = CASES[:3]
"""Near the edge of conduction the power hangs so much on the duty that ngspice's tolerances show; LSODA covers it."""


class SpiceMissingError(SimulatorError):
    """ngspice is not installed."""


class SpiceError(SimulatorError):
    """ngspice ended without the results."""


def available() -> bool:
    """Whether ngspice is installed."""
    return shutil.which("ngspice") is not None


def _pulse(on_s: float, at_s: float) -> str:
    return f"PULSE(0 1 {at_s - EDGE_S / 2:.12g} {EDGE_S:g} {EDGE_S:g} {on_s - EDGE_S:.12g} {PERIOD_S:g})"


def netlist(case: Case, start: Switched, parts: Parts = PARTS) -> str:
    """The circuit in the state of `start`, which lies at the beginning of a period: the low side has been on since the last one."""
    temperature, load = TEMPERATURE_STEP_S, LOAD_STEP_S
    before, after = case.open_circuit_v(0.0), case.open_circuit_v(1.0)
    high_at = PERIOD_S / 2 - case.high_s / 2
    low = "Vgl gl 0 0"
    if case.low_side:
        # Inverted: off from the dead time before the high side until the dead time behind it.
        low = f"Vgl gl 0 {_pulse(case.high_s + 2 * DEAD_S, high_at - DEAD_S).replace('PULSE(0 1', 'PULSE(1 0')}"
    lines = [
        f"* {case.name}",
        f"Vs voc 0 PWL(0 {before} {temperature:g} {before} {temperature + EDGE_S:.12g} {after})",
        f"Bs 0 vin I=max(0, (V(voc)-V(vin))/{parts.string_ohm})",
        f"Ci vin 0 {parts.input_f:g} IC={start.input_v[0]:.9g}",
        f"Vgh gh 0 {_pulse(case.high_s, high_at)}",
        low,
        "Sh vin sw gh 0 gate",
        "Sl sw 0 gl 0 gate",
        "Dh sw dh body",
        f"Vdh dh vin {parts.body_diode_v - _JUNCTION_V:.6g}",
        "Dl dl sw body",
        f"Vdl 0 dl {parts.body_diode_v - _JUNCTION_V:.6g}",
        f"L1 sw wound {parts.inductor_h:g} IC={start.inductor_a[0]:.9g}",
        f"Rp wound shunt {parts.path_ohm - 1e-4:.6g}",
        "Vshunt shunt bus 0",
        f"Cb bus 0 {parts.bus_f:g} IC={start.bus_v:.9g}",
        f"Vbat bat 0 {case.battery_v}",
        f"Rbat bat bus {parts.battery_ohm}",
        f"Vl pl 0 PWL(0 0 {load:g} 0 {load + EDGE_S:.12g} {case.load_w})",
        "Bl bus 0 I=V(pl)/V(bus)",
        "Be 0 energy I=V(bus)*I(Vshunt)",
        "Ce energy 0 1 IC=0",
        "Re energy 0 1e12",
        ".model gate SW(VT=0.5 VH=0 RON=1e-4 ROFF=1e8)",
        ".model body D(IS=1e-9 N=0.05)",
        ".options reltol=1e-4 abstol=1e-9 vntol=1e-6 method=trap",
        f".tran {STEP_S:g} {WINDOWS * WINDOW_S:g} 0 {STEP_S:g} uic",
        *(f".meas tran e{n} FIND V(energy) AT={min(n * WINDOW_S, WINDOWS * WINDOW_S - EDGE_S):.12g}" for n in range(1, WINDOWS + 1)),
        ".end",
    ]
    return "\n".join(lines) + "\n"


def spice_powers(case: Case, start: Switched, parts: Parts = PARTS) -> list[float]:
    """Mean power into the bus in each window, by ngspice."""
    program = shutil.which("ngspice")
    if program is None:
        raise SpiceMissingError("ngspice is not installed: apt-get install ngspice (scripts/install-system-packages does)")
    with tempfile.TemporaryDirectory() as scratch:
        deck = Path(scratch) / "case.cir"
        deck.write_text(netlist(case, start, parts), encoding="ascii")
        ended = subprocess.run([program, "-b", str(deck)], cwd=scratch, capture_output=True, text=True, check=False)
    energies = {int(n): float(value) for n, value in re.findall(r"^e(\d+)\s*=\s*(\S+)", ended.stdout, re.MULTILINE)}
    if sorted(energies) != list(range(1, WINDOWS + 1)):
        raise SpiceError(
            f"ngspice (exit {ended.returncode}) gave {len(energies)} of {WINDOWS} energies:\n{(ended.stdout + ended.stderr)[-2000:]}"
        )
    sums = [0.0, *(energies[n] for n in range(1, WINDOWS + 1))]
    return [(after - before) / WINDOW_S for before, after in pairwise(sums)]
