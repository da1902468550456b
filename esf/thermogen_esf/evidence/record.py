"""Typed fields of a parsed JSON object: nothing missing, nothing more, nothing of another type."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from .canonical import Value
from .errors import EvidenceError

MAX_UNIX_S = 2**32 - 1
"""Last second that a frame's time can hold."""
MAX_STORED = 2**63 - 1
"""Greatest whole number that a database's signed 64 bits hold."""

_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that could rewrite a terminal's line or the order in which text is read."""


class RecordError(EvidenceError):
    """A field that is missing, unknown, of the wrong type or out of range; the text names it with its path."""


class Record:
    """Reads the fields of one JSON object, each once; `end` refuses what was not read.

    `where` is the path shown in errors, for instance `sites[2]`.
    """

    def __init__(self, value: Value, where: str) -> None:
        if not isinstance(value, Mapping):
            raise RecordError(f"{where}: an object is needed")
        self._fields = dict(value)
        self._where = where

    def take(self, name: str) -> Value:
        """The field's value, whatever it is."""
        if name not in self._fields:
            raise RecordError(f"{self._where}.{name}: is missing")
        return self._fields.pop(name)

    def integer(self, name: str, least: int = 0, greatest: int = 2**64 - 1) -> int:
        """A whole number within limits, both included."""
        value = self.take(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "a whole number is needed")
        if not least <= value <= greatest:
            raise self._wrong(name, f"{value} is outside {least} to {greatest}")
        return value

    def time(self, name: str) -> int:
        """Unix seconds, UTC."""
        return self.integer(name, 0, MAX_UNIX_S)

    def time_or_none(self, name: str) -> int | None:
        """Unix seconds, UTC, or None where the object says null."""
        if name in self._fields and self._fields[name] is None:
            del self._fields[name]
            return None
        return self.time(name)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false is needed")
        return value

    def text(self, name: str, longest: int = 200, pattern: str | None = None) -> str:
        """Text of 1 to `longest` bytes in UTF-8, without control or invisible characters; as a whole of the form `pattern`, if given."""
        value = self.take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "text is needed")
        if any(unicodedata.category(character) in _INVISIBLE for character in value):
            raise self._wrong(name, "control and invisible characters are not allowed: what is signed is what is seen")
        size = len(value.encode("utf-8"))
        if not 1 <= size <= longest:
            raise self._wrong(name, f"{size} bytes of text; 1 to {longest} are allowed")
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise self._wrong(name, f"{value!r} does not have the form {pattern}")
        return value

    def octets(self, name: str, size: int) -> bytes:
        """Exactly `size` bytes, written as lower-case hexadecimal."""
        value = self.take(name)
        if not isinstance(value, str) or len(value) != 2 * size or re.fullmatch("[0-9a-f]*", value) is None:
            raise self._wrong(name, f"{size} bytes in lower-case hexadecimal are needed")
        return bytes.fromhex(value)

    def octets_or_none(self, name: str, size: int) -> bytes | None:
        """Like `octets`, or None where the object says null."""
        if name in self._fields and self._fields[name] is None:
            del self._fields[name]
            return None
        return self.octets(name, size)

    def record(self, name: str) -> Record:
        """An object inside this one."""
        return Record(self.take(name), f"{self._where}.{name}")

    def records(self, name: str, most: int) -> list[Record]:
        """A list of at most `most` objects."""
        value = self.take(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list is needed")
        if len(value) > most:
            raise self._wrong(name, f"{len(value)} entries; at most {most} are allowed")
        return [Record(item, f"{self._where}.{name}[{index}]") for index, item in enumerate(value)]

    def end(self) -> None:
        """RecordError where the object has a field that nobody read."""
        if self._fields:
            raise RecordError(f"{self._where}: has a field that version 1 does not know: {', '.join(sorted(self._fields))}")

    def _wrong(self, name: str, what: str) -> RecordError:
        return RecordError(f"{self._where}.{name}: {what}")
