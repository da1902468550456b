"""A witness finds what the host changed after the gateware sealed, and names the epoch."""

from dataclasses import replace

import pytest
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.recompute import recompute_day
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Why
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.mint import energy_of
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.frames import decode
from thermogen_sim.fleet.synthetic_site import SyntheticSite


class SealedDay:
    """Three epochs of the fleet's first site, measured, sealed and published."""

    def __init__(self, fleet, keys, day):
        self.fleet, self.node, self.day_number = fleet, fleet.nodes[0], day
        self.site = SyntheticSite(self.node.name, keys(self.node.name), clocks=50_000_000)
        self.enrolment = fleet.enrolment(self.node)
        self.trust = fleet.trust.as_batch_trust([self.enrolment.site_key])
        self.seals, self.batches = [], {}

    def hashes(self, sequence, raw):
        return {what: int.from_bytes(getattr(self.enrolment, what), "big") for what in ("profile_hash", "calibration_hash")}

    def epoch(self, number, bend=None, seal=None, **changes):
        """Measure and seal an epoch of the day; `seal` changes what is sealed."""
        epoch = self.day_number * 96 + number
        batch = self.site.epoch(epoch, leaves=90, bend=bend or self.hashes, **changes)
        frame = decode(batch)
        sealed = {"root": frame.root, "leaf_count": len(frame.leaves), **(seal or {})}
        self.seals.append(self.node.seal(epoch, **sealed))
        self.batches[epoch] = [batch]
        return epoch

    def recompute(self):
        day = Day(tuple(self.seals), self.node.seal((self.day_number + 1) * 96))
        return recompute_day(day, self.enrolment, self.trust, self.batches)


