"""SHA3-256 over a byte stream, one lane of the state at a time, for designs that hash a few hundred bytes a second.

Reference: FIPS 202 (Keccak-f[1600], rate 1088, suffix 01, pad10*1). The 25 lanes of 64 bits live in block memory, twice over:
theta, rho and pi read one copy and write the other, chi and iota go back. Five more lanes in registers hold the column parities;
they turn like a wheel, so that theta finds its two neighbours at fixed places.
Latency: 1,512 clocks a permutation; one clock a byte and one a lane to absorb; 25 clocks to clear the state after each digest.
Area, LIFCL: 1,440 COMB, 550 FF, 2 EBR.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

LANES = 25
LANE_BITS = 64
ROUNDS = 24
RATE_LANES = 17
"""1,088 bits: the lanes of a block that take message bytes."""
RATE_BYTES = 8 * RATE_LANES
DIGEST_LANES = 4
DIGEST_BYTES = 8 * DIGEST_LANES

_SUFFIX = 0x06
"""The domain bits 01 of SHA-3 and the first bit of the padding, in the order of FIPS 202's byte strings (appendix B.1)."""
_LAST_PADDING_BIT = 0x80


def message_layout() -> data.StructLayout:
    """One transfer of a message: a byte where `keep` is set, none otherwise (so that a message can be empty); `last` ends the message."""
    return data.StructLayout({"data": 8, "keep": 1, "last": 1})


def byte_layout() -> data.StructLayout:
    """One byte of a digest, or of anything else that is never empty; `last` ends it."""
    return data.StructLayout({"data": 8, "last": 1})


class HashSignature(wiring.Signature):
    """A hash core as its user sees it: a message out, its digest in. Cores of any speed fit behind it."""

    def __init__(self):
        super().__init__({"message": Out(stream.Signature(message_layout())), "digest": In(stream.Signature(byte_layout()))})


def _rho_offsets() -> list[int]:
    """FIPS 202, algorithm 2: how far each lane (index 5y + x) turns."""
    offsets = [0] * LANES
    x, y = 1, 0
    for t in range(24):
        offsets[5 * y + x] = (t + 1) * (t + 2) // 2 % LANE_BITS
        x, y = y, (2 * x + 3 * y) % 5
    return offsets


def _pi_targets() -> list[int]:
    """FIPS 202, algorithm 3: where each lane goes."""
    return [5 * ((2 * x + 3 * y) % 5) + y for y in range(5) for x in range(5)]


def _round_constants() -> list[int]:
    """FIPS 202, algorithms 5 and 6."""

    def rc(t: int) -> int:
        register = 0x01
        for _ in range(t % 255):
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        return register & 1

    return [sum(rc(j + 7 * number) << ((1 << j) - 1) for j in range(7)) for number in range(ROUNDS)]


