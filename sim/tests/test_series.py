"""Series are read whole or refused with the place that is wrong."""

import datetime
import decimal
import importlib.resources
import re

import pyarrow
import pytest
from pyarrow import parquet
from thermogen_sim.errors import SeriesError
from thermogen_sim.series import read_series

HEADER = "time,gas_flow_mcf_d,ambient_degc,load_w\n"
T0 = 1_767_225_600  # 2026-01-01T00:00:00Z


def test_values_between_rows_lie_on_a_straight_line(series_file):
    series = read_series(series_file(HEADER + "2026-01-01T00:00:00Z,3.0,10,500\n2026-01-01T01:00:00Z,2.0,-2,800\n"))
    halfway = series.at(T0 + 1800)
    assert (halfway.gas_available_mcf_d, halfway.ambient_degc, halfway.load_w) == (2.5, 4.0, 650.0)
    assert series.at(T0 - 99).gas_available_mcf_d == 3.0
    assert series.at(T0 + 7200).gas_available_mcf_d == 2.0
    assert (series.start, series.end) == (T0, T0 + 3600)


def test_times_may_be_unix_seconds_or_have_an_offset_or_none(series_file):
    for first, second in (
        (str(T0), str(T0 + 60)),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:01:00"),
        ("2026-01-01 00:00", f"{T0 + 60}.0"),
    ):
        series = read_series(series_file(f"{HEADER}{first},3,1,1\n{second},3,1,1\n"))
        assert (series.start, series.end) == (T0, T0 + 60)


def test_columns_may_stand_in_any_order_beside_others(series_file):
    series = read_series(series_file(f"note,load_w,ambient_degc,gas_flow_mcf_d,time\nx,1,2,3,{T0}\ny,1,2,3,{T0 + 1}\n"))
    assert series.at(T0).load_w == 1.0


@pytest.mark.parametrize("timestamps", [True, False])
def test_parquet_is_read_as_csv_is(tmp_path, timestamps):
    moments = [datetime.datetime.fromtimestamp(T0 + 10 * n, datetime.UTC) if timestamps else T0 + 10 * n for n in range(3)]
    table = pyarrow.table({"time": moments, "gas_flow_mcf_d": [1.0, 2.0, 3.0], "ambient_degc": [0, 1, 2], "load_w": [100, 200, 300]})
    parquet.write_table(table, tmp_path / "s.parquet")
    series = read_series(tmp_path / "s.parquet")
    assert series.at(T0 + 15).gas_available_mcf_d == 2.5


