"""SHA3-256 over a byte stream, half a lane of the state at a time, for designs that hash a few hundred bytes a second.

Reference: FIPS 202. A lane is kept as its even bits and its odd bits, 32 each: to turn a lane is then to turn both halves, and to swap
them where the offset is odd. The 50 halves lie in block memory, twice over: theta, rho and pi read one copy and write the other, chi and
iota go back. Ten more halves in registers hold the column parities; they turn like a wheel, so that theta finds its two neighbours at
fixed places.
Latency: 2,952 clocks a permutation; one clock a byte and two a lane to absorb; three a byte of the digest, 50 to clear the state after it.
Area, LIFCL (synthesis): 796 COMB, 555 FF, 1 EBR.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .keccak import (
    DIGEST_BYTES,
    IOTA_BITS,
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

HALVES = 2 * LANES
HALF_BITS = 32
COLUMNS = 10
"""Halves of the column parities."""
ROW_READS = 14
"""x = 0, 1, 2, 3, 4, 0, 1, both halves of each."""
_SCRATCH = 64
"""The state is at 0 to 49; what pi writes and chi reads at 64 to 113."""


class Sha3Small(wiring.Component):
    """SHA3-256 of one message after the other; see `sha3.Sha3`."""

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(byte_layout()))

    def elaborate(self, _platform):
        m = Module()
        m.submodules.halves = halves = Memory(shape=HALF_BITS, depth=2 * _SCRATCH, init=[])
        read = halves.read_port()
        write = halves.write_port()

        # What enters the wheel is its head, or nothing, and to it what is absorbed or what chi gives, or nothing.
        parity = [Signal(HALF_BITS, name=f"parity{number}") for number in range(COLUMNS)]
        turn, keep = Signal(), Signal()
        arriving = Signal(HALF_BITS)
        with m.If(turn):
            m.d.sync += [parity[number].eq(parity[number + 1]) for number in range(COLUMNS - 1)]
            m.d.sync += parity[-1].eq((parity[0] & keep.replicate(HALF_BITS)) ^ arriving)

        # The last eight bytes of the message, their even and their odd bits.
        packed = [Signal(HALF_BITS, name=name) for name in ("packed_even", "packed_odd")]
        byte_of_block = Signal(range(RATE_BYTES))
        padding, suffix_due, message_done = Signal(), Signal(), Signal()

        step = Signal(range(HALVES + 2))
        odd_half = step[0]
        round_number = Signal(range(ROUNDS))
        lane = byte_of_block[3:]

        # What was read lately, newest first; theta uses the first place for its result.
        recent = [Signal(HALF_BITS, name=f"recent{number}") for number in range(4)]
        m.d.sync += [recent[0].eq(read.data), *(recent[number + 1].eq(recent[number]) for number in range(3))]

        # Rho and pi, for the half that was read two clocks ago.
        steps = data.StructLayout({"odd": 1, "offset": 5, "target": 5})
        table = [
            {"odd": offset % 2, "offset": offset // 2, "target": target} for offset, target in zip(rho_offsets(), pi_targets(), strict=True)
        ]
        m.submodules.rho_pi = rho_pi = Memory(shape=steps, depth=LANES, init=table)
        rho_pi_read = rho_pi.read_port(domain="comb")
        moved = Signal.like(step)
        m.d.comb += [moved.eq(step - 2), rho_pi_read.addr.eq(moved[1:])]
        turns = rho_pi_read.data
        offset = Signal(5)
        m.d.comb += offset.eq(turns.offset + (turns.odd & odd_half))
        turned = recent[0]
        for bit in range(len(offset)):
            turned = Mux(offset[bit], turned.rotate_left(1 << bit), turned)

        # Chi, for a row that is read as x = 0, 1, 2, 3, 4, 0, 1; iota in the first lane of the first.
        reading_row, reading = Signal(range(0, LANES + 1, 5)), Signal(range(ROW_READS))
        first_row, was_read, row_valid = Signal(), Signal(range(ROW_READS)), Signal()
        reading_x = reading[1:]
        m.submodules.constants = constants = Memory(shape=IOTA_BITS, depth=ROUNDS, init=iota_bits())
        constants_read = constants.read_port(domain="comb")
        m.d.comb += constants_read.addr.eq(round_number)
        iota = Signal(HALF_BITS)
        with m.If(step == 0):
            m.d.comb += iota.eq(constants_read.data[0])
        with m.If(step == 1):
            # The bits 2^j - 1 of a lane are bits 2^(j - 1) - 1 of its odd half.
            m.d.comb += Cat(iota[(1 << j) // 2 - 1] for j in range(1, IOTA_BITS)).eq(constants_read.data[1:])
        chi = Signal(HALF_BITS)
        m.d.comb += chi.eq(recent[3] ^ (~recent[1] & read.data) ^ iota)

        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += [write.en.eq(1), write.addr.eq(step), turn.eq(1)]
                m.d.sync += [step.eq(step + 1), byte_of_block.eq(0), padding.eq(0), message_done.eq(0)]
                with m.If(step == HALVES - 1):
                    m.d.sync += step.eq(0)
                    m.next = "ABSORB"

            with m.State("ABSORB"):
                m.d.comb += [self.message.ready.eq(~padding), read.addr.eq(Cat(0, lane))]
                taken, byte = Signal(), Signal(8)
                with m.If(padding):
                    m.d.comb += taken.eq(1)
                    m.d.comb += byte.eq(Mux(suffix_due, SUFFIX, 0) | Mux(byte_of_block == RATE_BYTES - 1, LAST_PADDING_BIT, 0))
                    m.d.sync += suffix_due.eq(0)
                with m.Elif(self.message.valid):
                    m.d.comb += [taken.eq(self.message.payload.keep), byte.eq(self.message.payload.data)]
                    m.d.sync += [padding.eq(self.message.payload.last), suffix_due.eq(self.message.payload.last)]
                with m.If(taken):
                    m.d.sync += [half.eq(Cat(half[4:], byte[number::2])) for number, half in enumerate(packed)]
                    with m.If(byte_of_block[:3] == 7):
                        # A block may end with the message's last byte: then the padding is a block of its own.
                        m.d.sync += message_done.eq(padding)
                        m.next = "MIX"
                    with m.Else():
                        m.d.sync += byte_of_block.eq(byte_of_block + 1)

            with m.State("MIX"):
                m.d.comb += [
                    read.addr.eq(Cat(1, lane)),
                    arriving.eq(Mux(odd_half, packed[1], packed[0])),
                    write.en.eq(1),
                    write.addr.eq(Cat(odd_half, lane)),
                    write.data.eq(read.data ^ arriving),
                    turn.eq(1),
                    keep.eq(1),
                ]
                m.d.sync += step.eq(1)
                with m.If(odd_half):
                    m.d.sync += [step.eq(0), byte_of_block.eq(byte_of_block + 1)]
                    m.next = "ABSORB"
                    with m.If(lane == RATE_LANES - 1):
                        m.d.sync += [byte_of_block.eq(0), round_number.eq(0)]
                        m.next = "ALIGN"

            with m.State("ALIGN"):
                # 34 halves turned the wheel of ten by four places; six more bring column 0 back to its head.
                m.d.comb += [turn.eq(1), keep.eq(1)]
                m.d.sync += step.eq(step + 1)
                with m.If(step == -2 * RATE_LANES % COLUMNS - 1):
                    m.d.sync += step.eq(0)
                    m.next = "THETA_RHO_PI"

            with m.State("THETA_RHO_PI"):
                m.d.comb += [
                    read.addr.eq(step),
                    turn.eq((step >= 1) & (step <= HALVES)),
                    keep.eq(1),
                    write.en.eq(step >= 2),
                    write.addr.eq(Cat(odd_half ^ turns.odd, turns.target, Const(1))),
                    write.data.eq(turned),
                ]
                # A step after its address, so an odd step has an even half. To it: the column before, and the one behind turned by one.
                m.d.sync += [
                    recent[0].eq(read.data ^ parity[8] ^ Mux(odd_half, parity[3].rotate_left(1), parity[1])),
                    step.eq(step + 1),
                ]
                with m.If(step == HALVES + 1):
                    m.d.sync += [step.eq(0), reading_row.eq(0), reading.eq(0), row_valid.eq(0)]
                    m.next = "CHI_IOTA"

            with m.State("CHI_IOTA"):
                m.d.comb += read.addr.eq(_SCRATCH + Cat(reading[0], (reading_row + Mux(reading_x >= 5, reading_x - 5, reading_x))[:5]))
                m.d.sync += [reading.eq(reading + 1), first_row.eq(reading_row == 0), was_read.eq(reading), row_valid.eq(1)]
                with m.If(reading == ROW_READS - 1):
                    m.d.sync += [reading.eq(0), reading_row.eq(reading_row + 5)]
                with m.If(row_valid & (was_read >= 4)):
                    m.d.comb += [
                        arriving.eq(chi),
                        write.en.eq(1),
                        write.addr.eq(step),
                        write.data.eq(chi),
                        turn.eq(1),
                        keep.eq(~first_row),
                    ]
                    m.d.sync += step.eq(step + 1)
                    with m.If(step == HALVES - 1):
                        m.d.sync += [step.eq(0), round_number.eq(round_number + 1)]
                        m.next = "THETA_RHO_PI"
                        with m.If(round_number == ROUNDS - 1):
                            m.next = "ABSORB"
                            with m.If(message_done):
                                m.next = "FETCH_EVEN"

            # A byte of the digest is four bits of either half.
            nibble = Signal(4)
            even_nibble = Signal(4)
            m.d.comb += nibble.eq(read.data.word_select(byte_of_block[:3], 4))
            with m.State("FETCH_EVEN"):
                m.d.comb += read.addr.eq(Cat(0, lane))
                m.next = "FETCH_ODD"

            with m.State("FETCH_ODD"):
                m.d.comb += read.addr.eq(Cat(1, lane))
                m.d.sync += even_nibble.eq(nibble)
                m.next = "GIVE"

            with m.State("GIVE"):
                m.d.comb += [
                    read.addr.eq(Cat(1, lane)),
                    self.digest.valid.eq(1),
                    self.digest.payload.data.eq(Cat(Cat(even, odd) for even, odd in zip(even_nibble, nibble, strict=True))),
                    self.digest.payload.last.eq(byte_of_block == DIGEST_BYTES - 1),
                ]
                with m.If(self.digest.ready):
                    m.d.sync += byte_of_block.eq(byte_of_block + 1)
                    m.next = "FETCH_EVEN"
                    with m.If(self.digest.payload.last):
                        m.next = "CLEAR"
        return m
