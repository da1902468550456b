"""The register file behind the MODBUS server: every register, coil and discrete input of the map, and the writes.

Reference: `scada/map.py`, `network/ports.py` (RegisterPort). A request sees one site second and the live values of one instant, that of
its `begin`; from the clock after it on each address is answered one clock later, in any order. Writes are staged and judged word by
word and become true at `end`, all or none (`staging.py`); what they do is an override that ends (`overrides.py`), and each is an event
(`events.py`). Nothing but `refusal` and the staged words changes before `end`.
Latency: data one clock after the address, refusal one clock after the word (the port allows two). Area, LIFCL (synthesis): 1,178 COMB,
745 FF, 11 EBR.
"""

from __future__ import annotations

import itertools

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import IMAGE_WORDS
from thermogen_esf.layout import CHANNEL_BYTES, MAGIC
from thermogen_esf.points import CHANNELS_PER_SITE
from thermogen_esf.scada import WRITABLES

from ..address_match import matches_any
from ..network.ports import RegisterPortSignature
from ..status_words import StepSignature
from .allow_list import AllowListSignature
from .counters import EventCounters
from .events import WriteEvents
from .image import CHANNEL_ADDRESS_BITS, KEPT_ADDRESS_BITS, ScadaImage
from .live import ALONE, BITS, LiveWords
from .map import COILS, COUNTERS, DISCRETE_COUNT, SCADA_MAP_VERSION, WIDE, WORD_ORDER_TEST, WORDS
from .overrides import Overrides
from .registers_declared import Origin
from .staging import WriteStaging

COIL_SPACE, DISCRETE_SPACE = 0, 1
COUNTED = COUNTERS[:-1]
"""What the network stack counts: a strobe each in `count`; the last counter is our own."""
_IMAGE_PORTS = {
    "image_address": range(IMAGE_WORDS),
    "image_data": 16,
    "image_write": 1,
    "image_show": 1,
    "busy": 1,
    "channel_index": range(CHANNELS_PER_SITE),
    "channel_word": 8 * CHANNEL_BYTES,
    "steps": StepSignature(),
    "copied": 16,
}
_SETTINGS = {"writable": len(WRITABLES), "panel_enable": 1}
_OF_CHANNELS = ("channel_current", "channel_duty", "channel_state")
_PLACE = data.StructLayout({"exists": 1, **dict.fromkeys(_OF_CHANNELS, 1)})
"""What is at an address: something, and which of the channels' words."""
PLACE_ADDRESS_BITS = max(WORDS).bit_length()


def _places() -> list[dict[str, int]]:
    words = (WORDS.get(address) for address in range(1 << PLACE_ADDRESS_BITS))
    return [{"exists": word is not None, **{name: word is not None and word.name == name for name in _OF_CHANNELS}} for word in words]


def _roundest(first: int, last: int) -> int:
    """Of the numbers from `first` to `last` the one with the most zeros below."""
    return next(last >> zeros << zeros for zeros in reversed(range(last.bit_length())) if last >> zeros << zeros >= first)


