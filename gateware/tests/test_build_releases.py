"""The difference to the last release: more, less, new and gone, of the highest version."""

import pytest
from thermogen_gateware.build.errors import ReportError
from thermogen_gateware.build.releases import RELEASES, difference, last_release, load_release


def design(used, mhz, cores):
    return {
        "area": {kind: {"used": count, "available": 1000} for kind, count in used.items()},
        "timing": [{"clock": "clk", "achieved_mhz": mhz}],
        "cores": {path: {"own": cells, "total": cells} for path, cells in cores.items()},
    }


def test_what_changed_is_said_with_its_sign_and_what_did_not_is_left_out():
    then = design({"LC": 100, "EBR": 2, "DSP": 1}, 90.0, {"a": {"LC": 60}, "gone": {"LC": 40}, "same": {"EBR": 2}})
    now = design({"LC": 130, "EBR": 2}, 80.5, {"a": {"LC": 50}, "new": {"LC": 80}, "same": {"EBR": 2}})
    assert difference(now, then) == {
        "area": {"LC": 30, "DSP": -1},
        "achieved_mhz": {"clk": -9.5},
        "cores": {"a": {"LC": -10}, "new": {"LC": 80}, "gone": {"LC": -40}},
    }


def test_the_last_release_is_the_highest_version_and_not_the_last_in_the_alphabet(tmp_path):
    for name in ("0.9.0.json", "0.10.0.json", "0.2.json", "notes.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert last_release(tmp_path) == tmp_path / "0.10.0.json"
    assert last_release(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"board": "product", "version": "1", "designs": []}'])
def test_what_is_no_report_of_a_build_is_refused(content, tmp_path):
    (tmp_path / "1.0.json").write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=r"1\.0\.json"):
        load_release(tmp_path / "1.0.json")


def test_the_committed_releases_can_be_compared_with():
    reports = [load_release(path) for path in RELEASES.glob("*.json")]
    assert reports
    for report in reports:
        for product in report["designs"].values():
            same = difference(product, product)
            assert (same["area"], same["cores"]) == ({}, {})
            assert set(same["achieved_mhz"].values()) == {0.0}
