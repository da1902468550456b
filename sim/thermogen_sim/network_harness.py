"""Compiled gateware on a PHY as an object: frames in and out with the clocks of their di-bits, ports by name, or a TAP device behind it.

Two ways to let time pass. `run` and `exchange` are exact: nothing happens between two calls. `serve` runs freely in a thread, as fast as
the processor can while there is something on the wire, and with `clocks_per_second` clocks in a second of wall time while there is not:
elaborate the gateware with the same number, and its timers agree with those of the programs that talk to it.
"""

from __future__ import annotations

import ctypes
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .network_library import WORD_BITS, NetworkLibrary

SHORTEST_BYTES = 60
"""Of a frame without its FCS."""
_LONGEST_BYTES = 4096
_NEVER = (1 << 64) - 1


def with_fcs(frame: bytes) -> bytes:
    """The frame as it is on the wire: padded to its least length, and with its FCS."""
    padded = frame.ljust(SHORTEST_BYTES, b"\0")
    return padded + zlib.crc32(padded).to_bytes(4, "little")


@dataclass(frozen=True)
class SentFrame:
    """A frame that the gateware sent, with its FCS, and when its first and last di-bit were on the pins."""

    wire: bytes
    first_clock: int
    last_clock: int
    preamble_di_bits: int
    intact: bool
    """Its FCS and length are right, and it is of whole bytes."""

    @property
    def frame(self) -> bytes:
        """Without the FCS; with the padding."""
        return self.wire[:-4]


class _SentInfo(ctypes.Structure):
    _fields_ = (
        ("first_clock", ctypes.c_uint64),
        ("last_clock", ctypes.c_uint64),
        ("preamble_di_bits", ctypes.c_uint32),
        ("odd_di_bits", ctypes.c_uint32),
        ("intact", ctypes.c_uint32),
    )


class _Flaws(ctypes.Structure):
    _fields_ = (
        ("preamble_di_bits", ctypes.c_uint32),
        ("silent_di_bits", ctypes.c_uint32),
        ("toggling_nibbles", ctypes.c_uint32),
        ("dribble_di_bits", ctypes.c_uint32),
        ("error_at_byte", ctypes.c_int32),
        ("gap_di_bits", ctypes.c_uint32),
    )


