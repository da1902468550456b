"""The node's end of the module link (`module_link.py`): one exchange with all modules at once.

SCLK and sequence are common; each module has its own chip select and data lines, so three modules take no longer than one. Any slot may
be empty, and filled or emptied at any time: a slot is absent until an intact answer came from it, and again after 10 ms without one.
Currents are double-buffered, module by module: what is read is the last intact answer's while the next one arrives, at most 10 ms old,
and zero ampere where there is no module. After three bad answers in a row they are too old to be counted as energy.
Latency: an exchange takes 1,607 node clocks for 12 channels and 3,911 for 36, with any number of modules. A bad answer leaves a module's
outputs as they were. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .buck_pwm import DUTY_BITS
from .crc16 import INITIAL, crc16_step
from .module_link import (
    CHIP_SELECT_LEAD_CLOCKS,
    CURRENT_BITS,
    CURRENT_ZERO,
    DOWN_START,
    DOWN_WORDS_AT,
    EXCHANGE_HZ,
    FLAG_ENABLE,
    LOST_AFTER_S,
    SCLK_DIVIDER,
    UP_START,
    UP_WORDS_AT,
    ModuleStatus,
    frame_bytes,
)

LOST_EXCHANGES = int(LOST_AFTER_S * EXCHANGE_HZ)
STALE_EXCHANGES = 3
WORD_BITS = 16

ANSWER = data.StructLayout({"status": 8, "module_type": 8, "module_version": 8, "bootstrap_pulses": 16})
"""What an answer says of its module, besides the currents."""


class ModuleLinkMaster(wiring.Component):
    """The node's end: an exchange with all modules per `start`, until `done`.

    `duty_addr` (module × channels + channel) → `duty_data` one clock later; each is fetched once an exchange. Module k gets the flag
    `enable[k]`. `present[k]`: module k answers; `heard[k]`: it also says that it hears us; `fresh[k]`: one of its last three answers was
    intact. What is not present has status, type, version and pulses 0 and reads as zero ampere under `current_addr` (as above) →
    `current_data`, one clock later; `watch_addr` → `watch_data` is the same once more, for the protection. `errors` counts damaged answers
    of present modules and frames of ours that they did not take.
    """

    def __init__(self, channels: int, modules: int = 1):
        self._channels = channels
        self._modules = modules
        total = channels * modules
        super().__init__(
            {
                "start": In(1),
                "enable": In(modules),
                "duty_addr": Out(range(total)),
                "duty_data": In(DUTY_BITS),
                "done": Out(1),
                "status": Out(data.ArrayLayout(8, modules)),
                "module_type": Out(data.ArrayLayout(8, modules)),
                "module_version": Out(data.ArrayLayout(8, modules)),
                "bootstrap_pulses": Out(data.ArrayLayout(16, modules)),
                "current_addr": In(range(total)),
                "current_data": Out(CURRENT_BITS, init=CURRENT_ZERO),
                "watch_addr": In(range(total)),
                "watch_data": Out(CURRENT_BITS, init=CURRENT_ZERO),
                "present": Out(modules),
                "heard": Out(modules),
                "fresh": Out(modules),
                "errors": Out(16),
                "module_sclk": Out(1),
                "module_cs_n": Out(modules, init=(1 << modules) - 1),
                "module_copi": Out(modules),
                "module_cipo": In(modules),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        channels, modules = self._channels, self._modules
        total = frame_bytes(channels)
        bases = Array(Const(module * channels, range(channels * modules + 1)) for module in range(modules))
        sequence = Signal(8)

        # The line: phase within a bit, bit within a byte, byte within the frame.
        phase = Signal(range(max(SCLK_DIVIDER, CHIP_SELECT_LEAD_CLOCKS)))
        bit = Signal(3)
        index = Signal(range(total + 1))
        next_index = Signal.like(index)
        starts, bit_ends, byte_ends, finish = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [next_index.eq(index + 1), byte_ends.eq(bit_ends & (bit == 7))]
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.comb += starts.eq(1)
                m.d.sync += [self.module_cs_n.eq(0), phase.eq(0), bit.eq(0), index.eq(0)]
                m.next = "LEAD"
            with m.State("LEAD"):
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase == CHIP_SELECT_LEAD_CLOCKS - 1):
                    m.d.sync += phase.eq(0)
                    m.next = "SHIFT"
            with m.State("SHIFT"):
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase == SCLK_DIVIDER // 2 - 1):
                    m.d.sync += self.module_sclk.eq(1)
                with m.If(phase == SCLK_DIVIDER - 1):
                    m.d.comb += bit_ends.eq(1)
                    m.d.sync += [self.module_sclk.eq(0), phase.eq(0), bit.eq(bit + 1)]
                    with m.If(bit == 7):
                        m.d.sync += index.eq(next_index)
                        with m.If(index == total - 1):
                            m.next = "TRAIL"
            with m.State("TRAIL"):
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase == SCLK_DIVIDER - 1):
                    m.d.sync += self.module_cs_n.eq(~C(0, modules))
                    m.d.comb += finish.eq(1)
                    m.next = "IDLE"

        duties = self._fetch_duties(m, bases, starts, byte_ends, next_index)
        in_crc = index >= DOWN_WORDS_AT + 2 * channels
        for module in range(modules):
            self._send(m, module, starts, bit_ends, byte_ends, next_index, in_crc, sequence, duties[module])
        self._receive(m, bases, total, starts, bit_ends, finish, sequence)
        m.d.sync += self.done.eq(finish)
        with m.If(finish):
            m.d.sync += sequence.eq(sequence + 1)
        return m

    def _fetch_duties(self, m: Module, bases: Array, starts: Value, byte_ends: Value, next_index: Value) -> Array:
        """The next word of each module: fetched while the one before is on the line, whole, because the tracker may be writing."""
        channels, modules = self._channels, self._modules
        duties = Array(Signal(DUTY_BITS, name=f"duty_{module}") for module in range(modules))
        channel = Signal(range(channels + 1))
        fetched, arriving = Signal(range(modules + 1), init=modules), Signal(range(modules + 1), init=modules)
        m.d.sync += arriving.eq(fetched)
        m.d.comb += self.duty_addr.eq(Mux((fetched != modules) & (channel != channels), bases[fetched] + channel, 0))
        with m.If(fetched != modules):
            m.d.sync += fetched.eq(fetched + 1)
        with m.If(arriving != modules):
            m.d.sync += duties[arriving].eq(self.duty_data)
        with m.If(starts):
            m.d.sync += [channel.eq(0), fetched.eq(0)]
        with m.Elif(byte_ends & (next_index >= DOWN_WORDS_AT) & next_index[0] & (channel != channels)):
            m.d.sync += [channel.eq(channel + 1), fetched.eq(0)]
        return duties

    def _send(self, m: Module, module: int, starts, bit_ends, byte_ends, next_index, in_crc, sequence, duty) -> None:
        shift, crc = Signal(WORD_BITS, name=f"shift_{module}"), Signal(16, name=f"crc_{module}", init=INITIAL)
        out = Signal(name=f"out_{module}")
        m.d.comb += [out.eq(Mux(in_crc, crc[-1], shift[-1])), self.module_copi[module].eq(out)]
        with m.If(starts):
            m.d.sync += [shift.eq(Cat(sequence, C(DOWN_START, 8))), crc.eq(INITIAL)]
        with m.Elif(bit_ends):
            m.d.sync += [shift.eq(shift << 1), crc.eq(crc16_step(crc, out))]
            with m.If(byte_ends & (next_index == DOWN_WORDS_AT - 1)):
                m.d.sync += shift.eq(Mux(self.enable[module], FLAG_ENABLE << 8, 0))
            with m.Elif(byte_ends & (next_index >= DOWN_WORDS_AT) & next_index[0]):
                m.d.sync += shift.eq(duty)

    def _receive(self, m: Module, bases: Array, total: int, starts, bit_ends, finish, sequence) -> None:
        """Everything of the answers, two clocks behind the line."""
        channels, modules = self._channels, self._modules
        cipo = Signal(modules)
        m.submodules += FFSynchronizer(self.module_cipo, cipo)
        take = Signal(2)
        m.d.sync += take.eq(Cat(bit_ends, take[0]))
        bit = Signal(3)
        index = Signal(range(total + 1))
        channel = Signal(range(channels + 1))
        word_arrived = Signal()
        with m.If(starts):
            m.d.sync += [bit.eq(0), index.eq(0), channel.eq(0)]
        with m.Elif(take[1]):
            m.d.sync += bit.eq(bit + 1)
            with m.If(bit == 7):
                m.d.sync += index.eq(index + 1)
                m.d.comb += word_arrived.eq((index > UP_WORDS_AT) & ~index[0] & (channel != channels))
                with m.If(word_arrived):
                    m.d.sync += channel.eq(channel + 1)

        words = Array(Signal(CURRENT_BITS, name=f"current_{module}") for module in range(modules))
        banks = Signal(modules)
        miscounts = []
        miscounted = Signal(range(modules + 1))
        for module in range(modules):
            received, intact, deaf = self._answer(m, module, starts, take[1], cipo[module], bit, index, finish, sequence, banks)
            with m.If(word_arrived):
                m.d.sync += words[module].eq(received)
            miscounts.append(finish & self.present[module] & (~intact | deaf))
        m.d.sync += miscounted.eq(sum(miscounts))
        with m.If(self.errors < 0xFFFF - modules):
            m.d.sync += self.errors.eq(self.errors + miscounted)
        self._store(m, bases, word_arrived, channel, words, banks)

    def _answer(self, m: Module, module: int, starts, take, cipo, bit, index, finish, sequence, banks):
        """One module's answer: what has arrived so far, whether it is intact, whether the module missed our last frame."""
        shift, crc = Signal(WORD_BITS, name=f"received_{module}"), Signal(16, name=f"received_crc_{module}", init=INITIAL)
        arrived = Signal(ANSWER, name=f"answer_{module}")
        start_good, echo = Signal(name=f"start_good_{module}"), Signal(8, name=f"echo_{module}")
        now = Cat(cipo, shift[:-1])
        with m.If(take):
            m.d.sync += [shift.eq(now), crc.eq(crc16_step(crc, cipo))]
            with m.If(bit == 7), m.Switch(index):
                with m.Case(0):
                    m.d.sync += start_good.eq(now[:8] == UP_START)
                with m.Case(1):
                    m.d.sync += echo.eq(now[:8])
                with m.Case(2):
                    m.d.sync += arrived.status.eq(now[:8])
                with m.Case(3):
                    m.d.sync += arrived.module_type.eq(now[:8])
                with m.Case(4):
                    m.d.sync += arrived.module_version.eq(now[:8])
                with m.Case(6):
                    m.d.sync += arrived.bootstrap_pulses.eq(now)
        with m.If(starts):
            m.d.sync += crc.eq(INITIAL)

        intact, deaf = Signal(name=f"intact_{module}"), Signal(name=f"deaf_{module}")
        misses = Signal(range(LOST_EXCHANGES + 1), name=f"misses_{module}", init=LOST_EXCHANGES)
        hears = (arrived.status & ModuleStatus.LINK_VALID) != 0
        m.d.comb += [
            intact.eq(start_good & (crc == 0)),
            deaf.eq((echo != (sequence - 1)[:8]) & self.heard[module]),
            self.fresh[module].eq(misses < STALE_EXCHANGES),
        ]
        shown = {name: getattr(self, name)[module] for name in ("status", "module_type", "module_version", "bootstrap_pulses")}
        lost = Signal(name=f"lost_{module}")
        m.d.comb += lost.eq(finish & ~intact & (misses == LOST_EXCHANGES))
        with m.If(finish & intact):
            m.d.sync += [banks[module].eq(~banks[module]), misses.eq(0)]
            m.d.sync += [self.present[module].eq(1), self.heard[module].eq(hears)]
            m.d.sync += [value.eq(arrived[name]) for name, value in shown.items()]
        with m.Elif(finish & ~lost):
            m.d.sync += misses.eq(misses + 1)
        # Last and by itself, so that it is the flip-flops' own reset.
        with m.If(lost):
            m.d.sync += [self.present[module].eq(0), self.heard[module].eq(0)]
            m.d.sync += [value.eq(0) for value in shown.values()]
        return now, intact, deaf

    def _store(self, m: Module, bases: Array, word_arrived, channel, words: Array, banks: Value) -> None:
        """Currents as they arrive, into each module's bank that is not read."""
        channels, modules = self._channels, self._modules
        bank_words = 1 << (channels * modules - 1).bit_length()
        bank_bits = bank_words.bit_length() - 1
        m.submodules.currents = currents = Memory(shape=CURRENT_BITS, depth=2 * bank_words, init=[CURRENT_ZERO] * (2 * bank_words))
        write = currents.write_port()
        slot = Signal(range(modules + 1), init=modules)
        stored_channel = Signal(range(channels))
        with m.If(word_arrived):
            m.d.sync += [slot.eq(0), stored_channel.eq(channel)]
        with m.Elif(slot != modules):
            m.d.sync += slot.eq(slot + 1)
        m.d.comb += [
            write.en.eq(slot != modules),
            write.addr.eq(Cat(C(0, bank_bits) | (bases[slot] + stored_channel)[:bank_bits], ~banks.bit_select(slot, 1))),
            write.data.eq(words[slot]),
        ]

        for address, current in ((self.current_addr, self.current_data), (self.watch_addr, self.watch_data)):
            read = currents.read_port()
            bank, known, was_known = Signal(), Signal(), Signal()
            for module in range(modules):
                with m.If((address >= module * channels) & (address < (module + 1) * channels)):
                    m.d.comb += [bank.eq(banks[module]), known.eq(self.present[module])]
            m.d.sync += was_known.eq(known)
            m.d.comb += [
                read.addr.eq(Cat(C(0, bank_bits) | address, bank)),
                current.eq(Mux(was_known, read.data, CURRENT_ZERO)),
            ]
