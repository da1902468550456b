"""The node's end of the module link (`module_link.py`).

Latency: an exchange takes 1,607 node clocks for 12 channels. Area, 12 channels: 168 LUT4, 40 CCU2, 152 FF on LIFCL.
"""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
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
    frame_bytes,
)


class ModuleLinkMaster(wiring.Component):
    """The node's end: one exchange with `module` per `start`.

    `duty_addr` (module × channels + channel) → `duty_data` is fetched while sending. At `done`: `good` says whether the module's answer was
    intact; then `status`, and the currents under `current_addr` (as above) → `current_data` one clock later, are its. A bad answer
    leaves the currents of the last good one. `present`: the module answers; `heard`: it also says that it hears us.
    """

    def __init__(self, channels, modules=1):
        self._channels = channels
        self._modules = modules
        self._lost_exchanges = max(1, int(LOST_AFTER_S * EXCHANGE_HZ) // modules)
        super().__init__(
            {
                "start": In(1),
                "module": In(range(max(modules, 2))),
                "enable": In(1),
                "duty_addr": Out(range(channels * modules)),
                "duty_data": In(DUTY_BITS),
                "done": Out(1),
                "good": Out(1),
                "status": Out(8),
                "current_addr": In(range(channels * modules)),
                "current_data": Out(CURRENT_BITS),
                "present": Out(modules),
                "heard": Out(modules),
                "errors": Out(16),
                "module_sclk": Out(1),
                "module_cs_n": Out(modules, init=(1 << modules) - 1),
                "module_copi": Out(1),
                "module_cipo": In(modules),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        channels, modules = self._channels, self._modules
        total = frame_bytes(channels)

        cipo_lanes = Signal(modules)
        m.submodules += FFSynchronizer(self.module_cipo, cipo_lanes)
        cipo = Signal()
        m.d.comb += cipo.eq(cipo_lanes.bit_select(self.module, 1))

        # Currents: each module's bank that is not in use receives.
        bank_words = 1 << (channels * modules - 1).bit_length()
        bank_bits = bank_words.bit_length() - 1
        m.submodules.currents = currents = Memory(shape=CURRENT_BITS, depth=2 * bank_words, init=[CURRENT_ZERO] * (2 * bank_words))
        current_rd, current_wr = currents.read_port(), currents.write_port()
        banks = Signal(modules)
        bank = Signal()
        m.d.comb += [
            bank.eq(banks.bit_select(self.module, 1)),
            current_rd.addr.eq(Cat(C(0, bank_bits) | self.current_addr, bank)),
            self.current_data.eq(current_rd.data),
        ]
        bases = Array(C(k * channels, range(channels * modules + 1)) for k in range(modules))
        base = Signal(range(channels * modules + 1))
        m.d.comb += base.eq(bases[self.module])

        sequences = Array(Signal(8, name=f"sequence_{k}") for k in range(modules))
        sequence = Signal(8)
        m.d.comb += sequence.eq(sequences[self.module])

        # Send.
        phase = Signal(range(max(SCLK_DIVIDER, CHIP_SELECT_LEAD_CLOCKS)))
        bit = Signal(3)
        index = Signal(range(total + 1))
        shift = Signal(8)
        crc = Signal(16)
        out = Signal()
        tx_channel = Signal(range(channels + 1))
        next_index = Signal.like(index)
        next_byte = Signal(8)
        m.d.comb += [
            next_index.eq(index + 1),
            out.eq(Mux(index >= DOWN_WORDS_AT + 2 * channels, crc[15], shift[7])),
            self.module_copi.eq(out),
            self.duty_addr.eq(Mux(tx_channel == channels, 0, base + tx_channel)),
        ]
        with m.Switch(next_index):
            with m.Case(1):
                m.d.comb += next_byte.eq(sequence)
            with m.Case(2):
                m.d.comb += next_byte.eq(Mux(self.enable, FLAG_ENABLE, 0))
            with m.Default():
                m.d.comb += next_byte.eq(Mux(next_index[0], self.duty_data[8:], self.duty_data[:8]))

        bit_end = Signal()
        finish = Signal()
        take = Signal(2)
        m.d.sync += take.eq(Cat(bit_end, take[0]))
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [
                    self.module_cs_n.eq(~(1 << self.module)),
                    phase.eq(0),
                    bit.eq(0),
                    index.eq(0),
                    shift.eq(DOWN_START),
                    crc.eq(INITIAL),
                    tx_channel.eq(0),
                ]
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
                    m.d.comb += bit_end.eq(1)
                    m.d.sync += [
                        self.module_sclk.eq(0),
                        phase.eq(0),
                        bit.eq(bit + 1),
                        shift.eq(shift << 1),
                        crc.eq(crc16_step(crc, out)),
                    ]
                    with m.If(bit == 7):
                        m.d.sync += [index.eq(next_index), shift.eq(next_byte)]
                        with m.If((next_index > DOWN_WORDS_AT) & ~next_index[0] & (tx_channel != channels)):
                            m.d.sync += tx_channel.eq(tx_channel + 1)
                        with m.If(index == total - 1):
                            m.next = "TRAIL"
            with m.State("TRAIL"):
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase == SCLK_DIVIDER - 1):
                    m.d.sync += self.module_cs_n.eq(~C(0, modules))
                    m.d.comb += finish.eq(1)
                    m.next = "IDLE"

        # Receive, two clocks behind the line.
        rx_bit = Signal(3)
        rx_index = Signal(range(total + 1))
        rx_shift = Signal(16)
        rx_next = Cat(cipo, rx_shift[:15])
        rx_crc = Signal(16)
        rx_channel = Signal(range(channels + 1))
        start_good = Signal()
        echo = Signal(8)
        m.d.comb += [
            current_wr.addr.eq(Cat(C(0, bank_bits) | (base + rx_channel)[:bank_bits], ~bank)),
            current_wr.data.eq(rx_next),
        ]
        with m.If(self.start):
            m.d.sync += [rx_bit.eq(0), rx_index.eq(0), rx_crc.eq(INITIAL), rx_channel.eq(0)]
        with m.Elif(take[1]):
            m.d.sync += [rx_shift.eq(rx_next), rx_bit.eq(rx_bit + 1), rx_crc.eq(crc16_step(rx_crc, cipo))]
            with m.If(rx_bit == 7):
                m.d.sync += rx_index.eq(rx_index + 1)
                with m.If(rx_index == 0):
                    m.d.sync += start_good.eq(rx_next[:8] == UP_START)
                with m.If(rx_index == 1):
                    m.d.sync += echo.eq(rx_next[:8])
                with m.If(rx_index == 2):
                    m.d.sync += self.status.eq(rx_next[:8])
                with m.If((rx_index > UP_WORDS_AT) & ~rx_index[0] & (rx_channel != channels)):
                    m.d.comb += current_wr.en.eq(1)
                    m.d.sync += rx_channel.eq(rx_channel + 1)

        # Judge.
        misses = Array(Signal(range(self._lost_exchanges + 1), name=f"misses_{k}", init=self._lost_exchanges) for k in range(modules))
        missed = misses[self.module]
        intact = Signal()
        m.d.comb += intact.eq(start_good & (rx_crc == 0))
        m.d.sync += self.done.eq(finish)
        with m.If(finish):
            m.d.sync += [self.good.eq(intact), sequences[self.module].eq(sequence + 1)]
            with m.If(intact):
                m.d.sync += [
                    banks.bit_select(self.module, 1).eq(~bank),
                    missed.eq(0),
                    self.present.bit_select(self.module, 1).eq(1),
                    self.heard.bit_select(self.module, 1).eq(self.status[0]),
                ]
            with m.Elif(missed == self._lost_exchanges):
                m.d.sync += [self.present.bit_select(self.module, 1).eq(0), self.heard.bit_select(self.module, 1).eq(0)]
            with m.Else():
                m.d.sync += missed.eq(missed + 1)
            # A frame counts as bad where a module is: its answer was damaged, or it did not take our last one.
            deaf = (echo != (sequence - 1)[:8]) & self.heard.bit_select(self.module, 1)
            with m.If(self.present.bit_select(self.module, 1) & (~intact | deaf) & ~self.errors.all()):
                m.d.sync += self.errors.eq(self.errors + 1)
        return m
