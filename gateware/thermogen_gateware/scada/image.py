"""The last site second as SCADA reads it, at the addresses of the map: the snapshot's words, the channels', and what is taken beside them.

Reference: `thermogen_esf.layout` (the snapshot's words), `snapshot.py` (when they come), `scada/map.py`. The snapshot is looked on at while
it writes its image; then the words of what it has not (the trip record, lifetime totals, modules, the network) follow as they are copied,
all of one instant (`status_words.py`), the counters among them, each of which is whole; and the second is shown. Of each memory three banks
are in use: the newest, the one that a request reads, and the one that is written. Constants lie in all banks from the beginning. The
channels are kept whole, 24 bits a channel.
Latency: a word one clock after its address; a second is shown 125 clocks after the snapshot's, or as many more where the host's request
came first, and after what the host writes. Area: counted in `registers.py`, 4 EBR of it.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import IMAGE_WORDS
from thermogen_esf.layout import CHANNEL_BYTES
from thermogen_esf.points import CHANNELS_PER_SITE

from ..address_match import matches_any
from ..status_words import NETWORK_PLACES, NODE_PLACES, OWN_STEP, STEP_BITS, STEPS, StepSignature
from .map import COUNTERS, KEPT_WORDS, SECOND_WIDTHS, WORDS
from .registers_declared import Origin, Part

KEPT_ADDRESS_BITS = (KEPT_WORDS - 1).bit_length()
CHANNEL_ADDRESS_BITS = 7
WORD_BITS = 16
BANKS = 4
CHANNEL_MIDSCALE_BIT = 11
"""A channel's current comes as 12 bits with 2,048 for 0 A and is shown as a signed number."""

_SNAPSHOT = {word.place: (address, word.part) for address, word in WORDS.items() if word.origin is Origin.IMAGE and word.part != Part.LOWER}
_LOWER = [(address, word.place) for address, word in WORDS.items() if word.origin is Origin.IMAGE and word.part is Part.LOWER]
"""Lower halves of words whose upper half is another register: written after the image."""
_COUNTED_STEP = OWN_STEP
_LOWER_STEP = _COUNTED_STEP + 2 * len(COUNTERS)
_IMAGE_BITS = 8
_DESTINATION = data.StructLayout({"address": KEPT_ADDRESS_BITS, "shown": 1, "upper": 1})
"""Where a word of the image, or of what follows it, goes: its upper half alone where `upper`."""


