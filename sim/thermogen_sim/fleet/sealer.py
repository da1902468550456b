"""A node's sealer as its daemon meets it, in software: for tests and fleets only."""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.vrf_inputs import draw_input

from .node import SealingNode

_DAY_BYTES, _HASH_BYTES = 4, 32


@dataclass
class ModelSealer:
    """Gives the modelled node's newest seal, and proves draws; `busy` as while a proof is being made."""

    node: SealingNode
    busy: bool = False
    draws: int = 0

    def newest(self) -> bytes | None:
        """The newest seal, 186 bytes; None where there is none."""
        return self.node.seals[-1].encode() if self.node.seals else None

    def draw(self, given: bytes) -> bytes | None:
        """The proof over the node's own identity and `given`, 80 bytes; None while busy."""
        if self.busy:
            return None
        self.draws += 1
        day, root, beacon = given[:_DAY_BYTES], given[_DAY_BYTES : _DAY_BYTES + _HASH_BYTES], given[_DAY_BYTES + _HASH_BYTES :]
        return self.node.prover.prove(draw_input({"site": self.node.identity, "day": day, "root": root, "beacon": beacon}))
