"""What `make run` and `make demo` can be told, all by environment; the defaults need nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingError(Exception):
    """A setting from the environment cannot be used."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, default and meaning."""

    variable: str
    default: str
    meaning: str


SETTINGS: tuple[Setting, ...] = (
    Setting("THERMOGEN_RUN_DIR", "run/site", "the run directory (mode 0700): databases, keys, logs (`make demo`: run/demo)"),
    Setting("THERMOGEN_SITE", "tz-wellpad-alpha-01", "name of the simulated site"),
    Setting("THERMOGEN_PACE", "60", "site seconds per wall second, or `max` (`make demo`: 140)"),
    Setting("THERMOGEN_CLOCKS_PER_SITE_SECOND", "10000", "clocks that the simulated gateware counts per site second; 50000000 in products"),
    Setting("THERMOGEN_START", "", "site time of the first start, as 2026-06-01T00:00:00Z; empty: now (`make demo`: a fixed day)"),
    Setting("THERMOGEN_REPLAY", "", "a CSV or Parquet series that drives the site's inputs"),
    Setting("THERMOGEN_BROKER_PORT", "18830", "MQTT broker, loopback"),
    Setting("THERMOGEN_UPLINK_PORT", "18831", "the site's way to the broker, a relay that can be cut"),
    Setting("THERMOGEN_CLOUD_PORT", "8080", "page and API, loopback"),
    Setting("THERMOGEN_RTU_PORT", "15020", "the burner controller's Modbus RTU over TCP"),
    Setting("THERMOGEN_CLOCK_PORT", "12947", "the site's clock, gpsd protocol"),
    Setting("THERMOGEN_TOPIC_PREFIX", "tz/v1", "first levels of every MQTT topic"),
)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of one run, checked."""

    run_dir: Path
    site: str
    pace: str
    clocks_per_site_second: int
    start: str
    replay: str
    broker_port: int
    uplink_port: int
    cloud_port: int
    rtu_port: int
    clock_port: int
    topic_prefix: str


def read_settings(environment: Mapping[str, str] | None = None, defaults: Mapping[str, str] | None = None) -> RunSettings:
    """Settings from `environment` (default: the process's), `defaults` replacing the table's; SettingError names what is wrong."""
    given = os.environ if environment is None else environment
    replaced = defaults or {}

    def text(variable: str) -> str:
        setting = next(setting for setting in SETTINGS if setting.variable == variable)
        return given.get(variable, "") or replaced.get(variable, setting.default)

    def number(variable: str, low: int, high: int) -> int:
        value = text(variable)
        if not value.isdecimal() or not low <= int(value) <= high:
            raise SettingError(f"{variable}={value}: give a whole number from {low} to {high}")
        return int(value)

    pace = text("THERMOGEN_PACE")
    if pace != "max":
        try:
            positive = float(pace) > 0
        except ValueError:
            positive = False
        if not positive:
            raise SettingError(f"THERMOGEN_PACE={pace}: give site seconds per wall second, above 0, or `max`")
    return RunSettings(
        run_dir=Path(text("THERMOGEN_RUN_DIR")).resolve(),
        site=text("THERMOGEN_SITE"),
        pace=pace,
        clocks_per_site_second=number("THERMOGEN_CLOCKS_PER_SITE_SECOND", 10_000, 50_000_000),
        start=text("THERMOGEN_START"),
        replay=text("THERMOGEN_REPLAY"),
        broker_port=number("THERMOGEN_BROKER_PORT", 1, 65_535),
        uplink_port=number("THERMOGEN_UPLINK_PORT", 1, 65_535),
        cloud_port=number("THERMOGEN_CLOUD_PORT", 1, 65_535),
        rtu_port=number("THERMOGEN_RTU_PORT", 1, 65_535),
        clock_port=number("THERMOGEN_CLOCK_PORT", 1, 65_535),
        topic_prefix=text("THERMOGEN_TOPIC_PREFIX"),
    )
