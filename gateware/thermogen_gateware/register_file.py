"""The registers of the node as the host sees them: the image of the last site second, status, controls, calibration, lifetime totals,
channel gains, the tracker's parameters, epoch records.

Reference: `thermogen_esf.hostlink`, `thermogen_esf.layout` (addresses). The image has three banks in one block memory: the newest, the
one that a transaction reads, and the one that the snapshot writes, because a transaction may take longer than a site second. Status
registers are frozen as a request completes, and copied word by word into a memory while the host still waits (`status_words.py`); lifetime
totals are added up on the way. Epoch records have twice the ring in memory, so that the four which a transaction sees
stay as they were. What the host supplies waits in a memory of its own for the next snapshot.
Latency: a word two clocks after its address. Area: counted in `node.py`.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CALIBRATION_WORDS,
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_MAX,
    CHANNEL_GAIN_MIN,
    CHANNEL_GAIN_WORDS,
    CONTROL_REGISTERS,
    EPOCH_BASE,
    EPOCH_END,
    EPOCH_RECORD_WORDS,
    EPOCH_RING,
    HOT_LIMIT_MAX,
    HOT_LIMIT_MIN,
    IMAGE_WORDS,
    LOCKED_WHEN_ARMED,
    MODULE_SLOTS,
    PARAMETER_BASE,
    PARAMETER_REGISTERS,
    PARAMETER_WORDS,
    RESTORE_BASE,
    RESTORE_REGISTERS,
    RESTORE_WORDS,
    STATUS_BASE,
    STATUS_REGISTERS,
    STATUS_WORDS,
    TRIP_CLEAR_KEYS,
    WRITABLE_IMAGE_WORDS,
    NodeFlag,
    Status,
)
from thermogen_esf.layout import MAGIC
from thermogen_esf.tracker_parameters import TRACKER_PARAMETER, TRACKER_PARAMETERS

from .address_match import matches_any
from .host_link import RegisterBusSignature
from .status_words import NODE_PLACES, STEP_BITS, FrozenWords, StatusSteps, StepSignature
from .tracker import PARAMETERS_LAYOUT
from .trip_causes import HOT_FATAL_RAW, HOT_THROTTLE_RAW

MAP_VERSION = 4
IMAGE_ADDRESS_BITS = 8
WORD_BITS = 16
CURRENT_LIMIT = TRACKER_PARAMETER["current_limit_ma"]
"""The parameter that the control register of the same name sets, too: it was there before the parameters were."""

RECORD_ADDRESS_BITS = (2 * EPOCH_RING * EPOCH_RECORD_WORDS - 1).bit_length()

_IMAGE, _STATUS, _EPOCHS, _PARAMETERS = 1, 2, 3, 4
"""Regions, for the bus."""
_LIVE_STATUS = {
    "time": 32,
    "leaf_next": 32,
    "leaf_oldest": 32,
    "epochs_sealed": 16,
    "faults": 32,
    "trip_cause": 32,
    "trip_bus_mv": 16,
    "trip_time": 32,
    "trip_clocks": 64,
    "trip_bus_current": 16,
    "trip_hot_supply": 16,
    "trip_ground_fault": 16,
    "trip_channel": 16,
    "clocks": 64,
    "module_identity": 16 * MODULE_SLOTS,
    "module_status": 16 * MODULE_SLOTS,
    "module_bootstraps": 16 * MODULE_SLOTS,
}
_COUNTED = {"lifetime_energy": ("electrical_energy", 64), "lifetime_bus_energy": ("bus_energy", 64), "lifetime_gas": ("gas_volume", 48)}
"""Lifetime totals: what this boot counts of each, and its width."""
_SIGNED = frozenset({"lifetime_bus_energy"})
_TOTAL_STEPS = range(STATUS_REGISTERS["lifetime_energy"][0] - STATUS_BASE, STATUS_WORDS)
"""Steps of the lifetime totals' words, which lie as what is restored lies."""
_FIRST_LIVE = STATUS_REGISTERS["flags"][0] - STATUS_BASE
"""Below it there are constants."""
STATUS_ADDRESS_BITS = (STATUS_WORDS - 1).bit_length()


class _Kind(enum.Enum, shape=3):  # type: ignore[call-arg]
    """What decides whether a word may be written."""

    ABSENT = 0
    """There is no such address."""
    RANGE = 1
    TIME = 2
    LEAF = 3
    KEY = 4


