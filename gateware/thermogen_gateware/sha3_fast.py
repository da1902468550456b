"""SHA3-256 over a byte stream, a round a clock, for designs that hash as fast as bytes come.

Reference: FIPS 202. The whole state is in registers. The next block's bytes gather in a register of their own meanwhile, and join the state
in the first round's clock: the permutation hides behind the 136 bytes of the block that follows, and only a message's last is waited for.
Latency: one clock a byte, 25 after the last one of the padding, one a byte of the digest.
Area, LIFCL (synthesis): 9,206 COMB, 2,713 FF.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .keccak import (
    DIGEST_BYTES,
    IOTA_BITS,
    LANE_BITS,
    LANES,
    LAST_PADDING_BIT,
    RATE_BYTES,
    RATE_LANES,
    ROUNDS,
    SUFFIX,
    byte_layout,
    iota_bits,
    message_layout,
    pi_targets,
    rho_offsets,
)


class Sha3Fast(wiring.Component):
    """SHA3-256 of one message after the other; see `sha3.Sha3`. It takes the next message while it gives a digest."""

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(byte_layout()))

    def elaborate(self, _platform):
        m = Module()
        block = Signal(8 * RATE_BYTES)
        byte_of_block = Signal(range(RATE_BYTES))
        padding, suffix_due, full, block_ends_message = Signal(), Signal(), Signal(), Signal()

        lanes = [Signal(LANE_BITS, name=f"lane{number}") for number in range(LANES)]
        round_number = Signal(range(ROUNDS))
        busy, ends_message, giving = Signal(), Signal(), Signal()
        start = Signal()
        m.d.comb += start.eq(full & ~busy & ~giving)

        # A block gathers.
        taken, byte = Signal(), Signal(8)
        m.d.comb += self.message.ready.eq(~padding & ~full)
        with m.If(padding & ~full):
            m.d.comb += taken.eq(1)
            m.d.comb += byte.eq(Mux(suffix_due, SUFFIX, 0) | Mux(byte_of_block == RATE_BYTES - 1, LAST_PADDING_BIT, 0))
            m.d.sync += suffix_due.eq(0)
        with m.Elif(self.message.valid & ~full):
            m.d.comb += [taken.eq(self.message.payload.keep), byte.eq(self.message.payload.data)]
            m.d.sync += [padding.eq(self.message.payload.last), suffix_due.eq(self.message.payload.last)]
        with m.If(start):
            m.d.sync += full.eq(0)
        with m.If(taken):
            m.d.sync += [block.eq(Cat(block[8:], byte)), byte_of_block.eq(byte_of_block + 1)]
            with m.If(byte_of_block == RATE_BYTES - 1):
                # A block may end with the message's last byte: then the padding is a block of its own.
                m.d.sync += [byte_of_block.eq(0), full.eq(1), block_ends_message.eq(padding)]
                with m.If(padding):
                    m.d.sync += padding.eq(0)

        # A round, of the state as it is or joined with the block.
        present = []
        for number, lane in enumerate(lanes):
            joined = Signal(LANE_BITS, name=f"joined{number}")
            absorbed = block.word_select(number, LANE_BITS) & start.replicate(LANE_BITS) if number < RATE_LANES else 0
            m.d.comb += joined.eq(lane ^ absorbed)
            present.append(joined)
        parity = [Signal(LANE_BITS, name=f"parity{x}") for x in range(5)]
        effect = [Signal(LANE_BITS, name=f"effect{x}") for x in range(5)]
        for x in range(5):
            m.d.comb += parity[x].eq(present[x] ^ present[x + 5] ^ present[x + 10] ^ present[x + 15] ^ present[x + 20])
            m.d.comb += effect[x].eq(parity[(x - 1) % 5] ^ parity[(x + 1) % 5].rotate_left(1))
        moved = [Signal(LANE_BITS, name=f"moved{number}") for number in range(LANES)]
        for number, (offset, target) in enumerate(zip(rho_offsets(), pi_targets(), strict=True)):
            m.d.comb += moved[target].eq((present[number] ^ effect[number % 5]).rotate_left(offset))
        constant = Signal(IOTA_BITS)
        m.d.comb += constant.eq(Array(iota_bits())[round_number])
        iota = Signal(LANE_BITS)
        m.d.comb += Cat(iota[(1 << j) - 1] for j in range(IOTA_BITS)).eq(constant)
        with m.If(busy | start):
            for number in range(LANES):
                row, x = number - number % 5, number % 5
                mixed = moved[number] ^ (~moved[row + (x + 1) % 5] & moved[row + (x + 2) % 5])
                m.d.sync += lanes[number].eq(mixed ^ iota if number == 0 else mixed)
            m.d.sync += round_number.eq(round_number + 1)
        with m.If(start):
            m.d.sync += [busy.eq(1), ends_message.eq(block_ends_message)]
        with m.If(round_number == ROUNDS - 1):
            m.d.sync += [round_number.eq(0), busy.eq(0), giving.eq(ends_message)]

        given = Signal(range(DIGEST_BYTES))
        m.d.comb += [
            self.digest.valid.eq(giving),
            self.digest.payload.data.eq(Cat(lanes[: DIGEST_BYTES * 8 // LANE_BITS]).word_select(given, 8)),
            self.digest.payload.last.eq(given == DIGEST_BYTES - 1),
        ]
        with m.If(giving & self.digest.ready):
            m.d.sync += given.eq(given + 1)
            with m.If(self.digest.payload.last):
                m.d.sync += [giving.eq(0), *(lane.eq(0) for lane in lanes)]
        return m
