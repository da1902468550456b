"""The node's power path: site inputs, protection, module link, tracker and energies behind one interface.

Exchanges with the modules every 1/10,000 s of clock time, in turn; the tracker passes over a module's channels after each. Module
run wires follow enable, trip, converter health and the comparator without a clock. Asynchronous are `module_cipo`
(synchronised in `module_link_master.py`) and `ov_comparator` (in `protection.py`); `adc_cipo` keeps time with `adc_sclk`.
Latency: `ready` at most 1,500 clocks after `pulse` (about 900). Area, LIFCL, 12 channels: 876 LUT4, 477 CCU2, 1,380 FF, 42 DPR16X4,
2 multipliers; 108 channels: 976 LUT4, 524 CCU2, 1,405 FF, 19 DPR16X4, 4 EBR, 2 multipliers.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import SITE_INPUTS, Fault

from .energy import Energy
from .module_link import EXCHANGE_HZ, ModuleStatus, exchange_clocks
from .module_link_master import ModuleLinkMaster
from .protection import Protection
from .site_inputs import INPUTS, SiteInputs
from .tracker import DEFAULT_CURRENT_LIMIT_MA, DEFAULT_PARAMETERS, PARAMETERS_LAYOUT, Tracker, pass_clocks


class PowerPath(wiring.Component):
    """`channels` of each of `modules` modules; a channel's index is module × channels + channel.

    Outputs are in the raw units of their points and final from `ready` to the next second's. `faults` are levels, except that
    BUS_TRIP and BUS_COMPARATOR also stay while the trip they caused is latched. `module_present[i]`: module i answers.
    """

    def __init__(self, clock_hz=50_000_000, channels=12, modules=1, clocks_per_site_second=50_000_000):
        if clocks_per_site_second < 2 * (clock_hz // EXCHANGE_HZ):
            raise ValueError(
                f"{clocks_per_site_second} clocks a site second hold less than two exchanges; use at least {2 * (clock_hz // EXCHANGE_HZ)}"
            )
        busy_clocks = exchange_clocks(channels) + pass_clocks(channels * modules)
        if busy_clocks >= clock_hz // EXCHANGE_HZ:
            raise ValueError(
                f"{channels} channels a module need {busy_clocks} clocks of the {clock_hz // EXCHANGE_HZ} between exchanges; "
                "put fewer channels on a module"
            )
        self._clock_hz = clock_hz
        self._channels = channels
        self._modules = modules
        super().__init__(
            {
                "pulse": In(1),
                "enable": In(1),
                "calibration_addr": In(4),
                "calibration_gain": In(16),
                "calibration_offset": In(signed(16)),
                "calibration_we": In(1),
                "current_limit_ma": In(16, init=DEFAULT_CURRENT_LIMIT_MA),
                "trip_clear": In(1),
                "ready": Out(1),
                "site_inputs": Out(data.ArrayLayout(16, INPUTS)),
                "electrical_energy": Out(64),
                "bus_energy": Out(64),
                "gas_volume": Out(48),
                "channel_power": Out(32),
                "channel_index": In(7),
                "channel_word": Out(24),
                "faults": Out(32),
                "module_link_errors": Out(16),
                "module_present": Out(modules),
                "tripped": Out(1),
                "trip_cause": Out(32),
                "trip_bus_mv": Out(16),
                "trip_strobe": Out(1),
                "adc_sclk": Out(1),
                "adc_cs_n": Out(1, init=1),
                "adc_copi": Out(1),
                "adc_cipo": In(1),
                "module_sclk": Out(1),
                "module_cs_n": Out(modules, init=(1 << modules) - 1),
                "module_copi": Out(1),
                "module_cipo": In(modules),
                "module_run": Out(modules),
                "ov_comparator": In(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        channels, modules = self._channels, self._modules
        m.submodules.inputs = inputs = SiteInputs(self._clock_hz)
        m.submodules.protection = protection = Protection(self._clock_hz)
        m.submodules.link = link = ModuleLinkMaster(channels, modules)
        m.submodules.tracker = tracker = Tracker(channels, modules)
        m.submodules.energy = energy = Energy(tracker.sum_shape)

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
        m.d.comb += [
            protection.bus_mv.eq(inputs.bus_mv),
            protection.bus_strobe.eq(inputs.bus_strobe),
            protection.converter_healthy.eq(inputs.healthy),
            protection.ov_comparator.eq(self.ov_comparator),
            protection.enable.eq(self.enable),
            protection.trip_clear.eq(self.trip_clear),
            self.module_run.eq(protection.run.replicate(modules)),
            self.tripped.eq(protection.tripped),
            self.trip_cause.eq(protection.trip_cause),
            self.trip_bus_mv.eq(protection.trip_bus_mv),
            self.trip_strobe.eq(protection.trip_strobe),
        ]

        # Exchanges, one module after the other.
        exchange_clocks = self._clock_hz // EXCHANGE_HZ
        timer = Signal(range(exchange_clocks))
        module = Signal(range(max(modules, 2)))
        m.d.sync += timer.eq(timer + 1)
        with m.If(timer == exchange_clocks - 1):
            m.d.sync += [timer.eq(0), module.eq(Mux(module == modules - 1, 0, module + 1))]
            m.d.comb += link.start.eq(1)
        # The number of the module at work: `module` is already the next one's while an exchange runs.
        working = Signal.like(module)
        with m.If(link.start):
            m.d.sync += working.eq(module)
        allowed = Signal()
        m.d.comb += [
            allowed.eq(self.enable & ~protection.tripped & inputs.healthy & protection.bus_present),
            link.module.eq(Mux(link.start, module, working)),
            link.enable.eq(allowed),
            self.module_sclk.eq(link.module_sclk),
            self.module_cs_n.eq(link.module_cs_n),
            self.module_copi.eq(link.module_copi),
            link.module_cipo.eq(self.module_cipo),
            self.module_link_errors.eq(link.errors),
            self.module_present.eq(link.present),
        ]
        m.d.comb += [
            tracker.start.eq(link.done & (working == modules - 1)),
            tracker.present.eq(link.present),
            tracker.allowed.eq(allowed),
            tracker.hold.eq(protection.warning),
            tracker.shed.eq(protection.shed),
            tracker.bus_mv.eq(inputs.bus_mv),
            tracker.parameters.eq(Const(DEFAULT_PARAMETERS, PARAMETERS_LAYOUT)),
            tracker.parameters.current_limit_ma.eq(self.current_limit_ma),
            link.current_addr.eq(tracker.current_addr),
            tracker.current_data.eq(link.current_data),
            tracker.duty_addr.eq(link.duty_addr),
            link.duty_data.eq(tracker.duty_data),
            tracker.channel_index.eq(self.channel_index),
            self.channel_word.eq(tracker.channel_word),
        ]
        m.d.comb += [
            energy.channel_sum.eq(tracker.channel_sum),
            energy.channel_strobe.eq(tracker.pass_done),
            energy.pulse.eq(self.pulse),
            energy.means_done.eq(inputs.done),
            energy.bus_mv.eq(inputs.site_inputs[SITE_INPUTS.index("bus_voltage")]),
            energy.bus_current.eq(inputs.site_inputs[SITE_INPUTS.index("bus_current")]),
            energy.gas_flow.eq(inputs.site_inputs[SITE_INPUTS.index("gas_flow")]),
            self.electrical_energy.eq(energy.electrical_energy),
            self.bus_energy.eq(energy.bus_energy),
            self.gas_volume.eq(energy.gas_volume),
            self.channel_power.eq(energy.channel_power),
            self.ready.eq(energy.done),
        ]

        module_converter_fault = Signal()
        with m.If(link.done & link.good):
            m.d.sync += module_converter_fault.eq((link.status & ModuleStatus.CONVERTER_FAULT) != 0)

        def latched(fault):
            return protection.tripped & protection.trip_cause[fault.bit_length() - 1]

        raised = {
            Fault.BUS_WARNING: protection.warning,
            Fault.BUS_SHED: protection.shed,
            Fault.BUS_TRIP: latched(Fault.BUS_TRIP),
            Fault.BUS_COMPARATOR: protection.comparator | latched(Fault.BUS_COMPARATOR),
            Fault.MODULE_LINK: ~(link.present & link.heard).all(),
            Fault.SITE_CONVERTER: ~inputs.healthy,
            Fault.MODULE_CONVERTER: module_converter_fault,
            Fault.CHANNEL_OVERCURRENT: tracker.overcurrent,
            Fault.REVERSE_CURRENT: tracker.reverse,
        }
        m.d.comb += self.faults.eq(Cat(raised.get(Fault(1 << bit), C(0, 1)) for bit in range(32)))
        return m
