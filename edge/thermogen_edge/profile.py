"""The site profile: what differs between two sites of the same software. Calibration, nameplate, fluids, limits.

A JSON object of integers and strings; units are in the names. `channel_gains` (one for each of 108 channels, 32,768 = 1) and
`tracker_parameters` (raw values by name) may be left out: gains are 1 then, and parameters as the gateware has them. Its first hash bytes,
and those of the calibration as loaded into the node, are in every leaf, so that evidence names what it was measured with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from thermogen_esf.hostlink import (
    CHANNEL_GAIN_MAX,
    CHANNEL_GAIN_MIN,
    CHANNEL_GAIN_ONE,
    CHANNEL_GAIN_WORDS,
    HOT_LIMIT_MAX,
    HOT_LIMIT_MIN,
    calibration_hash,
)
from thermogen_esf.points import POINT, SITE_INPUTS
from thermogen_esf.tracker_parameters import TRACKER_PARAMETER, TRACKER_PARAMETERS

from .errors import EdgeError

VERSION = 1
HASH_BYTES = 8
MAX_PROFILE_BYTES = 65_536
MAX_CURRENT_LIMIT_MA = TRACKER_PARAMETER["current_limit_ma"].maximum
"""What a channel's amplifier can still measure."""
_HOT_LIMITS_DEGC = [int(POINT["hot_supply_temperature"].physical(raw)) for raw in (HOT_LIMIT_MIN, HOT_LIMIT_MAX)]


_SET_BY_LIMITS = frozenset({"current_limit_ma"})
"""Parameters that the site's state steers, within `limits`."""


class ProfileError(EdgeError):
    """The site profile cannot be used."""


@dataclass(frozen=True, slots=True)
class InputCalibration:
    """One site input: raw = sample × gain / 4096 + offset, sample 0 … 4095, gain 0 … 65535, offset -32768 … 32767."""

    gain: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of a site. Temperatures are those of bismuth telluride; other modules have others."""

    hot_throttle_degc: int = 190
    hot_fatal_degc: int = 205
    hot_warning_margin_k: int = 10
    cold_throttle_degc: int = 90
    cold_critical_degc: int = 95
    hot_flow_low_l_min: int = 5
    cold_flow_low_l_min: int = 10
    hot_pressure_high_mbar: int = 8_000
    producing_difference_k: int = 80
    bus_warning_mv: int = 52_000
    bus_shed_mv: int = 55_000
    bus_low_mv: int = 44_000
    bus_restored_mv: int = 47_000
    bus_critical_mv: int = 42_000
    battery_critical_percent: int = 10
    cooled_down_degc: int = 60
    current_limit_ma: int = 3_000
    throttled_current_limit_ma: int = 1_000


@dataclass(frozen=True, slots=True)
class Profile:
    """A site's profile and the bytes that it was read from."""

    site: str
    module_kind: str
    channels: int
    nameplate_w: int
    hot_fluid: str
    cold_fluid: str
    limits: Limits
    calibration: tuple[InputCalibration, ...]
    """In the converter's channel order."""
    channel_gains: tuple[int, ...]
    """One for each channel that a node may have, CHANNEL_GAIN_ONE = 1."""
    tracker_parameters: dict[str, int]
    """Raw, by identifier; those that the gateware's own value stays for are not there."""
    content: bytes

    @property
    def profile_hash(self) -> int:
        """The first 8 bytes of the file's SHA3-256, as the point's raw value."""
        return int.from_bytes(hashlib.sha3_256(self.content).digest()[:HASH_BYTES], "big")

    @property
    def calibration_words(self) -> list[int]:
        """Gain and offset of each site input, as the node's registers take them."""
        return [word for one in self.calibration for word in (one.gain, one.offset & 0xFFFF)]

    @property
    def measuring_words(self) -> tuple[int, ...]:
        """All that the node measures with once this profile is loaded, in the order in which it hashes them."""
        return (*self.calibration_words, *self.channel_gains)

    @property
    def calibration_hash(self) -> int:
        """What the node will then say that it measures with, as the point's raw value."""
        return int.from_bytes(calibration_hash(self.measuring_words), "big")


_DEFAULT_CALIBRATION = {
    "bus_voltage": (65_535, 0),
    "bus_current": (16_384, -8_192),
    "ground_fault_current": (1_024, 0),
    "hot_supply_temperature": (22_500, 0),
    "hot_return_temperature": (22_500, 0),
    "cold_supply_temperature": (5_000, 0),
    "cold_return_temperature": (5_000, 0),
    "hot_flow": (10_000, 0),
    "cold_flow": (10_000, 0),
    "gas_flow": (10_000, 0),
    "gas_pressure": (5_000, 0),
    "battery_current": (16_384, -8_192),
}
"""Full scales of the controller node's signal conditioning: 65.5 V, ±82 A, 102 mA, 450 and 100 °C, 100 L/min, 10 Mcf/day, 50 psi."""


