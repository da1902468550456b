"""A site whose cores rest when nothing happens to them does, clock for clock, what one that is evaluated whole does."""

import pytest
from thermogen_sim import cxxrtl_rewrite
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.site import VirtualSite

pytestmark = [pytest.mark.slow, pytest.mark.soak]

START = 1_989_000 * 900 + 700
SECONDS = 400


def run(host, channels, modules):
    """Every answer on the host link and the circuit's state at the end, of a run with an epoch's end and a module pulled in it."""
    inputs = OrdinaryDay()
    site = VirtualSite(inputs, warm_state(inputs.at(START), channels * modules, 0), START, channels=channels, modules=modules)
    answers = []

    def transact(request):
        answers.append((site.clocks, request, site.transact(request)))
        return answers[-1][2]

    node = host(transact)
    site.run(20_000)
    node.start(site.site_time, 70_000)
    for second in range(0, SECONDS, 40):
        site.run_seconds(37)
        node.status()
        node.control("heartbeat", 1)
        if second == 200:
            site.compiled.pull_module(modules - 1)
        if second == 240:
            site.compiled.insert_module(modules - 1)
    end = answers, bytes(site.compiled.electrical)
    site.close()
    return end


@pytest.mark.parametrize(("channels", "modules"), [(12, 1), (13, 2)])
def test_resting_changes_nothing(host, monkeypatch, tmp_path, channels, modules):
    resting = run(host, channels, modules)
    monkeypatch.setenv("THERMOGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cxxrtl_rewrite, "let_rest", lambda header, source: (header, source))
    assert run(host, channels, modules) == resting
