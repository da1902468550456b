"""Canonical JSON: one value, one sequence of bytes.

UTF-8, keys in code point order, separators `,` and `:`, no white space, strings in Unicode normalization form C, integers only
(what is not whole is stated in a smaller unit). Control characters, `"` and `\\` are escaped the way Python's `json` does; nothing
else is. A hash or a signature over such bytes is therefore a statement about the value, and bytes that do not re-encode to
themselves are refused.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import sha3_256
from typing import NoReturn, TypeAlias

from .errors import EvidenceError

Value: TypeAlias = str | int | bool | Sequence["Value"] | Mapping[str, "Value"] | None
"""What canonical JSON can say."""

MAX_BYTES = 16 * 1024 * 1024
"""More than any document of evidence has; longer input is refused before it is parsed."""

MAX_DEPTH = 16
"""Objects and lists inside one another."""

MAX_MAGNITUDE = 2**64 - 1
"""Greatest magnitude of an integer."""


class CanonicalError(EvidenceError):
    """Bytes or a value that canonical JSON cannot carry; the text says which rule it breaks."""


def canonical(value: Value) -> bytes:
    """The one encoding of `value`; CanonicalError where there is none (a float, a key that is not ASCII text, a string not in NFC)."""
    _check(value, 0)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def parse(data: bytes) -> Value:
    """The value that `data` encodes; CanonicalError unless `data` is exactly the canonical encoding of it."""
    if len(data) > MAX_BYTES:
        raise CanonicalError(f"{len(data)} bytes of JSON; at most {MAX_BYTES} are read")
    try:
        value: Value = json.loads(data.decode("utf-8"), parse_float=_refuse_number, parse_constant=_refuse_number)
    except RecursionError:
        raise CanonicalError(f"nested deeper than {MAX_DEPTH} levels") from None
    except CanonicalError:
        raise
    except ValueError as error:
        raise CanonicalError(f"not JSON in UTF-8: {error}") from None
    again = canonical(value)
    if again != data:
        raise CanonicalError(
            f"not in canonical form from byte {_first_difference(data, again)} on: re-encode the value with sorted keys and no white space"
        )
    return value


def digest(value: Value) -> bytes:
    """SHA3-256 of the canonical encoding, 32 bytes."""
    return sha3_256(canonical(value)).digest()


def _check(value: Value, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CanonicalError(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > MAX_MAGNITUDE:
                raise CanonicalError(f"an integer of {value.bit_length()} bits; at most 64 are allowed")
        case str():
            _check_text(value)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str) or not key.isascii():
                    raise CanonicalError(f"the key {key!r} is not ASCII text")
                _check(item, depth + 1)
        case list() | tuple():
            for item in value:
                _check(item, depth + 1)
        case _:
            raise CanonicalError(f"{type(value).__name__} has no canonical encoding; use integers, text, lists and objects")


def _check_text(text: str) -> None:
    if not unicodedata.is_normalized("NFC", text):
        raise CanonicalError(f"the text {text!r} is not in Unicode normalization form C")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise CanonicalError(f"the text {text!r} has half of a surrogate pair") from None


def _refuse_number(text: str) -> NoReturn:
    raise CanonicalError(f"the number {text[:40]} is not whole; canonical JSON has integers only")


def _first_difference(left: bytes, right: bytes) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