@pytest.fixture
def sealed(fleet, keys, now):
    return SealedDay(fleet, keys, now // 86_400)


def test_an_honest_day_is_agreed_with_and_its_claims_are_the_counters(sealed):
    for number in range(3):
        sealed.epoch(number)
    result = sealed.recompute()
    batches = [OpenedBatch.open(each[0]) for each in sealed.batches.values()]
    assert (result.opinion, result.why) == (Opinion.AGREE, None)
    assert result.claims.energy_mj == energy_of(batches) > 0
    assert result.claims.gas == (3 * 90 - 1) * 10 * sealed.site.gas_flow


def test_a_root_that_a_compromised_host_forged_is_dissented_from(sealed):
    sealed.epoch(0)
    epoch = sealed.epoch(1, seal={"root": b"what the gateware measured".ljust(32)})
    result = sealed.recompute()
    assert (result.opinion, result.why, result.epoch) == (Opinion.DISSENT, Why.ROOT_DIFFERS, epoch)


def test_a_leaf_left_out_after_it_was_sealed_is_dissented_from(sealed):
    epoch = sealed.epoch(0, seal={"leaf_count": 91})
    result = sealed.recompute()
    assert (result.why, result.epoch) == (Why.ROOT_DIFFERS, epoch)


def test_a_changed_calibration_is_dissented_from(sealed):
    epoch = sealed.epoch(0, seal={"calibration_hash": b"another."})
    result = sealed.recompute()
    assert (result.why, result.epoch) == (Why.BATCH_REFUSED, epoch)
    assert result.checks[-1].reason is Reason.WRONG_SET_UP


def test_a_calibration_that_only_the_leaves_have_changed_is_dissented_from(sealed):
    epoch = sealed.epoch(0, bend=lambda sequence, raw: {**sealed.hashes(sequence, raw), "calibration_hash": sequence})
    assert (sealed.recompute().why, sealed.recompute().epoch) == (Why.BATCH_REFUSED, epoch)


def test_two_batches_for_one_epoch_are_dissented_from(sealed):
    epoch = sealed.epoch(0)
    again = sealed.site.batch(epoch, decode(sealed.batches[epoch][0]).leaves)
    sealed.batches[epoch].append(again)
    assert (sealed.recompute().why, sealed.recompute().epoch) == (Why.TWO_BATCHES, epoch)


def test_the_same_batch_twice_is_one(sealed):
    epoch = sealed.epoch(0)
    sealed.batches[epoch] *= 2
    assert sealed.recompute().opinion is Opinion.AGREE


def test_a_batch_that_is_not_published_is_abstained_from(sealed):
    epoch = sealed.epoch(0)
    del sealed.batches[epoch]
    result = sealed.recompute()
    assert (result.opinion, result.why, result.epoch) == (Opinion.ABSTAIN, Why.NOT_FETCHED, epoch)


def test_bytes_in_a_batchs_place_are_dissented_from(sealed):
    epoch = sealed.epoch(0)
    sealed.batches[epoch] = [b"nothing"]
    assert sealed.recompute().why is Why.BATCH_REFUSED


def test_a_batch_under_another_key_is_dissented_from(sealed, keys):
    epoch = sealed.epoch(0, key=keys("eve"))
    assert (sealed.recompute().why, sealed.recompute().epoch) == (Why.BATCH_REFUSED, epoch)


def test_energy_that_physics_does_not_allow_is_dissented_from(sealed):
    def doubled(sequence, raw):
        return {**sealed.hashes(sequence, raw), "electrical_energy": raw["electrical_energy"] + 50_000_000 * sequence}

    epoch = sealed.epoch(0, bend=doubled)
    assert (sealed.recompute().why, sealed.recompute().epoch) == (Why.IMPLAUSIBLE, epoch)


def test_a_wrong_clock_is_dissented_from(sealed):
    epoch = sealed.epoch(0, bend=lambda sequence, raw: {**sealed.hashes(sequence, raw), "time_quality": 1})
    assert (sealed.recompute().why, sealed.recompute().epoch) == (Why.BATCH_REFUSED, epoch)


def test_a_seal_that_is_not_proven_is_dissented_from_before_anything_is_fetched(sealed, other):
    sealed.epoch(0)
    epoch = sealed.epoch(1)
    sealed.seals[-1] = replace(sealed.seals[-1], proof=other.prover.prove(sealed.seals[-1].alpha))
    sealed.batches.clear()
    result = sealed.recompute()
    assert (result.opinion, result.why, result.epoch) == (Opinion.DISSENT, Why.SEAL_REFUSED, epoch)


def test_a_seal_withheld_at_the_end_of_the_day_is_dissented_from_within_the_day(sealed):
    epoch = sealed.epoch(0)
    sealed.epoch(1)
    del sealed.seals[-1]
    result = sealed.recompute()
    assert (result.why, result.epoch) == (Why.SEAL_REFUSED, epoch)


def test_a_fault_around_the_day_is_named_by_the_days_edge(sealed, other):
    before = sealed.node.seal(sealed.day_number * 96 - 1)
    epoch = sealed.epoch(3)
    forged = replace(before, proof=other.prover.prove(before.alpha))
    day = Day(tuple(sealed.seals), sealed.node.seal((sealed.day_number + 1) * 96), forged)
    result = recompute_day(day, sealed.enrolment, sealed.trust, sealed.batches)
    assert (result.why, result.epoch) == (Why.SEAL_REFUSED, epoch)


def test_after_a_restart_the_counters_begin_anew_and_the_two_runs_add_up(sealed):
    sealed.epoch(0)
    sealed.site.reboot()
    sealed.node.reboot()
    sealed.epoch(1)
    result = sealed.recompute()
    assert result.opinion is Opinion.AGREE
    assert result.claims.energy_mj == 2 * 89 * 10 * sealed.site.power_mw


def counted(site, *leaves):
    """Energy and gas of runs of so many leaves each, as the site counts."""
    seconds = sum(10 * (count - 1) for count in leaves)
    return Claims(seconds * site.power_mw, seconds * site.gas_flow)


@pytest.mark.parametrize("raised_percent", [0, 3])
def test_what_the_counters_gained_across_a_restart_that_the_host_hides_is_not_claimed(sealed, raised_percent):
    """The host goes on in its own boot count, sequence and batches; the seals' boot count is the gateware's."""
    sealed.epoch(0)
    sealed.epoch(1)
    sealed.node.reboot()
    sealed.site.uptime = 0
    sealed.site.energy_mj += sealed.site.power_mw * 4 * 900 * raised_percent // 100
    sealed.site.gas_raw += sealed.site.gas_flow * 4 * 900 * raised_percent // 100
    sealed.epoch(2)
    sealed.epoch(3)
    result = sealed.recompute()
    assert (result.opinion, result.claims) == (Opinion.AGREE, counted(sealed.site, 180, 180))


@pytest.mark.parametrize(("counter", "point"), [("energy_mj", "electrical_energy"), ("gas_raw", "gas_volume")])
@pytest.mark.parametrize("below", ["by one", "from nothing"])
def test_a_restart_that_the_host_hides_with_a_counter_below_the_last_leafs_is_dissented_from(sealed, counter, point, below):
    """The batches say that the boot goes on, in which counters only rise: a restart that was not raised far enough shows itself."""
    sealed.epoch(0)
    last = getattr(sealed.site, counter)
    sealed.node.reboot()
    sealed.site.uptime = 0
    setattr(sealed.site, counter, 0)
    if below == "by one":
        sealed.site.leaf(0)  # what a leaf adds to it
        setattr(sealed.site, counter, last - 1 - getattr(sealed.site, counter))
        sealed.site.sequence -= 1
    epoch = sealed.epoch(1)
    result = sealed.recompute()
    assert (result.opinion, result.why, result.epoch) == (Opinion.DISSENT, Why.BATCH_REFUSED, epoch)
    (fault,) = [check for check in result.checks if check.passed is False]
    assert fault.reason is Reason.COUNTER_WENT_BACK and f"{point} falls from {last} to" in fault.detail


def test_what_lies_in_an_epoch_without_a_seal_is_not_claimed_though_the_batches_say_that_nothing_does(sealed):
    sealed.epoch(0)
    sealed.site.number += 1  # so that the batch is not judged together with the one before it
    sealed.epoch(2)
    result = sealed.recompute()
    assert (result.opinion, result.claims) == (Opinion.AGREE, counted(sealed.site, 90, 90))


def test_each_boots_counters_are_held_to_their_flow_and_power_alone(sealed):
    """Over both boots together the flow and the power would allow for more than the one that claims too much."""
    sealed.epoch(0)
    sealed.node.reboot()
    power = sealed.site.power_mw * 112 // 100
    begin = sealed.site.energy_mj

    def more(sequence, raw):
        return {**sealed.hashes(sequence, raw), "electrical_energy": begin + (sequence - 89) * 10 * power}

    epoch = sealed.epoch(1, bend=more)
    assert (sealed.recompute().why, sealed.recompute().epoch) == (Why.IMPLAUSIBLE, epoch)


def on_the_allowances(sealed, power, percent):
    """Bends a site that burns no gas: flows and power of so many per cent, which is what the lag of a quarter-hour could give."""
    sealed.site.gas_flow, sealed.site.power_mw = 0, power * percent // 100
    return lambda sequence, raw: {
        **sealed.hashes(sequence, raw),
        "hot_flow": raw["hot_flow"] * percent // 100,
        "cold_flow": raw["cold_flow"] * percent // 100,
    }


@pytest.mark.parametrize(("epochs", "opinion"), [(1, Opinion.AGREE), (8, Opinion.DISSENT)])
def test_a_day_without_gas_that_lives_on_every_quarter_hours_allowance_for_lag_is_dissented_from(sealed, epochs, opinion):
    """One quarter-hour of it is no more than what a plant may lag by."""
    bend = on_the_allowances(sealed, sealed.site.power_mw, 6)
    first, *_ = [sealed.epoch(number, bend=bend) for number in range(epochs)]
    result = sealed.recompute()
    assert result.opinion is opinion
    if opinion is Opinion.DISSENT:
        assert (result.why, result.epoch) == (Why.IMPLAUSIBLE, first)
        (fault,) = [check for check in result.checks if check.passed is False]
        lag_mj = sealed.enrolment.nameplate_w * 1_000_000_000 // 36_000 * 60
        assert fault.reason is Reason.ABOVE_GAS and fault.numbers["limit_mj"] == lag_mj  # once, not eight times


def test_each_boot_has_its_own_allowance_for_lag(sealed):
    """What lies between two boots was not measured: how much heat the loop held as the second began is not known."""
    bend = on_the_allowances(sealed, sealed.site.power_mw, 6)
    for number in range(3):
        sealed.epoch(number, bend=bend)
        sealed.site.reboot()
        sealed.node.reboot()
    assert sealed.recompute().opinion is Opinion.AGREE


@pytest.mark.parametrize("shift", [0, 1])
def test_a_recording_that_is_played_again_after_a_power_cut_is_dissented_from(sealed, shift):
    """Whole epochs, or begun a leaf later against the epoch."""
    recorded = {}

    def played(sequence, raw):
        leaf = (sequence + sequence // 90 * shift) % 90
        return {**sealed.hashes(sequence, raw), "bus_voltage": recorded.setdefault(leaf, raw["bus_voltage"])}

    sealed.epoch(0, bend=played)
    sealed.site.reboot()
    sealed.node.reboot()
    epoch = sealed.epoch(1, bend=played)
    result = sealed.recompute()
    assert (result.opinion, result.why, result.epoch) == (Opinion.DISSENT, Why.IMPLAUSIBLE, epoch)
    assert result.checks[-1].reason is Reason.REPEATED_VALUES
