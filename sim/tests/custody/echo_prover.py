"""A prover's ports with a sum for a proof: what goes around the prover is tested a hundred times faster with it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_gateware.sha3 import byte_layout, message_layout
from thermogen_gateware.vrf.prover import OUTPUT_BYTES, PROOF_BYTES, SEED_BYTES, ProverError

ANSWER_BYTES = PROOF_BYTES + OUTPUT_BYTES


class EchoProver(wiring.Component):
    """The public key is the seed plus 1, byte by byte; answer byte n is alpha's byte n plus the seed's byte n mod 32."""

    seed: In(stream.Signature(8))
    alpha: In(stream.Signature(message_layout()))
    result: Out(stream.Signature(byte_layout()))
    done: Out(1)
    error: Out(ProverError)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.seeds = seeds = Memory(shape=8, depth=SEED_BYTES, init=[])
        m.submodules.alphas = alphas = Memory(shape=8, depth=256, init=[])
        seed_read, alpha_read = seeds.read_port(domain="comb"), alphas.read_port(domain="comb")
        seed_write, alpha_write = seeds.write_port(), alphas.write_port()
        place, loading = Signal(8), Signal()
        m.d.comb += [
            seed_read.addr.eq(place),
            alpha_read.addr.eq(place),
            seed_write.addr.eq(place),
            seed_write.data.eq(self.seed.payload),
            alpha_write.addr.eq(place),
            alpha_write.data.eq(self.alpha.payload.data),
            self.result.payload.last.eq(place == ANSWER_BYTES - 1),
            self.result.payload.data.eq(seed_read.data + alpha_read.data),
        ]
        with m.If(loading):
            m.d.comb += self.result.payload.data.eq(seed_read.data + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.seed.ready.eq(1), self.alpha.ready.eq(~self.seed.valid)]
                m.d.sync += loading.eq(self.seed.valid)
                with m.If(self.seed.valid):
                    m.d.comb += seed_write.en.eq(1)
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == SEED_BYTES - 1):
                        m.d.sync += place.eq(0)
                        m.next = "ANSWER"
                with m.Elif(self.alpha.valid):
                    m.d.comb += alpha_write.en.eq(1)
                    m.d.sync += place.eq(place + 1)
                    with m.If(self.alpha.payload.last):
                        m.d.sync += place.eq(0)
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.result.valid.eq(1)
                with m.If(self.result.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(self.result.payload.last | (loading & (place == SEED_BYTES - 1))):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.d.sync += place.eq(0)
                m.next = "IDLE"
        return m
