"""A node's sealer as its daemon meets it, in software: for tests and fleets only."""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.hostlink_seal import RING_SEALS
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

    def seals_after(self, known: bytes | None) -> list[bytes]:
        """The seals that are kept and were made after `known`, oldest first; all where it is none of them."""
        kept = [seal.encode() for seal in self.node.seals[self._gone :]][-RING_SEALS:]
        return kept[kept.index(known) + 1 :] if known in kept else kept

    def last_epoch(self) -> int | None:
        """The last epoch that was sealed in an earlier boot, as long as this one has sealed none."""
        if len(self.node.seals) > self._gone:
            return None
        return self.node.seals[-1].epoch if self.node.seals else 0

    def draw(self, given: bytes) -> bytes | None:
        """The proof over the node's own identity and `given`, 80 bytes; None while busy."""
        if self.busy:
            return None
        self.draws += 1
        day, root, beacon = given[:_DAY_BYTES], given[_DAY_BYTES : _DAY_BYTES + _HASH_BYTES], given[_DAY_BYTES + _HASH_BYTES :]
        return self.node.prover.prove(draw_input({"site": self.node.identity, "day": day, "root": root, "beacon": beacon}))
