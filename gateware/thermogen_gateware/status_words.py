"""Status word by word: what many registers hold at one instant is frozen, and then copied into memories, a word a clock.

Two readers ask for it: the host, as its request is complete, and SCADA, once a site second. Both have their copies in block RAM, so that
the registers that freeze, and the multiplexer of their words, are there once. The host comes first: its request begins the copying anew,
and where SCADA's was under way, both are of that instant. A word's step is where the register map has it, or the network's; steps beyond
those are SCADA's own. Steps go downward, so that a sum of several words has its carry.
Latency: COPY_CLOCKS from `freeze` to the last of the host's words; as long again at most for SCADA where the host was before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import STATUS_BASE, STATUS_REGISTERS, STATUS_WORDS
from thermogen_esf.hostlink_network import NETWORK_STATUS, NETWORK_STATUS_BASE, STACK_STATUS

WORD_BITS = 16
STEP_BITS = 7
NETWORK_STEP, OWN_STEP, STEPS = 64, 96, 120
"""The first step of the network's words, of SCADA's own, and behind the last."""
COPY_CLOCKS = STEPS + 3

Place = tuple[str, int]
"""A register's name and which of its words, 0 for the least significant."""


def _places(registers: Mapping[str, tuple[int, int]], base: int, first: int) -> dict[int, Place]:
    return {
        first + address - base + place: (name, size - 1 - place) for name, (address, size) in registers.items() for place in range(size)
    }


_ONLY_SCADA = {name: 2 for name in STACK_STATUS if name not in NETWORK_STATUS}
_ONLY_SCADA_STEP = NETWORK_STEP + max(address + size for address, size in NETWORK_STATUS.values()) - NETWORK_STATUS_BASE
NODE_PLACES = _places(STATUS_REGISTERS, STATUS_BASE, 0)
NETWORK_PLACES = _places(NETWORK_STATUS, NETWORK_STATUS_BASE, NETWORK_STEP) | {
    _ONLY_SCADA_STEP + 2 * number + place: (name, 1 - place) for number, name in enumerate(_ONLY_SCADA) for place in range(2)
}
"""What is copied at which step."""


class StepSignature(wiring.Signature):
    """`freezes` strobes: what is copied from the next clock on is of this one. `step` says what is copied, `for_host` and `for_second`
    for whom; `ends` strobes in the last step of what is `for_second`."""

    def __init__(self) -> None:
        super().__init__(
            {"freezes": Out(1), "step": Out(STEP_BITS, init=STEPS - 1), "for_host": Out(1), "for_second": Out(1), "ends": Out(1)}
        )


class StatusSteps(wiring.Component):
    """`freeze` (strobe) begins a copy for the host at once, `take` (held until `freezes`) one for the second when there is none under way.
    While `hold` is 1 the host writes: the second's copy begins after it, of the values in its last clock."""

    def __init__(self) -> None:
        super().__init__({"freeze": In(1), "take": In(1), "hold": In(1), "steps": Out(StepSignature())})

    def elaborate(self, _platform):
        m = Module()
        steps, runs = self.steps, Signal()
        again = self.hold & steps.for_second
        m.d.comb += [
            steps.freezes.eq(self.freeze | again | (self.take & ~runs & ~self.hold)),
            steps.ends.eq(steps.for_second & (steps.step == 0) & ~steps.freezes),
        ]
        with m.If(steps.freezes):
            m.d.sync += [
                steps.step.eq(STEPS - 1),
                runs.eq(1),
                steps.for_host.eq(steps.for_host | self.freeze),
                steps.for_second.eq(steps.for_second | self.take),
            ]
        with m.Elif(steps.step == 0):
            m.d.sync += [runs.eq(0), steps.for_host.eq(0), steps.for_second.eq(0)]
        with m.Elif(runs):
            m.d.sync += steps.step.eq(steps.step - 1)
        return m


class FrozenWords(wiring.Component):
    """Values of so many bits by name, frozen by `freezes`; `word` is what `places` has at `step`, one clock later, and 0 elsewhere.

    A word passes a register that is held at 0 but in its step, so that the choice is one OR of all: a third of a multiplexer's LUTs. Which
    step it is goes from flip-flop to flip-flop. The first step of all is not for these words.
    """

    def __init__(self, widths: Mapping[str, int], places: Mapping[int, Place]):
        self._widths = widths
        self._places = {step: place for step, place in places.items() if place[0] in widths}
        super().__init__({"steps": In(StepSignature()), "word": Out(WORD_BITS), **{name: In(width) for name, width in widths.items()}})

    def elaborate(self, _platform):
        m = Module()
        frozen = {name: Signal(width, reset_less=True, name=f"frozen_{name}") for name, width in self._widths.items()}
        with m.If(self.steps.freezes):
            m.d.sync += [each.eq(getattr(self, name)) for name, each in frozen.items()]
        first, last = max(self._places), min(self._places)
        # 0 at the step that it is: what holds a register at 0 is a 1.
        elsewhere = Signal(first - last + 1, init=-1)
        m.d.sync += elsewhere.eq(Cat(self.steps.step != first + 1, elsewhere))
        with m.If(self.steps.freezes):
            m.d.sync += elsewhere.eq(-1)
        words = []
        for step, (name, place) in self._places.items():
            piece = frozen[name][WORD_BITS * place :][:WORD_BITS]
            word = Signal(len(piece), reset_less=True, name=f"word_{step}")
            m.d.sync += word.eq(Mux(elsewhere[first - step], 0, piece))
            words.append(word)
        m.d.comb += self.word.eq(reduce(or_, words))
        return m


assert max(NODE_PLACES) < STATUS_WORDS <= NETWORK_STEP <= min(NETWORK_PLACES) and max(NETWORK_PLACES) < OWN_STEP