def default_profile(site: str) -> bytes:
    """The profile that a new site begins with: twelve channels of bismuth telluride."""
    document = {
        "version": VERSION,
        "site": site,
        "module_kind": "bismuth-telluride",
        "channels": 12,
        "nameplate_w": 1_140,
        "hot_fluid": "therminol-vp1",
        "cold_fluid": "glycol-50",
        "limits": {field.name: field.default for field in fields(Limits)},
        "calibration": {name: {"gain": gain, "offset": offset} for name, (gain, offset) in _DEFAULT_CALIBRATION.items()},
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def load_profile(path: Path) -> Profile:
    """The profile in `path`; ProfileError says what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PROFILE_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"{path}: no site profile ({error.strerror}); make one with `thermogen-edge init --site NAME`") from error
    try:
        return parse_profile(content)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from error


def parse_profile(content: bytes) -> Profile:
    """The profile that `content` holds; ProfileError names the member that is missing, unknown or out of range."""
    if len(content) > MAX_PROFILE_BYTES:
        raise ProfileError(f"a site profile is at most {MAX_PROFILE_BYTES} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"not JSON ({error}); mend it or make a new one with `thermogen-edge init`") from error
    names = ["version", "site", "module_kind", "channels", "nameplate_w", "hot_fluid", "cold_fluid", "limits", "calibration"]
    members = _members(document, "the profile", names, ["channel_gains", "tracker_parameters"])
    if members["version"] != VERSION:
        raise ProfileError(f"version {members['version']!r}: this daemon reads version {VERSION}")
    limit_names = [field.name for field in fields(Limits)]
    limits = _members(members["limits"], "limits", limit_names)
    calibration = _members(members["calibration"], "calibration", list(SITE_INPUTS))
    profile = Profile(
        site=_text(members, "site"),
        module_kind=_text(members, "module_kind"),
        channels=_integer(members["channels"], "channels", 1, 108),
        nameplate_w=_integer(members["nameplate_w"], "nameplate_w", 1, 20_000),
        hot_fluid=_text(members, "hot_fluid"),
        cold_fluid=_text(members, "cold_fluid"),
        limits=Limits(**{name: _integer(limits[name], f"limits.{name}", 0, 65_535) for name in limit_names}),
        calibration=tuple(_calibration(name, calibration[name]) for name in SITE_INPUTS),
        channel_gains=_channel_gains(members.get("channel_gains", [CHANNEL_GAIN_ONE] * CHANNEL_GAIN_WORDS)),
        tracker_parameters=_tracker_parameters(members.get("tracker_parameters", {})),
        content=content,
    )
    for name in ("current_limit_ma", "throttled_current_limit_ma"):
        _integer(limits[name], f"limits.{name}", 0, MAX_CURRENT_LIMIT_MA)
    for name in ("hot_throttle_degc", "hot_fatal_degc"):
        _integer(limits[name], f"limits.{name}", *_HOT_LIMITS_DEGC)
    return profile


def _channel_gains(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != CHANNEL_GAIN_WORDS:
        raise ProfileError(f"channel_gains has to be a list of {CHANNEL_GAIN_WORDS}, one for each channel that a node may have")
    return tuple(_integer(gain, f"channel_gains[{n}]", CHANNEL_GAIN_MIN, CHANNEL_GAIN_MAX) for n, gain in enumerate(value))


def _tracker_parameters(value: Any) -> dict[str, int]:
    settable = {parameter.identifier: parameter for parameter in TRACKER_PARAMETERS if parameter.identifier not in _SET_BY_LIMITS}
    members = _members(value, "tracker_parameters", [], list(settable))
    return {
        name: _integer(raw, f"tracker_parameters.{name}", settable[name].minimum, settable[name].maximum) for name, raw in members.items()
    }


def _calibration(name: str, value: Any) -> InputCalibration:
    members = _members(value, f"calibration.{name}", ["gain", "offset"])
    return InputCalibration(
        _integer(members["gain"], f"calibration.{name}.gain", 0, 0xFFFF),
        _integer(members["offset"], f"calibration.{name}.offset", -0x8000, 0x7FFF),
    )


def _members(value: Any, where: str, names: list[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProfileError(f"{where} has to be an object")
    missing, unknown = [name for name in names if name not in value], [name for name in value if name not in (*names, *optional)]
    if missing or unknown:
        raise ProfileError(f"{where}: missing {', '.join(missing) or 'nothing'}; unknown {', '.join(unknown) or 'nothing'}")
    return value


def _text(members: dict[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str) or not 1 <= len(value) <= 64:
        raise ProfileError(f"{name} has to be a text of 1 to 64 characters")
    return value


def _integer(value: Any, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProfileError(f"{name} has to be a whole number from {low} to {high}")
    return value
