"""The last site second as SCADA reads it, at the addresses of the map: the snapshot's words, the channels', and what is taken beside them.

Reference: `thermogen_esf.layout` (the snapshot's words), `snapshot.py` (when they come), `scada/map.py`. The snapshot is looked on at while
it writes its image; then the words of what it has not (the trip record, lifetime totals, modules, the network) follow, again and again
until none but a counter differs from what was there before, so that all are of one instant, and the whole is shown at once. They stand
still for longer than that. Of each memory three banks are in use: the newest, the one that a request reads, and the one that is written.
Constants lie in all banks from the beginning. The channels are kept whole, 24 bits a channel.
Latency: a word one clock after its address; a second is shown 70 clocks after the snapshot's, or 140 where something has changed since
the last one in the same bank. Area: counted in `registers.py`, 6 EBR of it.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import IMAGE_WORDS
from thermogen_esf.layout import CHANNEL_BYTES
from thermogen_esf.points import CHANNELS_PER_SITE

from .map import COUNTERS, KEPT_WORDS, SECOND_WIDTHS, WORDS
from .registers_declared import Origin, Part, Word

KEPT_ADDRESS_BITS = (KEPT_WORDS - 1).bit_length()
CHANNEL_ADDRESS_BITS = 7
WORD_BITS = 16
BANKS = 4
CHANNEL_MIDSCALE_BIT = 11
"""A channel's current comes as 12 bits with 2,048 for 0 A and is shown as a signed number."""

SECOND_LAYOUT = data.StructLayout(SECOND_WIDTHS)
_SNAPSHOT = {word.place: (address, word.part) for address, word in WORDS.items() if word.origin is Origin.IMAGE and word.part != Part.LOWER}
_LOWER = [(address, word.place) for address, word in WORDS.items() if word.origin is Origin.IMAGE and word.part is Part.LOWER]
"""Lower halves of words whose upper half is another register: written after the image."""
_TAKEN = [(address, word) for address, word in WORDS.items() if word.origin is Origin.SECOND]
_COUNTED = [(address, word) for address, word in WORDS.items() if word.origin is Origin.COUNTER]
TAIL: tuple[int, ...] = tuple(address for address, _ in (*_COUNTED, *_LOWER, *_TAKEN))
"""Addresses of what follows the image, in the order in which they are written."""
_STEPS = 1 << 8
"""Image words, and as many steps of what follows, of which fewer are used."""
_COMPARED = 2
"""Clocks from a step to whether its word differs from what was there before."""
_DESTINATION = data.StructLayout({"address": KEPT_ADDRESS_BITS, "shown": 1, "upper": 1, "stands": 1})
"""Where a word of the image, or of what follows it, goes: its upper half alone where `upper`; begun again where it differs and `stands`."""


def _destinations() -> list[dict[str, int]]:
    """Of each image word, then of each step of what follows."""
    places = [{"address": 0, "shown": 0, "upper": 0, "stands": 0}] * (2 * _STEPS)
    for word, (address, part) in _SNAPSHOT.items():
        places[word] = {"address": address, "shown": 1, "upper": part is not Part.WHOLE, "stands": 0}
    for step, address in enumerate(TAIL):
        places[_STEPS + step] = {"address": address, "shown": 1, "upper": 0, "stands": step >= len(_COUNTED)}
    return places


