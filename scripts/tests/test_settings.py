from pathlib import Path

import pytest
from thermogen_scripts.demo import defaults
from thermogen_scripts.settings import SETTINGS, SettingError, read_settings

README = Path(__file__).parents[2] / "README.md"


def test_defaults_need_no_environment() -> None:
    settings = read_settings({})
    assert settings.site == "tz-wellpad-alpha-01"
    assert settings.run_dir.is_absolute()


def test_environment_wins_over_a_command_s_defaults_and_those_over_the_table() -> None:
    assert read_settings({}, {"THERMOGEN_PACE": "140"}).pace == "140"
    assert read_settings({"THERMOGEN_PACE": "max"}, {"THERMOGEN_PACE": "140"}).pace == "max"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("THERMOGEN_CLOUD_PORT", "70000"),
        ("THERMOGEN_CLOUD_PORT", "http"),
        ("THERMOGEN_PACE", "-1"),
        ("THERMOGEN_PACE", "fast"),
        ("THERMOGEN_PACE", "inf"),
        ("THERMOGEN_PACE", "nan"),
        ("THERMOGEN_START", "yesterday"),
        ("THERMOGEN_REPLAY", "/nowhere/series.csv"),
        ("THERMOGEN_CLOCKS_PER_SITE_SECOND", "1"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{variable}={value}"):
        read_settings({variable: value})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
def test_every_setting_is_documented_with_its_default(setting: object) -> None:
    variable, default = setting.variable, setting.default  # type: ignore[attr-defined]
    rows = [line for line in README.read_text().splitlines() if line.startswith(f"| `{variable}` |")]
    assert rows, f"{variable} is not in the README's table"
    assert not default or f"`{default}`" in rows[0]


def test_a_demonstration_on_a_series_starts_where_the_series_does() -> None:
    assert "THERMOGEN_START" in defaults({}) and "THERMOGEN_START" not in defaults({"THERMOGEN_REPLAY": "series.csv"})
