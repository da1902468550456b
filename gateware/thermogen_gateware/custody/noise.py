"""Bytes for a key from a noise source, given only while the source passes its health tests.

Reference: NIST SP 800-90B, 3.1 and 4.4. Raw samples, far enough apart that a ring's phase has wandered, go through the health tests first;
von Neumann's rule takes their bias, and FOLDED of its bits make one. The prover hashes the seed with SHA-512 before it is a scalar, which
is the vetted conditioning.
Latency: some 16 samples a bit of an unbiased source, after a window of 1,024; 5.5 ms for a key at 64 clocks a sample and 50 MHz.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..vrf.entropy_health import EntropyHealth

SAMPLE_CLOCKS = 64
FOLDED = 4


class KeyNoise(wiring.Component):
    """While `run`, a bit of `noise` is taken every `sample_clocks` and `bytes` gives one byte after the other; `enable` starts the source.

    `alarm` rises when a health test fails and stays until `run` falls; bytes end with it.
    """

    noise: In(1)
    enable: Out(1)
    run: In(1)
    bytes: Out(stream.Signature(8))
    alarm: Out(1)

    def __init__(self, sample_clocks: int = SAMPLE_CLOCKS):
        self._sample_clocks = sample_clocks
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        m.submodules.health = health = EntropyHealth()
        wait = Signal(range(self._sample_clocks))
        sampled, second, first = Signal(), Signal(), Signal()
        bit = Signal()
        folds, bits = Signal(range(FOLDED)), Signal(range(9))
        byte = Signal(8)
        m.d.comb += [
            self.enable.eq(self.run),
            sampled.eq(self.run & (wait == 0)),
            health.sample.eq(self.noise),
            health.valid.eq(sampled),
            health.restart.eq(~self.run),
            self.alarm.eq(health.alarm),
            self.bytes.valid.eq((bits == 8) & ~health.alarm),
            self.bytes.payload.eq(byte),
        ]
        m.d.sync += wait.eq(wait - 1)
        with m.If(wait == 0):
            m.d.sync += wait.eq(self._sample_clocks - 1)
        with m.If(sampled):
            m.d.sync += [second.eq(~second), first.eq(self.noise)]
            with m.If(second & (self.noise != first) & health.tested & (bits != 8)):
                m.d.sync += [bit.eq(bit ^ first), folds.eq(folds + 1)]
                with m.If(folds == FOLDED - 1):
                    m.d.sync += [byte.eq(Cat(bit ^ first, byte)), bits.eq(bits + 1), bit.eq(0)]
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [bits.eq(0), byte.eq(0)]
        with m.If(~self.run):
            m.d.sync += [second.eq(0), bits.eq(0), folds.eq(0), bit.eq(0), byte.eq(0)]
        return m


assert FOLDED & (FOLDED - 1) == 0
