"""The whole node: three modules of 36 channels in their plant, ten kilowatts, and one trip that ends it."""

import pytest
from thermogen_esf.hostlink import CALIBRATION_BASE, NodeFlag
from thermogen_esf.hostlink_codec import Request
from thermogen_esf.points import SITE_INPUTS, ChannelState
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.sensors import input_ranges
from thermogen_sim.site import VirtualSite

pytestmark = pytest.mark.slow

CHANNELS, MODULES = 36, 3
TOTAL = CHANNELS * MODULES
START = 1_790_000_000
PERIOD, MS = 500, 50_000
"""Node clocks."""
CURRENT_ZERO, A_PER_STEP = 2048, 0.002
"""As telemetry packs a channel's current."""
STEPS_PER_UNIT = {"bus_current": 100, "battery_current": 100, "hot_flow": 100, "cold_flow": 100, "gas_flow": 1000}
"""Raw steps of the inputs that a site of this size scales otherwise than one of twelve channels."""


def commission(node):
    """Gains and offsets: raw = sample × gain / 4096 + offset."""
    for place, identifier in enumerate(SITE_INPUTS):
        if steps := STEPS_PER_UNIT.get(identifier):
            span = input_ranges(TOTAL)[identifier]
            gain, offset = round((span.high - span.low) * steps), round(span.low * steps)
            node.ask(Request.write(0, CALIBRATION_BASE + 2 * place, [gain & 0xFFFF, offset & 0xFFFF]))


@pytest.fixture(scope="module")
def site():
    day = OrdinaryDay.for_channels(TOTAL)
    site = VirtualSite(day, warm_state(day.at(START), TOTAL, 0), START, channels=CHANNELS, modules=MODULES)
    yield site
    site.close()


@pytest.fixture(scope="module")
def node(site, host):
    node = host(site.transact)
    site.run(20_000)
    commission(node)
    node.start(site.site_time)
    site.run(150 * MS)
    return node


def test_all_108_channels_track_and_the_bus_shunt_agrees(site, node):
    channels = node.image().channels
    assert [channel.state for channel in channels] == [ChannelState.TRACK] * TOTAL
    circuit = site.compiled.electrical
    power_w = sum(circuit.output_a[c] for c in range(TOTAL)) * circuit.bus_v
    assert power_w > 80 * TOTAL
    told_w = sum((channel.current - CURRENT_ZERO) * A_PER_STEP for channel in channels) * circuit.bus_v
    assert told_w == pytest.approx(power_w, rel=0.02)
    assert node.status()["faults"] == 0, "shunt and channels disagree, or a module is not well"


def test_the_comparator_turns_off_every_gate_of_every_module(site, node):
    site.compiled.stick_comparator(True)
    site.run(5 * PERIOD)  # what an inductor still holds runs out within two
    circuit = site.compiled.electrical
    assert [circuit.output_a[c] for c in range(TOTAL)] == [0.0] * TOTAL
    assert node.status()["flags"] & NodeFlag.TRIPPED
