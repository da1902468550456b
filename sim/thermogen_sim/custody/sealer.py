"""The gateware's sealer, compiled, on a model of the part that keeps its key: power comes and goes between any two clocks."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thermogen_esf.hostlink import EPOCH_RECORD, Status
from thermogen_esf.hostlink_seal import (
    DRAW,
    DRAW_REQUEST,
    MAKE_KEY,
    MAKE_KEY_WORD,
    PUBLIC_KEY,
    SEAL,
    SEAL_STATUS,
    CustodyState,
    ProofState,
    ring_slot,
)

from ..compiler import NATIVE as MODELS
from ..compiler import core_library

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

NATIVE = Path(__file__).parent / "native"
CLOCK_HZ = 1.0
"""So slow that the part's bus goes as fast as the gateware can: the part has no timing that this would hide."""
STEP_CLOCKS = 256
LIMIT_CLOCKS = 3_000_000
WRITE_LIMIT_CLOCKS = 30_000
"""More than there are between two writes of anything that goes on, a key's making among them."""
SEED_BYTES = 32


def sealer_library(prover: Component | None = None) -> Path:
    """The library of `native/sealer.cc`; `prover` stands in for the real one."""
    from amaranth.back import rtlil
    from thermogen_gateware.custody.sealer import Sealer

    sealer = Sealer(CLOCK_HZ, prover, sample_clocks=1)
    source = str(rtlil.convert(sealer, name="tz_sealer", emit_src=False))
    return core_library("sealer", source, NATIVE / "sealer.cc", models=[MODELS / "m41st87w.hpp"])


class Library:
    """The compiled sealer and its part's model."""

    def __init__(self, path: Path):
        self.calls = ctypes.CDLL(str(path))
        for name in ("tz_part_new", "tz_part_copy", "tz_sealer_new"):
            getattr(self.calls, name).restype = ctypes.c_void_p

    def part(self) -> Part:
        """One as it comes from the factory, its battery just connected."""
        return Part(self, ctypes.c_void_p(self.calls.tz_part_new()))


class Part:
    """An M41ST87W with a battery."""

    def __init__(self, library: Library, handle: ctypes.c_void_p):
        self.library, self.handle = library, handle

    def copy(self) -> Part:
        """Another with the same cells."""
        return Part(self.library, ctypes.c_void_p(self.library.calls.tz_part_copy(self.handle)))

    def tamper(self, number: int = 1) -> None:
        """A tamper condition at input 1 or 2."""
        self.library.calls.tz_part_tamper(self.handle, number)

    def __getitem__(self, address: int) -> int:
        return int(self.library.calls.tz_part_cell(self.handle, address))

    def __setitem__(self, address: int, value: int) -> None:
        self.library.calls.tz_part_set_cell(self.handle, address, value)

    @property
    def holds_the_bus(self) -> bool:
        """Whether it pulls SDA, as in the midst of a byte."""
        return bool(self.library.calls.tz_part_holds_the_bus(self.handle))

    def set_answers(self, answers: bool) -> None:
        """Whether it acknowledges."""
        self.library.calls.tz_part_set_answers(self.handle, answers)

    def set_stuck(self, address: int) -> None:
        """This cell keeps its value."""
        self.library.calls.tz_part_set_stuck(self.handle, address)

    def __del__(self) -> None:
        self.library.calls.tz_part_delete(self.handle)


