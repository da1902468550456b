"""From a top to an image: elaborate, synthesise, place and route, pack, judge.

One folder a design; the same sources, seed and tool versions give the same bytes. A design that misses its timing has no image: it
stays in the work folder for study, and an older image is removed, so that nobody flashes the wrong one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import amaranth
import thermogen_boards
import thermogen_esf
from amaranth.vendor import LatticeICE40Platform, LatticePlatform

from . import loops, workarounds
from .cores import Core, by_core
from .design import TOP, Design
from .errors import NoSeedRoutedError, OutputBusyError, RouterGivenUpError, ToolCrashedError
from .report import OUTSIDE, Area, CriticalPath, Timing, aliases, area, critical_path, load, timing
from .routing import judge_router
from .sources import source_hash
from .synthesis import lifcl, lifcl_files
from .toolchain import ICEPACK, NEXTPNR_ICE40, NEXTPNR_NEXUS, PRJOXIDE, YOSYS, run_tool

REPORT = "report.json"
"""The placer's report, in a placement's folder."""

PLACED = "placed.json"
"""The design as it was placed, in a placement's folder."""

STEPS = ("elaborate", "synthesise", "place and route", "pack")


@dataclass(frozen=True)
class Attempt:
    """One placement."""

    seed: int
    outcome: str
    """In words: how fast it is, or why there is none."""
    seconds: float
    """Of placing and routing."""


def placement_folder(seed: int) -> str:
    """Where one placement is, in the work folder."""
    return f"seed-{seed}"


@dataclass(frozen=True)
class Result:
    """A finished build, whether or not its timing was met."""

    design: str
    device: str
    seed: int
    """Of the placement that is reported: the first that meets its timing, or else the one that came nearest."""
    area: dict[str, Area]
    timing: list[Timing]
    seconds: dict[str, float]
    """Wall time by step."""
    image: Path | None
    """None when something was too slow."""
    sha256: str
    """Of the packed image, published or not."""
    source_hash: str = ""
    """Of the sources that went into the bitstream; empty where the design does not say what they are."""
    cores: list[Core] = field(default_factory=list)
    critical_paths: dict[str, CriticalPath] = field(default_factory=dict)
    """By clock."""
    pin_to_pin: CriticalPath | None = None
    """The slowest way from an input to an output without a clock, if there is one."""
    pin_to_pin_ns_most: float | None = None
    """What the design allows for it."""
    attempts: list[Attempt] = field(default_factory=list)
    """All placements that were tried, in order."""

    @property
    def met(self) -> bool:
        """Whether every clock has its margin, and the way from pin to pin is short enough."""
        return all(clock.met for clock in self.timing) and self.pin_to_pin_met

    @property
    def least_margin(self) -> float:
        """Of all clocks."""
        return min(clock.margin for clock in self.timing)

    @property
    def pin_to_pin_met(self) -> bool:
        """A design that sets a limit has to have such a way: one that is not reported was not measured."""
        most = self.pin_to_pin_ns_most
        return most is None or (self.pin_to_pin is not None and self.pin_to_pin.ns <= most)


@dataclass(frozen=True)
class _Step:
    title: str
    name: str
    command: Sequence[str]
    log: str
    outputs: tuple[str, ...]
    """What must be there afterwards; the last step's only one is the image."""
    judge_log: Callable[[Path], None] = lambda _log: None
    """Raises where the log says that the tool will not come to an end."""


OnStep = Callable[[str, Path | None, str], None]
"""Hears the name of each step as it begins, the log that its tool writes, and what else there is to say of it."""


