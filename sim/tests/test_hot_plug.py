"""A module pulled out of a running simulated node, its converters and its supply failing: real gateware, three modules of two channels."""

import pytest
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.points import ChannelState, Fault
from thermogen_sim.harness import NODE_CONVERTER, ConverterFault
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.site import VirtualSite

pytestmark = pytest.mark.slow

CHANNELS, MODULES = 2, 3
START = 1_790_000_000
PULLED = 1
TRACKING_W = 80.0
ZEROING_MS = 35


class Running:
    """A site whose channels all track, and what the host sees of it."""

    def __init__(self, site, node):
        self.site = site
        self.node = node

    def run_ms(self, milliseconds):
        """Clock time, not site time."""
        self.site.run(milliseconds * 50_000)

    def until(self, reached, milliseconds):
        """Run until `reached()`; false if that takes longer than so many milliseconds of clock time."""
        for _ in range(milliseconds // 5):
            if reached():
                return True
            self.run_ms(5)
        return reached()

    def states(self, module):
        """The states of a module's channels as the newest image has them."""
        channels = self.node.image().channels
        return {ChannelState(channel.state) for channel in channels[module * CHANNELS : (module + 1) * CHANNELS]}

    def output_w(self, module):
        """What each of a module's channels gives now, by the circuit."""
        circuit = self.site.compiled.electrical
        return [circuit.output_a[c] * circuit.bus_v for c in range(module * CHANNELS, (module + 1) * CHANNELS)]

    def tracking(self):
        """Whether all channels give nearly what they can."""
        return all(min(self.output_w(module)) > TRACKING_W for module in range(MODULES))


@pytest.fixture(scope="module")
def compiled_site():
    day = OrdinaryDay.for_channels(CHANNELS * MODULES)
    site = VirtualSite(day, warm_state(day.at(START), CHANNELS * MODULES, 0), START, channels=CHANNELS, modules=MODULES)
    yield site
    site.close()


@pytest.fixture
def running(compiled_site, host):
    """Everything in its slot, mended and tracking; powered up afresh where a test left a trip or a fault behind."""
    running = Running(compiled_site, host(compiled_site.transact))
    for module in range(MODULES):
        compiled_site.compiled.insert_module(module)
    for module in (NODE_CONVERTER, *range(MODULES)):
        compiled_site.compiled.fail_converter(module, 0, ConverterFault.NONE)
    compiled_site.compiled.stick_comparator(None)
    if not running.until(running.tracking, 20):
        compiled_site.compiled.power_cycle()
        running.run_ms(5)
        running.node.start(compiled_site.site_time)
    assert running.until(running.tracking, 400), "the site never came to track"
    return running


def test_a_module_pulled_out_of_a_running_node_reads_absent_while_the_others_go_on_and_comes_back_when_inserted(running):
    running.site.compiled.pull_module(PULLED)
    assert running.output_w(PULLED) == [0.0] * CHANNELS
    assert running.until(lambda: running.states(PULLED) == {ChannelState.ABSENT}, 60)
    absent = running.node.image().channels[PULLED * CHANNELS]
    assert (absent.state, absent.duty, absent.current) == (ChannelState.ABSENT, 0, 0)
    for _ in range(20):
        running.run_ms(2)
        assert all(watts > TRACKING_W for module in (0, 2) for watts in running.output_w(module)), "another module was disturbed"
    status = running.node.status()
    assert status["faults"] == Fault.MODULE_LINK
    assert status["flags"] & NodeFlag.MODULE_PRESENT and not status["flags"] & NodeFlag.TRIPPED
    assert running.site.plant.means.output_w == pytest.approx(sum(running.output_w(0) + running.output_w(2)), rel=0.02)

    running.site.compiled.insert_module(PULLED)
    for _ in range(ZEROING_MS):
        running.run_ms(1)
        assert running.output_w(PULLED) == [0.0] * CHANNELS, "it switched before its offsets were learnt"
    assert running.until(running.tracking, 800), "the module never came back"
    assert running.until(lambda: ChannelState.ABSENT not in running.states(PULLED), 60)
    assert running.until(lambda: running.node.status()["faults"] == 0, 60), "it left a fault behind"


@pytest.mark.parametrize("fault", [ConverterFault.SILENT, ConverterFault.WRONG_CHANNEL])
def test_a_module_whose_converter_fails_turns_itself_off_and_no_other_module(running, fault):
    running.site.compiled.fail_converter(PULLED, 0, fault)
    running.run_ms(3)
    assert running.output_w(PULLED) == [0.0] * CHANNELS
    assert running.until(lambda: running.node.status()["faults"] == Fault.MODULE_CONVERTER, 50)
    assert all(watts > TRACKING_W for module in (0, 2) for watts in running.output_w(module))


def test_without_the_nodes_own_converter_nothing_switches(running):
    running.site.compiled.fail_converter(NODE_CONVERTER, 0, ConverterFault.SILENT)
    running.run_ms(3)
    assert all(running.output_w(module) == [0.0] * CHANNELS for module in range(MODULES))
    assert running.node.status()["faults"] & Fault.SITE_CONVERTER


def test_the_comparator_turns_every_gate_off_within_its_next_period(running):
    running.site.compiled.stick_comparator(True)
    running.site.run(3 * 500)
    assert all(running.output_w(module) == [0.0] * CHANNELS for module in range(MODULES))
    assert running.node.status()["flags"] & NodeFlag.TRIPPED
