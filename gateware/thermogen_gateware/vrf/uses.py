"""The two things that a node proves, and no others: what an epoch holds (a seal), and what a day's draw of witnesses comes to (a draw).

Reference: `thermogen_esf.vrf_inputs` (every byte of both), the prover of `prover.py`. Each use has its prefix and its length built in, so
that neither can be taken for the other whatever its fields hold. A seal's root comes by a stream of its own, from the Merkle tree; the
counter that says which epochs were sealed moves before the prover hears of the seal. Seals are chained by the first half of the output of
the one before: RFC 9381 3.2's collision resistance makes that as good as a hash of it.
Latency: one clock a byte besides the prover's.
Area, LIFCL (synthesis, fields from outside): 464 COMB, 13 FF.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.vrf_inputs import DRAW_BYTES, DRAW_FIELDS, DRAW_PREFIX, HASH_BYTES, SEAL_BYTES, SEAL_FIELDS, SEAL_PREFIX

from ..sha3 import byte_layout, message_layout
from .prover import PROOF_BYTES, ProverError

DRAWN_BYTES = sum(DRAW_FIELDS.values()) - DRAW_FIELDS["site"]
"""The UTC day's number, the root over its seals, the beacon."""


def answer_layout() -> data.StructLayout:
    """One byte of a proof and its output; `draw` says which of the two uses it is of."""
    return data.StructLayout({"data": 8, "last": 1, "draw": 1})


class ProofUses(wiring.Component):
    """Between a node and its prover.

    A byte at `root` begins a seal, one at `draw` a draw: 32 and 68 bytes are taken. `advance` asks the keeper of the counter to note that
    the epoch is being sealed; the seal goes on with `advanced` and is given up with `refused`. `unchain` makes the next seal the first
    of a chain. `answer` gives proof and output; where the prover gives none, `failed` is high for a clock.
    """

    site: In(64)
    epoch: In(32)
    boot_count: In(32)
    leaf_count: In(16)
    profile_hash: In(64)
    calibration_hash: In(64)
    root: In(stream.Signature(byte_layout()))
    draw: In(stream.Signature(8))
    advance: Out(1)
    advanced: In(1)
    refused: In(1)
    unchain: In(1)
    answer: Out(stream.Signature(answer_layout()))
    failed: Out(1)
    alpha: Out(stream.Signature(message_layout()))
    result: In(stream.Signature(byte_layout()))
    done: In(1)
    error: In(ProverError)

    def elaborate(self, _platform):
        m = Module()
        # The output of the seal before, and zeros before the first of a boot.
        chained = Signal()
        m.submodules.previous = previous = Memory(shape=8, depth=HASH_BYTES, init=[])
        previous_read, previous_write = previous.read_port(domain="comb"), previous.write_port()

        drawing = Signal()
        place = Signal(8)
        seal, at = [*SEAL_PREFIX], {}
        for name, length in SEAL_FIELDS.items():
            at[name] = range(len(seal), len(seal) + length)
            port = 0 if name in ("previous", "root") else getattr(self, name)
            seal += [port.word_select(length - 1 - byte, 8) if name not in ("previous", "root") else 0 for byte in range(length)]
        fixed_draw = [*DRAW_PREFIX, *seal[at["site"].start : at["site"].stop]]

        alpha, result, answer = self.alpha, self.result, self.answer
        in_previous, in_root = Signal(), Signal()
        m.d.comb += [
            in_previous.eq((place >= at["previous"].start) & (place < at["previous"].stop)),
            in_root.eq((place >= at["root"].start) & (place < at["root"].stop)),
            previous_read.addr.eq(place - at["previous"].start),
            alpha.payload.keep.eq(1),
            previous_write.addr.eq(place - PROOF_BYTES),
            previous_write.data.eq(result.payload.data),
            answer.payload.eq(Cat(result.payload.data, result.payload.last, drawing)),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += place.eq(0)
                with m.If(self.root.valid):
                    m.d.sync += drawing.eq(0)
                    m.next = "ADVANCE"
                with m.Elif(self.draw.valid):
                    m.d.sync += drawing.eq(1)
                    m.next = "DRAW"

            with m.State("ADVANCE"):
                m.d.comb += self.advance.eq(1)
                with m.If(self.refused):
                    m.next = "DROP"
                with m.Elif(self.advanced):
                    m.next = "SEAL"

            with m.State("DROP"):
                m.d.comb += self.root.ready.eq(1)
                with m.If(self.root.valid):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == HASH_BYTES - 1):
                        m.d.comb += self.failed.eq(1)
                        m.next = "IDLE"

            with m.State("SEAL"):
                m.d.comb += [
                    alpha.valid.eq(~in_root | self.root.valid),
                    alpha.payload.data.eq(Array(seal)[place]),
                    alpha.payload.last.eq(place == SEAL_BYTES - 1),
                ]
                with m.If(in_previous):
                    m.d.comb += alpha.payload.data.eq(Mux(chained, previous_read.data, 0))
                with m.If(in_root):
                    m.d.comb += [alpha.payload.data.eq(self.root.payload.data), self.root.ready.eq(alpha.ready)]
                with m.If(alpha.valid & alpha.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(alpha.payload.last):
                        m.d.sync += place.eq(0)
                        m.next = "ANSWER"

            with m.State("DRAW"):
                m.d.comb += [
                    alpha.valid.eq((place < len(fixed_draw)) | self.draw.valid),
                    alpha.payload.data.eq(Array(fixed_draw)[place]),
                    alpha.payload.last.eq(place == DRAW_BYTES - 1),
                ]
                with m.If(place >= len(fixed_draw)):
                    m.d.comb += [alpha.payload.data.eq(self.draw.payload), self.draw.ready.eq(alpha.ready)]
                with m.If(alpha.valid & alpha.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(alpha.payload.last):
                        m.d.sync += place.eq(0)
                        m.next = "ANSWER"

            with m.State("ANSWER"):
                m.d.comb += [answer.valid.eq(result.valid), result.ready.eq(answer.ready)]
                with m.If(result.valid & result.ready):
                    m.d.sync += place.eq(place + 1)
                    m.d.comb += previous_write.en.eq(~drawing & (place >= PROOF_BYTES) & (place < PROOF_BYTES + HASH_BYTES))
                with m.If(self.done):
                    m.d.comb += self.failed.eq(self.error != ProverError.NONE)
                    with m.If(~drawing & (self.error == ProverError.NONE)):
                        m.d.sync += chained.eq(1)
                    m.next = "IDLE"

        with m.If(self.unchain):
            m.d.sync += chained.eq(0)
        return m
