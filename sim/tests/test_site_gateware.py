"""The whole site: compiled node and power module in their plant, seen through the host link alone. Minutes, most of them compiling."""

import pytest
from thermogen_esf import merkle
from thermogen_esf.frames import Telemetry
from thermogen_esf.hostlink import TRIP_CLEAR_KEYS, NodeFlag
from thermogen_esf.points import ChannelState, Fault
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.site import VirtualSite

pytestmark = pytest.mark.slow

EPOCH_S = 900
START = 1_989_000 * EPOCH_S + 600
"""Five minutes before an epoch ends."""
RUN_S = 300 + 2 * EPOCH_S + 60
FIRST_SEQUENCE = 70_000


@pytest.fixture(scope="module")
def site():
    inputs = OrdinaryDay()
    site = VirtualSite(inputs, warm_state(inputs.at(START), 12, 0), START)
    yield site
    site.close()


@pytest.fixture(scope="module")
def node(site, host):
    node = host(site.transact)
    site.run(20_000)
    return node


@pytest.fixture(scope="module")
def leaves(site, node):
    """Every leaf of the run by sequence, taken and acknowledged as a daemon would."""
    before = node.status()
    assert not before["flags"] & (NodeFlag.TIME_VALID | NodeFlag.ARMED)
    node.start(site.site_time, FIRST_SEQUENCE)
    taken = {}
    end = site.site_time + RUN_S
    while site.site_time < end:
        site.run_seconds(30)
        status = node.status()
        for sequence in range(max(FIRST_SEQUENCE, status["leaf_oldest"]), status["leaf_next"]):
            taken[sequence] = node.leaf(sequence)
        node.control("leaf_ack", status["leaf_next"])
    return taken


def test_the_node_counts_site_time_by_the_pulse(site, node, leaves):
    asked_at = site.site_time
    status = node.status()  # as they were when the request was complete; reading them all takes a site second or two
    assert asked_at - 1 <= status["time"] <= site.site_time
    assert status["flags"] & NodeFlag.TIME_VALID and status["flags"] & NodeFlag.ARMED and status["flags"] & NodeFlag.PULSE_GOOD
    assert status["flags"] & NodeFlag.MODULE_PRESENT
    assert status["faults"] == 0


def test_there_is_a_leaf_every_ten_site_seconds_and_none_is_missing(leaves):
    sequences = sorted(leaves)
    assert sequences == list(range(FIRST_SEQUENCE, FIRST_SEQUENCE + len(sequences)))
    times = [Telemetry(leaves[sequence]).header.time for sequence in sequences]
    assert all(time % 10 == 0 for time in times)
    assert times == list(range(times[0], times[0] + 10 * len(times), 10))
    assert len(times) >= RUN_S // 10 - 1


