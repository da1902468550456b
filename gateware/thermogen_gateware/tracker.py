"""The maximum-power tracker of all channels: one engine that passes over them after each exchange, with their state in block RAM.

It commands string voltage: a channel keeps its duty per volt of bus, so that a duty is one product with the newest bus voltage, and what
the bus does never reaches the string. In each exchange every channel's current is calibrated and its power summed, and one channel takes a
step (`channel_step.py`): each does every 128 exchanges (12.8 ms), from the 64 powers of the second half, which begin 2.8 time constants of
the 47 µF × 48 ohm at a channel's input after the change, so that a discharging capacitor is not taken for power. The fast optimum of each
string is learnt by its step, the slow one of all of them by `slow_optimum.py`. State by state (points.ChannelState):

    ABSENT  no module answers
    OFF     not allowed; duty 0, and from 3.2 ms on the amplifier's offset is averaged
    SEEK    from 200 V downwards: by a third as long as no current flows; the first step with current gives the open-circuit voltage,
            V + R × I with V = bus / duty, and half of it as the next. From the start again where the converter's reach ends
    TRACK   at the best voltage known, perturbed by ±1/128
    HOLD    the bus is above its warning level: the string voltage stays
    LIMIT   at a current limit (its own, the site's ceiling), above the voltage of most power; or lowered because the bus sheds. Where the
            highest voltage still gives more, and where shedding has come to it, duty 0; then SEEK, one channel each 51 ms, once the bus is
            below its warning level, the site has room, and the limit is 0.6 A, more than any string gives at that voltage
    FAULT   over-current or reverse current: duty 0 until cleared by key with the current back within its limits, and through absence; a
            converter that is not believed, or a current while off that is no amplifier's offset (±128 mA): duty 0 while it lasts

The duty follows by at most `slew` an exchange: the string's 47 µF resonate with 220 µH (600 Hz to 1.5 kHz, damped in 3 ms); at four
times the default a compiled site took 5.4 A. At the start conduction is discontinuous (0.3 A at 135 V) and nothing resonates; for the same
reason, current begins at every duty, and not only below bus / Voc.
Reference: Femia et al., Optimization of perturb and observe maximum power point tracking method, IEEE Trans. Power Electron. 20(4), 2005.
Latency of a pass: at most 8 clocks a channel + 73 (108 channels: 937). Area, LIFCL, 108 channels, with all that it contains:
2,835 COMB, 1,039 FF, 7 EBR, 4 multipliers (docs/mppt.md).
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import ChannelState
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS

from .buck_pwm import DITHER_BITS, DUTY_BITS
from .channel_step import (
    DUTY_MAX,
    MEASURED_EXCHANGES,
    OFFSET_FRACTION,
    PARAMETERS_LAYOUT,
    RECORD,
    STEP_CLOCKS,
    Y_BITS,
    Y_LEAST,
    Y_SHIFT,
    Y_START,
    ChannelStep,
)
from .current_ceiling import CurrentCeiling
from .module_link import CURRENT_BITS, CURRENT_ZERO
from .slow_optimum import POWER_BITS as ROUND_POWER_BITS
from .slow_optimum import SlowOptimum

DEFAULT_PARAMETERS = {parameter.identifier: parameter.default for parameter in TRACKER_PARAMETERS}
DEFAULT_CURRENT_LIMIT_MA = DEFAULT_PARAMETERS["current_limit_ma"]
STEP_EXCHANGES = 128
DECAY_EXCHANGES = 32
"""From the last duty to where a current can only be the amplifier's offset."""
OFFSET_MAX = 64
"""In 2 mA: the most that an amplifier's offset can be; more is a current."""
CONVERTER_CHANNELS = 12
CONVERTERS_PER_MODULE = 3
GAIN_ONE = 0x8000
RETURN_MA = 600
"""Limit from which a parked channel seeks again: more than flows at 240 V (0.54 A from 190 V open), so that it is not parked again."""

