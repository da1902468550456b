"""What a site's host, its wiring, or its gateware can try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from thermogen_esf.evidence.attestation.quorum import BASELINE_DAYS
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.frames import decode
from thermogen_esf.hostlink import calibration_hash
from thermogen_esf.points import SITE_INPUTS, TimeQuality

from ..attested_day import AttestedDay
from ..node import GAIN_WORDS, INPUT_WORDS, SealingNode
from .trial import Attack, Stage, Trial, World, at_a_site, claimed, judged_bundle, said

Change = Callable[[int, dict[str, int]], Mapping[str, int]]


def _bent(change: Change) -> Stage:
    """Measured with some of the leaves' values changed before they are hashed, as wiring, sensors and settings can."""

    def stage(day: AttestedDay) -> None:
        day.measure(lambda sequence, raw: {**day.hashes(sequence, raw), **change(sequence, raw)})

    return stage


def _last(day: AttestedDay) -> int:
    return max(day.batches)


def _remade(day: AttestedDay, change: Change, leaves: int | None = None) -> bytes:
    """Another batch of the day's last epoch, signed with the site's own key."""
    site, epoch = replace(day.before[_last(day)], batches=[]), _last(day)
    return site.epoch(epoch, day.leaves if leaves is None else leaves, bend=lambda seq, raw: {**day.hashes(seq, raw), **change(seq, raw)})


def _more_energy(sequence: int, raw: dict[str, int]) -> dict[str, int]:
    return {"electrical_energy": raw["electrical_energy"] + 1_000_000 * (sequence % 90)}


def _forged_root(day: AttestedDay) -> None:
    day.measure()
    day.batches[_last(day)] = _remade(day, _more_energy)


def _leaf_left_out(day: AttestedDay) -> None:
    day.measure()
    day.batches[_last(day)] = _remade(day, lambda _sequence, _raw: {}, leaves=day.leaves - 1)


def _forged_seal(day: AttestedDay) -> None:
    day.measure()
    day.batches[_last(day)] = _remade(day, _more_energy)
    frame = decode(day.batches[_last(day)])
    day.node.seals[-1] = replace(day.node.seals[-1], root=frame.root)  # type: ignore[union-attr]


def _strangers_seal(day: AttestedDay) -> None:
    """A computer with the stolen signing key and a VRF key of its own."""
    day.node.prover = SealingNode.named("a computer").prover
    day.measure()


def _two_batches(day: AttestedDay) -> None:
    day.measure()
    day.further[_last(day)] = [_remade(day, _more_energy)]


def _thiefs_batch(day: AttestedDay) -> None:
    _two_batches(day)
    ((epoch, (forged,)),) = day.further.items()
    day.further, day.batches[epoch] = {epoch: [day.batches[epoch]]}, forged


def _replayed_epoch(day: AttestedDay) -> None:
    day.measure()
    day.batches[_last(day)] = day.batches[min(day.batches)]


def _recording(shift: int = 0, altered: int = 0, restarts: bool = False) -> Stage:
    """The first epoch's inputs are played again in each later one, begun `shift` leaves later and `altered` counts higher each time."""

    def stage(day: AttestedDay) -> None:
        recorded: dict[int, dict[str, int]] = {}

        def played(sequence: int, raw: dict[str, int]) -> dict[str, int]:
            epoch = sequence // day.leaves
            leaf = recorded.setdefault((sequence + epoch * shift) % day.leaves, {name: raw[name] for name in SITE_INPUTS if name in raw})
            return {**day.hashes(sequence, raw), **leaf, "bus_voltage": leaf["bus_voltage"] + epoch * altered}

        for number in range(day.epochs):
            if restarts and number:
                _power_cut(day)
            day.measure_epoch(number, played)

    return stage


def _power_cut(day: AttestedDay) -> None:
    day.node.reboot()
    day.site.reboot()


ALLOWANCE_SCALE = 20
"""Times 1.05 kW: enough that half of it, for three quarter-hours, is worth a mint."""