def test_each_sealed_root_is_what_a_stranger_computes_from_the_leaves(node, leaves):
    sealed = node.status()["epochs_sealed"]
    assert sealed >= 3
    for number in range(sealed):
        record = node.epoch(number)
        mine = [leaf for leaf in leaves.values() if (Telemetry(leaf).header.time - 1) // EPOCH_S == record["epoch"]]
        assert record["count"] == len(mine)
        assert record["root"].to_bytes(32, "big") == merkle.root(mine)
    assert node.epoch(1)["count"] == 90


def test_a_root_over_one_changed_bit_is_another(node, leaves):
    record = node.epoch(1)
    mine = [leaf for leaf in leaves.values() if (Telemetry(leaf).header.time - 1) // EPOCH_S == record["epoch"]]
    mine[45] = mine[45][:200] + bytes((mine[45][200] ^ 1,)) + mine[45][201:]
    assert record["root"].to_bytes(32, "big") != merkle.root(mine)


def test_the_tracker_takes_at_least_97_percent_of_what_the_strings_could_give(site, leaves):
    taken, available = [], []
    for _ in range(20):
        site.run_seconds(10)
        taken.append(site.plant.flows.electrical_w)
        available.append(site.plant.available_w())
    assert sum(taken) >= 0.97 * sum(available)
    assert 85.0 < sum(taken) / len(taken) / 12 < 95.0


def test_the_bus_and_the_oil_are_where_the_plant_keeps_them(leaves):
    for leaf in list(leaves.values())[60:]:
        frame = Telemetry(leaf)
        assert 48.0 <= frame.value("bus_voltage") <= 51.5
        assert 170.0 < frame.value("hot_supply_temperature") < 190.0
        assert all(channel.state == ChannelState.TRACK for channel in frame.channels[:12])


def test_what_a_leaf_says_is_what_the_plant_does(site, node, leaves):
    site.run_seconds(10 - site.site_time % 10 + 1)
    frame = Telemetry(node.leaf(node.status()["leaf_next"] - 1))
    thermal = site.plant.thermal
    assert float(frame.value("hot_supply_temperature")) == pytest.approx(thermal.state.hot_supply_degc, abs=0.3)
    assert float(frame.value("hot_return_temperature")) == pytest.approx(site.plant.flows.hot_return_degc, abs=0.3)
    assert float(frame.value("cold_supply_temperature")) == pytest.approx(thermal.state.cold_supply_degc, abs=0.1)
    assert float(frame.value("gas_flow")) == pytest.approx(site.plant.flows.gas_mcf_d, abs=0.01)
    assert float(frame.value("bus_voltage")) == pytest.approx(site.compiled.electrical.bus_v, abs=0.1)


def test_energy_in_the_record_is_the_energy_that_reached_the_bus(site, node, leaves):
    """The gateware sums means of sampled currents: within 1 % of the circuit's own integral."""

    def counted():
        site.run_seconds(10 - site.site_time % 10 + 1)
        return Telemetry(node.leaf(node.status()["leaf_next"] - 1))

    first, begun = counted(), site.site_time
    joules = 0.0
    while site.site_time < begun + 300:
        site.run_seconds(1)
        joules += site.plant.means.output_w
    last = counted()
    seconds = last.header.time - first.header.time
    recorded_w = float(last.value("electrical_energy") - first.value("electrical_energy")) / seconds
    assert recorded_w == pytest.approx(joules / 300, rel=0.01)


def test_gas_in_the_record_is_the_gas_that_was_burnt(leaves):
    frames = [Telemetry(leaf) for leaf in leaves.values()]
    seconds = frames[-1].header.time - frames[20].header.time
    cubic_feet = float(frames[-1].value("gas_volume") - frames[20].value("gas_volume"))
    assert cubic_feet / seconds * 86_400 / 1000 == pytest.approx(2.95, rel=0.02)


def test_over_voltage_turns_every_gate_off_and_latches_until_cleared(site, node, leaves):
    circuit = site.compiled.electrical
    circuit.battery_connected = circuit.load_connected = circuit.dump_connected = 0
    highest = 0.0
    for _ in range(1_000):  # 20 ms of the electrical side: 22 A into 10 mF pass 58 V after some 4 ms
        site.run(1_000)
        circuit.load_connected = 0
        highest = max(highest, circuit.bus_v)
    status = node.status()
    assert status["flags"] & NodeFlag.TRIPPED
    assert status["faults"] & Fault.BUS_TRIP or status["faults"] & Fault.BUS_COMPARATOR
    assert status["trip_bus_mv"] >= 57_500
    assert highest < 63.0, "the gates stayed on"
    assert list(circuit.output_a[:12]) == [0.0] * 12

    circuit.battery_connected = circuit.load_connected = circuit.dump_connected = 1
    site.run_seconds(20)
    assert node.status()["flags"] & NodeFlag.TRIPPED, "unlatched by itself"
    assert site.plant.means.output_w == 0.0
    for key in TRIP_CLEAR_KEYS:
        node.control("trip_clear", key)
    site.run_seconds(250)
    assert not node.status()["flags"] & NodeFlag.TRIPPED
    assert site.plant.means.output_w > 800.0


def test_a_request_with_a_wrong_crc_changes_nothing(site, node, leaves):
    from thermogen_esf.hostlink import CONTROL_REGISTERS
    from thermogen_esf.hostlink_codec import Request, build_transaction

    spoiled = bytearray(build_transaction(Request.write(1, CONTROL_REGISTERS["enable"][0], [0])))
    spoiled[7] ^= 0x10
    site.transact(bytes(spoiled))
    site.run_seconds(3)
    assert site.plant.means.output_w > 800.0


def test_power_off_and_on_forgets_the_clock_and_stops_the_channels(site, node, leaves):
    site.compiled.power_cycle()
    site.run(20_000)
    status = node.status()
    assert status["flags"] & (NodeFlag.TIME_VALID | NodeFlag.ARMED) == 0
    assert status["leaf_next"] == 0
    site.run_seconds(3)
    assert site.plant.means.output_w == 0.0
