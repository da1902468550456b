"""The link between the node and its power modules: what crosses it, and the master and slave that speak it.

SPI mode 0, most significant bit first, SCLK = node clock / 6 (8.33 MHz), an exchange of one module every 5,000 node clocks (10 kHz; with
several modules they take turns). Both directions run at once in one assertion of chip select of exactly 7 + 2 × channels bytes
(36 channels: 79 bytes, 3,792 node clocks). Integers are big-endian; every CRC is CRC-16/IBM-3740 over all bytes of its direction before it.

    byte     node → module                          module → node
    0        0xA5                                   0x5A
    1        sequence u8                            sequence u8 of the last good frame before this exchange
    2        flags u8: bit 0 enable                 status u8: ModuleStatus
    3, 4     duty of channel 0 u16                  type u8, version u8
    3 + 2k   duty of channel k u16
    5 + 2k                                          current of channel k u16
    3 + 2n   CRC-16, then two bytes of no meaning
    5 + 2n                                          CRC-16

n channels; a duty is counts (of 480) in bits 11 … 3 and eighths of a count in bits 2 … 0; a current is the converter's 12 bits,
2048 = 0 A, 2 mA a step; upper bits are 0. Type 1, version 1. The slave takes COPI at the rising SCLK and changes CIPO after the
falling one; the master takes CIPO at the end of the bit, because 48 MHz oversampling answers 42 to 63 ns late. Chip select
rests high for at least 100 ns. A frame is good when start byte, CRC and length are right and its sequence is 1 to 127 ahead of
the last good one (mod 256); only the duties and flags of a good frame are ever applied, all at once. After power-up and after a
loss, the first frame with a good CRC only sets the sequence. The slave's link is lost after 10 ms without a good frame or 3 bad
ones in a row; the node calls a module absent after 10 ms without a good answer.
Latency: duties apply at the end of the exchange, 1,530 node clocks for 12 channels. Area, 12 channels: slave 231 LUT4, 48
carry, 168 FF, 1 RAM on iCE40; master 168 LUT4, 40 CCU2, 152 FF on LIFCL.
"""

from __future__ import annotations

import enum

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .buck_pwm import DUTY_BITS
from .crc16 import INITIAL, crc16_step

EXCHANGE_HZ = 10_000
SCLK_DIVIDER = 6
DOWN_START = 0xA5
UP_START = 0x5A
FLAG_ENABLE = 1 << 0
MODULE_TYPE = 1
"""A power module of synchronous bucks with 5 mohm shunts."""
MODULE_VERSION = 1
CURRENT_BITS = 12
CURRENT_ZERO = 2048
LOST_AFTER_S = 10e-3
LOST_AFTER_BAD = 3
DOWN_WORDS_AT = 3
UP_WORDS_AT = 5
CHIP_SELECT_LEAD_CLOCKS = 16
"""From chip select to the first SCLK: the slave needs four of its own to see it."""


class ModuleStatus(enum.IntFlag):
    """Status byte of a module."""

    LINK_VALID = 1 << 0
    DRIVERS_ENABLED = 1 << 1
    CONVERTER_FAULT = 1 << 2
    RUN = 1 << 3


def frame_bytes(channels: int) -> int:
    """Bytes of one exchange with a module of so many channels."""
    return UP_WORDS_AT + 2 * channels + 2


def exchange_clocks(channels: int) -> int:
    """Node clocks from `start` to `done` of one exchange."""
    return CHIP_SELECT_LEAD_CLOCKS + frame_bytes(channels) * 8 * SCLK_DIVIDER + SCLK_DIVIDER + 1


