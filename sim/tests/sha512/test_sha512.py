"""The gateware's SHA-512, compiled, against the standard's examples and the standard library's."""

from __future__ import annotations

import ctypes
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from amaranth.back import rtlil
from thermogen_gateware.vrf.sha512 import Sha512
from thermogen_gateware.vrf.sha512_message import LONGEST_MESSAGE
from thermogen_sim.compiler import core_library

pytestmark = pytest.mark.slow

NATIVE = Path(__file__).parent / "native"
BLOCK_CLOCKS = 7680
"""Bytes included."""
DIGEST_WORDS = 8
DIGEST_CLOCKS = 16
KEEP, LAST = 1 << 8, 1 << 9
EXAMPLES = {
    b"abc": (
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu": (
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
    ),
}
"""NIST's, of FIPS 180-2, C.1 and C.2."""


def blocks(message: bytes) -> int:
    """With the padding."""
    return (len(message) + 1 + 16 + 127) // 128


class Core:
    """A SHA-512 core from power-up on."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.tz_sha512_new.restype = ctypes.c_void_p
        self._library.tz_sha512_digest.restype = ctypes.c_uint64
        self._core = ctypes.c_void_p(self._library.tz_sha512_new())

    def close(self) -> None:
        """Free the model."""
        self._library.tz_sha512_delete(self._core)

    def digest(self, message: bytes, ended_apart: bool = False, pause: Callable[[], int] = lambda: 0) -> tuple[bytes, int]:
        """The digest and the clocks it took without the pauses; `ended_apart` sends the end without a byte."""
        payloads = [byte | KEEP for byte in message]
        if ended_apart or not message:
            payloads.append(0xFF)
        payloads[-1] |= LAST
        count = len(payloads)
        pauses = bytes(pause() for _ in range(count + DIGEST_WORDS))
        words = (ctypes.c_uint64 * DIGEST_WORDS)()
        limit = ctypes.c_uint64(2 * BLOCK_CLOCKS * (blocks(message) + 1))
        clocks = self._library.tz_sha512_digest(
            self._core, (ctypes.c_uint16 * count)(*payloads), ctypes.c_size_t(count), pauses, words, limit
        )
        assert clocks, "the core did not come to an end"
        return b"".join(word.to_bytes(8, "big") for word in reversed(words)), clocks


@pytest.fixture(scope="module")
def library() -> Path:
    return core_library("sha512", str(rtlil.convert(Sha512(), name="tz_sha512", emit_src=False)), NATIVE / "sha512.cc")


@pytest.fixture
def core(library: Path) -> Iterator[Core]:
    powered = Core(library)
    yield powered
    powered.close()


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: f"{len(message)} bytes")
def test_examples_of_the_standard(core, message):
    assert core.digest(message)[0] == bytes.fromhex(EXAMPLES[message])


@pytest.mark.parametrize("ended_apart", [False, True])
def test_digest_is_right_for_every_length_of_three_blocks_one_after_the_other(core, ended_apart):
    """Every edge of the padding, and nothing of a message in the next one's digest."""
    source = random.Random(512)
    for length in range(3 * 128):
        message = source.randbytes(length)
        digest, clocks = core.digest(message, ended_apart)
        assert digest == hashlib.sha512(message).digest(), length
        end_without_a_byte = ended_apart or not message
        assert clocks == blocks(message) * BLOCK_CLOCKS + DIGEST_CLOCKS + end_without_a_byte, length


@pytest.mark.parametrize("length", [LONGEST_MESSAGE - 1, LONGEST_MESSAGE])
def test_digest_is_right_up_to_the_longest_message(core, length):
    message = random.Random(length).randbytes(length)
    assert core.digest(message)[0] == hashlib.sha512(message).digest()


def test_messages_of_any_length_at_any_pace(core):
    source = random.Random(180)
    for number in range(100):
        message = source.randbytes(source.randrange(301))
        digest, _ = core.digest(message, ended_apart=bool(number % 2), pause=lambda: source.choice((0, 0, 0, 1, 2, 9, 40)))
        assert digest == hashlib.sha512(message).digest(), number


def test_time_does_not_depend_on_what_the_message_says(core):
    source = random.Random(4)
    messages = [bytes(100), b"\xff" * 100, *(source.randbytes(100) for _ in range(20))]
    assert {core.digest(message)[1] for message in messages} == {BLOCK_CLOCKS + DIGEST_CLOCKS}
