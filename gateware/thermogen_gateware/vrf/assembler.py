"""Assembles the prover's program from text.

A line is `label:` or an operation with its operands, `mul A, X, Y`; a semicolon begins a comment. An operand is an element's name, with
`[digit]`, or as operand b `[carry]`, `[zero]`, `[odd]` or `[top]` behind it. `FORMS` says what each operation takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .instructions import ELEMENT_BITS, VALUE_BITS, DigestForm, Index, Operation

FORMS: Mapping[Any, str] = {
    **dict.fromkeys((Operation.MUL, Operation.ADD, Operation.SUB, Operation.ADDR, Operation.ADCR, Operation.SUBR), "dab"),
    Operation.RMUL: "ab",
    Operation.COUNT: "v",
    **dict.fromkeys((Operation.LOOP, Operation.CALL, Operation.JUMP, Operation.RETRY), "l"),
    Operation.FAIL_IF: "c",
    Operation.DIGIT: "a",
    Operation.HASH_BYTE: "v",
    Operation.HASH_ELEMENT: "av",
    Operation.HASH_END: "df",
    Operation.GIVE: "avw",
    **dict.fromkeys(
        (
            Operation.RETURN,
            Operation.END,
            Operation.ENTRY,
            Operation.FIRST_ENTRY,
            Operation.HASH_TRY,
            Operation.HASH_ALPHA,
            Operation.HASH_SEED,
        ),
        "",
    ),
}
"""d, a, b: an element; v: a number; l: a label; c: a condition (`odd`, `not odd`); f: a digest's form; w: `more` or `last`."""


class AssemblyError(Exception):
    """A line that is no instruction; the message begins with its number."""


@dataclass(frozen=True)
class Assembly:
    """Words for the program memory, and where the labels are in it."""

    words: tuple[int, ...]
    labels: Mapping[str, int]


_D = 5
_D_DIGIT = _D + ELEMENT_BITS
_A = _D_DIGIT + 1
_A_DIGIT = _A + ELEMENT_BITS
_B = _A_DIGIT + 1
_B_INDEX = _B + ELEMENT_BITS


def assemble(text: str, elements: Mapping[str, int]) -> Assembly:
    """Raises AssemblyError at the first line that means nothing."""
    labels: dict[str, int] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.partition(";")[0].strip()
        if statement.endswith(":"):
            label = statement[:-1]
            if label in labels or not label.isidentifier():
                raise AssemblyError(f"line {number}: {label!r} is no new label")
            labels[label] = len(lines)
        elif statement:
            lines.append((number, statement))
    return Assembly(tuple(_Line(number, labels, elements).word(statement) for number, statement in lines), labels)


@dataclass
class _Line:
    number: int
    labels: Mapping[str, int]
    elements: Mapping[str, int]

    def word(self, statement: str) -> int:
        name, _, rest = statement.partition(" ")
        operation = Operation.__members__.get(name.upper())
        if operation is None:
            raise self._error(f"no operation {name!r}")
        operands = [operand.strip() for operand in rest.split(",")] if rest.strip() else []
        form = FORMS[operation]
        if len(operands) != len(form):
            raise self._error(f"{name} takes {len(form)} operands")
        word: int = operation.value
        return word | sum(self._field(kind, operand) for kind, operand in zip(form, operands, strict=True))

    def _error(self, what: str) -> AssemblyError:
        return AssemblyError(f"line {self.number}: {what}")

    def _field(self, kind: str, operand: str) -> int:
        match kind:
            case "d" | "a" | "b":
                return self._element(kind, operand)
            case "v":
                if not operand.isdecimal() or int(operand) >= 1 << VALUE_BITS:
                    raise self._error(f"{operand!r} is no number below {1 << VALUE_BITS}")
                return int(operand) << _B
            case "l":
                if operand not in self.labels:
                    raise self._error(f"no label {operand!r}")
                return self.labels[operand] << _B
            case "c":
                opposite = operand.startswith("not ")
                return self._flag(operand.removeprefix("not ")) << _B_INDEX | opposite << _D
            case "f":
                return self._choice(DigestForm.__members__, operand) << _B
            case _:
                return self._choice({"MORE": Operation.MUL, "LAST": Operation.RMUL}, operand) << _D

    def _element(self, kind: str, operand: str) -> int:
        match = re.fullmatch(r"(\w+)(?:\[(\w+)\])?", operand)
        if match is None or match[1] not in self.elements:
            raise self._error(f"no element {operand!r}")
        element, index = self.elements[match[1]], match[2]
        if kind == "b":
            if index and index != "digit" and element & 1:
                raise self._error(f"{match[1]} is not the first of a pair")
            return element << _B | (self._flag(index) if index else 0) << _B_INDEX
        if index not in (None, "digit"):
            raise self._error(f"only operand b takes [{index}]")
        at, digit = (_D, _D_DIGIT) if kind == "d" else (_A, _A_DIGIT)
        return element << at | (index is not None) << digit

    def _flag(self, name: str) -> int:
        return self._choice({key: value for key, value in Index.__members__.items() if key != "NONE"}, name)

    def _choice(self, members: Mapping[str, object], name: str) -> int:
        if name.upper() not in members or name != name.lower():
            raise self._error(f"{name!r} is none of {', '.join(key.lower() for key in members)}")
        value: int = getattr(members[name.upper()], "value")  # noqa: B009  enums of Amaranth have no type
        return value
