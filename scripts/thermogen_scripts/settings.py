"""What `make run` and `make demo` can be told, all by environment; the defaults need nothing."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SITE_NAME = r"[a-z0-9][a-z0-9._-]{0,47}"
TOPIC_PREFIX = r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*"
API_PREFIX = r"(/[A-Za-z0-9_-]+)+"
USER_NAME = r"[A-Za-z0-9._-]{1,48}"
SLOW_MACHINE_PACE = 40.0
LEAST_PACE, MOST_PACE = 0.001, 1e6
CLOUD_USER = "cloud"
"""The broker's other user: no site may have its name, and with it its rights."""


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
    Setting(
        "THERMOGEN_START",
        "",
        "first site time, as 2026-06-01T00:00:00Z; empty: now, or the series' start (`make demo` without one: a fixed day)",
    ),
    Setting("THERMOGEN_REPLAY", "", "a CSV or Parquet series that drives the site's inputs"),
    Setting("THERMOGEN_BROKER_PORT", "18830", "MQTT broker, loopback"),
    Setting("THERMOGEN_UPLINK_PORT", "18831", "the site's way to the broker, a relay that can be cut"),
    Setting("THERMOGEN_CLOUD_PORT", "8080", "page and API, loopback"),
    Setting("THERMOGEN_RTU_PORT", "15020", "the burner controller's Modbus RTU over TCP"),
    Setting("THERMOGEN_CLOCK_PORT", "12947", "the site's clock, gpsd protocol"),
    Setting("THERMOGEN_TOPIC_PREFIX", "tz/v1", "first levels of every MQTT topic"),
    Setting("THERMOGEN_API_PREFIX", "/api/v1", "first levels of every path of the API"),
    Setting("THERMOGEN_VIEWER", "viewer", "user of page and API"),
    Setting(
        "THERMOGEN_VIEWER_PASSWORD_FILE",
        "",
        "file (mode 0600) with that user's password; empty: one made at random, `cloud/viewer.password`",
    ),
    Setting("THERMOGEN_APPROVER", "demo-approver", "who is enrolled to approve"),
    Setting(
        "THERMOGEN_APPROVER_PASSPHRASE_FILE",
        "",
        "file (mode 0600) with the passphrase of the approver's key; empty: one made at random, `approver.passphrase`",
    ),
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
    api_prefix: str
    viewer: str
    viewer_password_file: Path | None
    approver: str
    approver_passphrase_file: Path | None

    @property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """Every port that the run listens on, with the variable that moves it."""
        return (
            ("THERMOGEN_BROKER_PORT", self.broker_port),
            ("THERMOGEN_UPLINK_PORT", self.uplink_port),
            ("THERMOGEN_CLOUD_PORT", self.cloud_port),
            ("THERMOGEN_RTU_PORT", self.rtu_port),
            ("THERMOGEN_CLOCK_PORT", self.clock_port),
        )

    @property
    def most_site_seconds_per_s(self) -> float:
        """The pace, or what a slow machine manages where it is `max`: what timeouts are reckoned by."""
        return SLOW_MACHINE_PACE if self.pace == "max" else min(float(self.pace), SLOW_MACHINE_PACE)


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

    def matching(variable: str, form: str, wanted: str) -> str:
        value = text(variable)
        if not re.fullmatch(form, value):
            raise SettingError(f"{variable}={value}: give {wanted}")
        return value

    def secret_file(variable: str) -> Path | None:
        path = text(variable)
        if path and not Path(path).is_file():
            raise SettingError(f"{variable}={path}: there is no such file; make it with mode 0600, or leave the variable empty")
        return Path(path).resolve() if path else None

    pace, start, replay = text("THERMOGEN_PACE"), text("THERMOGEN_START"), text("THERMOGEN_REPLAY")
    _require_pace(pace)
    _require_start(start)
    if replay and not Path(replay).is_file():
        raise SettingError(f"THERMOGEN_REPLAY={replay}: there is no such file; give a CSV or Parquet series")
    site, prefix = text("THERMOGEN_SITE"), text("THERMOGEN_TOPIC_PREFIX")
    if not re.fullmatch(SITE_NAME, site) or site == CLOUD_USER:
        raise SettingError(f"THERMOGEN_SITE={site}: give a name of a-z, 0-9, dot, dash and underscore, at most 48, and not `{CLOUD_USER}`")
    if not re.fullmatch(TOPIC_PREFIX, prefix):
        raise SettingError(f"THERMOGEN_TOPIC_PREFIX={prefix}: give levels of letters and digits between slashes, as tz/v1")
    settings = RunSettings(
        run_dir=Path(text("THERMOGEN_RUN_DIR")).resolve(),
        site=site,
        pace=pace,
        clocks_per_site_second=number("THERMOGEN_CLOCKS_PER_SITE_SECOND", 10_000, 50_000_000),
        start=start,
        replay=replay,
        broker_port=number("THERMOGEN_BROKER_PORT", 1, 65_535),
        uplink_port=number("THERMOGEN_UPLINK_PORT", 1, 65_535),
        cloud_port=number("THERMOGEN_CLOUD_PORT", 1, 65_535),
        rtu_port=number("THERMOGEN_RTU_PORT", 1, 65_535),
        clock_port=number("THERMOGEN_CLOCK_PORT", 1, 65_535),
        topic_prefix=prefix,
        api_prefix=matching("THERMOGEN_API_PREFIX", API_PREFIX, "a path as /api/v1"),
        viewer=matching("THERMOGEN_VIEWER", USER_NAME, "letters, digits and . _ -, at most 48"),
        viewer_password_file=secret_file("THERMOGEN_VIEWER_PASSWORD_FILE"),
        approver=matching("THERMOGEN_APPROVER", SITE_NAME, "a name of a-z, 0-9, dot, dash and underscore, at most 48"),
        approver_passphrase_file=secret_file("THERMOGEN_APPROVER_PASSPHRASE_FILE"),
    )
    taken: dict[int, str] = {}
    for variable, port in settings.ports:
        if port in taken:
            raise SettingError(f"{variable} and {taken[port]} are both {port}: give each its own port")
        taken[port] = variable
    return settings


def _require_pace(pace: str) -> None:
    if pace == "max":
        return
    try:
        within = LEAST_PACE <= float(pace) <= MOST_PACE
    except ValueError:
        within = False
    if not within:
        raise SettingError(f"THERMOGEN_PACE={pace}: give site seconds per wall second, {LEAST_PACE} to {MOST_PACE:.0f}, or `max`")


def _require_start(start: str) -> None:
    if not start or start.isdecimal():
        return
    try:
        datetime.datetime.fromisoformat(start)
    except ValueError:
        raise SettingError(f"THERMOGEN_START={start}: give an ISO 8601 time, as 2026-06-01T00:00:00Z, or Unix seconds") from None
