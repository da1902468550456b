"""The host link: requests from the node's Linux side over SPI, each checked before anything changes.

Reference: `thermogen_esf.hostlink` (the protocol), RFC 3720 (CRC-32C). The words of a WRITE wait in block memory; in the turnaround
each is put to the register file, which says whether it would take it, and they are applied only after the answer has been clocked
out whole: a transaction that is damaged, refused or cut short changes nothing. What a READ sees is frozen when its request is complete.
Latency: at most 140 clocks from the request's last bit to its verdict, of the 192 that three turnaround bytes last; at most 130
from chip select's rise to the last word applied, besides the wait for a snapshot that is under way.
Area, LIFCL: 460 COMB, 283 FF, 1 EBR.
"""

from __future__ import annotations

import enum

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import LEAF_SLOTS, MAX_WRITE_WORDS, TURNAROUND_BYTES, Opcode, Status
from thermogen_esf.layout import LEAF_BYTES

from .crc32c import Crc32c
from .spi_target import SpiTarget
from .status_words import COPY_CLOCKS

STATUS_BITS = 8
HEADER_BYTES = 6
CRC_BYTES = 4
BIT_CLOCKS = 8
"""Clocks of a bit on the wire, at least."""
FETCH_CLOCKS = 6
"""From an address or a leaf's word on the bus to its data: more than any answer takes, less than a byte on the wire."""
LEAF_WORD_BYTES = 4


class RegisterBusSignature(wiring.Signature):
    """How the host link reaches registers and leaves.

    `read_data` follows `address` within FETCH_CLOCKS; `region` at once: 0 where nothing can be read, else a number that is the same
    for all words that one READ may span. `freeze` strobes when a request is complete: what is read until the next one is of that clock,
    and there COPY_CLOCKS later, which is before the turnaround ends.

    `offered` strobes for each word of a WRITE in turn, `first` and `last` mark the ends, and `address` is there from the clock before:
    without `commit` the other side only says, in the same clock, what it thinks of the word (`verdict`, a Status); with it the word is
    applied. `committing` asks for stillness from
    before the first of them to after the last and is raised only while `blocked` is low.
    """

    def __init__(self):
        super().__init__(
            {
                "address": Out(16),
                "region": In(4),
                "read_data": In(16),
                "freeze": Out(1),
                "write_data": Out(16),
                "offered": Out(1),
                "first": Out(1),
                "last": Out(1),
                "commit": Out(1),
                "verdict": In(STATUS_BITS),
                "committing": Out(1),
                "blocked": In(1),
            }
        )


