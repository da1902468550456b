"""What the environment says, and what is said back where it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from thermogen_edge.settings import SETTINGS, BrokerAddress, HostLinkAddress, SettingError, TcpAddress, read_file, read_settings

NEEDED = {"THERMOGEN_SITE": "tz-a", "THERMOGEN_BROKER": "mqtt://tz-a@127.0.0.1:1883", "THERMOGEN_CLOUD_KEYS": "/etc/keys.json"}


def test_three_settings_are_enough() -> None:
    settings = read_settings(NEEDED)
    assert settings.host_link == HostLinkAddress("spidev", Path("/dev/spidev0.0"))
    assert settings.clock == TcpAddress("127.0.0.1", 2947)
    assert settings.broker == BrokerAddress("127.0.0.1", 1883, "tz-a", tls=False)
    assert (settings.rtu, settings.broker_password_file, settings.poll_s, settings.buffer_bytes) == (None, None, 1.0, 256_000_000)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("THERMOGEN_SITE", ""),
        ("THERMOGEN_SITE", "a/b"),
        ("THERMOGEN_SITE", "a+"),
        ("THERMOGEN_HOST_LINK", "tcp://1"),
        ("THERMOGEN_HOST_LINK", "unix:relative"),
        ("THERMOGEN_RTU", "127.0.0.1:502"),
        ("THERMOGEN_RTU", "tcp://127.0.0.1"),
        ("THERMOGEN_CLOCK", "ntp"),
        ("THERMOGEN_CLOCK", "gpsd://host:99999"),
        ("THERMOGEN_BROKER", ""),
        ("THERMOGEN_BROKER", "http://a:1"),
        ("THERMOGEN_BROKER", "mqtt://a:1/path"),
        ("THERMOGEN_TOPIC_PREFIX", "tz/#"),
        ("THERMOGEN_CLOUD_KEYS", ""),
        ("THERMOGEN_POLL_S", "0"),
        ("THERMOGEN_POLL_S", "nan"),
        ("THERMOGEN_RETRY_S", "soon"),
        ("THERMOGEN_BUFFER_MB", "-1"),
        ("THERMOGEN_NODE_MODE", "static"),
        ("THERMOGEN_NODE_ADDRESS", "192.168.1.5"),
        ("THERMOGEN_NODE_ADDRESS", "192.168.1.5/31"),
        ("THERMOGEN_NODE_GATEWAY", "router"),
        ("THERMOGEN_NODE_MAC", "03:54:5a:00:00:01"),
        ("THERMOGEN_NODE_MAC", "02:54:5a:00:01"),
        ("THERMOGEN_NODE_MAC", "02:54:5A:00:00:01"),
        ("THERMOGEN_SCADA_PREFERRED", ",".join(["10.0.0.1"] * 9)),
        ("THERMOGEN_SCADA_WRITERS", "0.0.0.0/0"),
        ("THERMOGEN_SCADA_WRITERS", "10.0.0.1/24"),
        ("THERMOGEN_SCADA_WRITERS", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5"),
        ("THERMOGEN_SCADA_WRITABLE", "site_power_limit,hot_fatal"),
        ("THERMOGEN_SCADA_WORD_ORDER", "big"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_give(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=rf"^{variable}.*give") as caught:
        read_settings({**NEEDED, variable: value})
    assert caught.value.variable == variable


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingError, match="THERMOGEN_BROKER_PASSWORD_FILE") as caught:
        read_settings({**NEEDED, "THERMOGEN_BROKER": "mqtt://tz-a:hunter2@127.0.0.1:1883"})
    assert "hunter2" not in str(caught.value)


def test_a_file_gives_settings_and_names_the_line_that_does_not(tmp_path: Path) -> None:
    file = tmp_path / "edge.conf"
    file.write_text("# a comment\n\nTHERMOGEN_SITE = tz-b\n")
    assert read_file(file) == {"THERMOGEN_SITE": "tz-b"}
    file.write_text("THERMOGEN_SITE=tz-b\nTHERMOGEN_SIET=x\n")
    with pytest.raises(SettingError, match=r"edge.conf:2.*THERMOGEN_SIET"):
        read_file(file)
    with pytest.raises(SettingError, match="cannot be read"):
        read_file(tmp_path / "absent")


def test_the_readme_lists_every_setting_with_its_default() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    rows = re.findall(r"^\| `(THERMOGEN_\w+)` \| (.*) \| (.*) \|$", readme, re.MULTILINE)
    assert rows == [(setting.variable, f"`{setting.default}`" if setting.default else "", setting.meaning) for setting in SETTINGS]
