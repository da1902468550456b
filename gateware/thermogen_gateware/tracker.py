"""Perturb and observe for every channel, by one time-multiplexed engine with its state in block RAM.

After each exchange with a module the engine passes over that module's channels, five clocks each: it stores the new current, moves the duty
towards its target by at most 4 counts (the string's 47 µF discharge through the converter, so a jump would be an over-current),
and sums currents in the measuring window, the last 1.6 ms of each step of 7.5 ms. The step is longer than three times 47 µF × 48 ohm, and
the window begins 2.6 times 47 µF × 48 ohm after the change. At the step's end power = sum of currents × mean bus voltage is compared
with the step before: better, go on the same way, twice as far after three in a row (at most 8 counts); not better, turn round, half
as far (at least 1 count). Equal counts as better, so that a converter's step of 2 mA is crossed instead of waited at.
State by state (points.ChannelState): OFF, not allowed; SEEK, from a duty of 0.70 upwards until current flows; TRACK; HOLD while the bus
is above its warning level; LIMIT above the current limit or the bus's shed level: the duty falls 4 counts a step, which moves the string towards
open circuit; FAULT after over-current or reverse current, until not allowed; ABSENT where no module answers.
Reference: perturb and observe as in Femia et al., IEEE Trans. Power Electron. 20(4), 2005. Latency of a pass: 5 clocks a channel + 1.
"""

from __future__ import annotations

from amaranth.hdl import Array, C, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from thermogen_esf.points import PWM_COUNTS, ChannelState

from .buck_pwm import DITHER_BITS, DUTY_BITS, DUTY_MAX_COUNTS
from .module_link import CURRENT_BITS, CURRENT_ZERO, EXCHANGE_HZ

MILLIAMPERES_PER_STEP = 2
STEP_S = 7.5e-3
MEASURE_S = 1.6e-3
SLEW_COUNTS = 4
START_COUNTS = PWM_COUNTS * 70 // 100
DUTY_MIN_COUNTS = 48
COARSEST_LOG2_COUNTS = 3
STREAK_TO_DOUBLE = 3
LIMIT_STEP_COUNTS = 4
FLOWING_MA = 20
"""Mean current from which a channel is tracked; below half of it the source is lost."""
OVERCURRENT_MA = 3_900
REVERSE_MA = 100
DEFAULT_CURRENT_LIMIT_MA = 3_000
BUS_BITS = 18
SUM_BITS = 17
POWER_BITS = SUM_BITS + BUS_BITS


RECORD = data.StructLayout(
    {
        "state": 3,
        "down": 1,
        "step_log2": 2,
        "streak": 2,
        "target": DUTY_BITS,
        "applied": DUTY_BITS,
        "current_sum": signed(SUM_BITS),
        "power": signed(POWER_BITS),
    }
)
"""What the engine knows of a channel. Duties in eighths of a count, currents in 2 mA."""

CHANNEL_WORD = data.StructLayout({"state": 3, "duty": 9, "current": CURRENT_BITS})
"""The 24 bits of a channel in the telemetry image."""