def build(design: Design, output: Path, seeds: Sequence[int] = (1,), on_step: OnStep = lambda _step, _log, _detail: None) -> Result:
    """Build `design` into `output`/NAME.bit or .bin, working in `output`/NAME.

    Placed with one of `seeds` after the other, each in a folder of its own, until every clock has its margin. Raises a subclass of
    BuildError when there is no image to judge, among them one for a loop that the design does not declare; timing that is missed with all
    seeds is in the result.
    """
    platform = design.platform()
    nexus = isinstance(platform, LatticePlatform)
    if not nexus and not isinstance(platform, LatticeICE40Platform):
        raise TypeError(f"{design.name}: the flow knows LIFCL and iCE40 platforms, not {type(platform).__name__}")
    image = output / f"{design.name}.{'bit' if nexus else 'bin'}"
    image.unlink(missing_ok=True)
    work = (output / design.name).absolute()
    seconds = dict.fromkeys(STEPS, 0.0)

    on_step(STEPS[0], None, "")
    with _timed(seconds, STEPS[0]):
        _elaborate(design, platform, nexus, work)
    with workarounds.inside(work), _timed(seconds, STEPS[1]):
        _run(_SYNTHESIS, work, on_step)
        if nexus:
            _finish_netlist(design)

    attempts: list[Attempt] = []
    results: list[Result] = []
    for seed in seeds:
        placement = work / placement_folder(seed)
        shutil.rmtree(placement, ignore_errors=True)
        placement.mkdir()
        place, pack = (_nexus_steps if nexus else _ice40_steps)(platform, design, seed)
        before = seconds[place.title]
        try:
            with workarounds.inside(work):
                for step in (place, pack):
                    with _timed(seconds, step.title):
                        _run(step, work, on_step, f"seed {seed}")
        except (RouterGivenUpError, ToolCrashedError) as error:
            attempts.append(Attempt(seed, str(error), seconds[place.title] - before))
            continue
        packed = work / pack.outputs[0]
        device = _part(platform) if nexus else f"{platform.device}-{platform.package}"
        result = _judged(design, Result(design.name, device, seed, {}, [], seconds, image, _sha256(packed)), work)
        attempts.append(Attempt(seed, _how_fast(result), seconds[place.title] - before))
        if result.met:
            _publish(packed.read_bytes(), image)
            return replace(result, attempts=attempts)
        results.append(result)
    if not results:
        raise NoSeedRoutedError(design.name, [(attempt.seed, attempt.outcome) for attempt in attempts])
    return replace(max(results, key=lambda result: result.least_margin), image=None, attempts=attempts)


@contextlib.contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[step] += time.monotonic() - started


def _run(step: _Step, work: Path, on_step: OnStep, detail: str = "") -> None:
    on_step(step.title, work / step.log, detail)
    run_tool(step.name, step.command, Path(step.log), [Path(output) for output in step.outputs], step.judge_log)


def _judged(design: Design, result: Result, work: Path) -> Result:
    """With what the placer reported."""
    placement = work / placement_folder(result.seed)
    report_path = placement / REPORT
    report = load(report_path)
    clocks, clock_of = timing(report, design.targets, aliases(work / f"{TOP}.json"), report_path)
    return replace(
        result,
        area=area(report, report_path),
        timing=clocks,
        source_hash=source_hash(design.sources) if design.sources else "",
        cores=by_core(placement / PLACED, work / f"{TOP}.il"),
        critical_paths={
            clock.clock: path
            for clock in clocks
            if (path := critical_path(report, [net for net, of in clock_of.items() if of == clock.clock])) is not None
        },
        pin_to_pin=critical_path(report, [OUTSIDE]),
        pin_to_pin_ns_most=design.pin_to_pin_ns,
    )


def _how_fast(result: Result) -> str:
    clocks = ", ".join(f"{clock.clock} {clock.achieved_mhz:.1f} MHz{'' if clock.met else ', too slow'}" for clock in result.timing)
    return clocks + ("" if result.pin_to_pin_met else "; too slow from pin to pin")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextlib.contextmanager
def reserved(output: Path) -> Iterator[None]:
    """Hold `output` for one build at a time; raises OutputBusyError when somebody else has it. A killed build leaves no lock behind."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputBusyError(output) from error
        yield


def keep_tool_cache_in(output: Path) -> Path:
    """Have the tools' machine code (compiled at first use, minutes) kept in `output`/cache unless the environment says where."""
    return Path(os.environ.setdefault("YOWASP_CACHE_DIR", str((output / "cache").absolute())))