class ModuleLinkSlave(wiring.Component):
    """The module's end. `valid`: the link is up; `enable`: flag of the last good frame, 0 while the link is lost.

    `duty_addr` → `duty_data` one clock later, of the last good frame; `current_addr` → `current_data` is fetched for sending.
    """

    def __init__(self, clock_hz, channels):
        self._channels = channels
        self._lost_clocks = int(LOST_AFTER_S * clock_hz)
        super().__init__(
            {
                "link_sclk": In(1),
                "link_cs_n": In(1, init=1),
                "link_copi": In(1),
                "link_cipo": Out(1),
                "status": In(8),
                "valid": Out(1),
                "enable": Out(1),
                "duty_addr": In(range(channels)),
                "duty_data": Out(DUTY_BITS),
                "current_addr": Out(range(channels)),
                "current_data": In(CURRENT_BITS),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        channels = self._channels
        total = frame_bytes(channels)

        # Asynchronous inputs, all with the same delay.
        sclk, cs_n, copi = Signal(), Signal(init=1), Signal()
        m.submodules += [
            FFSynchronizer(self.link_sclk, sclk),
            FFSynchronizer(self.link_cs_n, cs_n, init=1),
            FFSynchronizer(self.link_copi, copi),
        ]
        sclk_before, cs_n_before = Signal(), Signal(init=1)
        m.d.sync += [sclk_before.eq(sclk), cs_n_before.eq(cs_n)]
        select, deselect, rise, fall = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            select.eq(cs_n_before & ~cs_n),
            deselect.eq(~cs_n_before & cs_n),
            rise.eq(~cs_n & sclk & ~sclk_before),
            fall.eq(~cs_n & ~sclk & sclk_before),
        ]

        # Duties: the bank that is not in use receives.
        bank_words = 1 << (channels - 1).bit_length()
        m.submodules.duties = duties = Memory(shape=DUTY_BITS, depth=2 * bank_words, init=[])
        bank = Signal()
        duty_rd, duty_wr = duties.read_port(), duties.write_port()
        bank_bits = bank_words.bit_length() - 1
        m.d.comb += [duty_rd.addr.eq(Cat(C(0, bank_bits) | self.duty_addr, bank)), self.duty_data.eq(duty_rd.data)]

        # Receive.
        rx_bit = Signal(3)
        rx_index = Signal(range(total + 2))
        rx_shift = Signal(16)
        rx_next = Cat(copi, rx_shift[:15])
        rx_crc = Signal(16)
        rx_crc_next = Signal(16)
        crc_good, start_good = Signal(), Signal()
        sequence, flags = Signal(8), Signal(1)
        rx_channel = Signal(range(channels + 1))
        m.d.comb += rx_crc_next.eq(crc16_step(rx_crc, copi))
        m.d.comb += [duty_wr.addr.eq(Cat(C(0, bank_bits) | rx_channel[:bank_bits], ~bank)), duty_wr.data.eq(rx_next)]
        with m.If(select):
            m.d.sync += [rx_bit.eq(0), rx_index.eq(0), rx_crc.eq(INITIAL), crc_good.eq(0), start_good.eq(0), rx_channel.eq(0)]
        with m.Elif(rise):
            m.d.sync += [rx_shift.eq(rx_next), rx_bit.eq(rx_bit + 1), rx_crc.eq(rx_crc_next)]
            with m.If(rx_bit == 7):
                with m.If(rx_index <= total):
                    m.d.sync += rx_index.eq(rx_index + 1)
                with m.If(rx_index == 0):
                    m.d.sync += start_good.eq(rx_next[:8] == DOWN_START)
                with m.If(rx_index == 1):
                    m.d.sync += sequence.eq(rx_next[:8])
                with m.If(rx_index == 2):
                    m.d.sync += flags.eq(rx_next[:1])
                with m.If((rx_index >= DOWN_WORDS_AT) & (rx_channel != channels) & ~rx_index[0]):
                    m.d.comb += duty_wr.en.eq(1)
                    m.d.sync += rx_channel.eq(rx_channel + 1)
                with m.If(rx_index == DOWN_WORDS_AT + 2 * channels + 1):
                    m.d.sync += crc_good.eq(rx_crc_next == 0)

        # Judge at the end of chip select.
        last_good = Signal(8)
        known = Signal()
        bad_frames = Signal(range(LOST_AFTER_BAD + 1))
        silence = Signal(range(self._lost_clocks + 1))
        ahead = Signal(8)
        intact, fresh = Signal(), Signal()
        m.d.comb += [
            ahead.eq(sequence - last_good),
            intact.eq(start_good & crc_good & (rx_index == total) & (rx_bit == 0)),
            fresh.eq((ahead != 0) & ~ahead[7]),
        ]
        with m.If(silence != self._lost_clocks):
            m.d.sync += silence.eq(silence + 1)
        with m.Else():
            m.d.sync += [known.eq(0), self.valid.eq(0), self.enable.eq(0)]
        with m.If(deselect):
            with m.If(intact & (fresh | ~known)):
                m.d.sync += [known.eq(1), last_good.eq(sequence), bad_frames.eq(0), silence.eq(0)]
                with m.If(known):
                    m.d.sync += [self.valid.eq(1), self.enable.eq(flags[0]), bank.eq(~bank)]
            with m.Elif(bad_frames == LOST_AFTER_BAD - 1):
                m.d.sync += [known.eq(0), self.valid.eq(0), self.enable.eq(0), bad_frames.eq(0)]
            with m.Else():
                m.d.sync += bad_frames.eq(bad_frames + 1)

        # Send: each bit is on the line before its rising SCLK; the CRC leaves by its own top bit.
        tx_bit = Signal(3)
        tx_index = Signal(range(total + 2))
        tx_shift = Signal(8)
        tx_crc = Signal(16)
        tx_byte = Signal(8)
        tx_next_index = Signal.like(tx_index)
        in_crc = Signal()
        out = Signal()
        m.d.comb += [
            tx_next_index.eq(tx_index + 1),
            in_crc.eq(tx_index >= UP_WORDS_AT + 2 * channels),
            out.eq(Mux(in_crc, tx_crc[15], tx_shift[7])),
            self.link_cipo.eq(out),
        ]
        current_low = Signal(8)  # taken with the high byte: the converter may store a new sample between the two
        tx_channel = Signal(range(channels + 1))
        m.d.comb += self.current_addr.eq(Mux(tx_channel == channels, 0, tx_channel))
        with m.Switch(tx_next_index):
            with m.Case(1):
                m.d.comb += tx_byte.eq(last_good)
            with m.Case(2):
                m.d.comb += tx_byte.eq(self.status)
            with m.Case(3):
                m.d.comb += tx_byte.eq(MODULE_TYPE)
            with m.Case(4):
                m.d.comb += tx_byte.eq(MODULE_VERSION)
            with m.Default():
                m.d.comb += tx_byte.eq(Mux(tx_next_index[0], self.current_data[8:], current_low))
        with m.If(select):
            m.d.sync += [tx_bit.eq(0), tx_index.eq(0), tx_shift.eq(UP_START), tx_crc.eq(INITIAL), tx_channel.eq(0)]
        with m.Elif(fall):
            m.d.sync += [tx_bit.eq(tx_bit + 1), tx_shift.eq(tx_shift << 1), tx_crc.eq(crc16_step(tx_crc, out))]
            with m.If(tx_bit == 7):
                m.d.sync += tx_shift.eq(tx_byte)
                with m.If(tx_next_index[0]):
                    m.d.sync += current_low.eq(self.current_data[:8])
                with m.If(tx_index <= total):
                    m.d.sync += tx_index.eq(tx_next_index)
                # The low byte of a current has just been loaded.
                with m.If((tx_next_index > UP_WORDS_AT) & ~tx_next_index[0] & (tx_channel != channels)):
                    m.d.sync += tx_channel.eq(tx_channel + 1)
        return m


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
