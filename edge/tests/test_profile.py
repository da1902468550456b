"""The site profile: what it holds, and that nothing wrong in it passes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from thermogen_edge.profile import Limits, ProfileError, default_profile, load_profile, parse_profile
from thermogen_esf.points import SITE_INPUTS


def changed(path: list[str], value: Any) -> bytes:
    document = json.loads(default_profile("tz-a"))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(document).encode()


def test_the_default_profile_is_bismuth_telluride_and_calibrates_every_input() -> None:
    profile = parse_profile(default_profile("tz-a"))
    assert (profile.limits.hot_throttle_degc, profile.limits.hot_fatal_degc) == (190, 205)
    assert profile.limits == Limits()
    words = profile.calibration_words
    assert len(words) == 2 * len(SITE_INPUTS)
    bus_current = 2 * SITE_INPUTS.index("bus_current")
    assert words[bus_current : bus_current + 2] == [16_384, 0x10000 - 8_192]


def test_the_hashes_are_of_the_file_and_of_the_words_that_the_node_gets() -> None:
    content = default_profile("tz-a")
    profile = parse_profile(content)
    assert profile.profile_hash == int.from_bytes(hashlib.sha3_256(content).digest()[:8], "big")
    loaded = b"".join(word.to_bytes(2, "big") for word in (*profile.calibration_words, *[0x8000] * 108))
    assert profile.calibration_hash == int.from_bytes(hashlib.sha3_256(loaded).digest()[:8], "big")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["limits", "hot_fatal_degc"], None, "missing hot_fatal_degc"),
        (["limits", "hot_fatal"], 3, "unknown hot_fatal"),
        (["limits", "hot_fatal_degc"], 205.5, "limits.hot_fatal_degc"),
        (["limits", "current_limit_ma"], 4_001, "limits.current_limit_ma"),
        (["calibration", "gas_flow"], None, "missing gas_flow"),
        (["calibration", "gas_flow", "gain"], 65_536, "calibration.gas_flow.gain"),
        (["calibration", "gas_flow", "offset"], -32_769, "calibration.gas_flow.offset"),
        (["limits", "hot_fatal_degc"], 401, "limits.hot_fatal_degc"),
        (["limits", "hot_throttle_degc"], 59, "limits.hot_throttle_degc"),
        (["channel_gains"], [0x8000] * 107, "channel_gains"),
        (["channel_gains"], [0x8000] * 107 + [0x9001], r"channel_gains\[107\]"),
        (["tracker_parameters"], {"no_such": 1}, "unknown no_such"),
        (["tracker_parameters"], {"current_limit_ma": 1_000}, "unknown current_limit_ma"),
        (["tracker_parameters"], {"site_power_limit": 2_001}, "tracker_parameters.site_power_limit"),
        (["channels"], 109, "channels"),
        (["channels"], True, "channels"),
        (["version"], 2, "version 2"),
        (["site"], "", "site"),
    ],
)
def test_what_is_wrong_in_a_profile_is_named(path: list[str], value: Any, named: str) -> None:
    with pytest.raises(ProfileError, match=named):
        parse_profile(changed(path, value))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 60_000, b"{}" + b" " * 70_000, b"\xff"])
def test_what_is_no_profile_is_refused(content: bytes) -> None:
    with pytest.raises(ProfileError):
        parse_profile(content)


def test_an_absent_profile_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="thermogen-edge init"):
        load_profile(tmp_path / "profile.json")


def test_gains_are_part_of_the_calibration_and_parameters_are_not() -> None:
    plain = parse_profile(default_profile("tz-a"))
    gains = [0x8000] * 107 + [0x8100]
    calibrated = parse_profile(changed(["channel_gains"], gains))
    assert calibrated.channel_gains == tuple(gains)
    assert calibrated.calibration_hash != plain.calibration_hash
    tuned = parse_profile(changed(["tracker_parameters"], {"site_power_limit": 500}))
    assert tuned.tracker_parameters == {"site_power_limit": 500}
    assert tuned.calibration_hash == plain.calibration_hash