def _on_allowances(percent: int, falls_kelvin: int = 0, restarts: bool = False) -> Stage:
    """A site that burns nothing, and always did, claims so much of its nameplate; its loop, which cools in each epoch, is to give it."""

    def stage(day: AttestedDay) -> None:
        day.scale = day.site.scale = ALLOWANCE_SCALE
        day.site.gas_flow, day.site.power_mw = 0, day.site.power_mw * percent // 100

        def held(sequence: int, raw: dict[str, int]) -> dict[str, int]:
            supply = raw["hot_supply_temperature"] + falls_kelvin * 50 * (day.leaves - sequence % day.leaves) // day.leaves
            flows = {flow: raw[flow] * percent // 100 for flow in ("hot_flow", "cold_flow")}
            glide = raw["hot_supply_temperature"] - raw["hot_return_temperature"]
            return {**day.hashes(sequence, raw), **flows, "hot_supply_temperature": supply, "hot_return_temperature": supply - glide}

        for number in range(day.epochs):
            if restarts and number:
                _power_cut(day)
            day.measure_epoch(number, held)
        day.history_mj = (claimed(day).energy_mj,) * BASELINE_DAYS

    return stage


READS_HIGH = calibration_hash((*INPUT_WORDS, *(gain * 105 // 100 for gain in GAIN_WORDS)))
"""Of a calibration with channels' gains 5 % above those that the fleet measures with."""


def _loaded_to_read_high(day: AttestedDay) -> None:
    """The host loads gains 5 % too high: the gateware hashes what was loaded."""
    day.node.calibration = READS_HIGH
    day.site.power_mw = day.site.power_mw * 105 // 100
    day.measure()


def _hidden_restart(day: AttestedDay) -> None:
    """Between two epochs power is cycled. A calibration that counts what is not there runs the counters to 3 % of the day above the last
    leaf's; then the enrolled one is loaded, and the node armed with the old boot count and the next sequence.
    """
    day.measure_epoch(0)
    day.node.reboot()
    raised_s = day.epochs * 900 * 3 // 100
    day.site.uptime = 0
    day.site.energy_mj += day.site.power_mw * day.scale * raised_s
    day.site.gas_raw += day.site.gas_flow * day.scale * raised_s
    for number in range(1, day.epochs):
        day.measure_epoch(number)


def _power(times_percent: int) -> Stage:
    def stage(day: AttestedDay) -> None:
        day.site.power_mw = day.site.power_mw * times_percent // 100
        day.measure()

    return stage


def _gas_meter(times_percent: int) -> Stage:
    def stage(day: AttestedDay) -> None:
        day.site.gas_flow = day.site.gas_flow * times_percent // 100
        day.measure()

    return stage


def _drifting(kelvin_an_epoch: int) -> Stage:
    """The hot return's sensor reads ever colder: more heat than there is."""

    def stage(day: AttestedDay) -> None:
        first = day.site.sequence
        _bent(
            lambda seq, raw: {"hot_return_temperature": raw["hot_return_temperature"] - kelvin_an_epoch * 50 * (seq - first) // day.leaves}
        )(day)

    return stage


def _frozen(_sequence: int, _raw: dict[str, int]) -> dict[str, int]:
    return {"bus_voltage": 50_000}


def _frozen_with_gas(_sequence: int, _raw: dict[str, int]) -> dict[str, int]:
    """Loops at rest and nothing that moves; the gas meter turns."""
    return {
        "bus_voltage": 50_000,
        "hot_return_temperature": 175 * 50,
        "hot_supply_temperature": 175 * 50,
        "cold_return_temperature": 45 * 50,
    }


def _without_power(day: AttestedDay) -> None:
    day.site.power_mw = 0
    day.measure(lambda sequence, raw: {**day.hashes(sequence, raw), **_frozen_with_gas(sequence, raw)})


def _counter_jumps(sequence: int, raw: dict[str, int]) -> dict[str, int]:
    return {"gas_volume": raw["gas_volume"] * (2 if sequence % 90 > 45 else 1)}


def _withheld(place: int) -> Stage:
    def stage(day: AttestedDay) -> None:
        day.measure()
        del day.node.seals[place]

    return stage


def _withheld_at_the_end_of_a_boot(day: AttestedDay) -> None:
    day.epochs = 8  # so that the one is not missed by the baseline
    day.measure()
    day.history_mj = (claimed(day).energy_mj,) * BASELINE_DAYS
    seal = day.node.seals.pop()
    del day.batches[seal.epoch]
    day.node.reboot()


def _sealed_again_after_a_power_cycle(day: AttestedDay) -> None:
    """Gateware whose counter does not move before it seals."""
    day.measure()
    epoch = _last(day)
    day.batches[epoch] = _remade(day, _more_energy)
    day.node.reboot()
    day.node.seal(epoch, root=decode(day.batches[epoch]).root)  # type: ignore[union-attr]


def _second_seal_hidden(world: World) -> Trial:
    """The first seal is thrown away, the epoch sealed again, and somebody had the first."""
    day = world.day()
    day.measure()
    first: Seal = day.node.seals[-1]
    twin = SealingNode.named(day.node.name, world.seed)
    twin.boot, twin.link = day.node.boot, first.previous
    epoch = _last(day)
    day.batches[epoch] = _remade(day, lambda _sequence, raw: {"bus_voltage": raw["bus_voltage"] + 1})
    day.node.seals[-1] = twin.seal(epoch, root=decode(day.batches[epoch]).root)  # type: ignore[union-attr]
    day.node.link = day.node.seals[-1].link
    day.witness()
    bundle = day.bundle()
    return Trial(
        said(day),
        str(day.outcome.state),
        judged_bundle(day, bundle),
        kept=judged_bundle(day, bundle, seals=[first.encode()]),
    )


def _wrong_clock(day: AttestedDay) -> None:
    _bent(lambda _sequence, raw: {"time": raw["time"] + 86_400})(day)


def _computer_as_a_node(day: AttestedDay) -> None:
    """A host that makes up every leaf and has an enrolled VRF key."""
    day.site.power_mw = day.site.power_mw * 105 // 100
    day.measure()


def _withheld_day(world: World) -> Trial:
    """The host sends seals and keeps the batches."""
    day = world.day()
    day.measure()
    day.batches = {}
    day.witness()
    return Trial(said(day), str(day.outcome.state))


def _host_supplied(_sequence: int, _raw: dict[str, int]) -> dict[str, int]:
    return {"load_power": 60_000, "ambient_temperature": -400}


ATTACKS = (
    Attack("forged-root", "a leaf is changed after the gateware sealed it, and the batch signed again", "host", at_a_site(_forged_root)),
    Attack("leaf-left-out", "the last leaf of an epoch is left out of the batch", "host", at_a_site(_leaf_left_out)),
    Attack("forged-seal", "the host writes its own root into a seal", "host", at_a_site(_forged_seal)),
    Attack(
        "stolen-key-own-seals",
        "the stolen signing key, and seals by a VRF key of the thief's own",
        "signing key",
        at_a_site(_strangers_seal),
    ),
    Attack("stolen-key-own-batch", "the stolen signing key signs another batch of a sealed epoch", "signing key", at_a_site(_thiefs_batch)),
    Attack(
        "two-batches",
        "two batches are signed for one epoch, the sealed one among them",
        "host",
        at_a_site(_two_batches),
        "the credit is for the sealed one; nobody gains by the other",
    ),
    Attack("replayed-epoch", "an earlier batch is sent for a later epoch", "host", at_a_site(_replayed_epoch)),
    Attack(
        "replayed-recording",
        "sensor signals recorded over an epoch are played to the inputs in each later one",
        "wiring",
        at_a_site(_recording()),
        "within a day: a witness does not have the batches of the days before",
    ),
    Attack(
        "replayed-recording-after-a-restart",
        "the same, with a power cut between the epochs",
        "wiring, power",
        at_a_site(_recording(restarts=True)),
    ),
    Attack(
        "replayed-recording-shifted",
        "the same, begun a leaf later in each epoch than in the one before",
        "wiring",
        at_a_site(_recording(shift=1)),
    ),
    Attack(
        "replayed-recording-altered",
        "the same, with one input a count higher in each epoch than in the one before",
        "wiring",
        at_a_site(_recording(altered=1)),
        "readings are compared whole and bit for bit: noise of the player's own is enough",
    ),
    Attack("frozen-sensors", "all twelve inputs are held still while energy is claimed", "wiring", at_a_site(_bent(_frozen))),
    Attack("frozen-sensors-gas", "the same without energy, while gas is claimed", "wiring", at_a_site(_without_power)),
    Attack(
        "one-frozen-sensor",
        "one input is held still, the other eleven move",
        "wiring",
        at_a_site(_bent(lambda _seq, _raw: {"gas_pressure": 77})),
        "what it may hide is bounded by the others",
    ),
    Attack(
        "fast-pulse",
        "the 1 Hz pulse is driven faster than the crystal allows",
        "pulse",
        at_a_site(_bent(lambda _seq, _raw: {"time_quality": int(TimeQuality.DEGRADED)})),
        "the gateware's mark of it is proven in gateware/tests; here, that what is marked is not believed",
    ),
    Attack(
        "no-pulse",
        "the pulse is cut and the host sets the time",
        "pulse, host",
        at_a_site(_bent(lambda _seq, _raw: {"time_quality": int(TimeQuality.FREE_RUNNING)})),
    ),
    Attack("wrong-clock", "leaves say another day than their epoch", "host, pulse", at_a_site(_wrong_clock)),
    Attack(
        "changed-calibration",
        "the host loads gains 5 % too high",
        "host",
        at_a_site(_loaded_to_read_high),
        "the node hashes what it measures with: that it does is tested with the compiled gateware",
    ),
    Attack(
        "enrolled-high",
        "the calibration that is enrolled reads 5 % too high itself",
        "operator",
        at_a_site(_loaded_to_read_high, calibration_hash=READS_HIGH),
        "root keys can read its gains before they sign, not whether the circuit is so: below the bounds' tolerances nothing sees it",
    ),
    Attack(
        "hidden-restart",
        "power is cycled, the counters are raised by a calibration loaded before the enrolled one, and the node armed as if it had run on",
        "host",
        at_a_site(_hidden_restart),
        "the seals' boot count is the node's own: honest witnesses claim what each boot counted, and whoever claims more is refused",
    ),
    Attack(
        "amplifiers-5-percent",
        "the channels' amplifiers are changed to read 5 % too high",
        "wiring",
        at_a_site(_power(105)),
        "below the bounds' tolerances nothing sees it",
    ),
    Attack("amplifiers-doubled", "the same, twice too high", "wiring", at_a_site(_power(200))),
    Attack(
        "lag-as-heat",
        "a site without gas claims in each quarter-hour what its loop may lag the burner by, 6 % of nameplate",
        "wiring",
        at_a_site(_on_allowances(6), nameplate_w=1_140 * ALLOWANCE_SCALE),
    ),
    Attack(
        "lag-as-heat-by-restarts",
        "the same, with a power cut between the epochs, and with half of nameplate, as if the loop cooled by 45 K in each",
        "wiring, power",
        at_a_site(_on_allowances(50, falls_kelvin=45, restarts=True), nameplate_w=1_140 * ALLOWANCE_SCALE),
        "what warmed the loop between two boots nobody measured: each has its own allowances for lag and stored heat",
    ),
    Attack("gas-meter-low", "the gas meter reads a tenth", "gas meter", at_a_site(_gas_meter(10))),
    Attack(
        "gas-meter-high",
        "the gas meter reads twice of what flows",
        "gas meter",
        at_a_site(_gas_meter(200)),
        "heat bounds gas from below only: a methodology that credits gas rests on the meter",
    ),
    Attack("gas-counter-jumps", "the gas counter runs ahead of the flow", "wiring", at_a_site(_bent(_counter_jumps))),
    Attack("sensor-drifts-far", "a temperature sensor drifts by 20 K an epoch", "sensor", at_a_site(_drifting(20))),
    Attack(
        "sensor-drifts-a-little",
        "a temperature sensor drifts by 1 K an epoch",
        "sensor",
        at_a_site(_drifting(1)),
        "within the tolerance of the loops' balance; no methodology credits heat",
    ),
    Attack(
        "host-supplied-lies",
        "load and ambient, which the host supplies, are made up",
        "host",
        at_a_site(_bent(_host_supplied)),
        "believed, and worth nothing: no methodology takes them",
    ),
    Attack("seal-withheld", "a seal within a boot is kept back", "host", at_a_site(_withheld(1))),
    Attack("seal-withheld-at-the-edge", "the day's last seal is kept back", "host", at_a_site(_withheld(-1))),
    Attack(
        "seal-withheld-at-boot",
        "the last seals of a boot are kept back and power is cut",
        "host",
        at_a_site(_withheld_at_the_end_of_a_boot),
        "the gap says `restart`; what was kept back is not credited",
    ),
    Attack(
        "sealed-twice",
        "power is cycled and the epoch sealed again, both shown",
        "gateware",
        at_a_site(_sealed_again_after_a_power_cycle),
        "the product's counter moves first: this needs another bitstream",
    ),
    Attack("sealed-twice-hidden", "the same with the first seal thrown away, which somebody had", "gateware", _second_seal_hidden),
    Attack("batches-withheld", "seals are sent and batches are not", "host or broker", _withheld_day),
    Attack(
        "computer-as-a-node",
        "a computer with an enrolled and certified key makes up plausible leaves",
        "k root keys and a provisioner",
        at_a_site(_computer_as_a_node),
        "they say who is believed",
    ),
)