def _steps() -> dict[int, int]:
    """The address of what comes at each step."""
    places = {place: step for step, place in (NODE_PLACES | NETWORK_PLACES).items()}
    addresses = {_LOWER_STEP + number: address for number, (address, _) in enumerate(_LOWER)}
    for address, word in WORDS.items():
        if word.origin is Origin.SECOND:
            # What the status has fewer words of begins with 0.
            place = (word.name, SECOND_WIDTHS[word.name] // WORD_BITS - 1 - word.place)
            addresses |= {places[place]: address} if place in places else {}
        elif word.origin is Origin.COUNTER:
            addresses[_COUNTED_STEP + 2 * COUNTERS.index(word.name) + word.place] = address
    return addresses


def _destinations() -> list[dict[str, int]]:
    """Of each image word, then of each step of what follows."""
    places = [{"address": 0, "shown": 0, "upper": 0}] * (2 << _IMAGE_BITS)
    for word, (address, part) in _SNAPSHOT.items():
        places[word] = {"address": address, "shown": 1, "upper": part is not Part.WHOLE}
    for step, address in _steps().items():
        places[(1 << _IMAGE_BITS) + step] = {"address": address, "shown": 1, "upper": 0}
    return places


class ScadaImage(wiring.Component):
    """`image_*`, `busy`, `channel_index` and `channel_word` are the snapshot's, looked on at; `image_show` is its `done`.

    `take` asks for the status after it, which comes as `steps` and, a clock later, `copied`, 0 where it has nothing; `counter_index` is
    answered by `counter` one clock later.
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
                "take": Out(1),
                "steps": In(StepSignature()),
                "copied": In(WORD_BITS),
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
        steps, newest, held, written = self.steps, Signal(2), Signal(2), Signal(2)
        # A step's word comes a clock after it, and is written in the next.
        step, follows, ends = Signal(STEP_BITS), Signal(), Signal(2)
        m.d.sync += [step.eq(steps.step), follows.eq(steps.for_second), ends.eq(Cat(steps.ends, ends)), self.shown.eq(ends[1])]
        with m.If(steps.freezes):
            m.d.sync += self.take.eq(0)
        with m.If(self.image_show):
            m.d.sync += self.take.eq(1)
        with m.If(self.begin):
            m.d.sync += held.eq(newest)
        with m.If(self.shown):
            m.d.sync += newest.eq(written)
        with m.If(~self.busy & ~self.image_show & ~self.take & ~steps.for_second & ~ends.any() & ~self.shown):
            # A request that begins in this clock holds the newest, which is none of these.
            for bank in reversed(range(3)):
                with m.If((newest != bank) & (held != bank)):
                    m.d.sync += written.eq(bank)

        initial = [self._constants.get(address, 0) for address in range(KEPT_WORDS)] * BANKS
        m.submodules.words = words = Memory(shape=WORD_BITS, depth=BANKS * KEPT_WORDS, init=initial)
        words_write, words_read = words.write_port(), words.read_port()
        # The destination comes out of its memory as the word comes out of a register.
        m.submodules.destinations = destinations = Memory(shape=_DESTINATION, depth=2 << _IMAGE_BITS, init=_destinations())
        destination = destinations.read_port()
        lower = {word: Signal(8, name=f"lower_of_{word}") for _, word in _LOWER}
        own = self._own(m, lower)
        value, writes = Signal(WORD_BITS), Signal()
        m.d.comb += [
            destination.addr.eq(Cat(Mux(follows, step, self.image_address)[:_IMAGE_BITS], follows)),
            words_write.addr.eq(Cat(destination.data.address, written)),
            words_write.data.eq(Mux(destination.data.upper, value[8:], value)),
            words_write.en.eq(writes & destination.data.shown),
            words_read.addr.eq(Cat(self.address, held)),
            self.word.eq(words_read.data),
        ]
        m.d.sync += [value.eq(Mux(follows, self.copied | own, self.image_data)), writes.eq(follows | self.image_write)]
        for word, half in lower.items():
            with m.If(self.image_write & (self.image_address == word)):
                m.d.sync += half.eq(self.image_data)
        self._channels(m, held, written)
        self._discrete(m, lower)
        return m

    def _own(self, m: Module, lower: dict[int, Signal]) -> Signal:
        """The word of the last clock's step, where it is a counter's or a lower half; else 0."""
        step = self.steps.step
        # A counter may count on: its upper half is taken with the lower one, whose step comes first.
        own, upper_half, half = Signal(WORD_BITS), Signal(WORD_BITS), Signal(8)
        counted, is_lower = Signal(), Signal()
        m.d.comb += [self.counter_index.eq((step - _COUNTED_STEP) >> 1), own.eq(half)]
        m.d.sync += [
            counted.eq(matches_any(step, range(_COUNTED_STEP, _LOWER_STEP))),
            is_lower.eq(step[0]),
            upper_half.eq(self.counter[WORD_BITS:]),
            half.eq(0),
        ]
        with m.If(counted):
            m.d.comb += own.eq(Mux(is_lower, self.counter, upper_half))
        for number, (_, word) in enumerate(_LOWER):
            with m.If(step == _LOWER_STEP + number):
                m.d.sync += half.eq(lower[word])
        return own

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


def _place_of(identifier: str) -> int:
    return next(word.place for word in WORDS.values() if word.origin is Origin.IMAGE and word.name == identifier)


assert _LOWER_STEP + len(_LOWER) <= STEPS <= 1 << _IMAGE_BITS
