"""Recorded or third-party inputs: a table of gas flow, ambient temperature and load over time, interpolated by site time.

CSV with a header line, or Parquet. Columns, in any order, others are ignored:

    time             ISO 8601 (without an offset: UTC), Unix seconds, or a Parquet timestamp or date; strictly increasing, 1970 to 2106
    gas_flow_mcf_d   gas available to the burner, 0 to 10
    ambient_degc     -40 to 60
    load_w           demand of the site's load, 0 to 65,535

Before the first row and after the last one their values stand.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SeriesError
from .inputs import Inputs

_RANGES: dict[str, tuple[float, float]] = {
    "gas_flow_mcf_d": (0.0, 10.0),
    "ambient_degc": (-40.0, 60.0),
    "load_w": (0.0, 65_535.0),
}
COLUMNS = ("time", *_RANGES)
_LAST_SECOND = 2**32 - 1
"""Site time is 32 bits of Unix seconds."""


@dataclass(frozen=True)
class Series:
    """Columns of equal length; `seconds` are Unix seconds, strictly increasing."""

    seconds: NDArray[np.float64]
    gas_flow_mcf_d: NDArray[np.float64]
    ambient_degc: NDArray[np.float64]
    load_w: NDArray[np.float64]

    @property
    def start(self) -> int:
        """The first row's time, in whole seconds."""
        return int(np.ceil(self.seconds[0]))

    @property
    def end(self) -> int:
        """The last row's time, in whole seconds."""
        return int(self.seconds[-1])

    def at(self, site_time: int) -> Inputs:
        """The inputs at a site second, between rows in a straight line."""
        return Inputs(
            float(np.interp(site_time, self.seconds, self.gas_flow_mcf_d)),
            float(np.interp(site_time, self.seconds, self.ambient_degc)),
            float(np.interp(site_time, self.seconds, self.load_w)),
        )


def read_series(path: Path) -> Series:
    """Read a CSV or Parquet file, told apart by its content. SeriesError names the row and column that is wrong."""
    try:
        with path.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
    except OSError as error:
        raise SeriesError(f"{path}: cannot be read ({error.strerror}); give a CSV or Parquet file") from error
    table = _read_parquet(path) if parquet else _read_csv(path)
    for column in COLUMNS:
        if column not in table:
            raise SeriesError(f"{path}: column {column!r} is missing; the columns are {', '.join(COLUMNS)}", column=column)
    if len(table["time"]) < 2:
        raise SeriesError(f"{path}: {len(table['time'])} rows; a series needs at least two")
    seconds = np.array([_seconds(path, row, value) for row, value in enumerate(table["time"], 1)])
    for row in range(1, len(seconds)):
        if seconds[row] <= seconds[row - 1]:
            advice = "not later than the row before; sort the rows and drop repeats"
            raise SeriesError(f"{path}: row {row + 1}, column 'time': {advice}", row + 1, "time")
    values = {name: np.array([_number(path, row, name, value) for row, value in enumerate(table[name], 1)]) for name in _RANGES}
    return Series(seconds, values["gas_flow_mcf_d"], values["ambient_degc"], values["load_w"])


def _read_csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [cells for cells in reader if cells]
    except (csv.Error, UnicodeDecodeError) as error:
        raise SeriesError(f"{path}: neither a CSV table nor Parquet: {error}; give one of the two") from error
    _require_each_once(path, header)
    for row, cells in enumerate(rows, 1):
        if len(cells) != len(header):
            raise SeriesError(f"{path}: row {row}: {len(cells)} columns where the header has {len(header)}", row)
    return {name: [cells[column] for cells in rows] for column, name in enumerate(header)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        # A schema of its own: a directory of that name, or keys in a path, make no data set of one file.
        table = parquet.ParquetFile(path).read()
        _require_each_once(path, table.column_names)
        return {name: _cells(table.column(name)) for name in COLUMNS if name in table.column_names}
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SeriesError(f"{path}: Parquet that cannot be read: {error}; write the four columns anew as numbers and timestamps") from error


def _cells(column: Any) -> list[Any]:
    """A column's values; a timestamp as seconds, since Python's own has neither nanoseconds nor far years."""
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        return [None if ticks is None else ticks / per_second for ticks in column.cast(pyarrow.int64()).to_pylist()]
    cells: list[Any] = column.to_pylist()
    return cells


def _require_each_once(path: Path, names: list[str]) -> None:
    for column in COLUMNS:
        if names.count(column) > 1:
            raise SeriesError(f"{path}: column {column!r} is there {names.count(column)} times; keep one of them", column=column)


def _seconds(path: Path, row: int, value: Any) -> float:
    seconds = _unix_seconds(path, row, value)
    if not 0 <= seconds <= _LAST_SECOND:
        advice = f"{seconds:g} is outside the Unix seconds 0 to {_LAST_SECOND}; give seconds, not milliseconds"
        raise SeriesError(f"{path}: row {row}, column 'time': {advice}", row, "time")
    return seconds


def _unix_seconds(path: Path, row: int, value: Any) -> float:
    if isinstance(value, str):
        text = value.strip()
        try:
            return _finite(float(text))
        except ValueError:
            pass
        try:
            value = datetime.datetime.fromisoformat(text)
        except ValueError:
            message = f"{path}: row {row}, column 'time': {text[:40]!r} is neither ISO 8601 nor Unix seconds"
            raise SeriesError(message, row, "time") from None
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time(), datetime.UTC).timestamp()
    if isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise SeriesError(f"{path}: row {row}, column 'time': no time; give ISO 8601 or Unix seconds", row, "time")


def _number(path: Path, row: int, column: str, value: Any) -> float:
    low, high = _RANGES[column]
    try:
        number = _finite(float(value))
    except (TypeError, ValueError):
        shown = "empty" if value is None or value == "" else repr(str(value)[:40])
        raise SeriesError(f"{path}: row {row}, column {column!r}: {shown} is not a number", row, column) from None
    if not low <= number <= high:
        raise SeriesError(f"{path}: row {row}, column {column!r}: {number:g} is outside {low:g} to {high:g}", row, column)
    return number


def _finite(number: float) -> float:
    if not np.isfinite(number):
        raise ValueError("not finite")
    return number
