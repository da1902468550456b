"""The processes of a run: started in order, watched, stopped in reverse, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

STOP_S = 10.0
"""How long a process has to stop on SIGTERM before it is killed."""

POLL_S = 0.05
LOG_TAIL_BYTES = 8_192
WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")
"""Runs a command that gets SIGTERM when we are killed, so that nothing is left that holds our ports."""
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(Exception):
    """Ctrl-C, SIGTERM or a closed terminal: everything that runs is to be stopped."""


@contextmanager
def told_to_stop() -> Iterator[None]:
    """Within it each stopping signal raises StopRequestedError, so that whatever was started is stopped on the way out."""

    def raise_(number: int, _frame: object) -> None:
        raise StopRequestedError(signal.Signals(number).name)

    before = {number: signal.signal(number, raise_) for number in STOPPING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within it a second Ctrl-C does not cut short what the first one began."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ProcessError(Exception):
    """A process of the run did not start or ended by itself."""


class PortInUseError(ProcessError):
    """A port that the run needs is taken."""


@dataclass(slots=True)
class Running:
    """A started process, its name and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 8) -> str:
        """The end of the process's log."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])


def require_free_port(port: int, variable: str) -> None:
    """PortInUseError when something already listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUseError(f"port {port} is in use: stop what listens there, or set {variable} to a free port") from error


def wait_until(condition: Callable[[], bool], what: str, within_s: float, running: Sequence[Running] = (), poll_s: float = POLL_S) -> None:
    """Polls `condition`; ProcessError after `within_s`, or at once when one of `running` has ended."""
    deadline = time.monotonic() + within_s
    while True:
        require_alive(running)
        if condition():
            return
        if time.monotonic() > deadline:
            raise ProcessError(
                f"{what}: not within {within_s:.0f} s" + "".join(f"\n--- {item.name} ({item.log})\n{item.last_lines()}" for item in running)
            )
        time.sleep(poll_s)


def require_alive(running: Sequence[Running]) -> None:
    """ProcessError that names the first of `running` that has ended, with the end of its log."""
    for item in running:
        if (code := item.process.poll()) is not None:
            raise ProcessError(f"{item.name} ended by itself with exit code {code}; the end of {item.log}:\n{item.last_lines()}")


def listening(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Supervisor:
    """A context in which processes run; leaving it stops them all, last started first."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._files = ExitStack()
        self._started: set[str] = set()
        self.running: list[Running] = []

    def __enter__(self) -> Self:
        self._log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with undisturbed():
            for item in reversed(self.running):
                self._stop(item)
            self._files.close()

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Running:
        """Starts `command` in its own session, so that Ctrl-C reaches the supervisor alone; it ends when the supervisor dies.

        The log of the run before is kept as `NAME.log.1`.
        """
        log = self._log_dir / f"{name}.log"
        if name not in self._started and log.exists():
            log.rename(log.with_suffix(".log.1"))
        self._started.add(name)
        if shutil.which(str(command[0])) is None:
            raise ProcessError(f"{name}: the program {command[0]} is not installed: run `make setup`")
        output: IO[bytes] = self._files.enter_context(log.open("ab"))
        process = subprocess.Popen(
            [*WITH_PARENT, *(str(part) for part in command)],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running = Running(name, process, log)
        self.running.append(running)
        return running

    def stop(self, running: Running) -> None:
        """Stops one process and forgets it."""
        self.running.remove(running)
        self._stop(running)

    def kill(self, running: Running) -> None:
        """Ends one process as a power failure would, and forgets it."""
        self.running.remove(running)
        os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()

    @staticmethod
    def _stop(item: Running) -> None:
        if item.process.poll() is not None:
            return
        item.process.terminate()
        try:
            item.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(item.process.pid, signal.SIGKILL)
            item.process.wait()
