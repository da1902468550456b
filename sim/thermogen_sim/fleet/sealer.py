"""A node's sealer as its daemon meets it, in software: for tests and fleets only."""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.hostlink_seal import RING_SEALS, KeptSeal
from thermogen_esf.vrf_inputs import draw_input

from .node import SealingNode

_DAY_BYTES, _HASH_BYTES = 4, 32


@dataclass
class ModelSealer:
    """Gives the modelled node's seals, and proves draws; `busy` as while a proof is being made."""

    node: SealingNode
    busy: bool = False
    draws: int = 0
    _gone: int = 0

    def power_cycle(self) -> None:
        """The node loses its seals and begins a boot."""
        self._gone = len(self.node.seals)
        self.node.reboot()

    def seals_after(self, taken: KeptSeal | None, count: int) -> list[KeptSeal]:
        """The first `count` of the seals that are kept and were made after `taken`, oldest first; from the oldest on where it is none."""
        kept = [KeptSeal(number, seal.encode()) for number, seal in enumerate(self.node.seals[self._gone :])][-RING_SEALS:]
        first = kept.index(taken) + 1 if taken in kept else 0
        return kept[first : first + count]

    def earlier_boots(self) -> tuple[int, int] | None:
        """The node's boot, and the last epoch that was sealed before it, as long as it has sealed none."""
        if len(self.node.seals) > self._gone:
            return None
        return self.node.boot, self.node.seals[-1].epoch if self.node.seals else 0

    def draw(self, given: bytes) -> bytes | None:
        """The proof over the node's own identity and `given`, 80 bytes; None while busy."""
        if self.busy:
            return None
        self.draws += 1
        day, root, beacon = given[:_DAY_BYTES], given[_DAY_BYTES : _DAY_BYTES + _HASH_BYTES], given[_DAY_BYTES + _HASH_BYTES :]
        return self.node.prover.prove(draw_input({"site": self.node.identity, "day": day, "root": root, "beacon": beacon}))
