"""The run directory: one simulator at a time, and the plant's state across restarts and power cuts.

Files are replaced whole, never changed in place. Site time never goes back: each save also reserves the seconds up to a
ceiling, the simulator saves again before it passes it, and a restart after a crash goes on from the ceiling, as a site's clock does
that ran on while nobody was looking.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO

from .errors import RunDirectoryError, StateFileError
from .harness import KEY_PART_BYTES
from .plant import PlantState

_VERSION = 1


@dataclass(frozen=True)
class Saved:
    """What a restart carries on from."""

    site_time: int
    plant: PlantState


class RunDirectory:
    """A directory of one site's simulator, mode 0700, locked while the object lives."""

    def __init__(self, path: Path, site_name: str):
        self._path = path
        self._site_name = site_name
        self.ceiling = 0
        """Site time up to which seconds are reserved; save before passing it."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock: IO[str] = (path / "lock").open("w")
        except OSError as error:
            raise RunDirectoryError(f"run directory {path}: {error.strerror}; give another with --run-dir") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise RunDirectoryError(f"{path}: another simulator is running on it; stop that one or give another --run-dir") from None

    @property
    def state_path(self) -> Path:
        """The state file."""
        return self._path / "plant.json"

    def load(self) -> Saved | None:
        """The saved state; None where there is none yet."""
        try:
            text = self.state_path.read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StateFileError(f"{self.state_path}: {error}") from error
        try:
            content = json.loads(text)
            if content["version"] != _VERSION:
                raise ValueError(f"version {content['version']}")
            plant = PlantState(**{field.name: float(content["plant"][field.name]) for field in fields(PlantState)})
            site_time = int(content["site_time"] if content["clean"] else content["ceiling"])
            site_name = content["site"]
        except (ValueError, KeyError, TypeError) as error:
            advice = "it was not written by this program; move it away to start afresh"
            raise StateFileError(f"{self.state_path}: {error!r}: {advice}") from error
        if site_name != self._site_name:
            raise RunDirectoryError(f"{self._path}: belongs to site {site_name!r}, not {self._site_name!r}; give another --run-dir")
        return Saved(site_time, plant)

    def save(self, site_time: int, plant: PlantState, reserve_s: int, clean: bool = False) -> None:
        """Replace the state file. `reserve_s` seconds from `site_time` on may pass before the next save; `clean` at an orderly end."""
        self.ceiling = site_time + reserve_s
        content = {
            "version": _VERSION,
            "site": self._site_name,
            "site_time": site_time,
            "ceiling": self.ceiling,
            "clean": clean,
            "plant": asdict(plant),
        }
        self._replace(self.state_path, json.dumps(content).encode())

    @property
    def key_part_path(self) -> Path:
        """What the part that keeps the node's key holds."""
        return self._path / "key-part.bin"

    def load_key_part(self) -> bytes | None:
        """The part's cells; None where there is none yet."""
        try:
            cells = self.key_part_path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateFileError(f"{self.key_part_path}: {error}") from error
        if len(cells) != KEY_PART_BYTES:
            raise StateFileError(f"{self.key_part_path}: {len(cells)} bytes instead of {KEY_PART_BYTES}; move it away for a new part")
        return cells

    def save_key_part(self, cells: bytes) -> None:
        """Replace what is kept of the part; nobody may hear of what came of a write before this is done."""
        self._replace(self.key_part_path, cells)

    def _replace(self, path: Path, content: bytes) -> None:
        scratch = path.with_suffix(".new")
        try:
            with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
            directory = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            advice = "make room or give write access there, then start again: it goes on from the last save"
            raise RunDirectoryError(f"{self._path}: the plant's state cannot be saved ({error.strerror}); {advice}") from error

    def close(self) -> None:
        """Release the lock."""
        self._lock.close()