class ScadaRegisters(wiring.Component):
    """`port` is the MODBUS server's; the image ports are the snapshot's, looked on at (`busy` and `image_show` are its `busy` and `done`).

    `take` asks once a site second for what the node and the network stack say, of one instant; it comes as `steps` and `copied`
    (`status_words.py`). `count` is a strobe for each of COUNTED. `time`, `faults`, `flags` and `link_flags` are live. `own_*` are the
    node's set-points and `enable`, `current_limit_ma`, `site_power_limit` what the power path gets of them; `trip_clear` is a strobe
    beside the host's. `word_swap` and `writable` are settings, `allow_list` asks who may write, `panel_enable` lets everybody write while
    it is 1 (a synchronised level). `events_*` are read and freed by the host. `clocks_per_second` counts the clock, not site time.
    """

    def __init__(self, clocks_per_second: int, channels: int, source_hash: int = 0):
        self._clocks_per_second = clocks_per_second
        self._constants = {
            "magic": MAGIC,
            "map_version": SCADA_MAP_VERSION,
            "channels": channels,
            "source_hash": source_hash,
            "word_order_test": WORD_ORDER_TEST,
        }
        super().__init__(
            {
                "port": In(RegisterPortSignature()),
                **{name: In(shape) for name, shape in (_IMAGE_PORTS | _SETTINGS).items()},
                "take": Out(1),
                "allow_list": Out(AllowListSignature()),
                "count": In(len(COUNTED)),
                "time": In(32),
                "faults": In(32),
                "flags": In(BITS["flags"]),
                "link_flags": In(ALONE["link_flags"]),
                "own_enable": In(1),
                "own_current_limit_ma": In(16),
                "own_site_power_limit": In(16),
                "enable": Out(1),
                "current_limit_ma": Out(16),
                "site_power_limit": Out(16),
                "trip_clear": Out(1),
                "word_swap": In(1),
                "override_flags": Out(BITS["override_flags"]),
                "override_remaining_s": Out(12),
                "override_ip": Out(32),
                "events_next": Out(32),
                "events_oldest": Out(32),
                "events_acknowledge": In(1),
                "events_stored": In(32),
                "events_address": In(10),
                "events_data": Out(16),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        port = self.port
        m.submodules.image = image = ScadaImage(self._constant_words())
        m.submodules.live = live = LiveWords()
        m.submodules.counters = counters = EventCounters(len(COUNTERS))
        m.submodules.staging = staging = WriteStaging()
        m.submodules.overrides = overrides = Overrides(self._clocks_per_second)
        m.submodules.events = events = WriteEvents()

        self._read(m, image, live)
        for name, shape in _IMAGE_PORTS.items():
            if not isinstance(shape, StepSignature):
                m.d.comb += getattr(image, name).eq(getattr(self, name))
        wiring.connect(m, wiring.flipped(self.steps), image.steps)
        wiring.connect(m, staging.allow_list, wiring.flipped(self.allow_list))
        for name in ("begin", "end", "abort", "write", "space", "address", "value", "peer_ip"):
            m.d.comb += getattr(staging, name).eq(getattr(port, name))
        for name in _SETTINGS:
            m.d.comb += getattr(staging, name).eq(getattr(self, name))
        for name in ("own_enable", "own_current_limit_ma", "own_site_power_limit"):
            m.d.comb += getattr(overrides, name).eq(getattr(self, name))
        for name in ("enable", "current_limit_ma", "site_power_limit", "trip_clear"):
            m.d.comb += getattr(self, name).eq(getattr(overrides, name))
        for listener in (overrides, events):
            m.d.comb += [listener.apply.eq(staging.apply), listener.written.eq(staging.written), listener.staged.eq(staging.staged)]
            m.d.comb += listener.ip.eq(port.peer_ip)
        m.d.comb += [
            self.take.eq(image.take),
            image.counter.eq(counters.value),
            counters.index.eq(image.counter_index),
            counters.count.eq(Cat(self.count, staging.apply)),
            port.refusal.eq(staging.refusal),
            staging.busy.eq(events.busy),
            staging.heartbeat_busy.eq(events.heartbeat_busy),
            staging.owner.eq(overrides.owner),
            overrides.owner_may_write.eq(staging.owner_may_write),
            events.values.eq(overrides.values),
            events.time.eq(self.time),
            events.second.eq(image.shown),
            events.ended.eq(overrides.ended),
            events.owner.eq(overrides.owner),
            events.acknowledge.eq(self.events_acknowledge),
            events.stored.eq(self.events_stored),
            events.read_address.eq(self.events_address),
            self.events_data.eq(events.read_data),
            self.events_next.eq(events.next),
            self.events_oldest.eq(events.oldest),
            self.override_flags.eq(Cat(overrides.flags, staging.some_may_write, self.panel_enable, events.full)),
            self.override_remaining_s.eq(overrides.remaining_s),
            self.override_ip.eq(overrides.owner),
        ]
        own = {
            "word_order": self.word_swap,
            "burner_flags": image.burner_flags,
            "site_alarms": image.site_alarms,
            **{writable.identifier: overrides.values[writable.identifier] for writable in WRITABLES if writable.identifier in BITS},
        }
        same = ("faults", "flags", "override_flags", "override_remaining_s", "override_ip", "link_flags")
        own |= {name: getattr(self, name) for name in (*same, "own_enable", "own_current_limit_ma", "own_site_power_limit")}
        m.d.comb += [getattr(live, name).eq(value) for name, value in own.items()]
        return m

    def _constant_words(self) -> dict[int, int]:
        words = {}
        for address, word in WORDS.items():
            if word.origin is Origin.CONSTANT:
                size = sum(1 for other in WORDS.values() if other.name == word.name)
                words[address] = self._constants[word.name] >> 16 * (size - 1 - word.place) & 0xFFFF
        return words

    def _read(self, m: Module, image: ScadaImage, live: LiveWords) -> None:
        port = self.port
        # The other word order reads the same words at each other's addresses.
        flip, address = Signal(2), Signal(16)
        is_bit = (port.space == COIL_SPACE) | (port.space == DISCRETE_SPACE)
        with m.If(self.word_swap & ~is_bit):
            m.d.comb += flip.eq(Cat(matches_any(port.address, WIDE[2] | WIDE[4]), matches_any(port.address, WIDE[4])))
        m.d.comb += [
            address.eq(port.address ^ flip),
            live.begin.eq(port.begin),
            live.address.eq(address),
            live.coil.eq(port.space == COIL_SPACE),
            image.begin.eq(port.begin),
            image.address.eq(address[:KEPT_ADDRESS_BITS]),
        ]
        m.submodules.places = places = Memory(shape=_PLACE, depth=1 << PLACE_ADDRESS_BITS, init=_places())
        place = places.read_port()
        m.d.comb += place.addr.eq(address)
        beyond, bit, bit_exists = Signal(), Signal(), Signal()
        m.d.sync += [
            beyond.eq(address[PLACE_ADDRESS_BITS:].any()),
            bit.eq(is_bit),
            bit_exists.eq(matches_any(port.address, range(DISCRETE_COUNT))),
        ]
        with m.If(port.space == COIL_SPACE):
            m.d.sync += bit_exists.eq(matches_any(port.address, range(len(COILS))))
        m.d.comb += [port.exists.eq(Mux(bit, bit_exists, place.data.exists & ~beyond)), image.channel.eq(self._channel(address))]
        with m.If(bit):
            m.d.comb += port.data.eq(live.bit)
        with m.Elif(live.live):
            m.d.comb += port.data.eq(live.word)
        with m.Elif(place.data.channel_current):
            m.d.comb += port.data.eq(image.current)
        with m.Elif(place.data.channel_duty):
            m.d.comb += port.data.eq(image.duty)
        with m.Elif(place.data.channel_state):
            m.d.comb += port.data.eq(image.state)
        with m.Else():
            m.d.comb += port.data.eq(image.word)

    def _channel(self, address: Value) -> Value:
        """The channel whose word it is; of no meaning at other addresses."""
        places = sorted([place for place, word in WORDS.items() if word.name == name] for name in _OF_CHANNELS)
        bases = [C(min(each) % (1 << CHANNEL_ADDRESS_BITS), CHANNEL_ADDRESS_BITS) for each in places]
        base: Value = bases[0]
        for (before, after), next_base in zip(itertools.pairwise(places), bases[1:], strict=True):
            base = Mux(address >= _roundest(max(before) + 1, min(after)), next_base, base)
        return address[:CHANNEL_ADDRESS_BITS] - base


assert all(coil.address == place for place, coil in enumerate(COILS))