class LeafReadSignature(wiring.Signature):
    """How the host link reads leaves: `fetch` strobes for a word of four bytes, `data` follows within FETCH_CLOCKS and stays until the
    next; `status` (a Status) says at once how the slot stands."""

    def __init__(self):
        super().__init__(
            {
                "slot": Out(range(LEAF_SLOTS)),
                "word": Out(range(-(-LEAF_BYTES // LEAF_WORD_BYTES))),
                "fetch": Out(1),
                "data": In(8 * LEAF_WORD_BYTES),
                "status": In(STATUS_BITS),
            }
        )


class _Request(enum.Enum):
    """Which part of a request comes in."""

    HEADER = 0
    WORDS = 1
    CRC = 2
    TURNAROUND = 3
    OVER = 4


class _Answer(enum.Enum):
    """Which part of the answer is prepared next; then, that its last byte has begun and has ended."""

    STATUS = 0
    TAG = 1
    DATA = 2
    CRC = 3
    LAST_LEAVES = 4
    LAST_ENDS = 5
    COMPLETE = 6


class HostLink(wiring.Component):
    """The SPI pins on one side, `registers` and `leaves` on the other.

    `errors` counts requests that were bad, refused or cut short, up to 65,535; those that were told to come again (BUSY) it does not.
    """

    def __init__(self):
        super().__init__(
            {
                "sclk": In(1),
                "cs_n": In(1, init=1),
                "copi": In(1),
                "cipo": Out(1),
                "registers": Out(RegisterBusSignature()),
                "leaves": Out(LeafReadSignature()),
                "errors": Out(16),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        bus, leaves = self.registers, self.leaves
        m.submodules.spi = spi = SpiTarget()
        m.submodules.crc = crc = Crc32c()
        m.submodules.words = words = Memory(shape=16, depth=MAX_WRITE_WORDS, init=[], attrs={"ram_style": "block"})
        words_write, words_read = words.write_port(), words.read_port()
        to_send = Signal(8)
        m.d.comb += [
            spi.sclk.eq(self.sclk),
            spi.cs_n.eq(self.cs_n),
            spi.copi.eq(self.copi),
            self.cipo.eq(spi.cipo),
            spi.to_send.eq(to_send),
        ]

        # The request.
        part = Signal(_Request)
        header, header_now = Signal(8 * HEADER_BYTES), Signal(8 * HEADER_BYTES)
        m.d.comb += header_now.eq(Cat(spi.byte, header[:-8]))
        opcode, tag, address, count = header[40:], header[32:40], header[16:32], header[:16]
        place = Signal(range(HEADER_BYTES))
        # Of the words that come in, of the bytes that go out.
        index, index_after = Signal(16), Signal(16)
        upper = Signal(8)
        crc_good = Signal()
        complete = Signal()
        # A host at its allowed speed brings neither a word nor a whole request before the last one's words are applied; one that is faster,
        # and so meets that, is told to come again, and nothing of its request counts.
        at_work, too_soon = Signal(), Signal()
        answer_place = Signal(range(CRC_BYTES))
        crc_byte = crc.crc[-8:]

        m.d.comb += [
            crc.start.eq(spi.begins),
            crc.data.eq(spi.byte),
            index_after.eq(index + 1),
            words_write.addr.eq(index),
            words_write.data.eq(Cat(spi.byte, upper)),
        ]
        m.d.sync += complete.eq(0)
        advance = Signal()
        with m.If(spi.received):
            m.d.sync += place.eq(place + 1)
            with m.Switch(part):
                with m.Case(_Request.HEADER):
                    m.d.comb += crc.valid.eq(1)
                    m.d.sync += header.eq(header_now)
                    with m.If(place == HEADER_BYTES - 1):
                        m.d.sync += [place.eq(0), part.eq(_Request.CRC)]
                        with m.If((header_now[40:] == Opcode.WRITE) & header_now[:16].any()):
                            m.d.sync += part.eq(_Request.WORDS)
                with m.Case(_Request.WORDS):
                    m.d.comb += crc.valid.eq(1)
                    with m.If(place == 0):
                        m.d.sync += upper.eq(spi.byte)
                    with m.Else():
                        m.d.comb += words_write.en.eq((index < MAX_WRITE_WORDS) & ~at_work)
                        with m.If(at_work):
                            m.d.sync += too_soon.eq(1)
                        m.d.sync += [place.eq(0), index.eq(index_after)]
                        with m.If(index_after == count):
                            m.d.sync += part.eq(_Request.CRC)
                with m.Case(_Request.CRC):
                    m.d.comb += crc.drop.eq(1)
                    with m.If(spi.byte != crc_byte):
                        m.d.sync += crc_good.eq(0)
                    with m.If(place == CRC_BYTES - 1):
                        m.d.sync += [place.eq(0), part.eq(_Request.TURNAROUND), complete.eq(1)]
                with m.Case(_Request.TURNAROUND):
                    # The status byte has to be ready as the last turnaround byte ends.
                    m.d.comb += advance.eq(place == TURNAROUND_BYTES - 2)
                with m.Default():
                    m.d.comb += advance.eq(1)
            with m.If((part == _Request.TURNAROUND) & advance):
                m.d.sync += part.eq(_Request.OVER)
        with m.If(complete & at_work):
            m.d.sync += too_soon.eq(1)
        with m.If(spi.begins):
            m.d.sync += [part.eq(_Request.HEADER), place.eq(0), crc_good.eq(1), too_soon.eq(0)]

        # The verdict, and the words of a WRITE one after the other.
        status, answered = Signal(STATUS_BITS), Signal(STATUS_BITS)
        m.d.comb += answered.eq(Mux(too_soon, Status.BUSY, status))
        accepted = Signal()
        base, last = Signal(16), Signal(16)
        word, first, write_data = Signal(range(MAX_WRITE_WORDS)), Signal(), Signal(16)
        region = Signal.like(bus.region)
        # A register, not a sum: from here it is a long way into every register file. One bit more than there are addresses.
        reached, step, steps = Signal(17), Signal(17), Signal()
        at_last = Signal()
        m.d.comb += [
            bus.address.eq(reached),
            step.eq(1),
            at_last.eq(reached[:16] == last),
            words_read.addr.eq(word),
            bus.write_data.eq(write_data),
            bus.first.eq(first),
            bus.last.eq(at_last),
            bus.freeze.eq(complete & ~at_work),
            leaves.slot.eq(address),
        ]
        with m.If(steps):
            m.d.sync += reached.eq(reached + step)
        with m.FSM() as fsm:
            m.d.comb += at_work.eq(accepted | ~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [word.eq(0), first.eq(1)]
                with m.If(complete & ~accepted & ~too_soon):
                    m.d.sync += [base.eq(address), status.eq(Status.OK)]
                    with m.If(~crc_good):
                        m.d.sync += status.eq(Status.BAD_CRC)
                    with m.Elif(opcode == Opcode.READ):
                        m.next = "BEGIN"
                    with m.Elif(opcode == Opcode.WRITE):
                        m.d.sync += status.eq(Status.BAD_ADDRESS)
                        with m.If((count != 0) & (count <= MAX_WRITE_WORDS)):
                            m.d.sync += status.eq(Status.OK)
                            m.next = "BEGIN"
                    with m.Elif(opcode == Opcode.LEAF):
                        m.d.sync += status.eq(Mux((count == 0) & (address < LEAF_SLOTS), leaves.status, Status.BAD_ADDRESS))
                    with m.Else():
                        m.d.sync += status.eq(Status.BAD_OPCODE)
                with m.Elif(accepted):
                    m.next = "WAIT"
            with m.State("BEGIN"):
                m.d.sync += reached.eq(base)
                m.next = "FIRST"
            with m.State("FIRST"):
                m.d.comb += [steps.eq(1), step.eq(count)]
                m.d.sync += region.eq(bus.region)
                m.next = "BEHIND"
            with m.State("BEHIND"):
                m.d.comb += [steps.eq(1), step.eq(-1)]
                m.next = "LAST"
            with m.State("LAST"):
                m.d.sync += [reached.eq(base), last.eq(reached)]
                m.next = "FETCH"
                with m.If(opcode == Opcode.READ):
                    with m.If((count == 0) | reached[16] | (region == 0) | (region != bus.region)):
                        m.d.sync += status.eq(Status.BAD_ADDRESS)
                    m.next = "IDLE"
            with m.State("WAIT"):
                m.d.comb += bus.committing.eq(~bus.blocked)
                m.d.sync += reached.eq(base)
                with m.If(~bus.blocked):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += bus.committing.eq(accepted)
                m.d.sync += [write_data.eq(words_read.data), word.eq(word + 1)]
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += [bus.offered.eq(1), bus.commit.eq(accepted), bus.committing.eq(accepted)]
                with m.If((status == Status.OK) & ~accepted):
                    m.d.sync += status.eq(bus.verdict)
                m.d.comb += steps.eq(1)
                m.d.sync += first.eq(0)
                m.next = "FETCH"
                with m.If(at_last):
                    m.d.sync += accepted.eq(0)
                    m.next = "IDLE"

        # The answer: each byte is prepared while the one before it is on the wire.
        answer = Signal(_Answer)
        spoiled = Signal()
        waited = Signal(range(FETCH_CLOCKS + 1))
        data_byte = Signal(8)
        sends = Signal(8)
        m.d.comb += [
            leaves.word.eq(index >> 2),
            leaves.fetch.eq(advance & (opcode == Opcode.LEAF)),
        ]
        with m.If(opcode == Opcode.LEAF):
            m.d.comb += data_byte.eq(leaves.data.word_select(~index[:2], 8))
        with m.Else():
            m.d.comb += data_byte.eq(bus.read_data.word_select(~index[0], 8))

        with m.If(advance):
            m.d.sync += waited.eq(FETCH_CLOCKS)
        with m.Elif(waited != 0):
            m.d.sync += waited.eq(waited - 1)
        with m.If(waited == 1):
            m.d.sync += to_send.eq(sends)
            with m.Switch(answer):
                with m.Case(_Answer.STATUS):
                    m.d.comb += [sends.eq(answered), crc.start.eq(1), crc.valid.eq(1), crc.data.eq(sends)]
                    m.d.sync += answer.eq(_Answer.TAG)
                with m.Case(_Answer.TAG):
                    m.d.comb += [sends.eq(tag), crc.valid.eq(1), crc.data.eq(sends)]
                    m.d.sync += answer.eq(Mux((answered == Status.OK) & (opcode != Opcode.WRITE), _Answer.DATA, _Answer.CRC))
                with m.Case(_Answer.DATA):
                    m.d.comb += [sends.eq(data_byte), crc.valid.eq(1), crc.data.eq(sends)]
                    m.d.comb += steps.eq(index[0] & ~at_work)
                    m.d.sync += index.eq(index_after)
                    with m.If(Mux(opcode == Opcode.LEAF, index == LEAF_BYTES - 1, index[0] & at_last)):
                        m.d.sync += answer.eq(_Answer.CRC)
                with m.Case(_Answer.CRC):
                    # A leaf that was overwritten while it was read must not look whole.
                    m.d.comb += [sends.eq(crc_byte ^ spoiled.replicate(8)), crc.drop.eq(1)]
                    m.d.sync += answer_place.eq(answer_place + 1)
                    with m.If(answer_place == CRC_BYTES - 1):
                        m.d.sync += answer.eq(_Answer.LAST_LEAVES)
                with m.Case(_Answer.LAST_LEAVES):
                    m.d.sync += answer.eq(_Answer.LAST_ENDS)
                with m.Case(_Answer.LAST_ENDS):
                    m.d.sync += answer.eq(_Answer.COMPLETE)
        with m.If((answer == _Answer.DATA) & (opcode == Opcode.LEAF) & (leaves.status != Status.OK)):
            m.d.sync += spoiled.eq(1)

        whole = Signal()
        m.d.comb += whole.eq((answer == _Answer.COMPLETE) | ((answer == _Answer.LAST_ENDS) & (waited != 0)))
        with m.If(spi.ends):
            m.d.sync += to_send.eq(0)
            with m.If(whole & (answered == Status.OK)):
                m.d.sync += accepted.eq(opcode == Opcode.WRITE)
            with m.Elif(spi.touched & ~(whole & (answered == Status.BUSY)) & (self.errors != 0xFFFF)):
                m.d.sync += self.errors.eq(self.errors + 1)
        with m.If(spi.begins):
            m.d.sync += [
                answer.eq(_Answer.STATUS),
                index.eq(0),
                answer_place.eq(0),
                spoiled.eq(0),
                waited.eq(0),
            ]
        return m


assert COPY_CLOCKS < 8 * BIT_CLOCKS * (TURNAROUND_BYTES - 1)
