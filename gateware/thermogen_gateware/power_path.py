"""The node's power path: site inputs, protection, module link, tracker and energies behind one interface.

Every 1/10,000 s of clock time all modules are exchanged with at once; then the tracker and, for itself, the channel guard pass over all
channels, while the next exchange runs: currents are double-buffered. Module run wires follow enable, trip, converter health and the
comparator without a clock, and fall with the link of their module; the link itself carries no trip. Asynchronous are `module_cipo`
(synchronised in `module_link_master.py`) and `ov_comparator` (in `comparator_latch.py`); `adc_cipo` keeps time with `adc_sclk`.
A module may be plugged into any slot at any time. Its kill latch is released by an enable flag that is 0 and then 1
(`module_release.py`), so a module that is new, or whose run wire has just risen, first gets RELEASE_EXCHANGES with the flag 0, and a new
one first `zeroing_exchanges`, in which its channels are off and their offsets learnt. A module of another type or version is shown in the
registers, and its channels stay absent.
Latency: `ready` at most 1,500 clocks after `pulse` (about 900). Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import SITE_INPUTS, Fault

from .channel_guard import ChannelGuard
from .energy import Energy
from .loop_watch import LoopWatch
from .module_link import EXCHANGE_HZ, MODULE_TYPE, MODULE_VERSION, ModuleStatus, exchange_clocks
from .module_link_master import ModuleLinkMaster
from .protection import Protection
from .site_inputs import INPUTS, SiteInputs
from .tracker import PARAMETERS_LAYOUT, ZEROING_EXCHANGES, Tracker
from .trip_causes import HOT_FATAL_RAW, HOT_THROTTLE_RAW

CONVERTERS = 3
"""Converters of a module, each for 12 of its channels."""
RELEASE_EXCHANGES = 7
KILLED_EXCHANGES = 20
"""2 ms in which a module whose run wire has risen may still say that it is killed."""
STATUS_CONVERTERS = ModuleStatus.CONVERTER_0.bit_length() - 1
STATUS_KILLED = ModuleStatus.KILLED.bit_length() - 1
STATUS_CONVERTER_FAULT = ModuleStatus.CONVERTER_FAULT.bit_length() - 1


class _Slots:
    """What is decided of each slot: its module is heard and of our kind; its kill latch has been released; it has killed itself although
    its run wire is 1."""

    def __init__(self, modules: int):
        self.usable = Signal(modules)
        self.released = Signal(modules)
        self.killed = Signal(modules)


class PowerPath(wiring.Component):
    """`channels` of each of `modules` modules; a channel's index is module × channels + channel.

    Outputs are in the raw units of their points and final from `ready` to the next second's. `faults` are levels, except that what trips
    also stays while the trip is latched. `module_present[i]`: module i answers; `module_heard[i]`: it hears us. `trip_*` as in Protection,
    `module_type` to `bootstrap_pulses` as in ModuleLinkMaster. `parameters` are the tracker's, `channel_gain_*` sets one channel's gain.
    Energies and gas go on with a second that `counts`, still from `pulse` to `ready`.
    """

    def __init__(self, clock_hz=50_000_000, channels=12, modules=1, clocks_per_site_second=50_000_000, zeroing_exchanges=ZEROING_EXCHANGES):
        exchange_period = clock_hz // EXCHANGE_HZ
        if clocks_per_site_second < 2 * exchange_period:
            raise ValueError(
                f"{clocks_per_site_second} clocks a site second hold less than two exchanges; use at least {2 * exchange_period}"
            )
        if exchange_clocks(channels) >= exchange_period:
            raise ValueError(
                f"{channels} channels a module need {exchange_clocks(channels)} clocks of the {exchange_period} between exchanges; "
                "put fewer channels on a module"
            )
        self._clock_hz = clock_hz
        self._channels = channels
        self._modules = modules
        self._zeroing_exchanges = zeroing_exchanges
        super().__init__(
            {
                "pulse": In(1),
                "counts": In(1, init=1),
                "enable": In(1),
                "autonomous": In(1),
                "calibration_addr": In(4),
                "calibration_gain": In(16),
                "calibration_offset": In(signed(16)),
                "calibration_we": In(1),
                "channel_gain_addr": In(7),
                "channel_gain": In(16),
                "channel_gain_we": In(1),
                "parameters": In(PARAMETERS_LAYOUT),
                "hot_throttle": In(signed(16), init=HOT_THROTTLE_RAW),
                "hot_fatal": In(signed(16), init=HOT_FATAL_RAW),
                "trip_clear": In(1),
                "ready": Out(1),
                "site_inputs": Out(data.ArrayLayout(16, INPUTS)),
                "electrical_energy": Out(64),
                "bus_energy": Out(64),
                "gas_volume": Out(48),
                "channel_power": Out(32),
                "counter_saturated": Out(1),
                "channel_index": In(7),
                "channel_word": Out(24),
                "faults": Out(32),
                "conservative": Out(1),
                "module_link_errors": Out(16),
                "module_present": Out(modules),
                "module_heard": Out(modules),
                "module_status": Out(data.ArrayLayout(8, modules)),
                "module_type": Out(data.ArrayLayout(8, modules)),
                "module_version": Out(data.ArrayLayout(8, modules)),
                "bootstrap_pulses": Out(data.ArrayLayout(16, modules)),
                "tripped": Out(1),
                "trip_strobe": Out(1),
                "trip_cause": Out(32),
                "trip_bus_mv": Out(16),
                "trip_bus_current": Out(16),
                "trip_hot_supply": Out(16),
                "trip_ground_fault": Out(16),
                "trip_channel": Out(16),
                "trip_clocks": Out(64),
                "clocks": Out(64),
                "adc_sclk": Out(1),
                "adc_cs_n": Out(1, init=1),
                "adc_copi": Out(1),
                "adc_cipo": In(1),
                "module_sclk": Out(1),
                "module_cs_n": Out(modules, init=(1 << modules) - 1),
                "module_copi": Out(modules),
                "module_cipo": In(modules),
                "module_run": Out(modules),
                "ov_comparator": In(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        total = self._channels * self._modules
        m.submodules.inputs = inputs = SiteInputs(self._clock_hz)
        m.submodules.protection = protection = Protection(self._clock_hz)
        m.submodules.loop = loop = LoopWatch(self._clock_hz)
        m.submodules.link = link = ModuleLinkMaster(self._channels, self._modules)
        m.submodules.tracker = tracker = Tracker(self._channels, self._modules)
        m.submodules.guard = guard = ChannelGuard(total)
        m.submodules.energy = energy = Energy(tracker.channel_sum.shape())

        self._connect_inputs(m, inputs)
        self._connect_protection(m, protection, inputs, loop, guard)
        allowed = Signal()
        m.d.comb += allowed.eq(self.enable & ~protection.tripped & inputs.healthy & protection.bus_present)
        slots = _Slots(self._modules)
        self._release(m, slots, link, protection, allowed)
        self._connect_link(m, link)
        m.d.comb += self.conservative.eq(self.autonomous | protection.throttle)
        self._connect_tracker(m, tracker, link, inputs, protection, allowed, slots)
        self._connect_energy(m, energy, tracker, inputs)
        m.d.comb += [
            guard.start.eq(link.done),
            link.watch_addr.eq(guard.current_addr),
            guard.current_data.eq(link.watch_data),
            loop.measured.eq(inputs.scan_strobe | ~inputs.healthy),
            loop.exchanged.eq(link.done),
            loop.tracked.eq(tracker.pass_done),
        ]

        converter_faults = Cat(self.module_status[module][STATUS_CONVERTER_FAULT] for module in range(self._modules))
        raised = {
            Fault.BUS_WARNING: protection.warning,
            Fault.BUS_SHED: protection.shed,
            Fault.MODULE_LINK: ~slots.usable.all(),
            Fault.SITE_CONVERTER: ~inputs.healthy,
            Fault.MODULE_CONVERTER: converter_faults.any(),
            Fault.CHANNEL_OVERCURRENT: tracker.overcurrent,
            Fault.REVERSE_CURRENT: tracker.reverse,
            Fault.CURRENT_SUM_MISMATCH: energy.mismatch,
            Fault.MODULE_KILLED: slots.killed.any(),
        }
        m.d.comb += self.faults.eq(protection.faults | Cat(raised.get(Fault(1 << bit), C(0, 1)) for bit in range(32)))
        return m

    def _connect_inputs(self, m: Module, inputs: SiteInputs) -> None:
        m.d.comb += [
            inputs.pulse.eq(self.pulse),
            inputs.calibration_addr.eq(self.calibration_addr),
            inputs.calibration_gain.eq(self.calibration_gain),
            inputs.calibration_offset.eq(self.calibration_offset),
            inputs.calibration_we.eq(self.calibration_we),
            self.site_inputs.eq(inputs.site_inputs),
            self.adc_sclk.eq(inputs.adc_sclk),
            self.adc_cs_n.eq(inputs.adc_cs_n),
            self.adc_copi.eq(inputs.adc_copi),
            inputs.adc_cipo.eq(self.adc_cipo),
        ]

    def _connect_protection(self, m: Module, protection: Protection, inputs: SiteInputs, loop: LoopWatch, guard: ChannelGuard) -> None:
        m.d.comb += [
            protection.bus_mv.eq(inputs.bus_mv),
            protection.bus_strobe.eq(inputs.bus_strobe),
            protection.bus_current.eq(inputs.bus_current),
            protection.ground_fault.eq(inputs.ground_fault),
            protection.hot_supply.eq(inputs.hot_supply),
            protection.scan_strobe.eq(inputs.scan_strobe),
            protection.hot_throttle.eq(self.hot_throttle),
            protection.hot_fatal.eq(self.hot_fatal),
            protection.converter_healthy.eq(inputs.healthy),
            protection.ov_comparator.eq(self.ov_comparator),
            protection.channel_overcurrent.eq(guard.overcurrent),
            protection.channel_reverse.eq(guard.reverse),
            protection.channel.eq(guard.channel),
            protection.loop_expired.eq(loop.expired),
            protection.enable.eq(self.enable),
            protection.trip_clear.eq(self.trip_clear),
        ]
        for name in ("tripped", "trip_strobe", "trip_cause", "trip_bus_mv", "trip_bus_current", "trip_hot_supply"):
            m.d.comb += getattr(self, name).eq(getattr(protection, name))
        for name in ("trip_ground_fault", "trip_channel", "trip_clocks", "clocks"):
            m.d.comb += getattr(self, name).eq(getattr(protection, name))

    def _release(self, m: Module, slots: _Slots, link: ModuleLinkMaster, protection: Protection, allowed: Signal) -> None:
        """Run wires and enable flags, module by module."""
        # A module is zeroed at once; the last exchanges before its release, and those after it, only count with its run wire 1.
        released = self._zeroing_exchanges
        with_run, judged = released - RELEASE_EXCHANGES, released - RELEASE_EXCHANGES + KILLED_EXCHANGES
        for module in range(self._modules):
            count = Signal(range(judged + 1), name=f"exchanges_{module}")
            run = Signal(name=f"run_{module}")
            known = (link.module_type[module] == MODULE_TYPE) & (link.module_version[module] == MODULE_VERSION)
            m.d.comb += [
                slots.usable[module].eq(link.present[module] & link.heard[module] & known),
                slots.released[module].eq(count >= released),
                slots.killed[module].eq((count == judged) & link.status[module][STATUS_KILLED]),
                self.module_run[module].eq(protection.run & slots.usable[module]),
                link.enable[module].eq(allowed & slots.released[module]),
            ]
            # The comparator, asynchronous, is in the run wire; here it counts by its trip.
            m.d.comb += run.eq(self.enable & ~protection.tripped & protection.converter_healthy)
            with m.If(~slots.usable[module]):
                m.d.sync += count.eq(0)
            with m.Elif(~run & (count >= with_run)):
                m.d.sync += count.eq(with_run)
            with m.Elif(link.done & (count != judged)):
                m.d.sync += count.eq(count + 1)

    def _connect_link(self, m: Module, link: ModuleLinkMaster) -> None:
        exchange_period = self._clock_hz // EXCHANGE_HZ
        timer = Signal(range(exchange_period))
        m.d.sync += timer.eq(timer + 1)
        with m.If(timer == exchange_period - 1):
            m.d.sync += timer.eq(0)
            m.d.comb += link.start.eq(1)
        m.d.comb += [
            self.module_sclk.eq(link.module_sclk),
            self.module_cs_n.eq(link.module_cs_n),
            self.module_copi.eq(link.module_copi),
            link.module_cipo.eq(self.module_cipo),
            self.module_link_errors.eq(link.errors),
            self.module_present.eq(link.present),
            self.module_heard.eq(link.heard),
            self.module_status.eq(link.status),
            self.module_type.eq(link.module_type),
            self.module_version.eq(link.module_version),
            self.bootstrap_pulses.eq(link.bootstrap_pulses),
        ]

    def _connect_tracker(
        self,
        m: Module,
        tracker: Tracker,
        link: ModuleLinkMaster,
        inputs: SiteInputs,
        protection: Protection,
        allowed: Signal,
        slots: _Slots,
    ) -> None:
        m.d.comb += [
            tracker.start.eq(link.done),
            tracker.present.eq(slots.usable),
            tracker.fresh.eq(link.fresh),
            tracker.allowed.eq(Mux(allowed, slots.released, 0)),
            tracker.trip_clear.eq(self.trip_clear),
            tracker.hold.eq(protection.warning),
            tracker.shed.eq(protection.shed),
            tracker.autonomous.eq(self.conservative),
            tracker.bus_mv.eq(inputs.bus_mv),
            tracker.parameters.eq(self.parameters),
            tracker.calibration_addr.eq(self.channel_gain_addr),
            tracker.calibration_gain.eq(self.channel_gain),
            tracker.calibration_we.eq(self.channel_gain_we),
            tracker.duty_addr.eq(link.duty_addr),
            link.duty_data.eq(tracker.duty_data),
            link.current_addr.eq(tracker.current_addr),
            tracker.current_data.eq(link.current_data),
            tracker.channel_index.eq(self.channel_index),
            self.channel_word.eq(tracker.channel_word),
        ]
        for module in range(self._modules):
            for converter in range(CONVERTERS):
                broken = link.status[module][STATUS_CONVERTERS + converter] | slots.killed[module]
                m.d.comb += tracker.converter_fault[CONVERTERS * module + converter].eq(broken)

    def _connect_energy(self, m: Module, energy: Energy, tracker: Tracker, inputs: SiteInputs) -> None:
        m.d.comb += [
            energy.channel_sum.eq(tracker.channel_sum),
            energy.channel_strobe.eq(tracker.pass_done),
            energy.pulse.eq(self.pulse),
            energy.means_done.eq(inputs.done),
            energy.counts.eq(self.counts),
            energy.bus_mv.eq(inputs.site_inputs[SITE_INPUTS.index("bus_voltage")]),
            energy.bus_current.eq(inputs.site_inputs[SITE_INPUTS.index("bus_current")]),
            energy.gas_flow.eq(inputs.site_inputs[SITE_INPUTS.index("gas_flow")]),
            energy.voltage_measured.eq(inputs.measured[SITE_INPUTS.index("bus_voltage")]),
            energy.current_measured.eq(inputs.measured[SITE_INPUTS.index("bus_current")]),
            energy.gas_measured.eq(inputs.measured[SITE_INPUTS.index("gas_flow")]),
            self.electrical_energy.eq(energy.electrical_energy),
            self.bus_energy.eq(energy.bus_energy),
            self.gas_volume.eq(energy.gas_volume),
            self.channel_power.eq(energy.channel_power),
            self.counter_saturated.eq(energy.saturated),
            self.ready.eq(energy.done),
        ]