def _elaborate(design: Design, platform: Any, nexus: bool, work: Path) -> None:
    if nexus:
        for name, content in lifcl_files().items():
            platform.add_file(name, content)
        lines = lifcl(TOP)
        script = {"script_after_read": lines.before, "synth_opts": lines.options, "script_after_synth": lines.after}
    else:
        script = {"script_after_synth": workarounds.AFTER_SYNTHESIS_ICE40}
    plan = platform.prepare(design.top(), TOP, **script)
    plan.files[f"{TOP}.il"] = workarounds.relative_sources(plan.files[f"{TOP}.il"], source_roots())
    constraints = f"{TOP}.{'pdc' if nexus else 'pcf'}"
    plan.files[constraints] = workarounds.without_clocks(plan.files[constraints])
    if nexus:
        plan.files[constraints] = workarounds.brace_bus_ports(plan.files[constraints])
    plan.extract(str(work))


def source_roots() -> tuple[Path, ...]:
    """Folders that locations in a netlist are given relative to: those that hold our packages, and Amaranth's."""
    packages = (thermogen_boards, thermogen_esf)
    rooms = {Path(str(package.__file__)).parents[1] for package in packages} | {Path(__file__).parents[2]}
    libraries = Path(str(amaranth.__file__)).parents[1]
    return (*sorted(rooms), libraries)


def _part(platform: Any) -> str:
    return f"{platform.device}-{platform.speed}{platform.package}{platform.grade}"


_SYNTHESIS = _Step(STEPS[1], "yosys", (*YOSYS, "-qq", "-l", f"{TOP}.rpt", f"{TOP}.ys"), f"{TOP}.rpt", (f"{TOP}.json",))


def _finish_netlist(design: Design) -> None:
    netlist = Path(f"{TOP}.json")
    netlist.write_text(workarounds.with_router_settings(netlist.read_text(encoding="utf-8")), encoding="utf-8")
    if design.loops:
        loops.check(netlist, TOP, design.loops)


def _place_and_route_arguments(design: Design, seed: int) -> tuple[str, ...]:
    folder = placement_folder(seed)
    return (
        *("--quiet", "--log", f"{folder}/{TOP}.tim", "--json", f"{TOP}.json", "--report", f"{folder}/{REPORT}"),
        *("--write", f"{folder}/{PLACED}", "--seed", str(seed), "--timing-allow-fail"),
        *workarounds.frequency_arguments(design.targets[0].hz, design.targets[0].margin),
    )


def _nexus_steps(platform: Any, design: Design, seed: int) -> tuple[_Step, _Step]:
    made = f"{placement_folder(seed)}/{TOP}"
    placing = (
        *NEXTPNR_NEXUS,
        *("--device", _part(platform), "--pdc", f"{TOP}.pdc", "--fasm", f"{made}.fasm"),
        *_place_and_route_arguments(design, seed),
        # Without it the router goes round a full place however long the way: 49 instead of 64 MHz with two thirds of the chip used.
        "--tmg-ripup",
        # It ignores all of them: those that the design does not declare have been looked for in the netlist.
        *(["--ignore-loops"] if design.loops else []),
    )
    packing = (*PRJOXIDE, "pack", f"{made}.fasm", f"{made}.bit")
    report = f"{placement_folder(seed)}/{REPORT}"
    return (
        _Step(STEPS[2], "nextpnr-nexus", placing, f"{made}.tim", (f"{made}.fasm", report), judge_router),
        _Step(STEPS[3], "prjoxide", packing, f"{made}.pack", (f"{made}.bit",)),
    )


def _ice40_steps(platform: Any, design: Design, seed: int) -> tuple[_Step, _Step]:
    made = f"{placement_folder(seed)}/{TOP}"
    placing = (
        *NEXTPNR_ICE40,
        *("--" + platform.device.removeprefix("iCE40").lower(), "--package", platform.package.lower()),
        *("--pcf", f"{TOP}.pcf", "--asc", f"{made}.asc"),
        *_place_and_route_arguments(design, seed),
    )
    packing = (*ICEPACK, f"{made}.asc", f"{made}.bin")
    report = f"{placement_folder(seed)}/{REPORT}"
    return (
        _Step(STEPS[2], "nextpnr-ice40", placing, f"{made}.tim", (f"{made}.asc", report)),
        _Step(STEPS[3], "icepack", packing, f"{made}.pack", (f"{made}.bin",)),
    )


def _publish(packed: bytes, image: Path) -> None:
    """Put the image in place whole: a build that is cut off leaves the name free, never half a bitstream."""
    partial = image.with_suffix(image.suffix + ".partial")
    with partial.open("wb") as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(image)
