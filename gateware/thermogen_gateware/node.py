"""The controller node: everything between its pins, on one 50 MHz clock.

The site clock begins a second; the power path closes the second's means and energies; the snapshot makes them the newest image; where the
calendar says so, the image becomes a leaf. The host link reads and writes the register file. All pins are logic level. Asynchronous are:
the host's three SPI wires (synchronised in `spi_target.py`), the pulse (`site_clock.py`), and what enters the power path.
Area, LIFCL (synthesis), 36 channels on each of three modules: 4,709 LUT4, 1,512 CCU2 (24 % of COMB together), 5,007 FF, 51 DPR16X4, 13 EBR,
1 LRAM, 3 multipliers.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import MODULE_HEARD, MODULE_PRESENT, MODULE_RUN, MODULE_SLOTS
from thermogen_esf.hostlink_network import PREFERRED_CLIENTS, STACK_STATUS
from thermogen_esf.points import SITE_INPUTS, Fault, TimeQuality

from .bus_split import BusSplit
from .calibration_hash import CalibrationHash
from .custody.leaf_identity import LeafIdentity
from .custody.sealer import PART_PINS, Sealer
from .daemon_watch import DaemonWatch
from .epoch_calendar import EpochCalendar
from .host_link import HostLink
from .leaf import LeafRecorder, LeafStore
from .merkle import MerkleTree
from .network.ports import RegisterPortSignature
from .power_path import PowerPath
from .register_file import RegisterFile
from .scada.host_registers import NetworkRegisters
from .scada.map import SECOND_WIDTHS
from .scada.registers import COUNTED, ScadaRegisters
from .sha3 import Sha3
from .site_clock import SiteClock
from .snapshot import Snapshot

CLOCK_HZ = 50_000_000
GATEWARE_VERSION = 0x0003_0000
"""0.3.0: major u8, minor u8, patch u16."""
_POWER_PATH_PINS = (
    "adc_sclk",
    "adc_cs_n",
    "adc_copi",
    "adc_cipo",
    "module_sclk",
    "module_cs_n",
    "module_copi",
    "module_cipo",
    "module_run",
    "ov_comparator",
)
_SCADA_PORTS = {
    "scada": In(RegisterPortSignature()),
    "stack": In(data.StructLayout({name: SECOND_WIDTHS[name] for name in STACK_STATUS})),
    "stack_count": In(len(COUNTED)),
    "panel_enable": In(1),
    "dhcp": Out(1),
    "ip": Out(32),
    "mask": Out(32),
    "gateway": Out(32),
    "mac": Out(48),
    "preferred": Out(data.ArrayLayout(32, PREFERRED_CLIENTS)),
    "isn_key": Out(128),
}
KEY_PINS = {f"key_{name}": name for name in PART_PINS}
"""The part that keeps the key, and the noise that it is made of; and what the sealer calls them."""
_SETTINGS = tuple(name for name, member in _SCADA_PORTS.items() if member.flow == Out)
"""What the network stack has of the node: the registers, its own state to show, and its settings."""


class Node(wiring.Component):
    """The controller node between its pins.

    `clocks_per_site_second` is 50,000,000 in products and fewer in simulation (at least 10,000), `channels` the power channels that are
    built on each module, `modules` the power modules on the module link. Out of reset `module_run` is 0 until the host enables it.
    `power_path` stands in for PowerPath where only the record is of interest. `source_hash` (64 bits) says what the gateware was made from.
    The link light is on while the daemon's heartbeat is heard. With `network` the node has the registers that SCADA sees and the ports of
    the stack that serves them; `panel_enable` (asynchronous) lets everybody write. `clocks_per_second` is what the network side's timers
    count as a second: CLOCK_HZ, and fewer in simulation. With `seal` it has a key in the part at the `key_*` pins (M41ST87W, read by nobody
    else), and seals every epoch; `key_noise` is the noise source's sample.
    """

    def __init__(
        self,
        clocks_per_site_second: int = CLOCK_HZ,
        channels: int = 12,
        modules: int = 1,
        power_path: wiring.Component | None = None,
        source_hash: int = 0,
        network: bool = False,
        clocks_per_second: int = CLOCK_HZ,
        seal: bool = False,
    ):
        self.clocks_per_second = clocks_per_second
        self._clocks_per_site_second = clocks_per_site_second
        self._channels = channels * modules
        self._modules = modules
        self._source_hash = source_hash
        self._network = network
        self._sealer = Sealer(CLOCK_HZ) if seal else None
        self._power_path = power_path or PowerPath(CLOCK_HZ, channels, modules, clocks_per_site_second)
        super().__init__(
            {
                "host_sclk": In(1),
                "host_cs_n": In(1, init=1),
                "host_copi": In(1),
                "host_cipo": Out(1),
                "pulse": In(1),
                "led_link": Out(1),
                "led_trip": Out(1),
                **{name: self._power_path.signature.members[name] for name in _POWER_PATH_PINS},
                **(_SCADA_PORTS if network else {}),
                **({pin: self._sealer.signature.members[name] for pin, name in KEY_PINS.items()} if self._sealer else {}),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.power_path = power = self._power_path
        m.submodules.site_clock = clock = SiteClock(self._clocks_per_site_second)
        m.submodules.calendar = calendar = EpochCalendar()
        m.submodules.snapshot = snapshot = Snapshot(GATEWARE_VERSION, self._clocks_per_site_second)
        m.submodules.registers = registers = RegisterFile(GATEWARE_VERSION, self._clocks_per_site_second, self._channels, self._source_hash)
        m.submodules.daemon = daemon = DaemonWatch(CLOCK_HZ)
        m.submodules.host_link = host_link = HostLink()
        m.submodules.recorder = recorder = LeafRecorder()
        m.submodules.store = store = LeafStore()
        m.submodules.tree = tree = MerkleTree()
        m.submodules.sha3 = sha3 = Sha3()
        m.submodules.calibration_hash = calibration = CalibrationHash()
        wiring.connect(m, tree.hash, calibration.user)
        wiring.connect(m, calibration.core, sha3)
        wiring.connect(m, recorder.leaf, tree.leaf)
        wiring.connect(m, tree.root, recorder.root)

        for name in _POWER_PATH_PINS:
            pin, inner = getattr(self, name), getattr(power, name)
            m.d.comb += inner.eq(pin) if self.signature.members[name].flow == In else pin.eq(inner)
        m.d.comb += [
            host_link.sclk.eq(self.host_sclk),
            host_link.cs_n.eq(self.host_cs_n),
            host_link.copi.eq(self.host_copi),
            self.host_cipo.eq(host_link.cipo),
            clock.pulse.eq(self.pulse),
        ]

        # The host's orders.
        m.d.comb += [
            clock.set.eq(registers.time_set),
            clock.set_time.eq(registers.value),
            clock.armed.eq(registers.armed),
            recorder.value.eq(registers.value),
            recorder.set_next.eq(registers.sequence_start),
            recorder.acknowledge.eq(registers.leaf_ack),
            power.hot_throttle.eq(registers.hot_throttle),
            power.hot_fatal.eq(registers.hot_fatal),
            power.channel_gain_addr.eq(registers.channel_gain_addr),
            power.channel_gain.eq(registers.channel_gain),
            power.channel_gain_we.eq(registers.channel_gain_we),
            daemon.heartbeat.eq(registers.heartbeat),
            power.autonomous.eq(daemon.autonomous),
            power.calibration_addr.eq(registers.calibration_addr),
            power.calibration_gain.eq(registers.calibration_gain),
            power.calibration_offset.eq(registers.calibration_offset),
            power.calibration_we.eq(registers.calibration_we),
        ]

        # Nothing is counted or becomes a leaf of a second in which anything else could be measured with than what was hashed.
        calibrated, counts = Signal(), Signal()
        with m.If(clock.second):
            m.d.sync += [calibrated.eq(calibration.ready), counts.eq(calibrated)]
        m.d.comb += [
            power.counts.eq(counts),
            calibration.address.eq(host_link.registers.address),
            calibration.data.eq(host_link.registers.write_data),
            calibration.write.eq(registers.calibrates),
            calibration.armed.eq(registers.armed),
            snapshot.calibration_hash.eq(calibration.value),
        ]

        # The second that just ended: its time is kept from its end to its image.
        time, quality = Signal(32), Signal(8)
        with m.If(clock.second):
            m.d.sync += [time.eq(clock.time), quality.eq(clock.quality)]
        m.d.comb += [
            power.pulse.eq(clock.second),
            calendar.start.eq(clock.second),
            calendar.time.eq(clock.time),
            calendar.cancel.eq(registers.time_set),
        ]

        faults, own_faults = (
            Signal(32),
            {
                Fault.PULSE_MISSING: clock.pulse_missing,
                Fault.PULSE_OUT_OF_TOLERANCE: clock.pulse_out_of_tolerance,
                Fault.LEAVES_LOST: recorder.losing,
                Fault.HEARTBEAT_LOST: daemon.lost,
            },
        )
        m.d.comb += faults.eq(power.faults)
        for fault, level in own_faults.items():
            m.d.comb += faults[fault.bit_length() - 1].eq(level)

        m.d.comb += [
            snapshot.start.eq(power.ready),
            snapshot.hold.eq(registers.committing),
            snapshot.sequence.eq(recorder.next),
            snapshot.time.eq(time),
            snapshot.time_quality.eq(quality),
            snapshot.electrical_energy.eq(power.electrical_energy),
            snapshot.bus_energy.eq(power.bus_energy),
            snapshot.gas_volume.eq(power.gas_volume),
            snapshot.channel_power.eq(power.channel_power),
            snapshot.uptime.eq(clock.uptime),
            snapshot.faults.eq(faults),
            snapshot.module_link_errors.eq(power.module_link_errors),
            snapshot.host_link_errors.eq(host_link.errors),
            snapshot.leaves_lost.eq(recorder.lost),
            power.channel_index.eq(snapshot.channel_index),
            snapshot.channel_word.eq(power.channel_word),
        ]
        for channel, identifier in enumerate(SITE_INPUTS):
            m.d.comb += getattr(snapshot, identifier).eq(power.site_inputs[channel])

        m.d.comb += [
            registers.image_address.eq(snapshot.image_address),
            registers.image_data.eq(snapshot.image_data),
            registers.image_write.eq(snapshot.image_write),
            registers.image_show.eq(snapshot.done),
            registers.busy.eq(snapshot.busy),
            registers.supplied_address.eq(snapshot.supplied_address),
            snapshot.supplied_data.eq(registers.supplied_data),
        ]

        # One clock after the image is shown it is the newest.
        shown = Signal()
        m.d.sync += shown.eq(snapshot.done)
        m.d.comb += [
            recorder.record.eq(shown & calendar.leaf_due & counts & (quality != TimeQuality.UNSET)),
            recorder.epoch.eq(calendar.epoch),
            recorder.last_of_epoch.eq(calendar.last_of_epoch),
            recorder.time.eq(time),
            registers.newest_address.eq(recorder.image_address),
            recorder.image_data.eq(registers.newest_data),
            store.write.eq(recorder.store_write),
            store.write_address.eq(recorder.store_address),
            store.write_data.eq(recorder.store_data),
            store.hash_fetch.eq(recorder.fetch),
            store.hash_address.eq(recorder.fetch_address),
            recorder.fetch_taken.eq(store.hash_taken),
            recorder.fetch_done.eq(store.hash_done),
            recorder.fetch_data.eq(store.hash_data),
            tree.seal.eq(recorder.seal),
            recorder.tree_idle.eq(tree.idle),
            recorder.tree_count.eq(tree.count),
            registers.record_address.eq(recorder.record_address),
            registers.record_data.eq(recorder.record_data),
            registers.record_write.eq(recorder.record_write),
        ]

        m.d.comb += [registers.flag_network.eq(self._network), registers.flag_seals.eq(self._sealer is not None)]
        bus = self._seal(m, self._sealer, host_link.registers, recorder) if self._sealer else host_link.registers
        if self._network:
            self._serve_scada(m, bus, registers, snapshot, power, clock)
        else:
            wiring.connect(m, bus, registers.bus)
            m.d.comb += [
                power.enable.eq(registers.enable),
                power.parameters.eq(registers.parameters),
                power.trip_clear.eq(registers.trip_clear),
            ]
        m.d.comb += [
            store.host_fetch.eq(host_link.leaves.fetch),
            store.host_address.eq(Cat(host_link.leaves.word, host_link.leaves.slot)),
            host_link.leaves.data.eq(store.host_data),
            recorder.slot.eq(host_link.leaves.slot),
            host_link.leaves.status.eq(recorder.slot_status),
        ]

        trip_time = Signal(32)
        with m.If(power.trip_strobe):
            m.d.sync += trip_time.eq(clock.time)
        m.d.comb += [
            registers.flag_time_valid.eq(clock.valid),
            registers.flag_tripped.eq(power.tripped),
            registers.flag_module_present.eq(power.module_present.any()),
            registers.flag_pulse_good.eq(clock.pulse_good & ~clock.pulse_missing),
            registers.time.eq(clock.time),
            registers.leaf_next.eq(recorder.next),
            registers.leaf_oldest.eq(recorder.oldest),
            registers.epochs_sealed.eq(recorder.sealed),
            registers.faults.eq(faults),
            registers.trip_cause.eq(power.trip_cause),
            registers.trip_bus_mv.eq(power.trip_bus_mv),
            registers.trip_time.eq(trip_time),
            registers.flag_autonomous.eq(power.conservative),
            registers.flag_counter_saturated.eq(power.counter_saturated),
            registers.electrical_energy.eq(power.electrical_energy),
            registers.bus_energy.eq(power.bus_energy),
            registers.gas_volume.eq(power.gas_volume),
        ]
        for name in ("trip_clocks", "trip_bus_current", "trip_hot_supply", "trip_ground_fault", "trip_channel", "clocks"):
            m.d.comb += getattr(registers, name).eq(getattr(power, name))
        self._show_modules(m, registers, power)
        m.d.comb += [self.led_link.eq(~daemon.autonomous), self.led_trip.eq(power.tripped)]
        return m

    def _show_modules(self, m: Module, registers: RegisterFile, power: wiring.Component) -> None:
        """A word a slot in each of the three registers, slot 0 first."""
        for slot in range(self._modules):
            words = {
                "module_identity": Cat(power.module_version[slot], power.module_type[slot]),
                "module_status": power.module_status[slot]
                | Mux(power.module_present[slot], MODULE_PRESENT, 0)
                | Mux(power.module_heard[slot], MODULE_HEARD, 0)
                | Mux(power.module_run[slot], MODULE_RUN, 0),
                "module_bootstraps": power.bootstrap_pulses[slot],
            }
            for name, word in words.items():
                m.d.comb += getattr(registers, name).word_select(MODULE_SLOTS - 1 - slot, 16).eq(word)

    def _seal(self, m: Module, sealer: Sealer, bus: wiring.PureInterface, recorder: LeafRecorder) -> wiring.PureInterface:
        """The sealer beside all other registers; the bus that is left for those."""
        m.submodules.sealer = sealer
        m.submodules.leaf_identity = identity = LeafIdentity()
        m.submodules.seal_split = split = BusSplit()
        wiring.connect(m, bus, split.bus)
        wiring.connect(m, split.second, sealer.bus)
        for pin, name in KEY_PINS.items():
            outer, inner = getattr(self, pin), getattr(sealer, name)
            m.d.comb += inner.eq(outer) if self.signature.members[pin].flow == In else outer.eq(inner)
        m.d.comb += [
            split.to_second.eq(sealer.here),
            identity.write.eq(recorder.store_write),
            identity.place.eq(recorder.store_address),
            identity.data.eq(recorder.store_data),
            *(getattr(sealer, name).eq(getattr(identity, name)) for name in ("site", "profile_hash", "calibration_hash")),
            sealer.record_place.eq(recorder.record_address),
            sealer.record_data.eq(recorder.record_data),
            sealer.record_write.eq(recorder.record_write),
        ]
        return split.first

    def _serve_scada(
        self,
        m: Module,
        bus: wiring.PureInterface,
        registers: RegisterFile,
        snapshot: Snapshot,
        power: wiring.Component,
        clock: SiteClock,
    ) -> None:
        """SCADA's registers beside the host's; what both ask for meets here, and the lower limit goes to the power path."""
        m.submodules.scada = scada = ScadaRegisters(self.clocks_per_second, self._channels, self._source_hash)
        m.submodules.network_registers = host = NetworkRegisters()
        m.submodules.bus_split = split = BusSplit()
        wiring.connect(m, bus, split.bus)
        wiring.connect(m, split.first, registers.bus)
        wiring.connect(m, split.second, host.bus)
        wiring.connect(m, wiring.flipped(self.scada), scada.port)
        panel_enable = Signal()
        m.submodules.panel_synchroniser = FFSynchronizer(self.panel_enable, panel_enable)

        wiring.connect(m, registers.steps, scada.steps)
        wiring.connect(m, registers.steps, host.steps)
        wiring.connect(m, scada.allow_list, host.allow_list)
        m.d.comb += [getattr(scada, name).eq(getattr(snapshot, name)) for name in ("image_address", "image_data", "image_write", "busy")]
        m.d.comb += [getattr(scada, name).eq(getattr(host, name)) for name in ("word_swap", "writable")]
        m.d.comb += [getattr(self, name).eq(getattr(host, name)) for name in _SETTINGS]
        m.d.comb += [getattr(host, name).eq(self.stack[name]) for name in STACK_STATUS]
        for name in ("override_flags", "override_remaining_s", "override_ip", "events_next", "events_oldest", "events_data"):
            m.d.comb += getattr(host, name).eq(getattr(scada, name))
        m.d.comb += [
            split.to_second.eq(host.here),
            scada.image_show.eq(snapshot.done),
            registers.take.eq(scada.take),
            scada.copied.eq(registers.word | host.word),
            scada.link_flags.eq(self.stack.link_flags),
            scada.channel_index.eq(snapshot.channel_index),
            scada.channel_word.eq(power.channel_word),
            scada.count.eq(self.stack_count),
            scada.time.eq(clock.time),
            scada.faults.eq(registers.faults),
            scada.flags.eq(registers.flags),
            scada.panel_enable.eq(panel_enable),
            scada.own_enable.eq(registers.enable),
            scada.own_current_limit_ma.eq(registers.parameters.current_limit_ma),
            scada.own_site_power_limit.eq(registers.parameters.site_power_limit),
            scada.events_acknowledge.eq(host.events_acknowledge),
            scada.events_stored.eq(host.events_stored),
            scada.events_address.eq(host.events_address),
            power.parameters.eq(registers.parameters),
            power.parameters.current_limit_ma.eq(scada.current_limit_ma),
            power.parameters.site_power_limit.eq(scada.site_power_limit),
            power.enable.eq(scada.enable),
            power.trip_clear.eq(registers.trip_clear | scada.trip_clear),
        ]