class Sha3(wiring.Component):
    """SHA3-256 of one message after the other.

    `message` takes the bytes, `digest` gives the 32 bytes of the digest, first byte first. The next message is taken when the
    digest has been.
    """

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(byte_layout()))

    def elaborate(self, _platform):
        m = Module()
        m.submodules.lanes = lanes = Memory(shape=LANE_BITS, depth=64, init=[])
        read = lanes.read_port()
        write = lanes.write_port()
        # The state is at 0 to 24; what pi writes and chi reads at 32 to 56.
        scratch = 32

        parity = [Signal(LANE_BITS, name=f"parity{x}") for x in range(5)]
        turn = Signal()
        head = Signal(LANE_BITS)
        with m.If(turn):
            m.d.sync += [parity[x].eq(parity[x + 1]) for x in range(4)]
            m.d.sync += parity[4].eq(head)

        shift = Signal(LANE_BITS)
        byte_of_lane = Signal(3)
        lane = Signal(range(LANES))
        padding = Signal()
        suffix_due = Signal()
        message_done = Signal()

        step = Signal(range(LANES + 2))
        round_number = Signal(range(ROUNDS))
        first, second = Signal(LANE_BITS), Signal(LANE_BITS)

        # Rho and pi, for the lane that was read two clocks ago.
        moved = Signal(range(LANES))
        # Tables in memories, not in multiplexers: quicker to simulate, and no larger.
        steps = data.StructLayout({"offset": (LANE_BITS - 1).bit_length(), "target": (LANES - 1).bit_length()})
        table = [{"offset": offset, "target": target} for offset, target in zip(_rho_offsets(), _pi_targets(), strict=True)]
        m.submodules.rho_pi = rho_pi = Memory(shape=steps, depth=LANES, init=table)
        rho_pi_read = rho_pi.read_port(domain="comb")
        offset, target = rho_pi_read.data.offset, rho_pi_read.data.target
        m.d.comb += [moved.eq(step - 2), rho_pi_read.addr.eq(moved)]
        turned = first
        for bit in range(len(offset)):
            turned = Mux(offset[bit], turned.rotate_left(1 << bit), turned)

        # Chi, for a row that is read as x = 0, 1, 2, 3, 4, 0, 1; iota in the first lane of the first.
        first_row = Signal()
        reading_row, reading_x = Signal(range(0, LANES + 1, 5)), Signal(range(7))
        x_read = Signal(range(7))
        row_valid = Signal()
        iota = Signal(LANE_BITS)
        chi = Signal(LANE_BITS)
        m.submodules.constants = constants = Memory(shape=LANE_BITS, depth=ROUNDS, init=_round_constants())
        constants_read = constants.read_port(domain="comb")
        m.d.comb += constants_read.addr.eq(round_number)
        with m.If(first_row & (x_read == 2)):
            m.d.comb += iota.eq(constants_read.data)
        m.d.comb += chi.eq(second ^ (~first & read.data) ^ iota)

        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += [write.en.eq(1), write.addr.eq(step), turn.eq(1), head.eq(0)]
                m.d.sync += [step.eq(step + 1), lane.eq(0), byte_of_lane.eq(0), padding.eq(0), message_done.eq(0)]
                with m.If(step == LANES - 1):
                    m.next = "ABSORB"

            with m.State("ABSORB"):
                m.d.comb += [self.message.ready.eq(~padding), read.addr.eq(lane)]
                taken = Signal()
                byte = Signal(8)
                with m.If(padding):
                    m.d.comb += taken.eq(1)
                    m.d.comb += byte.eq(
                        Mux(suffix_due, _SUFFIX, 0) | Mux((lane == RATE_LANES - 1) & (byte_of_lane == 7), _LAST_PADDING_BIT, 0)
                    )
                    m.d.sync += suffix_due.eq(0)
                with m.Elif(self.message.valid):
                    m.d.comb += [taken.eq(self.message.payload.keep), byte.eq(self.message.payload.data)]
                    m.d.sync += [padding.eq(self.message.payload.last), suffix_due.eq(self.message.payload.last)]
                with m.If(taken):
                    m.d.sync += [shift.eq(Cat(shift[8:], byte)), byte_of_lane.eq(byte_of_lane + 1)]
                    with m.If(byte_of_lane == 7):
                        # A block may end with the message's last byte: then the padding is a block of its own.
                        m.d.sync += message_done.eq(padding)
                        m.next = "MIX"

            with m.State("MIX"):
                m.d.comb += [write.en.eq(1), write.addr.eq(lane), write.data.eq(read.data ^ shift), turn.eq(1), head.eq(parity[0] ^ shift)]
                m.d.sync += lane.eq(lane + 1)
                m.next = "ABSORB"
                with m.If(lane == RATE_LANES - 1):
                    m.d.sync += [lane.eq(0), step.eq(0), round_number.eq(0)]
                    m.next = "ALIGN"

            with m.State("ALIGN"):
                # 17 lanes turned the wheel of five by two places; three more bring column 0 back to its head.
                m.d.comb += [turn.eq(1), head.eq(parity[0])]
                m.d.sync += step.eq(step + 1)
                with m.If(step == -RATE_LANES % 5 - 1):
                    m.d.sync += step.eq(0)
                    m.next = "THETA_RHO_PI"

            with m.State("THETA_RHO_PI"):
                m.d.comb += [
                    read.addr.eq(step),
                    turn.eq((step >= 1) & (step <= LANES)),
                    head.eq(parity[0]),
                    write.en.eq(step >= 2),
                    write.addr.eq(Const(scratch, 6) | target),
                    write.data.eq(turned),
                ]
                m.d.sync += [first.eq(read.data ^ parity[4] ^ parity[1].rotate_left(1)), step.eq(step + 1)]
                with m.If(step == LANES + 1):
                    m.d.sync += [step.eq(0), reading_row.eq(0), reading_x.eq(0), row_valid.eq(0)]
                    m.next = "CHI_IOTA"

            with m.State("CHI_IOTA"):
                m.d.comb += read.addr.eq(scratch + reading_row + Mux(reading_x >= 5, reading_x - 5, reading_x))
                m.d.sync += [reading_x.eq(reading_x + 1), first_row.eq(reading_row == 0), x_read.eq(reading_x), row_valid.eq(1)]
                with m.If(reading_x == 6):
                    m.d.sync += [reading_x.eq(0), reading_row.eq(reading_row + 5)]
                m.d.sync += [first.eq(read.data), second.eq(first)]
                with m.If(row_valid & (x_read >= 2)):
                    m.d.comb += [
                        write.en.eq(1),
                        write.addr.eq(step),
                        write.data.eq(chi),
                        turn.eq(1),
                        head.eq(Mux(first_row, 0, parity[0]) ^ chi),
                    ]
                    m.d.sync += step.eq(step + 1)
                # One clock more than there are reads: this is the last lane's write.
                with m.If(row_valid & (x_read == 6) & (step == LANES - 1)):
                    m.d.sync += [step.eq(0), round_number.eq(round_number + 1)]
                    m.next = "THETA_RHO_PI"
                    with m.If(round_number == ROUNDS - 1):
                        m.next = "ABSORB"
                        with m.If(message_done):
                            m.next = "FETCH"

            with m.State("FETCH"):
                m.d.comb += read.addr.eq(lane)
                m.next = "LOAD"

            with m.State("LOAD"):
                m.d.sync += shift.eq(read.data)
                m.next = "GIVE"

            with m.State("GIVE"):
                m.d.comb += [
                    self.digest.valid.eq(1),
                    self.digest.payload.data.eq(shift[:8]),
                    self.digest.payload.last.eq((lane == DIGEST_LANES - 1) & (byte_of_lane == 7)),
                ]
                with m.If(self.digest.ready):
                    m.d.sync += [shift.eq(shift >> 8), byte_of_lane.eq(byte_of_lane + 1)]
                    with m.If(byte_of_lane == 7):
                        m.d.sync += lane.eq(lane + 1)
                        m.next = "FETCH"
                        with m.If(lane == DIGEST_LANES - 1):
                            m.d.sync += step.eq(0)
                            m.next = "CLEAR"
        return m
