"""A specification: a circuit around the real core that asserts what must always hold and covers what must be possible.

Every input of the core is free in every clock, and so is the reset of its domain. Where induction needs to know more than the ports
tell, an internal signal is found by its name in the elaborated core; the core itself is not changed.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator, Sequence

from amaranth.back import rtlil
from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    ClockDomain,
    Const,
    Cover,
    Elaboratable,
    Fragment,
    Module,
    Shape,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In

TOP = "spec"


class NoSuchSignalError(Exception):
    """A specification names a signal that the core does not have, or has more than once."""

    def __init__(self, name: str, found: int, there: list[str]) -> None:
        # As they are: the error crosses from the process that found it.
        super().__init__(name, found, there)
        self.name, self.found, self.there = name, found, there

    def __str__(self) -> str:
        return f"signal '{self.name}' is {self.found} times in the core, not once; it has {', '.join(sorted(set(self.there)))}"


class Spec(Elaboratable):
    """Base of the specifications. `build` makes the circuit; it calls `around` once for each core."""

    def __init__(self) -> None:
        self.domain = ClockDomain("sync")
        self.holds_so_far = False
        self.ports: list[Value] = [self.domain.clk]
        self._module = Module()

    def elaborate(self, _platform: object) -> Module:
        self._module.domains.sync = self.domain
        self.build(self._module)
        return self._module

    def build(self, m: Module) -> None:
        """Make the circuit in `m`."""
        raise NotImplementedError

    def around(self, core: wiring.Component, name: str = "core", driven: tuple[str, ...] = ()) -> Fragment:
        """Put `core` into the circuit with all inputs free, except those that the specification has `driven` itself."""
        fragment = Fragment.get(core, None)
        self._module.submodules[name] = fragment
        for path, member, value in core.signature.flatten(core):
            if member.flow == In and path[0] not in driven:
                self.ports.append(Value.cast(value))
        return fragment

    def given(self, condition: Value) -> None:
        """What the core's neighbours promise; the property's `parameters` must name it."""
        self._module.d.comb += Assume(condition)

    def free_memory(self, fragment: Fragment, name: str) -> None:
        """Take a memory of the core away: whatever is read of it may be anything, at any time."""
        memory = fragment.find_subfragment(name)
        self.ports += [port._data for port in memory._read_ports]
        fragment.subfragments = [entry for entry in fragment.subfragments if entry[1] != name]

    def past(self, value: Value, clocks: int = 1) -> Signal:
        """What the value was so many clocks ago; 0 before there was one. It knows no reset."""
        for _ in range(clocks):
            before = Signal.like(value, name="past", reset_less=True, init=0)
            self._module.d.sync += before.eq(value)
            value = before
        return value

    def always(self, condition: Value, message: str, said_at: int = 0) -> None:
        """What must hold in every clock; where a trace may begin in any state in which it holds (`holds_so_far`), what holds there.

        SymbiYosys names the line of the call, or of the one `said_at` calls further out."""
        if self.holds_so_far:
            self._module.d.comb += Assume(condition)
        self._module.d.comb += Assert(condition, message, src_loc_at=1 + said_at)

    def possible(self, condition: Value) -> None:
        """What must be reachable from power-on: without it the property might say nothing."""
        self._module.d.comb += Cover(condition, src_loc_at=1)


def internal(fragment: Fragment, name: str, domain: str | None = None, bits: int | None = None, reader: Fragment | None = None) -> Signal:
    """The one signal of that name which the core drives, in that domain and of that width; a dotted name goes into submodules. With a
    `reader`, a submodule, it is the one that this reads: a port of the submodule often has the name of what the core connects it to.

    Raises NoSuchSignalError.
    """
    *path, last = name.split(".")
    for step in path:
        there = {str(child): subfragment for subfragment, child, _ in fragment.subfragments}
        if step not in there:
            raise NoSuchSignalError(name, 0, list(there))
        fragment = there[step]
    driven = {
        signal.duid: signal for of, statements in fragment.statements.items() if domain in (None, of) for signal in _driven(statements)
    }
    if reader is not None:
        read = {signal.duid for statements in reader.statements.values() for signal in statements._rhs_signals()}
        driven = {duid: signal for duid, signal in driven.items() if duid in read}
    names = _declared_names([driven[duid] for duid in sorted(driven)])
    found = [driven[duid] for duid, own in names.items() if own == last and bits in (None, len(driven[duid]))]
    if len(found) != 1:
        raise NoSuchSignalError(name, len(found), list(names.values()))
    return found[0]


def state(fragment: Fragment, *names: str) -> Value:
    """Whether the core's state machine is in one of these states."""
    machine = fragment.generated["fsm"]
    return Cat(machine.ongoing(name) for name in names).any()


def word(fragment: Fragment, name: str, address: Value) -> Signal:
    """The word that a memory of the core holds at `address` in this clock: one more, asynchronous, read port for the specification.

    A dotted name goes into submodules.
    """
    for step in name.split("."):
        fragment = fragment.find_subfragment(step)
    stored = Signal(Shape.cast(fragment._data.shape).width, name="stored")
    fragment.read_port(domain="comb", addr=address, data=stored, en=Const(1), transparent_for=())
    return stored


def _declared_names(signals: Sequence[Signal]) -> dict[int, str]:
    """Names by the signals' numbers. Of several declared in one assignment Amaranth names the last at most; the source has all."""
    names = {signal.duid: signal.name for signal in signals}
    lines: dict[tuple[str, int], list[int]] = {}
    for signal in signals:
        if signal.name == "$signal":
            lines.setdefault(signal.src_loc, []).append(signal.duid)
    for place, duids in lines.items():
        if assigned := re.match(r"\s*((?:(?:self\.)?\w+, )+(?:self\.)?\w+) = ", linecache.getline(*place)):
            names |= dict(zip(duids, assigned[1].replace("self.", "").split(", "), strict=False))
    return names


def _driven(statements: object) -> Iterator[Signal]:
    for statement in statements:  # type: ignore[attr-defined]
        yield from (signal for signal in statement._lhs_signals() if isinstance(signal, Signal))


def netlist(spec: Spec, *, resets: bool) -> str:
    """The specification as RTLIL, with the core inside and what is free as inputs. Without `resets` there is none after power-on."""
    fragment = Fragment.get(spec, None)
    ports = [*spec.ports, spec.domain.rst] if resets else spec.ports
    return rtlil.convert(fragment, ports=ports, name=TOP)