class ScadaImage(wiring.Component):
    """`image_*`, `busy`, `channel_index` and `channel_word` are the snapshot's, looked on at; `image_show` is its `done`.

    `second` is taken after it, of one instant; `counter_index` is answered by `counter` in the same clock.
    `begin` freezes which second is read. `address`, or `channel`, is answered one clock later with `word`, or `current`, `duty` and
    `state`. `burner_flags` and `site_alarms` are those of the newest second; `shown` strobes when there is a new one.
    `constants` are the words of what was fixed at build time, by address.
    """

    def __init__(self, constants: dict[int, int]):
        self._constants = constants
        super().__init__(
            {
                "image_address": In(range(IMAGE_WORDS)),
                "image_data": In(WORD_BITS),
                "image_write": In(1),
                "image_show": In(1),
                "busy": In(1),
                "channel_index": In(range(CHANNELS_PER_SITE)),
                "channel_word": In(8 * CHANNEL_BYTES),
                "second": In(SECOND_LAYOUT),
                "counter_index": Out(range(len(COUNTERS))),
                "counter": In(32),
                "begin": In(1),
                "address": In(KEPT_ADDRESS_BITS),
                "channel": In(CHANNEL_ADDRESS_BITS),
                "word": Out(WORD_BITS),
                "current": Out(WORD_BITS),
                "duty": Out(9),
                "state": Out(3),
                "burner_flags": Out(8),
                "site_alarms": Out(WORD_BITS),
                "shown": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        newest, held, written = Signal(2), Signal(2), Signal(2)
        follows = Signal()
        with m.If(self.begin):
            m.d.sync += held.eq(newest)
        with m.If(self.shown):
            m.d.sync += newest.eq(written)
        with m.If(~self.busy & ~self.image_show & ~follows & ~self.shown):
            # A request that begins in this clock holds the newest, which is none of these.
            for bank in reversed(range(3)):
                with m.If((newest != bank) & (held != bank)):
                    m.d.sync += written.eq(bank)

        initial = [self._constants.get(address, 0) for address in range(KEPT_WORDS)] * BANKS
        m.submodules.words = words = Memory(shape=WORD_BITS, depth=BANKS * KEPT_WORDS, init=initial)
        words_write, words_read, before = words.write_port(), words.read_port(), words.read_port()
        # The destination comes out of its memory as the word comes out of a register.
        m.submodules.destinations = destinations = Memory(shape=_DESTINATION, depth=2 * _STEPS, init=_destinations())
        destination, step = destinations.read_port(), Signal(range(_STEPS))
        value, tail_word, writes = Signal(WORD_BITS), Signal(WORD_BITS), Signal()
        m.d.comb += [
            destination.addr.eq(Cat(Mux(follows, step, self.image_address), follows)),
            words_write.addr.eq(Cat(destination.data.address, written)),
            words_write.data.eq(Mux(destination.data.upper, value[8:], value)),
            words_write.en.eq(writes & destination.data.shown),
            before.addr.eq(words_write.addr),
            words_read.addr.eq(Cat(self.address, held)),
            self.word.eq(words_read.data),
        ]
        m.d.sync += [value.eq(Mux(follows, tail_word, self.image_data)), writes.eq(follows | self.image_write)]
        lower = {word: Signal(8, name=f"lower_of_{word}") for _, word in _LOWER}
        # The memory says what was there as it is overwritten.
        compared, after = Signal(), Signal(WORD_BITS)
        m.d.sync += [compared.eq(writes & destination.data.stands), after.eq(words_write.data)]
        self._follow(m, follows, step, compared & (before.data != after), tail_word, lower)
        for word, half in lower.items():
            with m.If(self.image_write & (self.image_address == word)):
                m.d.sync += half.eq(self.image_data)
        self._channels(m, held, written)
        self._discrete(m, lower)
        return m

    def _follow(self, m: Module, follows: Signal, step: Signal, differs: Value, word: Signal, lower: dict[int, Signal]) -> None:
        """What the snapshot has not, word by word, until what was written is what was there before."""
        # A counter may count on: it is taken whole with its upper half, and its lower half is the next step.
        lower_half = Signal(WORD_BITS)
        m.d.sync += lower_half.eq(self.counter)
        counted = [self.counter[WORD_BITS:], lower_half] * len(COUNTERS)
        sources = (*counted, *(lower[place] for _, place in _LOWER), *(self._taken(taken) for _, taken in _TAKEN))
        last_step = len(TAIL) - 1 + _COMPARED
        assert len(sources) == len(TAIL) and last_step < _STEPS
        index = step[: (len(TAIL) - 1).bit_length()]
        m.d.comb += [self.counter_index.eq(step >> 1), word.eq(Cat(_word(source) for source in sources).word_select(index, WORD_BITS))]
        again = Signal()
        with m.If(follows):
            m.d.sync += [step.eq(step + 1), again.eq(again | differs)]
            with m.If(step == last_step):
                m.d.sync += [step.eq(0), again.eq(0)]
                with m.If(~again & ~differs):
                    m.d.sync += [follows.eq(0), self.shown.eq(1)]
        with m.Else():
            m.d.sync += self.shown.eq(0)
        with m.If(self.image_show):
            m.d.sync += follows.eq(1)

    def _taken(self, word: Word):
        size = SECOND_WIDTHS[word.name] // WORD_BITS
        return self.second[word.name].word_select(size - 1 - word.place, WORD_BITS)

    def _channels(self, m: Module, held: Signal, written: Signal) -> None:
        m.submodules.channels = channels = Memory(shape=8 * CHANNEL_BYTES, depth=BANKS << CHANNEL_ADDRESS_BITS, init=[])
        write, read = channels.write_port(), channels.read_port()
        channel, taking = Signal(CHANNEL_ADDRESS_BITS), Signal()
        # The power path answers a clock after the index.
        m.d.sync += [channel.eq(self.channel_index), taking.eq(self.busy)]
        state, duty, current = read.data[:3], read.data[3:12], read.data[12:]
        sign = ~current[CHANNEL_MIDSCALE_BIT]
        m.d.comb += [
            write.addr.eq(Cat(channel, written)),
            write.data.eq(self.channel_word),
            write.en.eq(taking),
            read.addr.eq(Cat(self.channel, held)),
            self.state.eq(state),
            self.duty.eq(duty),
            self.current.eq(Cat(current[:CHANNEL_MIDSCALE_BIT], sign.replicate(WORD_BITS - CHANNEL_MIDSCALE_BIT))),
        ]

    def _discrete(self, m: Module, lower: dict[int, Signal]) -> None:
        """Discrete inputs are read by the bit: their words of the second are kept beside."""
        alarms = Signal(WORD_BITS)
        with m.If(self.image_write & (self.image_address == _place_of("site_alarms"))):
            m.d.sync += alarms.eq(self.image_data)
        with m.If(self.shown):
            m.d.sync += [self.burner_flags.eq(lower[_place_of("burner_flags")]), self.site_alarms.eq(alarms)]


def _word(value: Value) -> Value:
    return Cat(value, C(0, WORD_BITS - len(value)))


def _place_of(identifier: str) -> int:
    return next(word.place for word in WORDS.values() if word.origin is Origin.IMAGE and word.name == identifier)