_CURRENT_FRACTION = 4
"""A current is in 1/16 of 2 mA; its power with the bus in mV in 125 nW, kept in 32 µW."""
_POWER_SHIFT = 8
_POWER_SHAPE = signed(25)
_OFFSET_FILTER_LOG2 = 6
ZEROING_EXCHANGES = DECAY_EXCHANGES + (5 << _OFFSET_FILTER_LOG2)
"""In which a channel that is off loses all but 1/150 of its offset."""
_SLEW_Y = 21
"""Y of an eighth of a count at 50 V."""
_CHANNEL_CLOCKS = 8


def pass_clocks(channels: int) -> int:
    """Most clocks from `start` to idle with so many channels in all."""
    return _CHANNEL_CLOCKS * channels + 5 + STEP_CLOCKS


class Tracker(wiring.Component):
    """`start` begins a pass over all channels, `busy` lasts until it has ended. `pass_done`: new duties and `channel_sum` are there.

    `current_addr`/`current_data` and `duty_addr`/`duty_data` are memory ports (data one clock after the address). `channel_sum`: newest
    currents of all channels added, calibrated, in 2 mA; zero for what is not present, not believed or not `fresh`. `channel_index` →
    `channel_word` one clock later, in the telemetry's packing, 0 for what does not exist. `allowed`: by module. `converter_fault[3m + k]`:
    the k-th twelve channels of module m are not to be believed. `overcurrent`, `reverse`: a channel is off for that reason, until
    `trip_clear` (one clock, keyed by the host link) with its cause gone. `autonomous`: nobody supervises; the lower limit holds and the
    slow optimum is not searched.
    """

    PARAMETERS_LAYOUT = PARAMETERS_LAYOUT

    def __init__(self, channels, modules=1):
        self._channels = channels
        self._modules = modules
        self._total = total = channels * modules
        if not 1 <= total <= STEP_EXCHANGES:
            raise ValueError(f"{total} channels take their steps in turn within {STEP_EXCHANGES} exchanges; use 1 to {STEP_EXCHANGES}")
        self.sum_shape = signed(CURRENT_BITS + 2 + (total - 1).bit_length())
        super().__init__(
            {
                "start": In(1),
                "present": In(modules),
                "fresh": In(modules, init=-1),
                "converter_fault": In(CONVERTERS_PER_MODULE * modules),
                "allowed": In(modules),
                "trip_clear": In(1),
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
        total, parameters = self._total, self.parameters

        # Whole powers of two: no address can lie outside.
        depth = 1 << (total - 1).bit_length()
        m.submodules.records = records = Memory(shape=RECORD, depth=depth, init=[{"offset": CURRENT_ZERO << OFFSET_FRACTION}] * depth)
        record_rd, record_wr = records.read_port(), records.write_port()
        m.submodules.duties = duties = Memory(shape=DUTY_BITS, depth=depth, init=[])
        duty_rd, duty_wr = duties.read_port(), duties.write_port()
        m.submodules.words = words = Memory(shape=24, depth=depth, init=[])
        word_rd, word_wr = words.read_port(), words.write_port()
        m.submodules.gains = gains = Memory(shape=16, depth=depth, init=[GAIN_ONE] * depth)
        gain_rd, gain_wr = gains.read_port(), gains.write_port()
        index = Signal(range(depth))
        exists = Signal()
        m.d.sync += exists.eq(self.channel_index < total)
        m.d.comb += [port.addr.eq(index) for port in (record_rd, record_wr, duty_wr, word_wr, gain_rd)]
        m.d.comb += [
            self.current_addr.eq(index),
            duty_rd.addr.eq(self.duty_addr),
            self.duty_data.eq(duty_rd.data),
            word_rd.addr.eq(self.channel_index),
            self.channel_word.eq(Mux(exists, word_rd.data, 0)),
            gain_wr.addr.eq(self.calibration_addr),
            gain_wr.data.eq(self.calibration_gain),
            gain_wr.en.eq(self.calibration_we & (self.calibration_addr < total)),
        ]

        # One pass works under one view of what is present and allowed.
        present, fresh, converter_fault = Signal.like(self.present), Signal.like(self.fresh), Signal.like(self.converter_fault)
        may_switch, hold, shed, autonomous = Signal.like(self.allowed), Signal(), Signal(), Signal()
        clear_asked, clearing = Signal(), Signal()
        bus = Signal(16)

        # Which module's and which converter's the channel is, counted along.
        channel, module = Signal(range(self._channels)), Signal(range(self._modules + 1))
        converter = Signal(range(CONVERTERS_PER_MODULE * (self._modules + 1) + 1))
        converter_channel = Signal(range(CONVERTER_CHANNELS))
        here, allowed, believed, counted = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            here.eq(present.bit_select(module, 1)),
            allowed.eq(may_switch.bit_select(module, 1)),
            believed.eq(~converter_fault.bit_select(converter, 1)),
            counted.eq(here & believed & fresh.bit_select(module, 1)),
        ]

        # A channel's place in its pattern: step of four in the upper two bits, exchange of 128 in the others.
        exchange, place = Signal(9), Signal(9)
        minus = Signal()
        m.d.comb += [place.eq(exchange + index), minus.eq(place[7] ^ place[8])]

        left, right, product = Signal(signed(18)), Signal(signed(18)), Signal(signed(36))
        m.d.sync += product.eq(left * right)

        record, after, raw = Signal(RECORD), Signal(RECORD), Signal(CURRENT_BITS)
        applied = Signal(Y_BITS)
        current = Signal(signed(18))
        power = Signal(_POWER_SHAPE)
        duty, duty_after = Signal(DUTY_BITS), Signal(DUTY_BITS)
        at_reach = Signal()
        pass_sum = Signal(self.sum_shape)
        pass_power = Signal(signed(_POWER_SHAPE.width + (total - 1).bit_length()))
        disturbed, round_disturbed = Signal(), Signal()
        passed, round_ends = Signal(), Signal()

        m.submodules.step = step = ChannelStep()
        m.d.comb += [
            applied.eq(self._slewed(m, record, shed)),
            record_wr.en.eq(passed | step.done),
            record_wr.data.eq(Mux(step.done, step.result, after)),
            duty_wr.en.eq(passed),
            duty_wr.data.eq(duty_after),
            word_wr.en.eq(passed),
        ]
        m.d.sync += self.pass_done.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [
                    present.eq(self.present),
                    fresh.eq(self.fresh),
                    converter_fault.eq(self.converter_fault),
                    may_switch.eq(self.allowed),
                    clearing.eq(clear_asked),
                    clear_asked.eq(0),
                    hold.eq(self.hold),
                    shed.eq(self.shed),
                    autonomous.eq(self.autonomous),
                    bus.eq(self.bus_mv),
                    *(counter.eq(0) for counter in (index, channel, module, converter, converter_channel)),
                ]
                m.next = "READ"
            with m.State("READ"):
                m.next = "LATCH"
            with m.State("LATCH"):
                offset = record_rd.data.offset[OFFSET_FRACTION - _CURRENT_FRACTION :]
                m.d.sync += [
                    record.eq(record_rd.data),
                    raw.eq(self.current_data),
                    left.eq(Cat(C(0, _CURRENT_FRACTION), self.current_data) - offset),
                    right.eq(gain_rd.data),
                ]
                m.next = "DUTY"
            with m.State("DUTY"):
                m.d.sync += [left.eq(applied), right.eq(bus)]
                m.next = "CURRENT"
            with m.State("CURRENT"):
                calibrated = (product + (GAIN_ONE >> 1)) >> 15
                m.d.sync += [current.eq(calibrated), left.eq(calibrated), right.eq(bus)]
                m.next = "CLAMP"
            with m.State("CLAMP"):
                wanted = (product + (1 << (Y_SHIFT - 1))) >> Y_SHIFT
                m.d.sync += [duty.eq(Mux(wanted > DUTY_MAX, DUTY_MAX, wanted)), at_reach.eq(wanted >= DUTY_MAX)]
                m.next = "POWER"
            with m.State("POWER"):
                m.d.sync += power.eq(product >> _POWER_SHIFT)
                m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += passed.eq(1)
                m.d.sync += [index.eq(index + 1), channel.eq(channel + 1), converter_channel.eq(converter_channel + 1)]
                with m.If(converter_channel == CONVERTER_CHANNELS - 1):
                    m.d.sync += [converter_channel.eq(0), converter.eq(converter + 1)]
                with m.If(channel == self._channels - 1):
                    m.d.sync += [
                        channel.eq(0),
                        module.eq(module + 1),
                        converter_channel.eq(0),
                        converter.eq((module << 1) + module + CONVERTERS_PER_MODULE),
                    ]
                m.next = "READ"
                with m.If(index == total - 1):
                    m.next = "SUM"
            with m.State("SUM"):
                # The step of the channel whose place is the last of its step's.
                last = ~exchange[:7]
                m.d.sync += [self.channel_sum.eq(pass_sum), self.pass_done.eq(1), exchange.eq(exchange + 1), index.eq(last)]
                m.d.comb += round_ends.eq(exchange[:7] == STEP_EXCHANGES - 1)
                m.next = "IDLE"
                with m.If(last < total):
                    m.next = "STEP_READ"
            with m.State("STEP_READ"):
                m.next = "STEP_LATCH"
            with m.State("STEP_LATCH"):
                m.d.sync += record.eq(record_rd.data)
                m.next = "IDLE"
                with m.If(_switching(record_rd.data.state)):
                    m.next = "STEP_START"
            with m.State("STEP_START"):
                m.d.comb += step.start.eq(1)
                m.next = "STEP"
            with m.State("STEP"), m.If(step.done):
                m.next = "IDLE"

        m.submodules.ceiling = ceiling = CurrentCeiling()
        own_limit = Signal(16)
        overcurrent, backwards, latched = Signal(), Signal(), Signal()
        m.d.comb += [
            overcurrent.eq(current > (parameters.overcurrent_ma[:12] << (_CURRENT_FRACTION - 1))),
            backwards.eq(current + (parameters.reverse_ma[:12] << (_CURRENT_FRACTION - 1)) < 0),
            latched.eq(record.latched & ~(clearing & here & believed & ~overcurrent & ~backwards)),
        ]
        m.d.comb += [after.eq(0), after.offset.eq(record.offset), duty_after.eq(0)]
        m.d.comb += [after.latched.eq(latched), after.reversed.eq(latched & record.reversed)]
        with m.If(~here):
            m.d.comb += [after.state.eq(ChannelState.ABSENT), after.offset.eq(CURRENT_ZERO << OFFSET_FRACTION)]
        with m.Elif(~believed):
            m.d.comb += after.state.eq(ChannelState.FAULT)
        with m.Elif(record.latched | ~allowed | ~_switching(record.state)):
            self._rest(m, record, after, raw, allowed & ~latched, ~shed & ceiling.room & own_limit[4:].any())
        with m.Elif(overcurrent):
            m.d.comb += [after.state.eq(ChannelState.FAULT), after.latched.eq(1)]
        with m.Else():
            m.d.comb += [after.eq(record), after.applied.eq(applied), duty_after.eq(duty)]
            with m.If(shed):
                m.d.comb += [after.goal.eq(applied), after.state.eq(ChannelState.LIMIT)]
            with m.If((record.applied == 0) | (shed & (record.applied == Y_LEAST))):
                m.d.comb += [after.goal.eq(0), after.applied.eq(0), duty_after.eq(0)]
            self._measure(m, record, after, place, minus, power, (record.state == ChannelState.TRACK) & ~at_reach & ~shed)

        rounded = (current + (1 << (_CURRENT_FRACTION - 1))) >> _CURRENT_FRACTION
        shown = Signal(signed(16))
        m.d.comb += [
            shown.eq(Mux(believed, rounded, 0) + CURRENT_ZERO),
            word_wr.data.eq(
                Mux(here, Cat(after.state, duty_after[DITHER_BITS:], Mux(shown < 0, 0, Mux(shown > 0xFFF, 0xFFF, shown))[:CURRENT_BITS]), 0)
            ),
        ]
        with m.If(passed & counted):
            m.d.sync += [pass_sum.eq(pass_sum + rounded), pass_power.eq(pass_power + power)]
        # Last of all: so it is the registers' own reset, and no gate before each; below likewise.
        with m.If(fsm.ongoing("IDLE") & self.start):
            m.d.sync += [pass_sum.eq(0), pass_power.eq(0)]
        over_found, reverse_found = Signal(), Signal()
        with m.If(passed & after.latched):
            m.d.sync += [over_found.eq(over_found | ~after.reversed), reverse_found.eq(reverse_found | after.reversed)]
        with m.If(fsm.ongoing("SUM")):
            m.d.sync += [self.overcurrent.eq(over_found), self.reverse.eq(reverse_found), over_found.eq(0), reverse_found.eq(0)]
        with m.If(self.trip_clear):
            m.d.sync += clear_asked.eq(1)

        m.submodules.slow = slow = SlowOptimum()
        returned = Signal()
        m.d.comb += [
            own_limit.eq(
                Mux(
                    autonomous & (parameters.autonomous_limit_ma < parameters.current_limit_ma),
                    parameters.autonomous_limit_ma,
                    parameters.current_limit_ma,
                )
            ),
            step.record.eq(record),
            step.minus.eq(minus),
            step.pattern_ends.eq(place == 0),
            step.hold.eq(hold),
            step.may_return.eq(ceiling.room & ~hold & ~shed & ~returned & (step.limit_ma >= RETURN_MA)),
            step.bus_mv.eq(bus),
            step.limit_ma.eq(Mux(own_limit > ceiling.ceiling_ma, ceiling.ceiling_ma, own_limit)),
            step.ratio.eq(slow.ratio),
            step.parameters.eq(parameters),
        ]

        # The power of all channels over a round of 128 exchanges, in 32 µW × 2^12, and of the last exchange in 32 µW × 2^8.
        round_power = Signal(pass_power.shape().width + 7)
        forward = Signal(pass_power.shape().width - 1)
        m.d.comb += forward.eq(Mux(pass_power < 0, 0, pass_power))
        summed = Signal.like(round_power)
        m.d.comb += summed.eq(round_power + forward)
        with m.If(fsm.ongoing("SUM")):
            m.d.sync += round_power.eq(summed)
        with m.If(round_ends):
            m.d.sync += round_power.eq(0)
        with m.If(round_ends & exchange[7:].all()):
            m.d.sync += returned.eq(0)
        with m.Elif(step.done & (record.applied == 0) & (step.result.applied != 0)):
            m.d.sync += returned.eq(1)
        with m.If(round_ends):
            m.d.sync += [round_disturbed.eq(disturbed), disturbed.eq(0)]
        with m.Elif(passed & (hold | shed | autonomous | (record.state == ChannelState.LIMIT))):
            m.d.sync += disturbed.eq(1)
        m.d.comb += [
            ceiling.round_strobe.eq(round_ends),
            ceiling.power.eq(forward >> 8),
            ceiling.limit.eq(parameters.site_power_limit),
            slow.round_strobe.eq(round_ends),
            slow.round_power.eq((summed >> 12)[:ROUND_POWER_BITS]),
            slow.disturbed.eq(round_disturbed),
            slow.searching.eq(~autonomous & may_switch.any()),
            slow.start.eq(parameters.ratio_start),
            slow.least.eq(parameters.ratio_least),
            slow.most.eq(parameters.ratio_most),
            slow.depth.eq(parameters.probe_depth),
            slow.phase.eq(parameters.probe_phase),
            slow.steady.eq(parameters.steady),
        ]
        return m

    def _slewed(self, m, record, shed):
        """One exchange's move of the applied Y towards its goal; while the bus sheds, towards open circuit."""
        goal, gap, most = Signal(Y_BITS), Signal(Y_BITS), Signal(10)
        way, change = Signal(signed(Y_BITS + 1)), Signal(signed(Y_BITS + 1))
        falls, limited = Signal(), Signal()
        m.d.comb += [
            goal.eq(Mux(shed, Y_LEAST, record.goal)),
            way.eq(goal - record.applied),
            falls.eq(way < 0),
            # One less than the way where it falls, which at the limit makes no difference.
            gap.eq(way ^ falls.replicate(Y_BITS)),
            most.eq(self.parameters.slew[:5] * _SLEW_Y),
            limited.eq(gap >= most),
            change.eq(Cat(Mux(limited, most ^ falls.replicate(len(most)), way[: len(most)]), falls.replicate(Y_BITS + 1 - len(most)))),
        ]
        return ((Cat(C(1, 1), record.applied) + Cat(limited & falls, change).as_signed()) >> 1)[:Y_BITS]

    @staticmethod
    def _rest(m, record, after, raw, may_start, may_switch):
        """A channel that is off: once its current has decayed, the amplifier's offset is averaged; beyond what that can be, a FAULT."""
        since = Signal(range(DECAY_EXCHANGES + 1))
        zero, decayed = Signal(), Signal()
        difference = Signal(signed(CURRENT_BITS + OFFSET_FRACTION + 1))
        m.d.comb += [
            since.eq(Mux(_switching(record.state), 0, record.window[: len(since)])),
            decayed.eq(since == DECAY_EXCHANGES),
            zero.eq((raw >= CURRENT_ZERO - OFFSET_MAX) & (raw <= CURRENT_ZERO + OFFSET_MAX)),
            difference.eq(Cat(C(0, OFFSET_FRACTION), raw) - record.offset),
            after.window.eq(Mux(decayed, since, since + 1)),
            after.state.eq(Mux(after.latched | (decayed & ~zero), ChannelState.FAULT, ChannelState.OFF)),
        ]
        with m.If(zero & may_start):
            m.d.comb += [after.window.eq(0), after.spoiled.eq(1), after.state.eq(ChannelState.LIMIT)]
            with m.If(may_switch):
                m.d.comb += [after.state.eq(ChannelState.SEEK), after.goal.eq(Y_START), after.applied.eq(Y_START)]
        with m.Elif(zero & decayed):
            m.d.comb += after.offset.eq(record.offset + (difference >> _OFFSET_FILTER_LOG2))

    @staticmethod
    def _measure(m, record, after, place, minus, power, whole):
        """Sum the powers of the step's second half; remember whether anything but the perturbation moved in the pattern."""
        first = place[:7] == STEP_EXCHANGES - MEASURED_EXCHANGES
        by_sign = power[:] ^ minus.replicate(len(power))
        with m.If(place[:7] >= STEP_EXCHANGES - MEASURED_EXCHANGES):
            m.d.comb += [
                after.window.eq(Mux(first, 0, record.window) + power),
                after.pattern.eq((Cat(C(1, 1), Mux(first & (place[7:] == 0), 0, record.pattern)) + Cat(minus, by_sign).as_signed()) >> 1),
            ]
        m.d.comb += after.spoiled.eq(~whole | (record.spoiled & (place != 0)))


def _switching(state):
    """Whether a channel in this state has a duty."""
    return (state != ChannelState.ABSENT) & (state != ChannelState.OFF) & (state != ChannelState.FAULT)
