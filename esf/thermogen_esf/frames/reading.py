"""Reading declared fields one by one, so that an error knows its field and offset, and compiling declarations of fixed size.

`read_fields` is the declaration at work. `Compiled` is the quick way for what comes in large numbers: one `struct.Struct` derived from the
same declaration. It checks no values.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from construct import Array, BytesInteger, ConstructError, FormatField, StreamError, Struct, Subconstruct

from .errors import FieldError, TruncatedError


def read_fields(declaration: Struct, data: bytes, start: int) -> tuple[dict[str, Any], dict[str, int], int]:
    """The fields' values, the fields' offsets, and the offset after the last one. TruncatedError or FieldError."""
    stream = BytesIO(data)
    stream.seek(start)
    values: dict[str, Any] = {}
    offsets: dict[str, int] = {}
    for part in declaration.subcons:
        name, offset = str(part.name), stream.tell()
        offsets[name] = offset
        try:
            values[name] = part.parse_stream(stream, **values)
        except StreamError:
            raise TruncatedError(offset, name, f"the bytes end within the field, at {len(data)}") from None
        except ConstructError:
            found = data[offset : offset + 8].hex(" ")
            raise FieldError(offset, name, f"its bytes {found}… are not allowed here; the field is: {part.docs}") from None
    return values, offsets, stream.tell()


@dataclass(frozen=True)
class Compiled:
    """A declaration of fixed size as one struct. Arrays and byte strings come as bytes."""

    names: tuple[str, ...]
    layout: struct.Struct
    wide: tuple[tuple[int, int], ...]
    """Position and bytes of the unsigned integers of a width that `struct` does not have."""

    def unpack(self, data: bytes | memoryview, offset: int = 0) -> tuple[Any, ...]:
        """The raw values in the order of `names`; there must be enough bytes."""
        row = self.layout.unpack_from(data, offset)
        for at, _ in self.wide:
            row = (*row[:at], int.from_bytes(row[at], "big"), *row[at + 1 :])
        return row

    def columns(self, data: bytes) -> dict[str, tuple[Any, ...]]:
        """Whole records, one after the other, as one tuple of raw values for each name."""
        columns = list(zip(*self.layout.iter_unpack(data), strict=True)) or [()] * len(self.names)
        for at, _ in self.wide:
            columns[at] = tuple(int.from_bytes(value, "big") for value in columns[at])
        return dict(zip(self.names, columns, strict=True))

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """The bytes of raw values; struct.error or OverflowError where one does not fit."""
        row = [values[name] for name in self.names]
        for at, width in self.wide:
            row[at] = row[at].to_bytes(width, "big")
        return self.layout.pack(*row)


def compile_fixed(*declarations: Struct) -> Compiled:
    """The fields of declarations of fixed size, one after the other."""
    names: list[str] = []
    codes: list[str] = []
    wide: list[tuple[int, int]] = []
    for part in (part for declaration in declarations for part in declaration.subcons):
        core: Any = part
        while isinstance(core, Subconstruct) and not isinstance(core, Array):
            core = core.subcon  # names, constants and checks wrap what is on the wire
        names.append(str(part.name))
        if isinstance(core, FormatField):
            codes.append(core.fmtstr.removeprefix(">"))
            continue
        if isinstance(core, BytesInteger):
            wide.append((len(codes), core.sizeof()))
        codes.append(f"{core.sizeof()}s")
    return Compiled(tuple(names), struct.Struct(">" + "".join(codes)), tuple(wide))
