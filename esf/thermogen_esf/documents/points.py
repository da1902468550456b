"""docs/points.md: every quantity of a site."""

from __future__ import annotations

import enum
from fractions import Fraction
from inspect import cleandoc

from ..describing import decimal_text, decimals_of
from ..points import (
    POINTS,
    BurnerFlag,
    ChannelState,
    Fault,
    Kind,
    Point,
    SiteAlarm,
    SiteState,
    Source,
    TimeQuality,
    UplinkState,
)
from .markdown import table

_SOURCES = {
    Source.MEASURED: "sampled by the gateware's own converters",
    Source.DERIVED: "computed or counted by the gateware from what it measured",
    Source.HOST: "written by the daemon, and believed only as far as the daemon is",
    Source.CONSTANT: "fixed when the gateware was built",
}

_SYMBOLS: tuple[type[enum.IntEnum] | type[enum.IntFlag], ...] = (
    ChannelState,
    SiteState,
    TimeQuality,
    UplinkState,
    Fault,
    BurnerFlag,
    SiteAlarm,
)


def points_document() -> str:
    """The document's text."""
    sections = [
        "# The points",
        "Written by `thermogen-esf document` from `esf/thermogen_esf/points.py`; do not edit.",
        """\
Every quantity of a site. Its number is its name on the wire and never changes. Physical value = raw × scale + offset, in the unit given;
the range says what is believable, not what fits the width. Where a point lies in a telemetry frame is in
[esf-frames.md](esf-frames.md).""",
        "## Who says so",
    ]
    sections.append(table(("source", "meaning"), ((source.value, meaning) for source, meaning in _SOURCES.items())))
    for source in Source:
        chosen = [point for point in POINTS if point.source is source]
        sections += [f"## {source.value.capitalize()}", table(_HEADS, map(_row, chosen))]
    sections.append("## Enumerations and flags")
    for values in _SYMBOLS:
        sections += [f"### {values.__name__}", f"{cleandoc(values.__doc__ or '')}", _symbol_table(values)]
    sections.append(
        "A version is 32 bits: major and minor 8 bits each, patch 16 bits. A hash is the first 8 bytes, kept as they are; it has no unit."
    )
    return "\n\n".join(sections) + "\n"


_HEADS = ("number", "identifier", "quantity", "unit", "range", "scale", "offset", "bits", "kind", "instances")


def _row(point: Point) -> tuple[object, ...]:
    quantity = point.kind in (Kind.UNSIGNED, Kind.SIGNED)
    kind = f"{point.kind.value} {point.values.__name__}" if point.values else point.kind.value
    span = f"{point.minimum} … {point.maximum}" if quantity else ""
    return (
        point.number,
        f"`{point.identifier}`",
        point.name,
        point.unit,
        span,
        _fraction(point.scale) if quantity else "",
        _fraction(point.offset) if point.offset else "",
        point.width,
        kind,
        point.count,
    )


def _fraction(value: Fraction) -> str:
    decimals = decimals_of(value)
    return str(value) if decimals is None else decimal_text(value, decimals)


def _symbol_table(values: type[enum.IntEnum] | type[enum.IntFlag]) -> str:
    if issubclass(values, enum.IntFlag):
        return table(("bit", "name"), ((int(value).bit_length() - 1, value.name) for value in values))
    return table(("value", "name"), ((int(value), value.name) for value in values))