class CompiledNetwork:
    """A compiled top on its PHY. `negotiation_clocks` is how long the link takes to come up."""

    def __init__(self, library: NetworkLibrary, negotiation_clocks: int = 100):
        self._ports = library.ports
        self._library = ctypes.CDLL(str(library.path.resolve()))
        handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
        for name, result, arguments in (
            ("delete", None, ()),
            ("inject", None, (ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_Flaws))),
            ("sent", ctypes.c_int, (ctypes.c_char_p, ctypes.POINTER(_SentInfo))),
            ("received", u64, ()),
            ("run", None, (u64, ctypes.c_int)),
            ("clocks", u64, ()),
            ("set", None, (u32, u32, u32)),
            ("get", u32, (u32, u32)),
            ("cable", None, (ctypes.c_int, ctypes.c_uint16)),
            ("link", ctypes.c_int, ()),
            ("negotiation", None, (u64,)),
            ("phy_peek", ctypes.c_uint16, (u32,)),
            ("phy_poke", None, (u32, ctypes.c_uint16)),
            ("damaged_sent", u64, ()),
            ("serve", ctypes.c_int, (ctypes.c_int, ctypes.c_double)),
            ("stop", None, ()),
        ):
            function = getattr(self._library, f"tz_network_{name}")
            function.restype, function.argtypes = result, (handle, *arguments)
        self._library.tz_network_new.restype = handle
        self._network = handle(self._library.tz_network_new())
        self._library.tz_network_negotiation(self._network, negotiation_clocks)

    def close(self) -> None:
        """Free the model; the object is of no use afterwards."""
        if self._network:
            self._library.tz_network_delete(self._network)
            self._network = ctypes.c_void_p()

    @property
    def clocks(self) -> int:
        """Since the object was made."""
        return int(self._library.tz_network_clocks(self._network))

    def __setitem__(self, name: str, value: int) -> None:
        port = self._ports[name]
        if not port.is_input or not 0 <= value < 1 << port.width:
            raise ValueError(f"{name} is not an input of {value.bit_length()} bits")
        for word in range(port.words):
            self._library.tz_network_set(self._network, port.number, word, value >> WORD_BITS * word & (1 << WORD_BITS) - 1)

    def __getitem__(self, name: str) -> int:
        port = self._ports[name]
        words = (self._library.tz_network_get(self._network, port.number, word) << WORD_BITS * word for word in range(port.words))
        return sum(int(word) for word in words)

    def run(self, clocks: int) -> None:
        """Let so many clocks pass."""
        self._library.tz_network_run(self._network, clocks, 0)

    def inject(
        self,
        wire: bytes,
        *,
        preamble_di_bits: int = 31,
        silent_di_bits: int = 4,
        toggling_nibbles: int = 4,
        dribble_di_bits: int = 0,
        error_at_byte: int = -1,
        gap_di_bits: int = 48,
    ) -> None:
        """Queue what the wire brings, FCS included (`with_fcs`), with whatever is wrong with it."""
        flaws = _Flaws(preamble_di_bits, silent_di_bits, toggling_nibbles, dribble_di_bits, error_at_byte, gap_di_bits)
        self._library.tz_network_inject(self._network, wire, len(wire), flaws)

    def sent(self) -> SentFrame | None:
        """The oldest frame that the gateware sent and nobody took."""
        buffer, info = ctypes.create_string_buffer(_LONGEST_BYTES), _SentInfo()
        length = self._library.tz_network_sent(self._network, buffer, info)
        if length < 0:
            return None
        return SentFrame(buffer.raw[:length], info.first_clock, info.last_clock, info.preamble_di_bits, bool(info.intact))

    def wait_sent(self, clocks: int) -> SentFrame | None:
        """The next frame that the gateware sends, if it does within so many clocks."""
        waiting = self.sent()
        if waiting is None:
            self._library.tz_network_run(self._network, clocks, 1)
            waiting = self.sent()
        return waiting

    def received(self) -> int | None:
        """The clock of the last di-bit of the oldest injected frame that has come in and was not asked for yet."""
        clock = int(self._library.tz_network_received(self._network))
        return None if clock == _NEVER else clock

    def exchange(self, wire: bytes, clocks: int = 20_000) -> SentFrame | None:
        """Inject a frame; what the gateware sends next."""
        self.inject(wire)
        return self.wait_sent(clocks)

    def cable(self, plugged: bool, partner: int = 0x45E1) -> None:
        """Plug or pull the cable; `partner` is what the other side advertises (clause 28 base page)."""
        self._library.tz_network_cable(self._network, plugged, partner)

    @property
    def link(self) -> bool:
        """The PHY has a link."""
        return bool(self._library.tz_network_link(self._network))

    def phy_register(self, number: int) -> int:
        """A register of the PHY, without the effects of reading it."""
        return int(self._library.tz_network_phy_peek(self._network, number))

    def set_phy_register(self, number: int, value: int) -> None:
        """Make the PHY other than it is."""
        self._library.tz_network_phy_poke(self._network, number, value)

    @property
    def damaged_sent(self) -> int:
        """Frames of the gateware that were not fit for the device behind `serve`."""
        return int(self._library.tz_network_damaged_sent(self._network))

    @contextmanager
    def serve(self, descriptor: int, clocks_per_second: float) -> Iterator[None]:
        """Run freely between the wire and a TAP device (`tap.py`). Ports may be read and written meanwhile."""
        os.set_blocking(descriptor, False)
        failures: list[int] = []

        def run() -> None:
            failures.append(self._library.tz_network_serve(self._network, descriptor, clocks_per_second))

        thread = threading.Thread(target=run, name="network", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._library.tz_network_stop(self._network)
            thread.join()
        if failures != [0]:
            raise OSError(failures[0], os.strerror(failures[0]))
