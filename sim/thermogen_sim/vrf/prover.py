"""The gateware's prover, compiled, behind three calls."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

from ..compiler import Progress, core_library
from ..errors import SimulatorError

NATIVE = Path(__file__).parent / "native"
CLOCK_HZ = 50_000_000
"""Of the node."""
LIMIT_CLOCKS = 50_000_000
"""More than 256 tries take."""


def prover_library(tries: int, progress: Progress = lambda _step: None) -> Path:
    """The library of `native/prover.cc` with a prover that gives up after so many tries."""
    from amaranth.back import rtlil
    from thermogen_gateware.vrf.prover import Prover

    source = str(rtlil.convert(Prover(tries), name="tz_prover", emit_src=False))
    return core_library("prover", source, NATIVE / "prover.cc", progress=progress)


@dataclass(frozen=True)
class Proof:
    """What the prover gave, how often it tried and how many clocks it took from the end of alpha."""

    proof: bytes
    output: bytes
    tries: int
    clocks: int


class ProverRefusalError(SimulatorError):
    """The prover gave an error; `reason` is its name in `ProverError`, lower case."""

    def __init__(self, reason: str, tries: int, clocks: int):
        super().__init__(f"the prover says: {reason.replace('_', ' ')}")
        self.reason = reason
        self.tries = tries
        self.clocks = clocks


class CompiledProver:
    """A prover from power-up on."""

    def __init__(self, tries: int = 256, progress: Progress = lambda _step: None):
        self._library = ctypes.CDLL(str(prover_library(tries, progress)))
        self._library.tz_prover_new.restype = ctypes.c_void_p
        self._library.tz_prover_run.restype = ctypes.c_uint64
        self._prover = ctypes.c_void_p(self._library.tz_prover_new())
        self.load_clocks = 0

    def close(self) -> None:
        """Free the model."""
        self._library.tz_prover_delete(self._prover)

    def load(self, seed: bytes) -> bytes:
        """Give it a secret seed of 32 bytes; the public key."""
        answer, self.load_clocks = self._run(seed, alpha=False)
        return answer

    def prove(self, alpha: bytes) -> Proof:
        """Raises ProverRefusalError."""
        from thermogen_gateware.vrf.prover import PROOF_BYTES, ProverError

        answer, clocks = self._run(alpha, alpha=True)
        error, tries = ProverError(self._library.tz_prover_error(self._prover)), self._library.tz_prover_tries(self._prover)
        if error is not ProverError.NONE:
            raise ProverRefusalError(error.name.lower(), tries, clocks)
        return Proof(answer[:PROOF_BYTES], answer[PROOF_BYTES:], tries, clocks)

    def _run(self, given: bytes, alpha: bool) -> tuple[bytes, int]:
        answer = ctypes.create_string_buffer(256)
        answered = ctypes.c_size_t()
        clocks = self._library.tz_prover_run(
            self._prover,
            int(alpha),
            given,
            ctypes.c_size_t(len(given)),
            answer,
            ctypes.c_size_t(len(answer)),
            ctypes.byref(answered),
            ctypes.c_uint64(LIMIT_CLOCKS),
        )
        if clocks == 0:
            raise RuntimeError(f"the prover does not end within {LIMIT_CLOCKS} clocks")
        return answer.raw[: answered.value], int(clocks)
