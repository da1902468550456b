"""Shows how far a build is: the step, how long it has taken and took last time, and what the tool last said in its log."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from .flow import STEPS

LAST_BYTES = 2_000
"""Of a log, enough to hold its last line."""


class Progress:
    """One design's build; `step` is what `flow.build` calls as each step begins. `expected` has seconds by step, of an earlier build."""

    def __init__(self, design: str, expected: Mapping[str, float]) -> None:
        self._design = design
        self._expected = expected
        self._step, self._detail = "", ""
        self._log: Path | None = None
        self._began = time.monotonic()
        self._spinner = Spinner("dots")

    @contextlib.contextmanager
    def shown(self, console: Console) -> Iterator[None]:
        """Shows it on `console`: alive on a terminal, a line a step where there is none."""
        self._console = console
        if not console.is_terminal:
            yield
            return
        with Live(self, console=console, transient=True, refresh_per_second=8):
            yield

    def step(self, step: str, log: Path | None, detail: str) -> None:
        """A step has begun."""
        self._step, self._log, self._detail, self._began = step, log, detail, time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"{self._design}: {self._heading()}", highlight=False)

    def __rich__(self) -> RenderableType:
        said = last_line(self._log) if self._log else ""
        text = f"{self._design}: {self._heading()}, {time.monotonic() - self._began:.0f} s  {said}"
        self._spinner.update(text=Text(text[: self._console.width - 4], no_wrap=True))
        return self._spinner

    def _heading(self) -> str:
        number = STEPS.index(self._step) + 1 if self._step in STEPS else 0
        took = self._expected.get(self._step)
        detail = f", {self._detail}" if self._detail else ""
        return f"{number} of {len(STEPS)}, {self._step}{detail}" + (f" (took {took:.0f} s last time)" if took is not None else "")


def last_line(log: Path) -> str:
    """The last line that a tool has written; empty while there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
