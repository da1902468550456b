"""The tracker of all channels: one engine that passes over them in turn, with their state in block RAM.

After each exchange with a module the engine passes over that module's channels: it stores the new current, adds it to the sum of
the measuring window, and writes what PerturbObserve makes of it. A step is 7.5 ms of clock time, more than three times the 47 µF ×
48 ohm at a channel's input; its last 1.6 ms are measured, 2.6 time constants after the change. Power is the window's sum of
currents × its mean bus voltage, so 16 samples of a 2 mA converter are compared, not one. A current outside the channel's rating
(one sample above 3.9 A, a mean below −100 mA) switches the channel off.
Latency of a pass: 5 clocks a channel + 1. Area, LIFCL, 12 channels: 179 LUT4, 84 CCU2, 173 FF, 17 DPR16X4, 1 multiplier.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS

from .buck_pwm import DITHER_BITS, DUTY_BITS
from .module_link import CURRENT_BITS, CURRENT_ZERO, EXCHANGE_HZ
from .perturb_observe import BUS_BITS, POWER_BITS, RECORD, SUM_BITS, PerturbObserve

STEP_S = 7.5e-3
MEASURE_S = 1.6e-3
MEASURE_ROUNDS_MAX = 16

MILLIAMPERES_PER_STEP = 2
FLOWING_MA = 20
"""Mean current from which a channel is tracked; below half of it the source is lost."""
OVERCURRENT_MA = 3_900
REVERSE_MA = 100
AUTONOMOUS_MA = 1_000
"""Current limit while nobody watches."""
PARAMETERS_LAYOUT = data.StructLayout({parameter.identifier: 16 for parameter in TRACKER_PARAMETERS})
DEFAULT_PARAMETERS = {parameter.identifier: parameter.default for parameter in TRACKER_PARAMETERS}
CONVERTERS = 3
CONVERTER_CHANNELS = 12
GAIN_ONE = 0x8000
BUS_SUM_BITS = BUS_BITS + 2


def pass_clocks(total: int) -> int:
    """Clocks of a pass over all channels of all modules."""
    return 5 * total + 1


class Tracker(wiring.Component):
    """`start` begins a pass over all channels of all modules, `busy` lasts until it has ended with `pass_done`.

    `current_addr`/`current_data` and `duty_addr`/`duty_data` are memory ports (data one clock after the address). `channel_sum`:
    newest currents of all channels added, in 2 mA, new at `pass_done`. `channel_index` → `channel_word` one clock later, in the
    telemetry's packing, 0 for what does not exist. `overcurrent`, `reverse`: a channel is off for that reason; until not `allowed`.
    """

    def __init__(self, channels, modules=1, *, step_s=STEP_S, measure_s=MEASURE_S):
        self._channels = channels
        self._modules = modules
        self._step_rounds = round(step_s * EXCHANGE_HZ)
        self._measure_rounds = round(measure_s * EXCHANGE_HZ)
        if not 1 <= self._measure_rounds < self._step_rounds or self._measure_rounds > MEASURE_ROUNDS_MAX:
            raise ValueError(
                f"a step of {step_s} s has {self._step_rounds} exchanges and {measure_s} s of measuring {self._measure_rounds} of them; "
                f"measure 1 to {MEASURE_ROUNDS_MAX} of more"
            )
        total = channels * modules
        self.sum_shape = signed(CURRENT_BITS + 1 + (total - 1).bit_length())
        super().__init__(
            {
                "start": In(1),
                "present": In(modules),
                "converter_fault": In(CONVERTERS * modules),
                "allowed": In(1),
                "hold": In(1),
                "shed": In(1),
                "autonomous": In(1),
                "bus_mv": In(16),
                "parameters": In(PARAMETERS_LAYOUT, init=DEFAULT_PARAMETERS),
                "calibration_addr": In(7),
                "calibration_gain": In(16),
                "calibration_we": In(1),
                "busy": Out(1),
                "pass_done": Out(1),
                "current_addr": Out(range(total)),
                "current_data": In(CURRENT_BITS, init=CURRENT_ZERO),
                "duty_addr": In(range(total)),
                "duty_data": Out(DUTY_BITS),
                "channel_sum": Out(self.sum_shape),
                "channel_index": In(7),
                "channel_word": Out(24),
                "overcurrent": Out(1),
                "reverse": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        channels, modules = self._channels, self._modules
        total = channels * modules
        measure = self._measure_rounds

        # Whole powers of two: no address can lie outside.
        depth = 1 << (total - 1).bit_length()
        m.submodules.records = records = Memory(shape=RECORD, depth=depth, init=[])
        record_rd, record_wr = records.read_port(), records.write_port()
        m.submodules.duties = duties = Memory(shape=DUTY_BITS, depth=depth, init=[])
        duty_rd, duty_wr = duties.read_port(), duties.write_port()
        m.submodules.words = words = Memory(shape=24, depth=depth, init=[])
        word_rd, word_wr = words.read_port(), words.write_port()
        exists = Signal()
        m.d.sync += exists.eq(self.channel_index < total)
        m.d.comb += [
            duty_rd.addr.eq(self.duty_addr),
            self.duty_data.eq(duty_rd.data),
            word_rd.addr.eq(self.channel_index),
            self.channel_word.eq(Mux(exists, word_rd.data, 0)),
        ]

        round_index = Signal(range(self._step_rounds))
        window_first, step_end = Signal(), Signal()
        m.d.comb += [
            window_first.eq(round_index == self._step_rounds - measure),
            step_end.eq(round_index == self._step_rounds - 1),
        ]
        bus_sum = Signal(BUS_SUM_BITS)

        m.submodules.gains = gains = Memory(shape=16, depth=depth, init=[GAIN_ONE] * total)
        gain_rd, gain_wr = gains.read_port(), gains.write_port()
        # One pass works under one view of what is present and allowed.
        module = Signal(range(modules + 1))
        presents, faulty = Signal(modules), Signal(CONVERTERS * modules)
        present, allowed, hold, shed, broken = Signal(), Signal(), Signal(), Signal(), Signal()
        channel = Signal(range(channels + 1))
        index = Signal(range(total))
        pass_sum = Signal(self.sum_shape)
        m.d.comb += [
            record_rd.addr.eq(index),
            gain_rd.addr.eq(index),
            gain_wr.addr.eq(self.calibration_addr),
            gain_wr.data.eq(self.calibration_gain),
            gain_wr.en.eq(self.calibration_we & (self.calibration_addr < total)),
            self.current_addr.eq(index),
            present.eq(presents.bit_select(module, 1)),
        ]
        for number in range(modules):
            for converter in range(CONVERTERS):
                with m.If(
                    (module == number) & (channel >= CONVERTER_CHANNELS * converter) & (channel < CONVERTER_CHANNELS * (converter + 1))
                ):
                    m.d.comb += broken.eq(faulty[CONVERTERS * number + converter])

        raw = Signal(CURRENT_BITS)
        record = Signal(RECORD)
        scaled = Signal(signed(CURRENT_BITS + 18))
        current = Signal(signed(CURRENT_BITS + 1))
        m.d.comb += current.eq(scaled >> 15)
        current_sum = Signal(signed(SUM_BITS))
        power = Signal(signed(POWER_BITS))
        limit_ma = Signal(16)
        limit = Signal(signed(SUM_BITS))
        asked_ma = self.parameters.current_limit_ma
        most_ma = Mux(self.autonomous, AUTONOMOUS_MA, OVERCURRENT_MA)
        m.d.comb += [
            limit_ma.eq(Mux(asked_ma > most_ma, most_ma, asked_ma)),
            limit.eq((limit_ma // MILLIAMPERES_PER_STEP) * measure),
        ]
        over_limit, under_limit = Signal(), Signal()

        m.d.sync += self.pass_done.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [
                    module.eq(0),
                    presents.eq(self.present),
                    faulty.eq(self.converter_fault),
                    allowed.eq(self.allowed),
                    hold.eq(self.hold),
                    shed.eq(self.shed),
                    channel.eq(0),
                    index.eq(0),
                    pass_sum.eq(0),
                    bus_sum.eq(Mux(window_first, 0, bus_sum) + self.bus_mv),
                ]
                m.next = "READ"
            with m.State("READ"):
                m.next = "LATCH"
            with m.State("LATCH"):
                m.d.sync += [
                    record.eq(record_rd.data),
                    raw.eq(self.current_data),
                    scaled.eq((self.current_data - CURRENT_ZERO) * gain_rd.data),
                ]
                m.next = "SUM"
            with m.State("SUM"):
                m.d.sync += current_sum.eq(Mux(window_first, 0, record.current_sum) + current)
                with m.If(present):
                    m.d.sync += pass_sum.eq(pass_sum + current)
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.d.sync += [
                    power.eq(current_sum * bus_sum[BUS_SUM_BITS - BUS_BITS :]),
                    over_limit.eq((current_sum > limit) | shed),
                    under_limit.eq(current_sum < limit - (limit >> 5)),
                ]
                m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.comb += [record_wr.en.eq(1), duty_wr.en.eq(1), word_wr.en.eq(1)]
                m.d.sync += [channel.eq(channel + 1), index.eq(index + 1)]
                m.next = "READ"
                with m.If(channel == channels - 1):
                    m.d.sync += [channel.eq(0), module.eq(module + 1)]
                with m.If(index == total - 1):
                    m.d.sync += index.eq(0)
                    m.d.sync += [self.channel_sum.eq(pass_sum), self.pass_done.eq(1), round_index.eq(Mux(step_end, 0, round_index + 1))]
                    m.next = "IDLE"

        overcurrent, reverse = Signal(), Signal()
        m.d.comb += [
            overcurrent.eq(current > OVERCURRENT_MA // MILLIAMPERES_PER_STEP),
            reverse.eq(step_end & (current_sum < -(REVERSE_MA // MILLIAMPERES_PER_STEP) * measure)),
        ]
        with m.If(~self.allowed):
            m.d.sync += [self.overcurrent.eq(0), self.reverse.eq(0)]
        with m.Elif(record_wr.en & present & allowed):
            m.d.sync += [self.overcurrent.eq(self.overcurrent | overcurrent), self.reverse.eq(self.reverse | reverse)]

        m.submodules.rule = rule = PerturbObserve()
        flowing_sum = FLOWING_MA // MILLIAMPERES_PER_STEP * measure
        m.d.comb += [
            rule.record.eq(record),
            rule.current_sum.eq(current_sum),
            rule.power.eq(power),
            rule.step_end.eq(step_end),
            rule.present.eq(present),
            rule.allowed.eq(allowed),
            rule.hold.eq(hold),
            rule.flowing.eq(current_sum > flowing_sum),
            rule.lost.eq(current_sum < flowing_sum // 2),
            rule.over_limit.eq(over_limit),
            rule.under_limit.eq(under_limit),
            rule.broken.eq(overcurrent | reverse),
            rule.unseen.eq(broken),
            record_wr.addr.eq(index),
            record_wr.data.eq(rule.next_record),
            duty_wr.addr.eq(index),
            duty_wr.data.eq(rule.next_record.applied),
            word_wr.addr.eq(index),
            word_wr.data.eq(Mux(present, Cat(rule.next_record.state, rule.next_record.applied[DITHER_BITS:], raw), 0)),
        ]
        return m