class Tracker(wiring.Component):
    """`start` begins a pass over `module`; `busy` until it has ended. One pass for each module makes a round, `last_module` ends it.

    `current_addr`/`current_data` and `duty_addr`/`duty_data` are memory ports (one clock). `channel_sum`: latest currents of all channels
    added, in 2 mA, new at `pass_done`. `channel_index` → `channel_word` one clock later.
    """

    def __init__(self, channels, modules=1, *, step_s=STEP_S, measure_s=MEASURE_S):
        self._channels = channels
        self._modules = modules
        rounds_per_s = EXCHANGE_HZ / modules
        self._step_rounds = round(step_s * rounds_per_s)
        self._measure_rounds = round(measure_s * rounds_per_s)
        if not 1 <= self._measure_rounds < self._step_rounds or self._measure_rounds > 16:
            raise ValueError(f"a step of {step_s} s with {measure_s} s of measuring is {self._measure_rounds} of {self._step_rounds} exchanges; give 1 to 16 of more")
        total = channels * modules
        self.sum_shape = signed(CURRENT_BITS + 1 + (total - 1).bit_length())
        super().__init__(
            {
                "start": In(1),
                "module": In(range(max(modules, 2))),
                "present": In(modules),
                "allowed": In(1),
                "hold": In(1),
                "shed": In(1),
                "bus_mv": In(16),
                "current_limit_ma": In(16, init=DEFAULT_CURRENT_LIMIT_MA),
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
        in_range = Signal()
        m.d.sync += in_range.eq(self.channel_index < total)
        m.d.comb += [
            duty_rd.addr.eq(self.duty_addr),
            self.duty_data.eq(duty_rd.data),
            word_rd.addr.eq(self.channel_index),
            self.channel_word.eq(Mux(in_range, word_rd.data, 0)),
        ]

        # Rounds: a step is `step_rounds` of them, the last `measure` are summed.
        round_index = Signal(range(self._step_rounds))
        window_first, window, step_end = Signal(), Signal(), Signal()
        m.d.comb += [
            window_first.eq(round_index == self._step_rounds - measure),
            window.eq(round_index >= self._step_rounds - measure),
            step_end.eq(round_index == self._step_rounds - 1),
        ]
        bus_sum = Signal(20)
        bus_mean = Signal(BUS_BITS)
        m.d.comb += bus_mean.eq(bus_sum >> 2)

        # Each pass works under one view of what is allowed.
        module = Signal.like(self.module)
        present, allowed, hold, shed = Signal(), Signal(), Signal(), Signal()
        channel = Signal(range(channels + 1))
        index = Signal(range(total))
        bases = Array(C(k * channels, range(total + 1)) for k in range(modules))
        module_sums = Array(Signal(self.sum_shape, name=f"module_sum_{k}") for k in range(modules))
        pass_sum = Signal(self.sum_shape)
        m.d.comb += [record_rd.addr.eq(index), self.current_addr.eq(index)]
        m.d.comb += self.channel_sum.eq(sum(module_sums[1:], module_sums[0]))

        raw = Signal(CURRENT_BITS)
        record = Signal(RECORD)
        current = Signal(signed(CURRENT_BITS + 1))
        sum_next = Signal(signed(SUM_BITS))
        power = Signal(signed(POWER_BITS))
        over_limit, under_limit = Signal(), Signal()
        limit = Signal(signed(SUM_BITS))
        limit_ma = Signal(16)
        m.d.comb += [
            limit_ma.eq(Mux(self.current_limit_ma > OVERCURRENT_MA, OVERCURRENT_MA, self.current_limit_ma)),
            limit.eq((limit_ma // MILLIAMPERES_PER_STEP) * measure),
        ]

        next_record = Signal(RECORD)
        word = Signal(CHANNEL_WORD)
        m.d.comb += [
            record_wr.addr.eq(index),
            record_wr.data.eq(next_record),
            duty_wr.addr.eq(index),
            duty_wr.data.eq(next_record.applied),
            word_wr.addr.eq(index),
            word_wr.data.eq(Mux(present, word, 0)),
            word.state.eq(next_record.state),
            word.duty.eq(next_record.applied[DITHER_BITS:]),
            word.current.eq(raw),
        ]

        m.d.sync += self.pass_done.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        module.eq(self.module),
                        present.eq(self.present.bit_select(self.module, 1)),
                        allowed.eq(self.allowed),
                        hold.eq(self.hold),
                        shed.eq(self.shed),
                        channel.eq(0),
                        index.eq(bases[self.module]),
                        pass_sum.eq(0),
                    ]
                    with m.If(self.module == 0):
                        m.d.sync += bus_sum.eq(Mux(window_first, 0, bus_sum) + self.bus_mv)
                    m.next = "READ"
            with m.State("READ"):
                m.next = "LATCH"
            with m.State("LATCH"):
                m.d.sync += [
                    record.eq(record_rd.data),
                    raw.eq(self.current_data),
                    current.eq(self.current_data - CURRENT_ZERO),
                ]
                m.next = "SUM"
            with m.State("SUM"):
                m.d.sync += sum_next.eq(Mux(window_first, 0, record.current_sum) + current)
                with m.If(present):
                    m.d.sync += pass_sum.eq(pass_sum + current)
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.d.sync += [
                    power.eq(sum_next * bus_mean),
                    over_limit.eq((sum_next > limit) | shed),
                    under_limit.eq(sum_next < limit - (limit >> 5)),
                ]
                m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.comb += [record_wr.en.eq(1), duty_wr.en.eq(1), word_wr.en.eq(1)]
                with m.If(channel == channels - 1):
                    m.d.sync += [module_sums[module].eq(pass_sum), self.pass_done.eq(1)]
                    with m.If(module == modules - 1):
                        m.d.sync += round_index.eq(Mux(step_end, 0, round_index + 1))
                    m.next = "IDLE"
                with m.Else():
                    m.d.sync += [channel.eq(channel + 1), index.eq(index + 1)]
                    m.next = "READ"

        self._decide(m, record, next_record, current, sum_next, power, window, step_end, present, allowed, hold, shed, over_limit, under_limit)

        overcurrent, reverse = Signal(), Signal()
        m.d.comb += [
            overcurrent.eq(current > OVERCURRENT_MA // MILLIAMPERES_PER_STEP),
            reverse.eq(step_end & (sum_next < -(REVERSE_MA // MILLIAMPERES_PER_STEP) * measure)),
        ]
        with m.If(~self.allowed):
            m.d.sync += [self.overcurrent.eq(0), self.reverse.eq(0)]
        with m.Elif(record_wr.en & present & allowed):
            m.d.sync += [self.overcurrent.eq(self.overcurrent | overcurrent), self.reverse.eq(self.reverse | reverse)]
        with m.If(overcurrent | reverse):
            with m.If(present & allowed):
                m.d.comb += [next_record.state.eq(ChannelState.FAULT), next_record.target.eq(0), next_record.applied.eq(0)]
        return m

    def _decide(self, m, record, next_record, current, sum_next, power, window, step_end, present, allowed, hold, shed, over_limit, under_limit):
        """The next record of the channel at hand."""
        measure = self._measure_rounds
        unit = 1 << DITHER_BITS
        flowing = Signal()
        lost = Signal()
        settled = Signal()
        m.d.comb += [
            flowing.eq(sum_next > FLOWING_MA // MILLIAMPERES_PER_STEP * measure),
            lost.eq(sum_next < FLOWING_MA // MILLIAMPERES_PER_STEP * measure // 2),
            settled.eq(record.applied == record.target),
        ]

        # The move: direction and length first, then one adder.
        down, step_log2, step = Signal(), Signal(2), Signal(DUTY_BITS)
        moving = Signal()
        restart = Signal()
        moved = Signal(signed(DUTY_BITS + 2))
        m.d.comb += [
            down.eq(record.down),
            step_log2.eq(record.step_log2),
            step.eq(unit << step_log2),
            moved.eq(Mux(down, record.target - step, record.target + step)),
            next_record.eq(record),
            next_record.current_sum.eq(sum_next),
        ]
        with m.If(~present):
            m.d.comb += next_record.eq(0)
        with m.Elif(~allowed):
            m.d.comb += [next_record.eq(0), next_record.state.eq(ChannelState.OFF)]
        with m.Else():
            with m.Switch(record.state):
                with m.Case(ChannelState.FAULT):
                    pass
                with m.Case(ChannelState.SEEK):
                    with m.If(step_end & settled):
                        m.d.comb += [down.eq(0), step_log2.eq(COARSEST_LOG2_COUNTS), moving.eq(1)]
                        m.d.comb += [next_record.streak.eq(0), next_record.power.eq(power)]
                        with m.If(flowing):
                            m.d.comb += next_record.state.eq(ChannelState.TRACK)
                        with m.Elif(record.target == DUTY_MAX_COUNTS * unit):
                            m.d.comb += restart.eq(1)
                with m.Case(ChannelState.TRACK, ChannelState.HOLD, ChannelState.LIMIT):
                    with m.If(step_end):
                        m.d.comb += next_record.power.eq(power)
                        with m.If(over_limit):
                            m.d.comb += [next_record.state.eq(ChannelState.LIMIT), moving.eq(1), down.eq(1)]
                            m.d.comb += [step_log2.eq(LIMIT_STEP_COUNTS.bit_length() - 1), next_record.streak.eq(0)]
                        with m.Elif(lost):
                            m.d.comb += [next_record.state.eq(ChannelState.SEEK), restart.eq(1)]
                        with m.Elif(hold):
                            m.d.comb += next_record.state.eq(ChannelState.HOLD)
                        with m.Elif(record.state == ChannelState.LIMIT):
                            with m.If(under_limit):
                                m.d.comb += [next_record.state.eq(ChannelState.TRACK), moving.eq(1), down.eq(0), step_log2.eq(0)]
                        with m.Elif(record.state == ChannelState.HOLD):
                            m.d.comb += [next_record.state.eq(ChannelState.TRACK), moving.eq(1)]
                        with m.Elif(power >= record.power):
                            m.d.comb += moving.eq(1)
                            with m.If(record.streak == STREAK_TO_DOUBLE - 1):
                                m.d.comb += next_record.streak.eq(0)
                                with m.If(record.step_log2 != COARSEST_LOG2_COUNTS):
                                    m.d.comb += step_log2.eq(record.step_log2 + 1)
                            with m.Else():
                                m.d.comb += next_record.streak.eq(record.streak + 1)
                        with m.Else():
                            m.d.comb += [moving.eq(1), down.eq(~record.down), next_record.streak.eq(0)]
                            with m.If(record.step_log2 != 0):
                                m.d.comb += step_log2.eq(record.step_log2 - 1)
                with m.Default():
                    m.d.comb += [next_record.state.eq(ChannelState.SEEK), restart.eq(1)]

            with m.If(restart):
                m.d.comb += next_record.target.eq(START_COUNTS * unit)
            with m.Elif(moving):
                m.d.comb += [next_record.step_log2.eq(step_log2), next_record.down.eq(down), next_record.target.eq(moved)]
                with m.If(moved > DUTY_MAX_COUNTS * unit):
                    m.d.comb += [next_record.target.eq(DUTY_MAX_COUNTS * unit), next_record.down.eq(1)]
                with m.Elif(moved < DUTY_MIN_COUNTS * unit):
                    m.d.comb += [next_record.target.eq(DUTY_MIN_COUNTS * unit), next_record.down.eq(0)]

            with m.If(record.applied < record.target):
                gap = (record.target - record.applied)[:DUTY_BITS]
                m.d.comb += next_record.applied.eq(record.applied + Mux(gap > SLEW_COUNTS * unit, SLEW_COUNTS * unit, gap))
            with m.Else():
                gap = (record.applied - record.target)[:DUTY_BITS]
                m.d.comb += next_record.applied.eq(record.applied - Mux(gap > SLEW_COUNTS * unit, SLEW_COUNTS * unit, gap))
