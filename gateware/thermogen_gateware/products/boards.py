"""Which product is built for which board: the choice behind `thermogen-build --board`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..build.design import Design
from ..build.errors import BuildError
from . import node, pcm

PRODUCT = "product"


@dataclass(frozen=True)
class Board:
    """What a board is, and what runs on it."""

    description: str
    designs: Mapping[str, Design]
    """By the name of the product."""


BOARDS: Mapping[str, Board] = {
    PRODUCT: Board("the site's own boards: node on LIFCL-40, pcm on iCE40HX8K", {"node": node.DESIGN, "pcm": pcm.DESIGN}),
    "crosslink-nx-evn": Board("Lattice CrossLink-NX evaluation board, LIFCL-40-9BG400C", {"node": node.EVALUATION}),
    "ice40-hx8k-breakout": Board("Lattice iCE40-HX8K breakout board", {"pcm": pcm.HX8K_BREAKOUT}),
    "ice40-up5k-breakout": Board("Lattice iCE40 UltraPlus breakout board, 12 channels at 24 MHz", {"pcm": pcm.UP5K_BREAKOUT}),
}


class UnknownBoardError(BuildError):
    """Nobody has said what is soldered on a board of this name."""

    def __init__(self, board: str) -> None:
        self.board = board
        known = "".join(f"\n  {name:20} {known.description}" for name, known in BOARDS.items())
        super().__init__(f"there is no board {board}; the boards are{known}")


class NotOnBoardError(BuildError):
    """The board does not carry this product."""

    def __init__(self, product: str, board: str) -> None:
        self.product, self.board = product, board
        super().__init__(f"{board} carries {', '.join(BOARDS[board].designs)}, not {product}: ask for that, or leave --board out")


def designs(product: str, board: str) -> tuple[Design, ...]:
    """The designs of `product` ("all" for whatever there is) for `board`. Raises UnknownBoardError or NotOnBoardError."""
    if board not in BOARDS:
        raise UnknownBoardError(board)
    there = BOARDS[board].designs
    if product == "all":
        return tuple(there.values())
    if product not in there:
        raise NotOnBoardError(product, board)
    return (there[product],)
