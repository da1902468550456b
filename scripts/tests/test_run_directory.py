from pathlib import Path

import pytest
from thermogen_scripts.run_directory import RunDirectoryError, empty_for_demonstration, owned


def test_a_second_run_cannot_take_a_directory_that_one_has(tmp_path: Path) -> None:
    with owned(tmp_path / "run"), pytest.raises(RunDirectoryError, match="in use by another run"), owned(tmp_path / "run"):
        pass
    with owned(tmp_path / "run"):
        pass


def test_only_a_demonstration_s_own_directory_is_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "run" / "registry.sqlite"
    precious.parent.mkdir()
    precious.write_text("years of evidence")
    with pytest.raises(RunDirectoryError, match="holds something that is no demonstration"):
        empty_for_demonstration(precious.parent)
    assert precious.read_text() == "years of evidence"


def test_an_emptying_that_was_interrupted_is_taken_up_again(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    empty_for_demonstration(run_dir)
    (run_dir / "cloud").mkdir()
    (run_dir / "cloud" / "trust.json").write_text("{}")
    empty_for_demonstration(run_dir)
    assert [path.name for path in run_dir.iterdir()] == [".thermogen-demo"]
    assert run_dir.stat().st_mode & 0o777 == 0o700
