"""A verifiable random function, proving side: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381, the suite of one octet 03.

A sequencer carries out the program of `program.py` over `arithmetic.py` and `sha512.py`. The secret seed goes into the hash and nowhere
else; what is made of it stays in the arithmetic unit's memory, of which only the program's `give` tells: the public key, proofs, outputs.
How long a proof takes depends on the number of tries and the length of alpha, both public, and on nothing else.
Latency: 160,644 clocks for a key; for a proof with an alpha of up to 75 bytes 535,900, and 23,800 more for each try but the first; each try
takes 7,680 more for every other 128 bytes of alpha, and one a byte.
Area, LIFCL (synthesis): 1,479 COMB, 841 FF, 10 EBR, eight multipliers of 18 by 18, with SHA-512 and everything else in it.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..sha3 import byte_layout, message_layout
from .arithmetic import WORDS, Arithmetic
from .instructions import ELEMENT_BITS, LAST_ARITHMETIC, DigestForm, Index, Instruction, Operation
from .program import PROGRAM, initial_elements
from .sha512 import Sha512
from .sha512_tables import WORDS as DIGEST_WORDS

SEED_BYTES = 32
ALPHA_BYTES = 256
"""The longest alpha."""
PROOF_BYTES = 80
OUTPUT_BYTES = 64
TRIES = 256
"""RFC 9381 5.4.1.1: the counter is one octet."""
CALL_DEPTH = 4


class ProverError(enum.Enum, shape=2):  # type: ignore[call-arg]
    """Why there is no proof."""

    NONE = 0
    NO_KEY = 1
    ALPHA_TOO_LONG = 2
    NO_POINT = 3
    """No try gave a point. Of 2^256 alphas one does this."""


class Prover(wiring.Component):
    """Proofs under one key at a time.

    Of `seed`, 32 bytes are taken while nothing else goes on; `result` then gives the 32 bytes of the public key. `alpha` takes the
    bytes of an alpha, which can be empty; `result` then gives the 80 bytes of the proof and the 64 of its output, or nothing. `done`
    is high for a clock when either has been given; `error` and the number of `tries` stay until the next begins.
    """

    seed: In(stream.Signature(8))
    alpha: In(stream.Signature(message_layout()))
    result: Out(stream.Signature(byte_layout()))
    busy: Out(1)
    done: Out(1)
    error: Out(ProverError)
    tries: Out(range(TRIES + 1))

    def __init__(self, tries: int = TRIES):
        self._tries = tries
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        m.submodules.arithmetic = arithmetic = Arithmetic(initial_elements())
        m.submodules.sha512 = sha512 = Sha512()
        m.submodules.program = program = Memory(shape=Instruction, depth=512, init=_program())
        fetch = program.read_port()
        instruction = fetch.data
        operation, value = instruction.operation, instruction.b.value
        m.submodules.alpha_bytes = alpha_bytes = Memory(shape=8, depth=ALPHA_BYTES, init=[])
        alpha_read, alpha_write = alpha_bytes.read_port(), alpha_bytes.write_port()
        alpha_length = Signal(range(ALPHA_BYTES + 1))
        too_long = Signal()

        address_bits = fetch.addr.shape().width
        counter = Signal(7)
        digit = Signal(4)
        failed = Signal()
        try_number = Signal(range(TRIES))
        has_key = Signal()
        stack = [Signal(address_bits, name=f"return_{level}") for level in range(CALL_DEPTH)]
        place = Signal(address_bits)
        next_place = (place + 1)[:address_bits]
        m.d.comb += [fetch.addr.eq(place), self.tries.eq(try_number + 1)]

        # Operands, with their indices.
        flags = Array((0, 0, arithmetic.carry, arithmetic.zero, arithmetic.odd, arithmetic.top, 0, 0))
        flag = Signal()
        of_b = instruction.b.operand
        entry = Cat(0, 0, digit)
        m.d.comb += [
            flag.eq(flags[of_b.index.as_value()]),
            arithmetic.operation.eq(operation),
            arithmetic.d.eq(instruction.d | Mux(instruction.d_digit, entry, 0)),
            arithmetic.a.eq(instruction.a | Mux(instruction.a_digit, entry, 0)),
            arithmetic.b.eq(of_b.element | Mux(of_b.index == Index.DIGIT, entry, flag)),
        ]

        # A flag is there a clock after the last word of the sum that it is of.
        may_start = Mux(of_b.index == Index.NONE, arithmetic.ready, arithmetic.idle)

        # Bytes of an element, of alpha or of the seed, one in two clocks.
        byte_number = Signal(range(ALPHA_BYTES + 1))
        element_address = Signal(ELEMENT_BITS + 2)
        byte_of_word = Signal(3)
        byte = Signal(8)
        m.d.comb += [
            byte.eq(arithmetic.word.word_select(byte_of_word, 8)),
            byte_of_word.eq(byte_number),
            element_address.eq(Cat(byte_number[3:5], instruction.a)),
            arithmetic.address.eq(element_address),
            alpha_read.addr.eq(byte_number),
        ]
        message, result = sha512.message, self.result
        digest_word = Signal(range(DIGEST_WORDS))
        form = Signal(DigestForm)
        little_endian = Cat(sha512.digest.payload.word_select(7 - place, 8) for place in range(8))
        m.d.comb += [form.eq(value[: len(form.as_value())]), arithmetic.written.eq(little_endian)]
        with m.If(form == DigestForm.CLAMPED):
            with m.If(digest_word == 0):
                m.d.comb += arithmetic.written[:3].eq(0)
            with m.If(digest_word == WORDS - 1):
                m.d.comb += arithmetic.written[-2:].eq(0b01)

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))

            with m.State("IDLE"):
                m.d.sync += [failed.eq(0), try_number.eq(0), byte_number.eq(0)]
                m.d.comb += self.alpha.ready.eq(~self.seed.valid)
                with m.If(self.seed.valid):
                    m.d.sync += [place.eq(PROGRAM.labels["load"]), has_key.eq(0), self.error.eq(ProverError.NONE)]
                    m.next = "FETCH"
                with m.Elif(self.alpha.valid):
                    taken = self.alpha.payload.keep
                    full = alpha_length == ALPHA_BYTES
                    m.d.comb += alpha_write.en.eq(taken & ~full)
                    m.d.sync += [alpha_length.eq(alpha_length + (taken & ~full)), too_long.eq(too_long | (taken & full))]
                    with m.If(self.alpha.payload.last):
                        m.d.sync += [place.eq(PROGRAM.labels["prove"]), self.error.eq(ProverError.NONE)]
                        m.next = "FETCH"
                        with m.If(too_long | (taken & full)):
                            m.d.sync += self.error.eq(ProverError.ALPHA_TOO_LONG)
                            m.next = "DONE"
                        with m.Elif(~has_key):
                            m.d.sync += self.error.eq(ProverError.NO_KEY)
                            m.next = "DONE"

            with m.State("FETCH"):
                m.d.sync += byte_number.eq(0)
                m.next = "EXECUTE"

            with m.State("EXECUTE"):
                with m.If(operation.as_value() <= LAST_ARITHMETIC.value):
                    m.d.comb += arithmetic.start.eq(may_start)
                    with m.If(may_start):
                        m.d.sync += place.eq(next_place)
                        m.next = "FETCH"

                with m.Elif(arithmetic.idle):
                    m.d.sync += place.eq(next_place)
                    m.next = "FETCH"
                    with m.Switch(operation):
                        with m.Case(Operation.COUNT):
                            m.d.sync += counter.eq(value)
                        with m.Case(Operation.LOOP):
                            m.d.sync += counter.eq(counter - 1)
                            with m.If(counter != 0):
                                m.d.sync += place.eq(value)
                        with m.Case(Operation.CALL):
                            m.d.sync += [place.eq(value), stack[0].eq(next_place)]
                            m.d.sync += [stack[level + 1].eq(stack[level]) for level in range(CALL_DEPTH - 1)]
                        with m.Case(Operation.RETURN):
                            m.d.sync += place.eq(stack[0])
                            m.d.sync += [stack[level].eq(stack[level + 1]) for level in range(CALL_DEPTH - 1)]
                        with m.Case(Operation.JUMP):
                            m.d.sync += place.eq(value)
                        with m.Case(Operation.FAIL_IF):
                            m.d.sync += failed.eq(failed | (flag ^ instruction.d[0]))
                        with m.Case(Operation.RETRY):
                            m.d.sync += failed.eq(0)
                            with m.If(failed):
                                m.d.sync += [place.eq(value), try_number.eq(try_number + 1)]
                                with m.If(try_number == self._tries - 1):
                                    m.d.sync += [try_number.eq(try_number), self.error.eq(ProverError.NO_POINT)]
                                    m.next = "DONE"
                        with m.Case(Operation.END):
                            m.d.sync += has_key.eq(1)
                            m.next = "DONE"
                        with m.Case(Operation.DIGIT):
                            m.d.comb += arithmetic.address.eq(Cat(counter[4:6], instruction.a))
                            m.next = "DIGIT"
                        with m.Case(Operation.ENTRY):
                            m.d.sync += digit.eq(~counter)
                        with m.Case(Operation.FIRST_ENTRY):
                            m.d.sync += digit.eq(1)
                        with m.Case(Operation.HASH_BYTE, Operation.HASH_TRY):
                            m.d.sync += place.eq(place)
                            m.d.comb += [
                                message.valid.eq(1),
                                message.payload.keep.eq(1),
                                message.payload.data.eq(Mux(operation == Operation.HASH_TRY, try_number, value)),
                            ]
                            m.next = "EXECUTE"
                            with m.If(message.ready):
                                m.d.sync += place.eq(next_place)
                                m.next = "FETCH"
                        with m.Case(Operation.HASH_ALPHA), m.If(alpha_length != 0):
                            m.d.sync += place.eq(place)
                            m.next = "BYTE"
                        with m.Case(Operation.HASH_SEED, Operation.HASH_ELEMENT, Operation.GIVE):
                            m.d.sync += place.eq(place)
                            m.next = "BYTE"
                        with m.Case(Operation.HASH_END):
                            m.d.sync += [place.eq(place), digest_word.eq(DIGEST_WORDS - 1)]
                            m.d.comb += [message.valid.eq(1), message.payload.last.eq(1)]
                            m.next = "EXECUTE"
                            with m.If(message.ready):
                                m.next = "DIGEST"

            with m.State("DIGIT"):
                m.d.comb += byte_of_word.eq(counter[1:4])
                m.d.sync += digit.eq(Mux(counter[0], byte[4:], byte[:4]))
                m.next = "FETCH"

            with m.State("BYTE"):
                ends = Signal()
                moved = Signal()
                m.d.comb += [
                    message.payload.keep.eq(1),
                    message.payload.data.eq(byte),
                    result.payload.data.eq(byte),
                    result.payload.last.eq(ends & instruction.d[0]),
                    ends.eq(byte_number + 1 == value),
                ]
                with m.Switch(operation):
                    with m.Case(Operation.HASH_SEED):
                        m.d.comb += [
                            message.valid.eq(self.seed.valid),
                            self.seed.ready.eq(message.ready),
                            message.payload.data.eq(self.seed.payload),
                            ends.eq(byte_number == SEED_BYTES - 1),
                            moved.eq(message.valid & message.ready),
                        ]
                    with m.Case(Operation.HASH_ALPHA):
                        m.d.comb += [
                            message.valid.eq(1),
                            message.payload.data.eq(alpha_read.data),
                            ends.eq(byte_number + 1 == alpha_length),
                            moved.eq(message.ready),
                        ]
                    with m.Case(Operation.HASH_ELEMENT):
                        m.d.comb += [message.valid.eq(1), moved.eq(message.ready)]
                    with m.Case(Operation.GIVE):
                        m.d.comb += [result.valid.eq(1), moved.eq(result.ready)]
                with m.If(moved):
                    m.d.sync += byte_number.eq(byte_number + 1)
                    m.next = "BYTE_FETCH"
                    with m.If(ends):
                        m.d.sync += place.eq(next_place)
                        m.next = "FETCH"

            with m.State("BYTE_FETCH"):
                m.next = "BYTE"

            with m.State("DIGEST"):
                m.d.comb += [
                    sha512.digest.ready.eq(1),
                    arithmetic.write.eq(sha512.digest.valid & ((form != DigestForm.QUARTER) | (digest_word < WORDS // 2))),
                    arithmetic.address.eq(Cat(digest_word, instruction.d[1:])),
                ]
                with m.If(form == DigestForm.QUARTER):
                    m.d.comb += arithmetic.address.eq(Cat(digest_word[:2], instruction.d))
                with m.If(sha512.digest.valid):
                    m.d.sync += digest_word.eq(digest_word - 1)
                    with m.If(digest_word == 0):
                        m.d.sync += place.eq(next_place)
                        m.next = "FETCH"

            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.d.sync += [alpha_length.eq(0), too_long.eq(0), byte_number.eq(0)]
                m.next = "IDLE"

        m.d.comb += [alpha_write.addr.eq(alpha_length), alpha_write.data.eq(self.alpha.payload.data)]
        return m


def _program() -> list[dict[str, object]]:
    """The words of the program, as the memory's shape wants them."""
    return [Instruction.from_bits(word) for word in PROGRAM.words]
