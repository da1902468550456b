"""The difference to the last release: what this build uses and reaches more or less than the report that a release has kept.

A release's report is the `report.json` of its build, committed as `docs/releases/VERSION.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ReportError

RELEASES = Path(__file__).parents[3] / "docs" / "releases"
"""Where the repository keeps them; a node's or a user's installation has none."""


def last_release(folder: Path = RELEASES) -> Path | None:
    """The report of the highest version, if there is one."""
    reports = {_version(path): path for path in folder.glob("*.json") if re.fullmatch(r"\d+(\.\d+)*", path.stem)}
    return reports[max(reports)] if reports else None


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in path.stem.split("."))


def load_release(path: Path) -> dict[str, Any]:
    """A release's report; raises ReportError when it is none."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["board"] and report["version"] and isinstance(report["designs"], dict):
            return dict(report)
    except OSError as error:
        raise ReportError(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(path, "is not the report.json of a build") from error
    raise ReportError(path, "is not the report.json of a build")


def difference(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """`now` less `then`, both one design of a report: cells by kind, MHz by clock, cells by core. What is equal is left out."""
    before = {clock["clock"]: clock["achieved_mhz"] for clock in then["timing"]}
    after = {clock["clock"]: clock["achieved_mhz"] for clock in now["timing"]}
    return {
        "area": _less({kind: cells["used"] for kind, cells in now["area"].items()}, {k: c["used"] for k, c in then["area"].items()}),
        "achieved_mhz": {clock: round(after[clock] - before[clock], 2) for clock in after if clock in before},
        "cores": _cores_less(now["cores"], then["cores"]),
    }


def _less(now: Mapping[str, int], then: Mapping[str, int]) -> dict[str, int]:
    return {kind: change for kind in {**now, **then} if (change := now.get(kind, 0) - then.get(kind, 0))}


def _cores_less(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    changes = {path: _less(now.get(path, {}).get("total", {}), then.get(path, {}).get("total", {})) for path in {**now, **then}}
    return {path: change for path, change in changes.items() if change}
