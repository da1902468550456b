"""What the node measures with, hashed by the node itself: the calibration as it was loaded, so that no host can name another.

Reference: `thermogen_esf.hostlink.CALIBRATION_HASH_WORDS` (which words, in which order). Every word that goes into the tables of the site
inputs and of the channels is kept a second time; `armed` fixes the tables until power-off, and this copy is hashed once, before the first
leaf, by the core that hashes the leaves.
Latency: about 6,700 clocks from `armed`, with the small core. Area, LIFCL (synthesis): 35 COMB, 147 FF, 1 EBR.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CALIBRATION_HASH_BYTES,
    CALIBRATION_HASH_WORDS,
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_ONE,
    CHANNEL_GAIN_WORDS,
)

from .calibration import DEFAULT_CALIBRATION
from .keccak import HashSignature

WORD_BITS = 16
ADDRESS_BITS = max(CALIBRATION_HASH_WORDS).bit_length()


def _after_power_up() -> list[int]:
    """The copy as the tables are before anybody writes them; what is at no table's address is never read."""
    words = [0] * (1 << ADDRESS_BITS)
    for place, one in enumerate(DEFAULT_CALIBRATION.values()):
        words[CALIBRATION_BASE + 2 * place : CALIBRATION_BASE + 2 * place + 2] = [one.gain, one.offset & 0xFFFF]
    words[CHANNEL_GAIN_BASE : CHANNEL_GAIN_BASE + CHANNEL_GAIN_WORDS] = [CHANNEL_GAIN_ONE] * CHANNEL_GAIN_WORDS
    return words


class CalibrationHash(wiring.Component):
    """`write` says that `data` is written to the table word at `address`. Once `armed` is seen, `value` is the hash as soon as `ready`;
    it is 0 before.

    `core` hashes for `user` except from `armed` to `ready`: `user` has to begin after that.
    """

    address: In(WORD_BITS)
    data: In(WORD_BITS)
    write: In(1)
    armed: In(1)
    user: In(HashSignature())
    core: Out(HashSignature())
    value: Out(8 * CALIBRATION_HASH_BYTES)
    ready: Out(1)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.copy = copy = Memory(shape=WORD_BITS, depth=1 << ADDRESS_BITS, init=_after_power_up())
        write, read = copy.write_port(), copy.read_port()
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.data), write.en.eq(self.write)]

        message, digest = self.core.message, self.core.digest
        m.d.comb += self.user.digest.payload.eq(digest.payload)
        with m.If(self.ready):
            m.d.comb += [
                message.valid.eq(self.user.message.valid),
                message.payload.eq(self.user.message.payload),
                self.user.message.ready.eq(message.ready),
                self.user.digest.valid.eq(digest.valid),
                digest.ready.eq(self.user.digest.ready),
            ]

        address, lower = Signal(ADDRESS_BITS, init=CALIBRATION_HASH_WORDS[0]), Signal()
        m.d.comb += read.addr.eq(address)
        with m.FSM():
            with m.State("LOADING"), m.If(self.armed):
                m.next = "FETCH"

            with m.State("FETCH"):
                m.next = "GIVE"

            with m.State("GIVE"):
                m.d.comb += [
                    message.valid.eq(1),
                    message.payload.keep.eq(1),
                    message.payload.data.eq(read.data.word_select(~lower, 8)),
                    message.payload.last.eq(lower & (address == CALIBRATION_HASH_WORDS[-1])),
                ]
                with m.If(message.ready):
                    m.d.sync += lower.eq(~lower)
                    with m.If(lower):
                        m.d.sync += address.eq(address + 1)
                        with m.If(address == CALIBRATION_HASH_WORDS[CALIBRATION_HASH_WORDS.index(CHANNEL_GAIN_BASE) - 1]):
                            m.d.sync += address.eq(CHANNEL_GAIN_BASE)
                        m.next = "DIGEST"
                        with m.If(~message.payload.last):
                            m.next = "FETCH"

            with m.State("DIGEST"):
                taken, begun = Signal(range(CALIBRATION_HASH_BYTES + 1)), Signal.like(self.value)
                m.d.comb += digest.ready.eq(1)
                with m.If(digest.valid):
                    with m.If(taken != CALIBRATION_HASH_BYTES):
                        m.d.sync += [begun.eq(Cat(digest.payload.data, begun)), taken.eq(taken + 1)]
                    with m.If(digest.payload.last):
                        m.d.sync += [self.value.eq(begun), self.ready.eq(1)]
                        m.next = "HASHED"

            with m.State("HASHED"):
                pass
        return m
