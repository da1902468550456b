"""Between a board's pins and the logic: request a signal by the name in the board's table and get its buffer's logic side."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import IOValue, Module, Value
from amaranth.lib import io


class BoardPins:
    """Requests pins of `platform` and puts their buffers into `m`. Unregistered: what samples a pin synchronises it where it is used."""

    def __init__(self, m: Module, platform: Any) -> None:
        self._m = m
        self._platform = platform
        self._resources: dict[tuple[str, int], Any] = {}

    def input(self, resource: str, subsignal: str = "", number: int = 0) -> Value:
        """The logic side of an input, as wide as the board has it."""
        port = self.port(resource, subsignal, number)
        buffer = io.Buffer("i", port)
        self._m.submodules[f"pin_{_name(resource, subsignal, number)}"] = buffer
        return buffer.i

    def pad(self, resource: str) -> IOValue:
        """The bare pad of a single pin, for a primitive that has the buffer in it."""
        return self.port(resource, "", 0).io

    def output(self, value: Value, resource: str, subsignal: str = "", number: int = 0, enable: Value | None = None) -> None:
        """Drive an output, while `enable` is 1; `value` is as wide as the board has it, or the pins above it are driven to 0."""
        port = self.port(resource, subsignal, number)
        if len(value) > len(port):
            raise ValueError(f"{_name(resource, subsignal, number)}: {len(value)} bits for {len(port)} pins")
        buffer = io.Buffer("o", port)
        self._m.submodules[f"pin_{_name(resource, subsignal, number)}"] = buffer
        self._m.d.comb += buffer.o.eq(value)
        if enable is not None:
            self._m.d.comb += buffer.oe.eq(enable)

    def port(self, resource: str, subsignal: str = "", number: int = 0) -> Any:
        """The port itself, for a buffer of another kind."""
        # A resource with subsignals is requested once, whichever of them is asked for first.
        key = (resource, number)
        if key not in self._resources:
            self._resources[key] = self._platform.request(resource, number, dir="-")
        return getattr(self._resources[key], subsignal) if subsignal else self._resources[key]


def _name(resource: str, subsignal: str, number: int) -> str:
    return "_".join(part for part in (resource, str(number) if number else "", subsignal) if part)
