"""A controller node as its host link shows it, in memory: made from the protocol's description, not from the gateware."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CALIBRATION_WORDS,
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_MAX,
    CHANNEL_GAIN_MIN,
    CHANNEL_GAIN_ONE,
    CHANNEL_GAIN_WORDS,
    CONTROL_BASE,
    CONTROL_REGISTERS,
    CONTROL_WORDS,
    EPOCH_BASE,
    EPOCH_END,
    EPOCH_RECORD,
    EPOCH_RECORD_WORDS,
    EPOCH_RING,
    EPOCH_S,
    IMAGE_WORDS,
    LEAF_PERIOD_S,
    LEAF_SLOTS,
    LOCKED_WHEN_ARMED,
    PARAMETER_REGISTERS,
    RESTORE_BASE,
    RESTORE_WORDS,
    SITE_WORDS,
    STATUS_BASE,
    STATUS_REGISTERS,
    TRIP_CLEAR_KEYS,
    TURNAROUND_BYTES,
    WRITABLE_IMAGE_WORDS,
    NodeFlag,
    Opcode,
    Status,
    calibration_hash,
)
from thermogen_esf.hostlink_codec import Request, RequestError, build_request, build_response, parse_request
from thermogen_esf.hostlink_network import (
    DEFAULT_SETTINGS,
    EVENT_ACK,
    EVENT_BASE,
    EVENT_END,
    NETWORK_BASE,
    NETWORK_SETTINGS,
    NETWORK_SETTINGS_WORDS,
    NETWORK_STATUS,
    NETWORK_STATUS_BASE,
)
from thermogen_esf.layout import FIELD, HEADER_OFFSET, LEAF_BYTES, MAGIC, TELEMETRY_BYTES
from thermogen_esf.merkle import root
from thermogen_esf.points import POINT, TimeQuality
from thermogen_esf.scada import EVENT_RING, EVENT_WORDS, WriteEvent, event_words

CHANNELS = 12
CLOCKS_PER_SITE_SECOND = 10_000
POWER_MW = 1_000_000


class NodeModel:
    """One node. `tick` lives site seconds, `answer` a transaction; both may be called from different threads."""

    def __init__(self, plant_time_s: int) -> None:
        self.lock = threading.RLock()
        self.plant_time_s = plant_time_s
        self.made: dict[tuple[int, int], bytes] = {}
        """Every leaf that was ever made, by boot count and sequence."""
        self.damaged_answers = 0
        """So many of the next answers arrive with a bit flipped."""
        self.introduced: list[tuple[int, int]] = []
        """Power-up and boot count of each arming."""
        self.power_ups = 0
        self.wrong_roots = False
        """The Merkle accumulator is broken."""
        self.writes: list[tuple[str, int]] = []
        """Control writes since power-up: name and value."""
        self.measured: dict[str, float] = {
            "bus_voltage": 50.0,
            "hot_supply_temperature": 150.0,
            "cold_supply_temperature": 45.0,
            "hot_flow": 52.0,
            "cold_flow": 26.0,
        }
        self.isn_keys: list[tuple[int, ...]] = []
        self.settings_written = 0
        """Entries of the network's settings that were written, ever."""
        self.has_network = False
        """Whether the node has an Ethernet port; takes effect at the next power-up."""
        self.power_cycle()

    def power_cycle(self) -> None:
        """All registers and leaves are gone."""
        with self.lock:
            self.flags = NodeFlag.PULSE_GOOD | NodeFlag.MODULE_PRESENT
            if self.has_network:
                self.flags |= NodeFlag.NETWORK
            self.time_s = self.uptime_s = self.energy_mj = 0
            self.leaf_next = self.leaf_oldest = self.leaves_lost = 0
            self.epochs_sealed = 0
            self.enabled = False
            self.current_limit_ma = 0
            self.calibration = [0] * CALIBRATION_WORDS
            self.channel_gains = [CHANNEL_GAIN_ONE] * CHANNEL_GAIN_WORDS
            self.loaded_calibration = bytes(8)
            """Its hash, from the second after `arm` on."""
            self.restored = [0] * RESTORE_WORDS
            self.parameters: dict[str, int] = {}
            self.trip_cause = self.trip_time_s = 0
            self.trip_cause_gone = False
            self.faults = 0
            self._first_key = False
            self.written = bytearray(LEAF_BYTES)
            self.shown = bytes(LEAF_BYTES)
            """What was written, as of the last site second: the image shows no more."""
            self.slots: dict[int, bytes] = {}
            self.records = [bytes(2 * EPOCH_RECORD_WORDS)] * EPOCH_RING
            self.running: list[bytes] = []
            self.writes.clear()
            self.power_ups += 1
            self.network_words = dict.fromkeys(range(NETWORK_BASE, NETWORK_BASE + NETWORK_SETTINGS_WORDS), 0)
            for name, value in DEFAULT_SETTINGS.items():
                start, size, _ = NETWORK_SETTINGS[name]
                self.network_words |= {start + place: value >> 16 * (size - 1 - place) & 0xFFFF for place in range(size)}
            self.scada_events: list[WriteEvent] = []
            """Every event of this boot, from number 0 on."""
            self.events_oldest = 0

    def tick(self, seconds: int = 1) -> None:
        """Lives `seconds` of site time."""
        with self.lock:
            for _ in range(seconds):
                self.plant_time_s += 1
                self.shown = bytes(self.written)
                if NodeFlag.ARMED in self.flags:
                    self.loaded_calibration = calibration_hash([*self.calibration, *self.channel_gains])
                if NodeFlag.TIME_VALID not in self.flags:
                    continue
                self.time_s += 1
                self.uptime_s += 1
                self.energy_mj += POWER_MW if self.enabled else 0
                if NodeFlag.ARMED in self.flags and self.time_s % LEAF_PERIOD_S == 0:
                    self._make_leaf()

    def trip(self, cause: int) -> None:
        """Everything is off, until the keys come and `trip_cause_gone`."""
        with self.lock:
            self.flags |= NodeFlag.TRIPPED
            self.trip_cause, self.trip_time_s, self.trip_cause_gone = cause, self.time_s, False

    def raw(self, identifier: str) -> int:
        """A host-supplied point's raw value, as the node holds it."""
        placed = FIELD[identifier]
        return int.from_bytes(self.written[placed.offset : placed.offset + placed.size], "big")

    def answer(self, copi: bytes) -> bytes:
        """The CIPO bytes of one transaction."""
        with self.lock:
            try:
                request = parse_request(copi)
            except RequestError as error:
                return bytes(len(copi) - 6) + build_response(error.status, error.tag)[:6]
            status, data = self._serve(request)
            answer = bytearray(len(build_request(request)) + TURNAROUND_BYTES) + build_response(status, request.tag, data)
            answer = answer.ljust(len(copi), b"\xff")[: len(copi)]
            if self.damaged_answers:
                self.damaged_answers -= 1
                answer[-6] ^= 0x10
            return bytes(answer)

    def image(self) -> bytes:
        """The telemetry image as of now."""
        image = bytearray(self.shown)
        struct.pack_into(">HBBI", image, 0, MAGIC, 1, 1, TELEMETRY_BYTES)
        struct.pack_into(">II", image, HEADER_OFFSET["sequence"], self.leaf_next, self.time_s)
        image[HEADER_OFFSET["time_quality"]] = TimeQuality.PULSE
        derived = {
            "electrical_energy": self.energy_mj,
            "uptime": self.uptime_s,
            "channel_power": POWER_MW if self.enabled else 0,
            "clocks_per_site_second": CLOCKS_PER_SITE_SECOND,
            "leaves_lost": self.leaves_lost,
            "calibration_hash": int.from_bytes(self.loaded_calibration, "big"),
        }
        for identifier, raw in {**{name: POINT[name].raw(value) for name, value in self.measured.items()}, **derived}.items():
            placed = FIELD[identifier]
            image[placed.offset : placed.offset + placed.size] = raw.to_bytes(placed.size, "big", signed=raw < 0)
        return bytes(image)

    def _make_leaf(self) -> None:
        leaf = self.image()
        self.made[self.raw("boot_count"), self.leaf_next] = leaf
        self.slots[self.leaf_next % LEAF_SLOTS] = leaf
        self.leaf_next += 1
        if self.leaf_next - self.leaf_oldest > LEAF_SLOTS:
            self.leaf_oldest += 1
            self.leaves_lost += 1
        self.running.append(leaf)
        if self.time_s % EPOCH_S == 0:
            self._seal()

    def _seal(self) -> None:
        record = bytearray(2 * EPOCH_RECORD_WORDS)
        count = len(self.running)
        values = {
            "epoch": (self.time_s - 1) // EPOCH_S,
            "first_sequence": self.leaf_next - count,
            "count": count,
            "boot_count": self.raw("boot_count"),
            "sealed_at": self.time_s,
            "root": int.from_bytes(bytes(32) if self.wrong_roots else root(self.running), "big"),
        }
        for name, value in values.items():
            start, size = EPOCH_RECORD[name]
            record[2 * start : 2 * (start + size)] = value.to_bytes(2 * size, "big")
        self.records[self.epochs_sealed % EPOCH_RING] = bytes(record)
        self.epochs_sealed += 1
        self.running = []

    def _serve(self, request: Request) -> tuple[Status, bytes]:
        if request.opcode is Opcode.LEAF:
            return Status.OK, self.slots.get(request.address, bytes(LEAF_BYTES))
        if request.opcode is Opcode.READ:
            words = [self._word(address) for address in range(request.address, request.address + request.count)]
            if None in words:
                return Status.BAD_ADDRESS, b""
            return Status.OK, struct.pack(f">{len(words)}H", *words)
        return self._write(request.address, request.words), b""

    def _word(self, address: int) -> int | None:
        if address < IMAGE_WORDS:
            return int.from_bytes(self.image()[2 * address : 2 * address + 2], "big")
        for name, (start, size) in STATUS_REGISTERS.items():
            if start <= address < start + size:
                return self._status().get(name, 0) >> 16 * (start + size - 1 - address) & 0xFFFF
        if EPOCH_BASE <= address < EPOCH_END:
            slot, word = divmod(address - EPOCH_BASE, EPOCH_RECORD_WORDS)
            return int.from_bytes(self.records[slot][2 * word : 2 * word + 2], "big")
        if NodeFlag.NETWORK in self.flags and address >= NETWORK_BASE:
            return self._network_word(address)
        return 0 if STATUS_BASE <= address < EPOCH_END else None

    def _status(self) -> Mapping[str, int]:
        return {
            "magic": MAGIC,
            "map_version": 4,
            "gateware_version": 0x00010000,
            "clocks_per_site_second": CLOCKS_PER_SITE_SECOND,
            "channels": CHANNELS,
            "flags": int(self.flags),
            "time": self.time_s,
            "leaf_next": self.leaf_next,
            "leaf_oldest": self.leaf_oldest,
            "epochs_sealed": self.epochs_sealed & 0xFFFF,
            "faults": self.faults,
            "trip_cause": self.trip_cause,
            "trip_bus_mv": 0,
            "trip_time": self.trip_time_s,
            "lifetime_energy": self._restored(0, 4) + self.energy_mj,
            "lifetime_bus_energy": self._restored(4, 4),
            "lifetime_gas": self._restored(8, 3),
        }

    def _network_word(self, address: int) -> int | None:
        if address in self.network_words:
            return self.network_words[address]
        if EVENT_BASE <= address < EVENT_END:
            slot, word = divmod(address - EVENT_BASE, EVENT_WORDS)
            kept = {n % EVENT_RING: event for n, event in enumerate(self.scada_events) if n >= self.events_oldest}
            return event_words(kept[slot])[word] if slot in kept else 0
        status = {"events_next": len(self.scada_events), "events_oldest": self.events_oldest}
        for name, (start, size) in NETWORK_STATUS.items():
            if start <= address < start + size:
                return status.get(name, 0) >> 16 * (start + size - 1 - address) & 0xFFFF
        return None

    def _write_network(self, address: int, words: tuple[int, ...]) -> Status:
        if address == EVENT_ACK[0] and len(words) == EVENT_ACK[1]:
            number = words[0] << 16 | words[1]
            if not self.events_oldest <= number <= len(self.scada_events):
                return Status.REFUSED
            self.events_oldest = number
            return Status.OK
        entries = {start + n * size: size for start, size, count in NETWORK_SETTINGS.values() for n in range(count)}
        if entries.get(address) != len(words):
            return Status.REFUSED
        self.settings_written += 1
        if address == NETWORK_SETTINGS["isn_key"][0]:
            self.isn_keys.append(words)
        else:
            self.network_words |= {address + place: word for place, word in enumerate(words)}
        return Status.OK

    def _restored(self, start: int, size: int) -> int:
        return int.from_bytes(struct.pack(f">{size}H", *self.restored[start : start + size]), "big")

    def _write(self, address: int, words: tuple[int, ...]) -> Status:
        addresses = range(address, address + len(words))
        armed = NodeFlag.ARMED in self.flags
        if address < IMAGE_WORDS:
            if not WRITABLE_IMAGE_WORDS.issuperset(addresses):
                return Status.BAD_ADDRESS
            if armed and LOCKED_WHEN_ARMED.intersection(addresses):
                return Status.REFUSED
            struct.pack_into(f">{len(words)}H", self.written, 2 * address, *words)
            return Status.OK
        if address >= CALIBRATION_BASE and addresses.stop <= CALIBRATION_BASE + CALIBRATION_WORDS:
            if armed:
                return Status.REFUSED
            start = address - CALIBRATION_BASE
            self.calibration[start : start + len(words)] = words
            return Status.OK
        if address >= CHANNEL_GAIN_BASE and addresses.stop <= CHANNEL_GAIN_BASE + CHANNEL_GAIN_WORDS:
            if armed or not all(CHANNEL_GAIN_MIN <= word <= CHANNEL_GAIN_MAX for word in words):
                return Status.REFUSED
            start = address - CHANNEL_GAIN_BASE
            self.channel_gains[start : start + len(words)] = words
            return Status.OK
        if address == RESTORE_BASE and len(words) == RESTORE_WORDS:
            if armed:
                return Status.REFUSED
            self.restored = list(words)
            return Status.OK
        for name, place in PARAMETER_REGISTERS.items():
            if place == address and len(words) == 1:
                self.parameters[name] = words[0]
                return Status.OK
        if NodeFlag.NETWORK in self.flags and NETWORK_BASE <= address < NETWORK_STATUS_BASE:
            return self._write_network(address, words)
        if not CONTROL_BASE <= address < CONTROL_BASE + CONTROL_WORDS:
            return Status.BAD_ADDRESS
        for name, place in CONTROL_REGISTERS.items():
            if place == (address, len(words)):
                value = 0
                for word in words:
                    value = value << 16 | word
                return self._control(name, value, armed)
        return Status.BAD_ADDRESS

    def _control(self, name: str, value: int, armed: bool) -> Status:
        self.writes.append((name, value))
        first_key, self._first_key = self._first_key, name == "trip_clear" and value == TRIP_CLEAR_KEYS[0]
        if name == "trip_clear" and first_key and value == TRIP_CLEAR_KEYS[1] and self.trip_cause_gone:
            self.flags, self.faults = self.flags & ~NodeFlag.TRIPPED, 0
        if name == "time_set":
            self.time_s, self.flags = value, self.flags | NodeFlag.TIME_VALID
        elif name in ("hot_throttle", "hot_fatal"):
            return Status.REFUSED if armed else Status.OK
        elif name == "sequence_start":
            if armed:
                return Status.REFUSED
            self.leaf_next = self.leaf_oldest = value
        elif name == "arm":
            if NodeFlag.TIME_VALID not in self.flags or not any(self.written[2 * SITE_WORDS.start : 2 * SITE_WORDS.stop]):
                return Status.REFUSED
            if not armed:
                self.introduced.append((self.power_ups, self.raw("boot_count")))
            self.flags |= NodeFlag.ARMED
        elif name == "enable":
            self.enabled = bool(value)
        elif name == "leaf_ack":
            if not self.leaf_oldest <= value <= self.leaf_next:
                return Status.REFUSED
            self.leaf_oldest = value
        elif name == "current_limit_ma":
            self.current_limit_ma = value
        return Status.OK


class DirectTransport:
    """The host link of a model in the same process."""

    def __init__(self, model: NodeModel) -> None:
        self._model = model

    def exchange(self, copi: bytes) -> bytes:
        return self._model.answer(copi)

    def close(self) -> None:
        pass


class NodeServer:
    """Serves a model's host link on a Unix socket, one client after the other, in a thread."""

    def __init__(self, model: NodeModel, path: Path) -> None:
        self._model = model
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._client: socket.socket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def disconnect(self) -> None:
        """Breaks the connection that there is."""
        if self._client is not None:
            self._client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        while not self._closing:
            try:
                self._client, _ = self._listener.accept()
            except OSError:
                return
            with self._client as client, contextlib.suppress(OSError):
                self._serve(client)
            self._client = None

    def _serve(self, client: socket.socket) -> None:
        stream = client.makefile("rb")
        with stream:
            while len(head := stream.read(4)) == 4:
                copi = stream.read(struct.unpack(">I", head)[0])
                cipo = self._model.answer(copi)
                client.sendall(struct.pack(">I", len(cipo)) + cipo)