RULE = data.StructLayout(
    {"kind": _Kind, "minimum": 16, "maximum": 16, "signed": 1, "locked": 1, "not_first": 1, "not_last": 1},
)
"""What a word must be to be written at an address: within `minimum` and `maximum` (signed where `signed`: both then with the sign bit
inverted), before `arm` where `locked`, and not the first or last of its request where that would leave half a value."""


def _rule(
    kind: int = _Kind.RANGE, minimum: int = 0, maximum: int = 0xFFFF, place: int = 0, words: int = 1, **flags: bool
) -> dict[str, Any]:
    """The rule of word `place` of a value of so many words."""
    return {"kind": kind, "minimum": minimum, "maximum": maximum, "not_first": place != 0, "not_last": place != words - 1, **flags}


def _rules() -> dict[int, dict[str, Any]]:
    rules = dict.fromkeys((*range(IMAGE_WORDS), *range(STATUS_BASE, STATUS_BASE + STATUS_WORDS)), _READ_ONLY)
    rules |= dict.fromkeys(range(EPOCH_BASE, EPOCH_END), _READ_ONLY)
    rules |= {address: _rule(locked=address in LOCKED_WHEN_ARMED) for address in WRITABLE_IMAGE_WORDS}
    for parameter in TRACKER_PARAMETERS:
        rules[PARAMETER_REGISTERS[parameter.identifier]] = _rule(minimum=parameter.minimum, maximum=parameter.maximum)
    for place in range(CALIBRATION_WORDS):
        rules[CALIBRATION_BASE + place] = _rule(place=place % 2, words=2, locked=True)
    for place in range(RESTORE_WORDS):
        rules[RESTORE_BASE + place] = _rule(place=place, words=RESTORE_WORDS, locked=True)
    for name, (address, _) in RESTORE_REGISTERS.items():
        # A total that takes more than a quarter of its range could make the sum wrap.
        most = {"minimum": 0x4000, "maximum": 0xBFFF, "signed": True} if name in _SIGNED else {"maximum": 0x3FFF}
        rules[address] |= most
    for place in range(CHANNEL_GAIN_WORDS):
        rules[CHANNEL_GAIN_BASE + place] = _rule(minimum=CHANNEL_GAIN_MIN, maximum=CHANNEL_GAIN_MAX, locked=True)
    limits: dict[str, dict[str, Any]] = {
        "time_set": {"kind": _Kind.TIME},
        "sequence_start": {"locked": True},
        "arm": {"minimum": 1, "maximum": 1},
        "enable": {"maximum": 1},
        "leaf_ack": {"kind": _Kind.LEAF},
        "trip_clear": {"kind": _Kind.KEY},
        "current_limit_ma": {"minimum": CURRENT_LIMIT.minimum, "maximum": CURRENT_LIMIT.maximum},
        "heartbeat": {},
        "hot_throttle": {"minimum": HOT_LIMIT_MIN, "maximum": HOT_LIMIT_MAX, "locked": True},
        "hot_fatal": {"minimum": HOT_LIMIT_MIN, "maximum": HOT_LIMIT_MAX, "locked": True},
    }
    for name, (address, size) in CONTROL_REGISTERS.items():
        for place in range(size - 1):
            rules[address + place] = _rule(place=place, words=size)
        rules[address + size - 1] = _rule(place=size - 1, words=size, **limits[name])
    return rules


ABSENT = _rule(_Kind.ABSENT)
_READ_ONLY = _rule(minimum=0xFFFF, maximum=0)
RULES = _rules()
RULE_ADDRESS_BITS = max(RULES).bit_length()


