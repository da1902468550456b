"""The host link's side of network and SCADA: settings that the node keeps, how both stand, and the events of writes.

Reference: `thermogen_esf.hostlink_network` (addresses). It sits on the register bus beside the register file (`bus_split.py`). Settings
are read back from a small memory, and the status from another (`status_words.py`); a value of two or three words is taken whole, in the
clock of its last word. The key of the initial sequence numbers is never read back.
Latency: a word two clocks after its address. Area, LIFCL (synthesis): counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import Status
from thermogen_esf.hostlink_network import (
    DEFAULT_SETTINGS,
    EVENT_ACK,
    EVENT_BASE,
    EVENT_END,
    NETWORK_BASE,
    NETWORK_SETTINGS,
    NETWORK_SETTINGS_WORDS,
    NETWORK_STATUS_BASE,
    NETWORK_STATUS_WORDS,
    PREFERRED_CLIENTS,
    NetworkMode,
    WordOrder,
)
from thermogen_esf.scada import EVENT_RING, WRITABLES

from ..address_match import matches_any
from ..host_link import RegisterBusSignature
from ..status_words import NETWORK_PLACES, NETWORK_STEP, STEP_BITS, FrozenWords, StepSignature
from .allow_list import AllowList, AllowListSignature

WORD_BITS = 16
KEY_WORDS = NETWORK_SETTINGS["isn_key"][1]
EVENT_NUMBER_BITS = 32
_STATUS_ADDRESS_BITS = (NETWORK_STATUS_WORDS - 1).bit_length()
_SETTINGS, _STATUS, _EVENTS = 5, 6, 7
"""Regions, for the bus; the register file has those below."""
_LIVE = {
    "link_flags": 16,
    "connections": 16,
    "live_ip": 32,
    "live_mask": 32,
    "live_gateway": 32,
    "lease_s": 32,
    "override_flags": 7,
    "override_remaining_s": 12,
    "override_ip": 32,
    "events_next": EVENT_NUMBER_BITS,
    "events_oldest": EVENT_NUMBER_BITS,
}


def _all_words(name: str) -> list[int]:
    address, size, entries = NETWORK_SETTINGS[name]
    return list(range(address, address + size * entries))


def _firsts_and_lasts() -> tuple[list[int], list[int]]:
    places = [(address + n * size, size) for address, size, entries in NETWORK_SETTINGS.values() for n in range(entries)]
    places.append(EVENT_ACK)
    return [address for address, _ in places], [address + size - 1 for address, size in places]


class NetworkRegisters(wiring.Component):
    """`bus` beside the register file's; `here` says that the address is one of these.

    Out go the settings, levels each, and who may write as the answer of `allow_list`. The status goes in under its registers' names, and
    with it what SCADA alone is shown; its words come as `word`, a clock after their step, and 0 at others' steps. `events_*` are those of
    ScadaRegisters.
    """

    def __init__(self):
        super().__init__(
            {
                "bus": In(RegisterBusSignature()),
                "here": Out(1),
                "dhcp": Out(1, init=DEFAULT_SETTINGS["network_mode"]),
                "ip": Out(32, init=DEFAULT_SETTINGS["ip"]),
                "mask": Out(32, init=DEFAULT_SETTINGS["mask"]),
                "gateway": Out(32),
                "mac": Out(48, init=DEFAULT_SETTINGS["mac"]),
                "word_swap": Out(1),
                "writable": Out(len(WRITABLES), init=DEFAULT_SETTINGS["writable"]),
                "allow_list": In(AllowListSignature()),
                "preferred": Out(data.ArrayLayout(32, PREFERRED_CLIENTS)),
                "isn_key": Out(WORD_BITS * KEY_WORDS),
                **{name: In(width) for name, width in _LIVE.items()},
                "steps": In(StepSignature()),
                "word": Out(WORD_BITS),
                "events_acknowledge": Out(1),
                "events_stored": Out(EVENT_NUMBER_BITS),
                "events_address": Out(10),
                "events_data": In(WORD_BITS),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        bus = self.bus
        settings = range(NETWORK_BASE, NETWORK_BASE + NETWORK_SETTINGS_WORDS)
        status = range(NETWORK_STATUS_BASE, NETWORK_STATUS_BASE + NETWORK_STATUS_WORDS)
        acknowledges = matches_any(bus.address, range(EVENT_ACK[0], sum(EVENT_ACK)))
        with m.If(matches_any(bus.address, settings)):
            m.d.comb += bus.region.eq(_SETTINGS)
        with m.Elif(matches_any(bus.address, status)):
            m.d.comb += bus.region.eq(_STATUS)
        with m.Elif(matches_any(bus.address, range(EVENT_BASE, EVENT_END))):
            m.d.comb += bus.region.eq(_EVENTS)
        m.d.comb += self.here.eq((bus.region != 0) | acknowledges)

        taken = bus.offered & bus.commit
        recent = Signal(2 * WORD_BITS)
        with m.If(bus.offered):
            m.d.sync += recent.eq(Cat(bus.write_data, recent))
        whole = Signal(3 * WORD_BITS)
        m.d.comb += whole.eq(Cat(bus.write_data, recent))

        self._read(m)
        m.d.comb += bus.verdict.eq(self._verdict(m, whole, acknowledges))
        self._take(m, taken, whole)
        m.d.comb += [
            self.events_acknowledge.eq(taken & (bus.address == sum(EVENT_ACK) - 1)),
            self.events_stored.eq(whole),
        ]
        return m

    def _read(self, m: Module) -> None:
        bus = self.bus
        initial = [0] * NETWORK_SETTINGS_WORDS
        for name, value in DEFAULT_SETTINGS.items():
            address, size, _ = NETWORK_SETTINGS[name]
            for place in range(size):
                initial[address - NETWORK_BASE + place] = value >> WORD_BITS * (size - 1 - place) & 0xFFFF
        depth = 1 << (NETWORK_SETTINGS_WORDS - 1).bit_length()
        m.submodules.kept = kept = Memory(shape=WORD_BITS, depth=depth, init=initial, attrs={"ram_style": "block"})
        write, read = kept.write_port(), kept.read_port()
        secret = matches_any(bus.address, _all_words("isn_key"))
        m.d.comb += [
            write.addr.eq(bus.address - NETWORK_BASE),
            write.data.eq(bus.write_data),
            write.en.eq(bus.offered & bus.commit & (bus.region == _SETTINGS) & ~secret),
            read.addr.eq(bus.address - NETWORK_BASE),
            self.events_address.eq(bus.address - EVENT_BASE),
        ]

        m.submodules.frozen = frozen = FrozenWords(_LIVE, NETWORK_PLACES)
        wiring.connect(m, wiring.flipped(self.steps), frozen.steps)
        m.d.comb += [getattr(frozen, name).eq(getattr(self, name)) for name in _LIVE]
        m.submodules.status = status = Memory(shape=WORD_BITS, depth=1 << _STATUS_ADDRESS_BITS, init=[], attrs={"ram_style": "block"})
        status_write, status_read = status.write_port(), status.read_port()
        place, copies = Signal(STEP_BITS), Signal()
        m.d.sync += [
            place.eq(self.steps.step),
            copies.eq(self.steps.for_host & matches_any(self.steps.step, range(NETWORK_STEP, NETWORK_STEP + NETWORK_STATUS_WORDS))),
        ]
        m.d.comb += [
            self.word.eq(frozen.word),
            status_write.addr.eq(place),
            status_write.data.eq(frozen.word),
            status_write.en.eq(copies),
            status_read.addr.eq(bus.address),
        ]
        region = Signal.like(bus.region)
        m.d.sync += region.eq(bus.region)
        with m.Switch(region):
            with m.Case(_SETTINGS):
                m.d.comb += bus.read_data.eq(read.data)
            with m.Case(_STATUS):
                m.d.comb += bus.read_data.eq(status_read.data)
            with m.Case(_EVENTS):
                m.d.comb += bus.read_data.eq(self.events_data)

    def _verdict(self, m: Module, whole: Value, acknowledges: Value) -> Value:
        """What the word on the bus would meet: OK, REFUSED (read only, out of range, or half a register) or BAD_ADDRESS."""
        bus = self.bus
        refused = Signal()
        firsts, lasts = _firsts_and_lasts()
        half = (bus.first & ~matches_any(bus.address, firsts)) | (bus.last & ~matches_any(bus.address, lasts))
        limits = {
            "network_mode": bus.write_data > max(NetworkMode),
            "word_order": bus.write_data > max(WordOrder),
            "writable": bus.write_data >= 1 << len(WRITABLES),
        }
        beyond = self._beyond_next(m, whole)
        m.d.comb += refused.eq(half | (bus.region == _STATUS) | (bus.region == _EVENTS))
        with m.Switch(bus.address):
            for name, outside in limits.items():
                with m.Case(NETWORK_SETTINGS[name][0]):
                    m.d.comb += refused.eq(half | outside)
            with m.Case(sum(EVENT_ACK) - 1):
                m.d.comb += refused.eq(half | beyond)
        return Mux(refused, Status.REFUSED, Mux((bus.region != 0) | acknowledges, Status.OK, Status.BAD_ADDRESS))

    def _beyond_next(self, m: Module, whole: Value) -> Signal:
        """Whether the number is none from the oldest to the next: their numbers go round."""
        beyond, ahead, kept = Signal(), Signal(EVENT_NUMBER_BITS), Signal(range(EVENT_RING + 1))
        m.d.comb += [
            ahead.eq(whole[:EVENT_NUMBER_BITS] - self.events_oldest),
            kept.eq(self.events_next - self.events_oldest),
            beyond.eq(ahead[len(kept) :].any() | (ahead[: len(kept)] > kept)),
        ]
        return beyond

    def _take(self, m: Module, taken: Value, whole: Value) -> None:
        bus = self.bus
        plain = {"network_mode": self.dhcp, "ip": self.ip, "mask": self.mask, "gateway": self.gateway, "mac": self.mac}
        plain |= {"word_order": self.word_swap, "writable": self.writable}
        m.submodules.allow_list = allow_list = AllowList()
        wiring.connect(m, wiring.flipped(self.allow_list), allow_list.question)
        first = NETWORK_SETTINGS["writers"][0]
        of_writers = taken & matches_any(bus.address, _all_words("writers")) & bus.address[0]
        is_mask = (bus.address - first)[1]
        m.d.comb += [
            allow_list.entry.eq((bus.address - first) >> 2),
            allow_list.value.eq(whole),
            allow_list.write_ip.eq(of_writers & ~is_mask),
            allow_list.write_mask.eq(of_writers & is_mask),
        ]
        with m.If(taken), m.Switch(bus.address):
            for name, setting in plain.items():
                address, size, _ = NETWORK_SETTINGS[name]
                with m.Case(address + size - 1):
                    m.d.sync += setting.eq(whole)
            for place, address in enumerate(_all_words("isn_key")):
                with m.Case(address):
                    m.d.sync += self.isn_key.word_select(KEY_WORDS - 1 - place, WORD_BITS).eq(bus.write_data)
            for entry in range(PREFERRED_CLIENTS):
                with m.Case(NETWORK_SETTINGS["preferred"][0] + 2 * entry + 1):
                    m.d.sync += self.preferred[entry].eq(whole)


assert EVENT_RING * 8 == 1024
