"""What SCADA has written, as the override keeps it, for the specifications of what writes it."""

from __future__ import annotations

from amaranth.hdl import Cat, Fragment, Signal, Value
from amaranth.lib import wiring

from .spec import Spec, internal

CLOCKS_PER_SECOND = 4


class OverrideRegisters:
    """The registers of an `Overrides` that writes change, and what changes them in `spec`."""

    def __init__(self, spec: Spec, overrides: wiring.Component, inside: Fragment) -> None:
        from thermogen_gateware.scada.overrides import TAKEN

        self._spec = spec
        self.asked = {name: internal(inside, f"asked_{name}") for name in TAKEN}
        self.taken = {name: internal(inside, f"taken_{name}") for name in TAKEN}
        self.alive, self.released = internal(inside, "alive"), internal(inside, "released")
        self.heartbeat, self.timeout, self.owner = overrides.values.heartbeat, internal(inside, "timeout"), overrides.owner
        self.over = overrides.ended | self.released
        self.ran = spec.past(~spec.domain.rst)

    def moved(self, register: Value) -> Value:
        """Whether it is another than a clock ago, other than by a reset."""
        return self.ran & (register != self._spec.past(register))

    def written(self) -> Signal:
        """Whether some register is another than a clock ago, other than by the override's end or a reset."""
        of_the_override = Cat(self.moved(register) for register in (*self.taken.values(), self.timeout, self.alive))
        others = Cat(self.moved(register) for register in (*self.asked.values(), self.heartbeat, self.owner))
        return others.any() | (of_the_override.any() & ~self._spec.past(self.over))
