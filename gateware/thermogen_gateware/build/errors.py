"""What can go wrong in a build, and what the person in front of it can do."""

from __future__ import annotations

from pathlib import Path

LOOP_CELLS = 8
"""Of a loop, that are named."""


class BuildError(Exception):
    """A build did not produce an image."""


class ToolFailedError(BuildError):
    """A tool refused the design: its return code was not 0. The last lines of its log say what it did not accept."""

    def __init__(self, tool: str, code: int, log: Path, last_lines: list[str]) -> None:
        self.tool, self.code, self.log, self.last_lines = tool, code, log, last_lines
        super().__init__(_with_log(f"{tool} ended with code {code}", log, last_lines))


class ToolCrashedError(BuildError):
    """A tool died (a WebAssembly trap, or killed): a bug of the tool, or not enough memory; another seed often gets round it."""

    def __init__(self, tool: str, trap: str, log: Path, last_lines: list[str]) -> None:
        self.tool, self.trap, self.log, self.last_lines = tool, trap, log, last_lines
        super().__init__(_with_log(f"{tool} crashed ({trap}); free memory or try another --seed", log, last_lines))


class ToolNotStartedError(BuildError):
    """A tool could not be run at all: the environment is not what the lock says, or a folder cannot be written."""

    def __init__(self, tool: str, why: str) -> None:
        self.tool, self.why = tool, why
        super().__init__(
            f"{tool} could not be run ({why}); run make setup, and see whether the cache and the temporary folder can be written"
        )


class OutputMissingError(BuildError):
    """A tool reported success and wrote nothing."""

    def __init__(self, tool: str, output: Path) -> None:
        self.tool, self.output = tool, output
        super().__init__(f"{tool} reported success but {output} is not there; is the disk full?")


class RouterGivenUpError(BuildError):
    """The router went round and round with one placement."""

    def __init__(self, rounds: int, overused: int, failing: int) -> None:
        self.rounds, self.overused, self.failing = rounds, overused, failing
        super().__init__(f"the router was given up in round {rounds}: {overused} wires used twice, {failing} ways too long")


class NoSeedRoutedError(BuildError):
    """No placement that was tried could be routed."""

    def __init__(self, design: str, attempts: list[tuple[int, str]]) -> None:
        self.design, self.attempts = design, attempts
        tried = "".join(f"\n  seed {seed}: {outcome}" for seed, outcome in attempts)
        super().__init__(f"{design}: no placement was routed; try other seeds with --seed, or make the slowest logic shorter{tried}")


class ReportError(BuildError):
    """A tool's report is not of the shape that this flow knows: most likely another version of the tool."""

    def __init__(self, report: Path, problem: str) -> None:
        self.report, self.problem = report, problem
        super().__init__(f"{report}: {problem}; install the tool versions that requirements.lock names")


class ClockWithoutTargetError(BuildError):
    """The design has a clock that nobody set a target for, so that its timing would pass unchecked."""

    def __init__(self, clocks: list[str], declared: list[str]) -> None:
        self.clocks, self.declared = clocks, declared
        known = ", ".join(declared)
        super().__init__(f"no timing target for clock {', '.join(clocks)}, only for {known}: add one to the product's targets")


class TargetWithoutClockError(BuildError):
    """A target's clock does not appear in the report: it was optimised away or renamed, so its timing is not checked."""

    def __init__(self, clock: str, found: list[str]) -> None:
        self.clock, self.found = clock, found
        super().__init__(f"the report has no clock {clock}, only {', '.join(found) or 'none'}; correct the product's targets")


class CombinationalLoopError(BuildError):
    """The design has a combinational loop that it does not declare: no timing is known of it."""

    def __init__(self, cells: list[str], declared: tuple[str, ...]) -> None:
        self.cells, self.declared = cells, declared
        super().__init__(
            f"a combinational loop through {' → '.join(cells[:LOOP_CELLS])}{' …' if len(cells) > LOOP_CELLS else ''}; put a register into "
            f"it, or declare it in the design's `loops`, which has {', '.join(declared) or 'none'}"
        )


class OutputBusyError(BuildError):
    """Another build is writing to the same directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(f"another build is writing to {directory}; wait for it or give another --output")


def _with_log(what: str, log: Path, last_lines: list[str]) -> str:
    quoted = "\n".join(f"  | {line}" for line in last_lines)
    return f"{what}; its log is {log}" + (f" and ends\n{quoted}" if quoted else " and is empty")
