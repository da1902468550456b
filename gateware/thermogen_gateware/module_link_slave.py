"""The module's end of the module link (`module_link.py`): takes duties and flags, answers with status and currents.

Latency: duties apply at the end of the exchange. Area, iCE40: 270 LUT4, 58 carry, 169 FF, 1 RAM with 12
channels; 280 LUT4, 68 carry, 177 FF, 1 RAM with 36.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .buck_pwm import DUTY_BITS
from .crc16 import INITIAL, crc16_step
from .module_link import (
    CURRENT_BITS,
    DOWN_START,
    DOWN_WORDS_AT,
    LOST_AFTER_BAD,
    LOST_AFTER_S,
    MODULE_TYPE,
    MODULE_VERSION,
    UP_BOOTSTRAP_AT,
    UP_START,
    UP_WORDS_AT,
    frame_bytes,
)

EARLY_BELOW_HZ = 40_000_000
"""Three clocks after the falling SCLK the next bit would be too late for an SCLK of 8.33 MHz: such a slave turns at the rising one."""


class ModuleLinkSlave(wiring.Component):
    """The module's end. `valid`: the link is up; `enable`: flag of the last good frame, 0 while the link is lost; `applied`: a good
    frame has just been applied.

    `duty_addr` → `duty_data` one clock later, of the last good frame; `current_addr` → `current_data` is fetched for sending.
    """

    def __init__(self, clock_hz, channels):
        self._channels = channels
        self._lost_clocks = int(LOST_AFTER_S * clock_hz)
        self._early = clock_hz < EARLY_BELOW_HZ
        super().__init__(
            {
                "link_sclk": In(1),
                "link_cs_n": In(1, init=1),
                "link_copi": In(1),
                "link_cipo": Out(1),
                "status": In(8),
                "valid": Out(1),
                "enable": Out(1),
                "applied": Out(1),
                "duty_addr": In(range(channels)),
                "duty_data": Out(DUTY_BITS),
                "current_addr": Out(range(channels)),
                "current_data": In(CURRENT_BITS),
                "bootstrap_pulses": In(16),
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
        select, deselect, rise, fall, turn = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            select.eq(cs_n_before & ~cs_n),
            deselect.eq(~cs_n_before & cs_n),
            rise.eq(~cs_n & sclk & ~sclk_before),
            fall.eq(~cs_n & ~sclk & sclk_before),
            turn.eq(rise if self._early else fall),
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
        m.d.sync += self.applied.eq(deselect & intact & fresh & known)
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

        # Send: each bit is on the line before the falling SCLK that ends it; the CRC leaves by its own top bit.
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
        word = Signal(16)
        word_low = Signal(8)  # taken with the high byte: a new sample may be stored between the two
        tx_channel = Signal(range(channels + 1))
        m.d.comb += self.current_addr.eq(Mux(tx_channel == channels, 0, tx_channel))
        m.d.comb += word.eq(Mux(tx_next_index == UP_BOOTSTRAP_AT, self.bootstrap_pulses, self.current_data))
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
                m.d.comb += tx_byte.eq(Mux(tx_next_index[0], word[8:], word_low))
        with m.If(select):
            m.d.sync += [tx_bit.eq(0), tx_index.eq(0), tx_shift.eq(UP_START), tx_crc.eq(INITIAL), tx_channel.eq(0)]
        with m.Elif(turn):
            m.d.sync += [tx_bit.eq(tx_bit + 1), tx_shift.eq(tx_shift << 1), tx_crc.eq(crc16_step(tx_crc, out))]
            with m.If(tx_bit == 7):
                m.d.sync += tx_shift.eq(tx_byte)
                with m.If(tx_next_index[0]):
                    m.d.sync += word_low.eq(word[:8])
                with m.If(tx_index <= total):
                    m.d.sync += tx_index.eq(tx_next_index)
                # The low byte of a current has just been loaded.
                with m.If((tx_next_index > UP_WORDS_AT) & ~tx_next_index[0] & (tx_channel != channels)):
                    m.d.sync += tx_channel.eq(tx_channel + 1)
        return m
