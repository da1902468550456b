"""docs/plant.md says what is measured: each figure again, and the plots that it shows are there."""

import re
from pathlib import Path

import pytest
from thermogen_sim.validation import document
from thermogen_sim.validation.averaged import GRID, compare
from thermogen_sim.validation.cases import CASES, circuit, switched_powers
from thermogen_sim.validation.stiff import stiff_powers

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def page():
    return (DOCS / "plant.md").read_text(encoding="utf-8")


def _assert_fresh(page, figures):
    said = document.parsed(page)
    for figure in figures:
        assert said[figure.name] == pytest.approx(figure.value, abs=figure.tolerance), f"{figure.name}: run `make docs`"


def test_the_modules_figures_are_fresh(page):
    _assert_fresh(page, document.module_figures())


def test_the_averaged_models_and_the_samples_figures_are_fresh(page):
    _assert_fresh(
        page, [document.averaged_figure([compare(point) for point in GRID]), document.sampling_figure(document.sampling_errors_a())]
    )


@pytest.mark.slow
def test_the_days_balance_is_fresh(page):
    _assert_fresh(page, [document.conservation_figure()])


@pytest.mark.slow
def test_the_difference_to_scipys_integrator_is_fresh(page):
    worst = 0.0
    for case in CASES:
        start = circuit(case)
        worst = max(worst, document.greatest_percent(switched_powers(case, start), stiff_powers(case, start)))
    (said,) = (value for name, value in document.parsed(page).items() if "LSODA" in name)
    assert said == pytest.approx(worst, abs=0.01)


def test_every_figure_keeps_its_bound(page):
    bounds = re.findall(r"^\| ([^|]+) \| (\S+) [^|]*\| bound: ([\d.,]+)", page, re.MULTILINE)
    assert len(bounds) == 5
    for name, value, bound in bounds:
        assert float(value) <= float(bound.replace(",", "")), name


def test_every_plot_that_the_page_shows_is_there_and_no_other(page):
    shown = set(re.findall(r"\(plant/(\S+)\)", page))
    assert shown == {path.name for path in (DOCS / "plant").iterdir()}
