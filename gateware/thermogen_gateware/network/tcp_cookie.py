"""HalfSipHash-2-4 of a connection attempt: the initial sequence number, and the proof that whoever completes the handshake has seen it.

Reference: Aumasson and Bernstein, SipHash, in the 32-bit form of the authors' reference code; RFC 6528 and RFC 4987 section 3.6 for its
use. Latency: 28 clocks from `start` to `done`.
"""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

MESSAGE_WORDS = 3
COMPRESSION_ROUNDS = 2
FINAL_ROUNDS = 4
_LENGTH_WORD = 4 * MESSAGE_WORDS << 24


class TcpCookie(wiring.Component):
    """`word0` to `word2` are hashed from `start` (strobe) to `done`, a level; `hash` holds until the next start."""

    key: In(64)
    word0: In(32)
    word1: In(32)
    word2: In(32)
    start: In(1)
    done: Out(1)
    hash: Out(32)

    def elaborate(self, _platform):
        m = Module()
        v = [Signal(32, name=f"v{index}") for index in range(4)]
        step = Signal(range(2 * FINAL_ROUNDS))
        word = Signal(range(MESSAGE_WORDS + 2))
        running = Signal()
        message = Signal(32)
        last_of_word = Signal()
        with m.Switch(word):
            for index, value in enumerate((self.word0, self.word1, self.word2, C(_LENGTH_WORD, 32))):
                with m.Case(index):
                    m.d.comb += message.eq(value)
        m.d.comb += [
            self.done.eq(~running),
            self.hash.eq(v[1] ^ v[3]),
            last_of_word.eq(Mux(word == MESSAGE_WORDS + 1, step == 2 * FINAL_ROUNDS - 1, step == 2 * COMPRESSION_ROUNDS - 1)),
        ]
        # A round is two halves of two additions each; the second pairs the words crosswise.
        other0 = Mux(step[0], v[3], v[1])
        other2 = Mux(step[0], v[1], v[3])
        sum0, sum2 = Signal(32), Signal(32)
        m.d.comb += [sum0.eq(v[0] + other0), sum2.eq(v[2] + other2)]
        injecting = Signal()
        with m.If(self.start):
            m.d.sync += [
                v[0].eq(self.key[:32]),
                v[1].eq(self.key[32:]),
                v[2].eq(self.key[:32] ^ 0x6C796765),
                v[3].eq(self.key[32:] ^ 0x74656462),
                step.eq(0),
                word.eq(0),
                running.eq(1),
                injecting.eq(1),
            ]
        with m.Elif(running & injecting):
            m.d.sync += injecting.eq(0)
            with m.If(word == MESSAGE_WORDS + 1):
                m.d.sync += v[2].eq(v[2] ^ 0xFF)
            with m.Else():
                m.d.sync += v[3].eq(v[3] ^ message)
        with m.Elif(running):
            m.d.sync += step.eq(step + 1)
            with m.If(~step[0]):
                m.d.sync += [
                    v[0].eq(sum0.rotate_left(16)),
                    v[1].eq(v[1].rotate_left(5) ^ sum0),
                    v[2].eq(sum2),
                    v[3].eq(v[3].rotate_left(8) ^ sum2),
                ]
            with m.Else():
                m.d.sync += [
                    v[0].eq(sum0),
                    v[3].eq(v[3].rotate_left(7) ^ sum0),
                    v[2].eq(sum2.rotate_left(16)),
                    v[1].eq(v[1].rotate_left(13) ^ sum2),
                ]
            with m.If(last_of_word):
                m.d.sync += [step.eq(0), word.eq(word + 1), injecting.eq(1)]
                with m.If(word == MESSAGE_WORDS + 1):
                    m.d.sync += running.eq(0)
                with m.Else():
                    # The word's other half of the injection, on top of the round's result.
                    m.d.sync += v[0].eq(sum0 ^ message)
        return m