@pytest.mark.parametrize(
    ("rows", "row", "column", "says"),
    [
        ("{t},3,1,1\n{u},x,1,1\n", 2, "gas_flow_mcf_d", "'x' is not a number"),
        ("{t},3,1,1\n{u},3,,1\n", 2, "ambient_degc", "empty is not a number"),
        ("{t},3,1,1\n{u},3,1,nan\n", 2, "load_w", "not a number"),
        ("{t},3,1,1\n{u},3,1,inf\n", 2, "load_w", "not a number"),
        ("{t},11,1,1\n{u},3,1,1\n", 1, "gas_flow_mcf_d", "11 is outside 0 to 10"),
        ("{t},3,99,1\n{u},3,1,1\n", 1, "ambient_degc", "outside -40 to 60"),
        ("{t},3,1,-5\n{u},3,1,1\n", 1, "load_w", "outside"),
        ("yesterday,3,1,1\n{u},3,1,1\n", 1, "time", "neither ISO 8601 nor Unix"),
        ("{t}000,3,1,1\n{u}000,3,1,1\n", 1, "time", "not milliseconds"),
        ("-1,3,1,1\n{u},3,1,1\n", 1, "time", "outside"),
        ("{t},3,1,1\n1e300,3,1,1\n", 2, "time", "outside"),
        ("{u},3,1,1\n{t},3,1,1\n", 2, "time", "not later"),
        ("{t},3,1,1\n{t},3,1,1\n", 2, "time", "not later"),
        ("{t},3,1,1\n{u},3,1\n", 2, None, "3 columns where the header has 4"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(series_file, rows, row, column, says):
    path = series_file(HEADER + rows.format(t=T0, u=T0 + 60))
    with pytest.raises(SeriesError, match=re.escape(says)) as caught:
        read_series(path)
    assert (caught.value.row, caught.value.column) == (row, column)
    assert str(path) in str(caught.value)


def test_a_missing_column_is_named(series_file):
    with pytest.raises(SeriesError, match="'load_w' is missing") as caught:
        read_series(series_file("time,gas_flow_mcf_d,ambient_degc\n1,2,3\n2,2,3\n"))
    assert caught.value.column == "load_w"


@pytest.mark.parametrize("content", ["", HEADER, f"{HEADER}{T0},3,1,1\n"])
def test_too_little_is_refused(series_file, content):
    with pytest.raises(SeriesError):
        read_series(series_file(content))


def test_a_missing_file_and_a_truncated_parquet_file_are_refused(tmp_path):
    with pytest.raises(SeriesError, match="cannot be read"):
        read_series(tmp_path / "none.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(SeriesError, match="Parquet"):
        read_series(tmp_path / "cut.parquet")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(SeriesError):
        read_series(tmp_path / "noise.csv")


def test_the_shipped_series_is_a_whole_january():
    with importlib.resources.as_file(importlib.resources.files("thermogen_sim") / "data" / "greensboro-january.csv") as path:
        series = read_series(path)
    assert len(series.seconds) == 744
    assert series.ambient_degc.min() == -12.8 and series.ambient_degc.max() == 18.3
    assert series.end - series.start == 743 * 3600


def _parquet(path, **columns):
    table = {"time": [T0, T0 + 10], "gas_flow_mcf_d": [1.0, 2.0], "ambient_degc": [0, 1], "load_w": [100, 200], **columns}
    parquet.write_table(pyarrow.table(table), path)
    return path


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Mars/Olympus"])
def test_a_parquet_timestamp_of_any_unit_and_zone_is_an_instant(tmp_path, unit, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    moments = pyarrow.array([T0 * per_second, (T0 + 10) * per_second], pyarrow.timestamp(unit, zone))
    series = read_series(_parquet(tmp_path / "s.parquet", time=moments))
    assert (series.start, series.end) == (T0, T0 + 10)


def test_a_parquet_date_is_its_midnight_and_a_decimal_its_seconds(tmp_path):
    days = [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]
    assert read_series(_parquet(tmp_path / "d.parquet", time=days)).end == T0 + 86_400
    seconds = [decimal.Decimal(T0), decimal.Decimal(T0 + 10)]
    assert read_series(_parquet(tmp_path / "s.parquet", time=seconds)).end == T0 + 10


def test_parquet_that_no_site_can_be_driven_by_is_refused_and_never_a_traceback(tmp_path):
    years_after_all = pyarrow.array([2**62, 2**62 + 1], pyarrow.timestamp("ms"))
    with pytest.raises(SeriesError, match="outside the Unix seconds"):
        read_series(_parquet(tmp_path / "far.parquet", time=years_after_all))
    with pytest.raises(SeriesError, match="no time"):
        read_series(_parquet(tmp_path / "empty.parquet", time=pyarrow.array([None, None], pyarrow.timestamp("ns"))))
    not_text = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])), pyarrow.py_buffer(b"\xff\xfe")]
    )
    with pytest.raises(SeriesError, match="cannot be read"):
        read_series(_parquet(tmp_path / "bytes.parquet", load_w=not_text))
    whole = _parquet(tmp_path / "cut.parquet").read_bytes()
    for length in range(4, len(whole), 97):
        (tmp_path / "cut.parquet").write_bytes(whole[:length])
        with pytest.raises(SeriesError):
            read_series(tmp_path / "cut.parquet")


def test_a_column_that_is_there_twice_is_refused(series_file):
    with pytest.raises(SeriesError, match="'load_w' is there 2 times"):
        read_series(series_file(f"time,gas_flow_mcf_d,ambient_degc,load_w,load_w\n{T0},1,1,1,2\n{T0 + 1},1,1,1,2\n"))
