"""The snapshot: every site second, what the node knows becomes one telemetry image in the register file.

Reference: `thermogen_esf.layout` (word n is bytes 2n and 2n + 1 of the frame). Once the second's values are final, the 253 words are
written in order, one a clock, and shown at once; host-supplied words come from the register file's memory, channels from the power
path, the rest from registers. Latency: 255 clocks from `start` to `done`. Area, LIFCL: 630 COMB, 107 FF.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.frames import VERSION, FrameType
from thermogen_esf.hostlink import IMAGE_WORDS, WRITABLE_IMAGE_WORDS
from thermogen_esf.layout import CHANNEL_BYTES, CHANNEL_OFFSET, FIELD, HEADER_OFFSET, MAGIC, TELEMETRY_BYTES, TELEMETRY_FIELDS
from thermogen_esf.points import CHANNELS_PER_SITE, Source

from .membership import is_one_of

WORD_BITS = 16
PAIR_WORDS = 2 * CHANNEL_BYTES // 2
"""Two channels fill three words."""
CHANNEL_WORDS = range(CHANNEL_OFFSET // 2, CHANNEL_OFFSET // 2 + CHANNELS_PER_SITE * CHANNEL_BYTES // 2)

LIVE_FIELDS = tuple(placed for placed in TELEMETRY_FIELDS if placed.point.source in (Source.MEASURED, Source.DERIVED))
"""The points that the snapshot takes from the node's own registers, besides the channels."""


class Snapshot(wiring.Component):
    """`start` (one clock; kept until `hold` is low) writes an image and ends with `done`.

    Inputs, still from `start` to `done`: `sequence` of the next leaf, `time` and `time_quality` of the second, and each point of
    LIVE_FIELDS under its identifier, as raw bits. `supplied_address` and `channel_index` are answered one clock later.
    """

    def __init__(self, gateware_version: int, clocks_per_site_second: int):
        self._constants = {"gateware_version": gateware_version, "clocks_per_site_second": clocks_per_site_second}
        super().__init__(
            {
                "start": In(1),
                "hold": In(1),
                "busy": Out(1),
                "done": Out(1),
                "sequence": In(32),
                "time": In(32),
                "time_quality": In(8),
                **{placed.point.identifier: In(placed.point.width) for placed in LIVE_FIELDS},
                "supplied_address": Out(range(IMAGE_WORDS)),
                "supplied_data": In(WORD_BITS),
                "channel_index": Out(range(CHANNELS_PER_SITE)),
                "channel_word": In(8 * CHANNEL_BYTES),
                "image_address": Out(range(IMAGE_WORDS)),
                "image_data": Out(WORD_BITS),
                "image_write": Out(1),
            }
        )

    def _register_words(self) -> dict[int, Value]:
        """The words that come from registers or are constant, by address; channels, host-supplied words and zeros are not among them."""
        placed = [
            (HEADER_OFFSET["magic"], 2, MAGIC),
            (HEADER_OFFSET["type"], 2, FrameType.TELEMETRY << 8 | VERSION),
            (HEADER_OFFSET["length"], 4, TELEMETRY_BYTES),
            (HEADER_OFFSET["sequence"], 4, self.sequence),
            (HEADER_OFFSET["time"], 4, self.time),
            # The header's last byte, the flags, stays 0.
            (HEADER_OFFSET["time_quality"], 2, self.time_quality << 8),
            *((field.offset, field.size, getattr(self, field.point.identifier)) for field in LIVE_FIELDS),
            *((FIELD[identifier].offset, FIELD[identifier].size, value) for identifier, value in self._constants.items()),
        ]
        return {
            offset // 2 + word: Value.cast(value) >> WORD_BITS * (size // 2 - 1 - word)
            for offset, size, value in placed
            for word in range(size // 2)
        }

    def _chosen_word(self, m: Module, begins: Value, fetches: Value, place: Value) -> Value:
        """The register word of `place`, 0 where there is none. Words are wanted in order: a mark goes from each to the next, and what is
        marked is all that passes, for half of what a multiplexer takes."""
        words = self._register_words()
        marks: dict[int, Signal] = {}
        for address in sorted(words):
            marks[address] = mark = Signal(name=f"mark_{address}")
            if address == 0:
                m.d.sync += mark.eq(begins)
            else:
                m.d.sync += mark.eq(marks.get(address - 1, fetches & (place == address - 1)))
        return reduce(or_, (Mux(marks[address], word, 0) for address, word in words.items()))

    def elaborate(self, _platform):
        m = Module()
        pending = Signal()
        place = Signal(range(IMAGE_WORDS + 1))
        third = Signal(range(PAIR_WORDS))
        channel = Signal(range(CHANNELS_PER_SITE + 1))

        # What is fetched in one clock is written in the next.
        writes, ends = Signal(), Signal()
        register_word = Signal(WORD_BITS)
        from_third, is_supplied = Signal(PAIR_WORDS), Signal()
        rest = Signal(8)

        with m.If(self.start):
            m.d.sync += pending.eq(1)
        begins = Signal()
        m.d.comb += begins.eq(~self.busy & pending & ~self.hold)
        with m.If(begins):
            m.d.sync += [self.busy.eq(1), pending.eq(0), place.eq(0), third.eq(0), channel.eq(0)]

        fetches = Signal()
        m.d.comb += [
            fetches.eq(self.busy & (place != IMAGE_WORDS)),
            self.supplied_address.eq(place),
            self.channel_index.eq(channel + (third != 0)),
        ]
        m.d.sync += [writes.eq(fetches), ends.eq(fetches & (place == IMAGE_WORDS - 1)), from_third.eq(0)]
        m.d.sync += register_word.eq(self._chosen_word(m, begins, fetches, place))
        with m.If(fetches):
            m.d.sync += [
                place.eq(place + 1),
                self.image_address.eq(place),
                is_supplied.eq(is_one_of(place, WRITABLE_IMAGE_WORDS)),
            ]
            with m.If((place >= CHANNEL_WORDS.start) & (place < CHANNEL_WORDS.stop)):
                m.d.sync += [third.eq(third + 1), from_third.eq(1 << third)]
                with m.If(third == PAIR_WORDS - 1):
                    m.d.sync += [third.eq(0), channel.eq(channel + 2)]

        m.d.sync += rest.eq(self.channel_word[:8])
        thirds = (self.channel_word[8:], Cat(self.channel_word[16:], rest), self.channel_word[:WORD_BITS])
        m.d.comb += [
            self.image_write.eq(writes),
            self.image_data.eq(
                register_word
                | Mux(is_supplied, self.supplied_data, 0)
                | reduce(or_, (Mux(from_third[number], word, 0) for number, word in enumerate(thirds)))
            ),
        ]

        m.d.sync += self.done.eq(ends)
        with m.If(ends):
            m.d.sync += self.busy.eq(0)
        return m
