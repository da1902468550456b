"""Progress: a build is never silent, on a terminal or in a log."""

import io

from rich.console import Console
from thermogen_gateware.build.progress import Progress, last_line


def test_each_step_is_a_line_where_there_is_no_terminal_with_what_it_took_last_time():
    said = io.StringIO()
    progress = Progress("node", {"place and route": 244.4})
    with progress.shown(Console(file=said, width=120)):
        progress.step("synthesise", None, "")
        progress.step("place and route", None, "seed 3")
    assert said.getvalue().splitlines() == ["node: 2 of 4, synthesise", "node: 3 of 4, place and route, seed 3 (took 244 s last time)"]


def test_a_terminal_shows_what_the_tool_says(tmp_path):
    log = tmp_path / "top.tim"
    log.write_text("Info: placing\nInfo: routing 1,000 arcs\n\n", encoding="utf-8")
    said = io.StringIO()
    console = Console(file=said, width=120, force_terminal=True)
    progress = Progress("node", {})
    with progress.shown(console):
        progress.step("place and route", log, "seed 4")
        console.print(progress.__rich__())
    assert "node: 3 of 4, place and route, seed 4, 0 s  Info: routing 1,000 arcs" in said.getvalue()


def test_the_last_line_is_the_last_that_has_something_in_it(tmp_path):
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_text("x" * 10_000 + "\nend\n\n", encoding="utf-8")
    assert last_line(log) == "end"