class CompiledSealer:
    """A sealer that has just been powered, or been loaded anew beside a part that was not; `power_off` ends it between two clocks."""

    def __init__(self, part: Part, noise: int = 1, noise_stuck: bool = False, reconfigured: bool = False):
        self._part = part
        self._calls = part.library.calls
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(
            self._calls.tz_sealer_new(part.handle, ctypes.c_uint64(noise), int(noise_stuck), int(reconfigured))
        )
        self.clocks = 0

    def power_off(self) -> None:
        """Everything but the part forgets."""
        self._calls.tz_sealer_delete(self._handle)
        self._handle = None

    def run(self, clocks: int) -> None:
        """Let so many clocks pass."""
        self._calls.tz_sealer_run(self._handle, ctypes.c_uint64(clocks))
        self.clocks += clocks

    def run_to_write(self, limit: int = WRITE_LIMIT_CLOCKS) -> bool:
        """Run until a byte of the part was written, just now; False when none was within so many clocks."""
        return bool(self._calls.tz_sealer_run_to_write(self._handle, ctypes.c_uint64(limit)))

    @property
    def keys_held(self) -> bytes:
        """What the FPGA itself holds of the key, 64 bytes, for a test to look at: no register gives it."""
        return bytes(self._calls.tz_sealer_key_byte(self._handle, place) for place in range(2 * SEED_BYTES))

    def set_identity(self, site: bytes, profile_hash: bytes, calibration_hash: bytes) -> None:
        """What the leaves say, 8 bytes each."""
        values = (int.from_bytes(value, "big") for value in (site, profile_hash, calibration_hash))
        self._calls.tz_sealer_identity(self._handle, *(ctypes.c_uint64(value) for value in values))

    def record(self, epoch: int, count: int, root: bytes) -> None:
        """The recorder writes an epoch record."""
        words = [0] * (sum(EPOCH_RECORD["root"]))
        words[0:2] = [epoch >> 16, epoch & 0xFFFF]
        words[EPOCH_RECORD["count"][0]] = count
        words[EPOCH_RECORD["root"][0] :] = [int.from_bytes(root[at : at + 2], "big") for at in range(0, len(root), 2)]
        self._calls.tz_sealer_record(self._handle, (ctypes.c_uint16 * len(words))(*words), ctypes.c_size_t(len(words)))
        self.clocks += len(words)

    def read(self, address: int, count: int) -> bytes:
        """Words of the register window, two bytes each; AssertionError where there are none."""
        words = (ctypes.c_uint16 * count)()
        assert self._calls.tz_sealer_read(self._handle, address, words, ctypes.c_size_t(count)), f"nothing at {address:#x}"
        self.clocks += 1 + 3 * count
        return b"".join(word.to_bytes(2, "big") for word in words)

    def write(self, address: int, words: Sequence[int]) -> Status:
        """What the host link would answer."""
        given = (ctypes.c_uint16 * len(words))(*words)
        return Status(self._calls.tz_sealer_write(self._handle, address, given, ctypes.c_size_t(len(words))))

    def status(self, name: str) -> int:
        """A status register."""
        return int.from_bytes(self.read(*SEAL_STATUS[name]), "big")

    @property
    def state(self) -> CustodyState:
        """How the key stands."""
        return CustodyState(self.status("custody_state"))

    def settle(self) -> CustodyState:
        """Run until the key stands as it will, and the prover rests."""
        limit = self.clocks + LIMIT_CLOCKS
        while self.state in (CustodyState.STARTING, CustodyState.MAKING_KEY) or self.status("proof_state") != ProofState.IDLE:
            self.run(STEP_CLOCKS)
            if self.clocks > limit:
                raise RuntimeError(f"the sealer does not settle within {LIMIT_CLOCKS} clocks")
        return self.state

    def seal(self, epoch: int, root: bytes, count: int = 90) -> bytes:
        """Seal an epoch; input, proof and output, 250 bytes, which are the last seal's where there is no new one."""
        self.record(epoch, count, root)
        self.run(4)
        self.settle()
        return self.read(*SEAL)

    def kept(self, number: int) -> bytes:
        """The seal with that number since power-up as the ring has it, 186 bytes."""
        return self.read(*ring_slot(number))

    def ask_draw(self, asked: bytes) -> Status:
        """Day, root and beacon, 68 bytes."""
        return self.write(DRAW_REQUEST[0], [int.from_bytes(asked[at : at + 2], "big") for at in range(0, len(asked), 2)])

    def draw(self) -> bytes:
        """Input, proof and output of the last draw, 228 bytes."""
        self.run(4)
        self.settle()
        return self.read(*DRAW)

    def make_key(self) -> Status:
        """The host orders a new key."""
        return self.write(MAKE_KEY[0], [MAKE_KEY_WORD])

    @property
    def public_key(self) -> bytes:
        """32 bytes; zeros where there is no key."""
        return self.read(*PUBLIC_KEY)
