"""The compiled site as an object: clocks, host link transactions, and the memory it shares with the plant."""

from __future__ import annotations

import ctypes
import enum
from pathlib import Path

from .electrical import Electrical

SITE_INPUT_COUNT = 12


class Stop(enum.IntFlag):
    """Why a run came back."""

    SITE_SECOND = 1
    """A site second has begun: its pulse has just risen."""
    TRANSACTION = 2
    """The host link transaction has ended."""


class ConverterFault(enum.IntEnum):
    """What can go wrong with an ADS7952."""

    NONE = 0
    SILENT = 1
    """It answers no more; a pull resistor holds its line low."""
    WRONG_CHANNEL = 2
    """It converts, and names, the channel after the one it was told."""
    REFERENCE_LOST = 3
    """Every input reads full scale."""


KEY_PART_BYTES = 0xA0
"""Of an M41ST87W: registers and user memory."""

NODE_CONVERTER = -1
"""In place of a module's number: the node's own converter."""


class _SiteHead(ctypes.Structure):
    _fields_ = (
        ("electrical", Electrical),
        ("node_volts", ctypes.c_double * SITE_INPUT_COUNT),
        ("bus_v_per_volt", ctypes.c_double),
        ("bus_a_per_volt", ctypes.c_double),
        ("clocks", ctypes.c_uint64),
        ("clocks_per_site_second", ctypes.c_uint64),
        ("comparator", ctypes.c_int32),
    )


class CompiledSite:
    """Node, power module and circuit. Time passes only in `run`.

    `electrical` and `input_volts` (the node converter's 12 pins; those of `sensors.ELECTRICAL_INPUTS` are driven by the circuit itself)
    may be written between runs.
    """

    def __init__(self, library: Path, clocks_per_site_second: int, seed: int, bus_v_per_volt: float, bus_a_per_volt: float):
        self._library = ctypes.CDLL(str(library.resolve()))
        self._library.tz_site_new.restype = ctypes.POINTER(_SiteHead)
        self._library.tz_site_new.argtypes = (ctypes.c_uint64, ctypes.c_uint64)
        for name, arguments in (
            ("tz_site_delete", ()),
            ("tz_site_power_cycle", ()),
            ("tz_site_begin", (ctypes.c_char_p, ctypes.c_size_t)),
            ("tz_site_answer", (ctypes.c_char_p,)),
            ("tz_site_part", (ctypes.c_char_p, ctypes.c_int)),
            ("tz_site_pull", (ctypes.c_uint,)),
            ("tz_site_insert", (ctypes.c_uint,)),
            ("tz_site_converter", (ctypes.c_int, ctypes.c_uint, ctypes.c_int)),
        ):
            function = getattr(self._library, name)
            function.restype = None
            function.argtypes = (ctypes.POINTER(_SiteHead), *arguments)
        self._supply = self._library.tz_site_supply
        self._supply.restype = ctypes.c_int
        self._supply.argtypes = (ctypes.POINTER(_SiteHead), ctypes.c_uint, ctypes.c_int)
        self._part_changes = self._library.tz_site_part_changes
        self._part_changes.restype = ctypes.c_uint64
        self._part_changes.argtypes = (ctypes.POINTER(_SiteHead),)
        self._run = self._library.tz_site_run
        self._run.restype = ctypes.c_uint32
        self._run.argtypes = (ctypes.POINTER(_SiteHead), ctypes.c_uint64)
        self._site = self._library.tz_site_new(clocks_per_site_second, seed)
        self._head = self._site.contents
        self._head.bus_v_per_volt = bus_v_per_volt
        self._head.bus_a_per_volt = bus_a_per_volt
        self._pending = 0
        self.electrical: Electrical = self._head.electrical
        self.input_volts = self._head.node_volts
        self.clocks_per_site_second = clocks_per_site_second

    def close(self) -> None:
        """Free the model; the object is of no use afterwards."""
        if self._site:
            self._library.tz_site_delete(self._site)
            self._site = None

    @property
    def clocks(self) -> int:
        """Node clocks since the object was made."""
        return int(self._head.clocks)

    def power_cycle(self) -> None:
        """Switch the gateware off and on: registers and memories as configured, the circuit as it was."""
        self._library.tz_site_power_cycle(self._site)

    def tamper(self, number: int = 1) -> None:
        """A tamper condition at input 1 or 2 of the part that keeps the node's key; ValueError where the node has none."""
        if not self._library.tz_site_tamper(self._site, number):
            raise ValueError("this node has no key: build the site with seal=True")

    @property
    def key_part(self) -> bytes:
        """The cells of that part, KEY_PART_BYTES; setting them is soldering in another."""
        cells = ctypes.create_string_buffer(KEY_PART_BYTES)
        self._library.tz_site_part(self._site, cells, 0)
        return cells.raw

    @key_part.setter
    def key_part(self, cells: bytes) -> None:
        self._library.tz_site_part(self._site, cells, 1)

    @property
    def key_part_changes(self) -> int:
        """How often a cell of it was written since the object was made."""
        return int(self._part_changes(self._site))

    def pull_module(self, module: int) -> None:
        """Take a module out of its running slot: it loses its supply, its wires go to what the connector's resistors say."""
        self._library.tz_site_pull(self._site, module)

    def insert_module(self, module: int) -> None:
        """Put it back: it powers up."""
        self._library.tz_site_insert(self._site, module)

    def fail_converter(self, module: int, converter: int, fault: ConverterFault) -> None:
        """Break or mend (`ConverterFault.NONE`) a converter of a module, or of the node (`NODE_CONVERTER`, 0)."""
        self._library.tz_site_converter(self._site, module, converter, fault)

    def brown_out(self, module: int, good: bool) -> None:
        """What a module's supply supervisor says."""
        if not self._supply(self._site, module, good):
            raise NotImplementedError("this gateware's module has no pin for its supply's supervisor")

    def stick_comparator(self, level: bool | None) -> None:
        """Hold the over-voltage comparator's output at a level; None lets the bus decide again."""
        self._head.comparator = -1 if level is None else int(level)

    def run(self, clocks: int) -> Stop:
        """Run up to `clocks` node clocks, less where something stops it."""
        return Stop(self._run(self._site, clocks))

    def begin(self, request: bytes) -> None:
        """Assert chip select and start clocking `request` out; `run` until `Stop.TRANSACTION`, then take `answer`."""
        self._pending = len(request)
        self._library.tz_site_begin(self._site, request, len(request))

    def answer(self) -> bytes:
        """What came back during the transaction that ended last, as many bytes as went out."""
        buffer = ctypes.create_string_buffer(self._pending)
        self._library.tz_site_answer(self._site, buffer)
        return buffer.raw
