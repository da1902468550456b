"""A run directory belongs to one run at a time, and only a demonstration's own is ever emptied."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEMONSTRATION = ".thermogen-demo"


class RunDirectoryError(Exception):
    """The run directory cannot be used."""


@contextmanager
def owned(run_dir: Path) -> Iterator[None]:
    """Holds the directory for this process; RunDirectoryError while another run has it."""
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        lock = run_dir.with_name(f"{run_dir.name}.lock").open("w")
    except OSError as error:
        raise RunDirectoryError(f"{run_dir}: {error}: set THERMOGEN_RUN_DIR to a place that can be written") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunDirectoryError(f"{run_dir} is in use by another run: stop that one, or set THERMOGEN_RUN_DIR") from error
        yield


def empty_for_demonstration(run_dir: Path) -> None:
    """Empties a directory that an earlier demonstration made; RunDirectoryError for one that holds anything else."""
    marker = run_dir / DEMONSTRATION
    if run_dir.exists() and any(run_dir.iterdir()):
        if not marker.exists():
            raise RunDirectoryError(f"{run_dir} holds something that is no demonstration; set THERMOGEN_RUN_DIR to an empty directory")
        for path in run_dir.iterdir():  # the marker goes last: an interrupted emptying can be taken up again
            if path.is_dir():
                shutil.rmtree(path)
            elif path != marker:
                path.unlink()
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    marker.touch()