class RegisterFile(wiring.Component):
    """Between the host link's `bus` and the node.

    `flag_*` and the members named as status registers are what the host reads; `time` and `leaf_next` also decide what may be written.
    The snapshot writes words of the image with `image_write` and shows them with `image_show`, reads host-supplied words through
    `supplied_*`, and is `busy` meanwhile; while `committing`, it must not begin. The leaf is read from the newest image through
    `newest_*`. Both give their word one clock after its address. `record_*` writes epoch records: that of the n-th sealed epoch, n from 0,
    at (n mod 8) × 32. `flags` go out live, and the words of the status as they are copied (`steps`; `word` is a clock behind its step), for
    who else shows them; `take` asks for such a copy.

    Out go the control registers: levels, and a strobe where a register is an order. `calibration_*` writes one input's scaling,
    `channel_gain_*` one channel's; `calibrates` says that the word on the bus is written to one of those tables. `electrical_energy`,
    `bus_energy` and `gas_volume` are what this boot has counted; the lifetime totals are that plus what the host restored.
    """

    def __init__(self, gateware_version: int, clocks_per_site_second: int, channels: int, source_hash: int = 0):
        self._constants = {
            "magic": MAGIC,
            "map_version": MAP_VERSION,
            "gateware_version": gateware_version,
            "clocks_per_site_second": clocks_per_site_second,
            "channels": channels,
        }
        self._source_hash = source_hash
        super().__init__(
            {
                "bus": In(RegisterBusSignature()),
                **{f"flag_{flag.name.lower()}": In(1) for flag in NodeFlag if flag is not NodeFlag.ARMED},
                **{name: In(width) for name, width in _LIVE_STATUS.items()},
                **{counter: In(width) for counter, width in _COUNTED.values()},
                "image_address": In(IMAGE_ADDRESS_BITS),
                "image_data": In(WORD_BITS),
                "image_write": In(1),
                "image_show": In(1),
                "busy": In(1),
                "committing": Out(1),
                "supplied_address": In(IMAGE_ADDRESS_BITS),
                "supplied_data": Out(WORD_BITS),
                "newest_address": In(IMAGE_ADDRESS_BITS),
                "newest_data": Out(WORD_BITS),
                "record_address": In(RECORD_ADDRESS_BITS),
                "record_data": In(WORD_BITS),
                "record_write": In(1),
                "take": In(1),
                "steps": Out(StepSignature()),
                "word": Out(WORD_BITS),
                "flags": Out(WORD_BITS),
                "armed": Out(1),
                "enable": Out(1),
                "parameters": Out(PARAMETERS_LAYOUT, init={parameter.identifier: parameter.default for parameter in TRACKER_PARAMETERS}),
                "hot_throttle": Out(signed(16), init=HOT_THROTTLE_RAW),
                "hot_fatal": Out(signed(16), init=HOT_FATAL_RAW),
                "value": Out(32),
                "time_set": Out(1),
                "sequence_start": Out(1),
                "leaf_ack": Out(1),
                "trip_clear": Out(1),
                "heartbeat": Out(1),
                "calibrates": Out(1),
                "calibration_addr": Out(4),
                "calibration_gain": Out(16),
                "calibration_offset": Out(signed(16)),
                "calibration_we": Out(1),
                "channel_gain_addr": Out(7),
                "channel_gain": Out(16),
                "channel_gain_we": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        bus = self.bus
        m.d.comb += [self.committing.eq(bus.committing), bus.blocked.eq(self.busy)]

        newest, held, written = Signal(2), Signal(2), Signal(2)
        m.submodules.image = image = Memory(shape=WORD_BITS, depth=4 << IMAGE_ADDRESS_BITS, init=[])
        image_write, host_read, newest_read = image.write_port(), image.read_port(), image.read_port()
        m.d.comb += [
            image_write.addr.eq(Cat(self.image_address, written)),
            image_write.data.eq(self.image_data),
            image_write.en.eq(self.image_write),
            host_read.addr.eq(Cat(bus.address[:IMAGE_ADDRESS_BITS], held)),
            newest_read.addr.eq(Cat(self.newest_address, newest)),
            self.newest_data.eq(newest_read.data),
        ]
        with m.If(bus.freeze):
            m.d.sync += held.eq(newest)
        with m.If(self.image_show):
            m.d.sync += newest.eq(written)
        with m.If(~self.busy):
            # Any bank that is neither shown nor read; a transaction that begins from here on takes the newest.
            for bank in reversed(range(3)):
                with m.If((newest != bank) & (held != bank)):
                    m.d.sync += written.eq(bank)

        m.submodules.supplied = supplied = Memory(shape=WORD_BITS, depth=1 << IMAGE_ADDRESS_BITS, init=[])
        supplied_write, supplied_read = supplied.write_port(), supplied.read_port()
        m.d.comb += [supplied_read.addr.eq(self.supplied_address), self.supplied_data.eq(supplied_read.data)]

        m.submodules.records = records = Memory(shape=WORD_BITS, depth=2 << RECORD_ADDRESS_BITS, init=self._behind_records())
        record_write, record_read = records.write_port(), records.read_port()
        m.d.comb += [
            record_write.addr.eq(self.record_address),
            record_write.data.eq(self.record_data),
            record_write.en.eq(self.record_write),
        ]

        # Parameters are read back from a memory: only what uses them needs all of them at once.
        defaults = [parameter.default for parameter in TRACKER_PARAMETERS]
        m.submodules.parameter_words = parameter_words = Memory(
            shape=WORD_BITS, depth=1 << (PARAMETER_WORDS - 1).bit_length(), init=defaults, attrs={"ram_style": "block"}
        )
        parameters_write, parameters_read = parameter_words.write_port(), parameter_words.read_port()
        parameter_bits = len(parameters_read.addr)
        is_parameter, is_current_limit = Signal(), Signal()
        m.d.comb += [
            is_parameter.eq(bus.region == _PARAMETERS),
            is_current_limit.eq(bus.address == CONTROL_REGISTERS["current_limit_ma"][0]),
            parameters_read.addr.eq(bus.address),
            parameters_write.addr.eq(
                Mux(is_parameter, bus.address[:parameter_bits], PARAMETER_REGISTERS["current_limit_ma"] - PARAMETER_BASE)
            ),
            parameters_write.data.eq(bus.write_data),
            parameters_write.en.eq(bus.offered & bus.commit & (is_parameter | is_current_limit)),
        ]

        # Reading. Region numbers as the bus wants them.
        status_read = self._status(m)
        epochs_sealed = Signal(3)
        with m.If(bus.freeze):
            m.d.sync += epochs_sealed.eq(self.epochs_sealed)
        last_sealed, record, slot = Signal(3), Signal(3), Signal(2)
        is_source_hash = Signal()
        m.d.comb += [
            is_source_hash.eq(_within(bus.address, *STATUS_REGISTERS["source_hash"])),
            # Record n is at slot n mod 4, in memory at n mod 8: of the two, the younger that was sealed.
            slot.eq((bus.address - EPOCH_BASE) >> (EPOCH_RECORD_WORDS - 1).bit_length()),
            last_sealed.eq(epochs_sealed - 1),
            record.eq(last_sealed - (last_sealed - slot)[:2]),
            record_read.addr.eq(Cat(bus.address[: (EPOCH_RECORD_WORDS - 1).bit_length()], record, is_source_hash)),
        ]
        regions = {
            _IMAGE: range(IMAGE_WORDS),
            _STATUS: range(STATUS_BASE, STATUS_BASE + STATUS_WORDS),
            _EPOCHS: range(EPOCH_BASE, EPOCH_END),
            _PARAMETERS: range(PARAMETER_BASE, PARAMETER_BASE + PARAMETER_WORDS),
        }
        for number, addresses in regions.items():
            with m.If(matches_any(bus.address, addresses)):
                m.d.comb += bus.region.eq(number)
        region = Signal.like(bus.region)
        m.d.sync += region.eq(Mux(is_source_hash, _EPOCHS, bus.region))
        with m.Switch(region):
            with m.Case(_IMAGE):
                m.d.comb += bus.read_data.eq(host_read.data)
            with m.Case(_STATUS):
                m.d.comb += bus.read_data.eq(status_read)
            with m.Case(_EPOCHS):
                m.d.comb += bus.read_data.eq(record_read.data)
            with m.Case(_PARAMETERS):
                m.d.comb += bus.read_data.eq(parameters_read.data)

        # Writing.
        upper = Signal(WORD_BITS)
        with m.If(bus.offered):
            m.d.sync += upper.eq(bus.write_data)
        m.d.comb += self.value.eq(Cat(bus.write_data, upper))
        supplied_here = matches_any(bus.address, WRITABLE_IMAGE_WORDS)
        m.d.comb += [
            bus.verdict.eq(self._verdict(m)),
            supplied_write.addr.eq(bus.address),
            supplied_write.data.eq(bus.write_data),
            supplied_write.en.eq(bus.offered & bus.commit & supplied_here),
        ]
        self._apply(m)
        return m

    def _behind_records(self) -> list[int]:
        """The epoch records' memory at power-up: the hash of the sources lies in its upper half, behind each of the eight records.

        In block RAM it is a matter of content: nodes of sources that say the same have the same gates, and are placed alike.
        """
        words = [0] * (2 << RECORD_ADDRESS_BITS)
        address, size = STATUS_REGISTERS["source_hash"]
        for place in range(size):
            for first in range(1 << RECORD_ADDRESS_BITS, len(words), EPOCH_RECORD_WORDS):
                words[first + (address + place) % EPOCH_RECORD_WORDS] = self._source_hash >> WORD_BITS * (size - 1 - place) & 0xFFFF
        return words

    def _status(self, m: Module) -> Value:
        """What the host reads at a status register's address, of its memory."""
        bus = self.bus
        for flag in NodeFlag:
            live = self.armed if flag is NodeFlag.ARMED else getattr(self, f"flag_{flag.name.lower()}")
            m.d.comb += self.flags[flag.bit_length() - 1].eq(live)
        m.submodules.status_steps = steps = StatusSteps()
        widths = {"flags": WORD_BITS, **_LIVE_STATUS, **{name: width for name, (_, width) in _COUNTED.items()}}
        m.submodules.frozen = frozen = FrozenWords(widths, NODE_PLACES)
        wiring.connect(m, steps.steps, frozen.steps)
        wiring.connect(m, steps.steps, wiring.flipped(self.steps))
        m.d.comb += [steps.freeze.eq(bus.freeze), steps.take.eq(self.take), steps.hold.eq(bus.committing)]
        m.d.comb += [getattr(frozen, name).eq(getattr(self, name)) for name in ("flags", *_LIVE_STATUS)]
        m.d.comb += [getattr(frozen, name).eq(getattr(self, counter)) for name, (counter, _) in _COUNTED.items()]
        self._add_restored(m, frozen.word)

        initial = [0] * (1 << STATUS_ADDRESS_BITS)
        for name, value in self._constants.items():
            address, size = STATUS_REGISTERS[name]
            for place in range(size):
                initial[address - STATUS_BASE + place] = value >> WORD_BITS * (size - 1 - place) & 0xFFFF
        m.submodules.status = status = Memory(shape=WORD_BITS, depth=len(initial), init=initial, attrs={"ram_style": "block"})
        write, read = status.write_port(), status.read_port()
        place, copies = Signal(STEP_BITS), Signal()
        m.d.sync += [place.eq(self.steps.step), copies.eq(self.steps.for_host)]
        m.d.comb += [
            write.addr.eq(place),
            write.data.eq(self.word),
            write.en.eq(copies & (place >= _FIRST_LIVE) & ~place[STATUS_ADDRESS_BITS:].any()),
            read.addr.eq(bus.address),
        ]
        return read.data

    def _add_restored(self, m: Module, counted: Value) -> None:
        """What is copied: words as they are, and of the lifetime totals the sums of what was restored and what this boot has counted."""
        bus = self.bus
        m.submodules.restored = restored = Memory(shape=WORD_BITS, depth=16, init=[], attrs={"ram_style": "block"})
        write, read = restored.write_port(), restored.read_port()
        lasts = [address + size - 1 - STATUS_BASE for address, size in (STATUS_REGISTERS[name] for name in _COUNTED)]
        is_total, is_last, carry = Signal(), Signal(), Signal()
        # A reset leaves the RAM as it is: until somebody restores, nothing was.
        is_restored = Signal()
        with m.If(write.en):
            m.d.sync += is_restored.eq(1)
        total = Signal(WORD_BITS + 1)
        m.d.sync += [
            is_total.eq(matches_any(self.steps.step, _TOTAL_STEPS) & is_restored),
            is_last.eq(matches_any(self.steps.step, lasts)),
            carry.eq(total[WORD_BITS]),
        ]
        m.d.comb += [
            write.addr.eq(bus.address),
            write.data.eq(bus.write_data),
            write.en.eq(bus.offered & bus.commit & _within(bus.address, RESTORE_BASE, RESTORE_WORDS)),
            read.addr.eq(self.steps.step + (RESTORE_BASE - STATUS_BASE - _TOTAL_STEPS.start)),
            total.eq(counted + Mux(is_total, read.data, 0) + (carry & is_total & ~is_last)),
            self.word.eq(total),
        ]

    def _verdict(self, m: Module) -> Value:
        """What the word on the bus would meet: OK, REFUSED (it is there, but not for this or not now) or BAD_ADDRESS."""
        bus = self.bus
        init = [RULES.get(address, ABSENT) for address in range(1 << RULE_ADDRESS_BITS)]
        m.submodules.rules = rules = Memory(shape=RULE, depth=1 << RULE_ADDRESS_BITS, init=init)
        read = rules.read_port()
        rule, beyond_rules = read.data, Signal()
        m.d.comb += read.addr.eq(bus.address)
        m.d.sync += beyond_rules.eq(bus.address[RULE_ADDRESS_BITS:].any())

        refused, unfit, word = Signal(), Signal(), Signal(WORD_BITS)
        m.d.comb += word.eq(bus.write_data ^ (rule.signed << WORD_BITS - 1))
        with m.Switch(rule.kind):
            with m.Case(_Kind.TIME):
                m.d.comb += unfit.eq((self.value == 0) | (self.armed & (self.value < self.time)))
            with m.Case(_Kind.LEAF):
                m.d.comb += unfit.eq(self.value > self.leaf_next)
            with m.Case(_Kind.KEY):
                m.d.comb += unfit.eq(Cat(bus.write_data == key for key in TRIP_CLEAR_KEYS) == 0)
            with m.Default():
                m.d.comb += unfit.eq((word < rule.minimum) | (word > rule.maximum))
        half = (bus.first & rule.not_first) | (bus.last & rule.not_last)
        m.d.comb += refused.eq((rule.locked & self.armed) | half | unfit)
        absent = (rule.kind == _Kind.ABSENT) | beyond_rules
        return Mux(absent, Status.BAD_ADDRESS, Mux(refused, Status.REFUSED, Status.OK))

    def _apply(self, m: Module) -> None:
        """Gives a committed word to its register."""
        bus = self.bus
        order = {name: Signal(name=f"write_{name}") for name in CONTROL_REGISTERS}
        with m.If(bus.offered & bus.commit), m.Switch(bus.address):
            for name, (address, size) in CONTROL_REGISTERS.items():
                with m.Case(address + size - 1):
                    m.d.comb += order[name].eq(1)
        m.d.comb += [self.time_set.eq(order["time_set"]), self.sequence_start.eq(order["sequence_start"])]
        m.d.comb += [self.leaf_ack.eq(order["leaf_ack"]), self.heartbeat.eq(order["heartbeat"])]
        with m.If(order["arm"]):
            m.d.sync += self.armed.eq(1)
        with m.If(order["enable"]):
            m.d.sync += self.enable.eq(bus.write_data[0])
        with m.If(order["current_limit_ma"]):
            m.d.sync += self.parameters.current_limit_ma.eq(bus.write_data)
        with m.If(bus.offered & bus.commit), m.Switch(bus.address):
            for name, address in PARAMETER_REGISTERS.items():
                with m.Case(address):
                    m.d.sync += self.parameters[name].eq(bus.write_data)
        with m.If(order["hot_throttle"]):
            m.d.sync += self.hot_throttle.eq(bus.write_data)
        with m.If(order["hot_fatal"]):
            m.d.sync += self.hot_fatal.eq(bus.write_data)

        # Both keys, with no other word written between them.
        first_key = Signal()
        with m.If(bus.offered & bus.commit):
            m.d.sync += first_key.eq(order["trip_clear"] & (bus.write_data == TRIP_CLEAR_KEYS[0]))
        m.d.comb += self.trip_clear.eq(order["trip_clear"] & first_key & (bus.write_data == TRIP_CLEAR_KEYS[1]))

        is_calibration = bus.offered & bus.commit & _in_calibration(bus.address)
        is_gain = bus.offered & bus.commit & _within(bus.address, CHANNEL_GAIN_BASE, CHANNEL_GAIN_WORDS)
        m.d.comb += [
            self.calibrates.eq(is_calibration | is_gain),
            self.calibration_addr.eq((bus.address - CALIBRATION_BASE) >> 1),
            self.calibration_gain.eq(self.value[WORD_BITS:]),
            self.calibration_offset.eq(self.value[:WORD_BITS].as_signed()),
            self.calibration_we.eq(is_calibration & bus.address[0]),
            self.channel_gain_addr.eq(bus.address - CHANNEL_GAIN_BASE),
            self.channel_gain.eq(bus.write_data),
            self.channel_gain_we.eq(is_gain),
        ]


def _in_calibration(address: Value) -> Value:
    return _within(address, CALIBRATION_BASE, CALIBRATION_WORDS)


def _within(address: Value, base: int, words: int) -> Value:
    return matches_any(address, range(base, base + words))


assert len(_TOTAL_STEPS) == RESTORE_WORDS
assert all(
    address - RESTORE_BASE == STATUS_REGISTERS[name][0] - STATUS_BASE - _TOTAL_STEPS.start
    for name, (address, _) in RESTORE_REGISTERS.items()
)
