"""The hash of all sources that go into a bitstream, so that a node can say which sources it was built from.

The sources are the product's module, the build flow, and whatever of our rooms these import, directly or not, found in the text and not in
what happens to be loaded. Hashed are their names (dots, without a folder) and bytes, sorted: the same sources give the same hash on
every machine and in every folder. The tools' versions are not sources; the report lists them.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import thermogen_boards
import thermogen_esf

ROOMS = {
    "thermogen_gateware": Path(__file__).parents[1],
    "thermogen_boards": Path(str(thermogen_boards.__file__)).parent,
    "thermogen_esf": Path(str(thermogen_esf.__file__)).parent,
}
"""Our packages and where they are."""

FLOW = "thermogen_gateware.build.flow"
REGISTER_BITS = 64
"""Of the hash, as many as the node's register has; the first ones."""


def source_hash(product: str) -> str:
    """SHA-256 in hexadecimal of the sources of the module `product`, a dotted name."""
    digest = hashlib.sha256()
    for name, path in sorted(sources(product).items()):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def register_value(digest: str) -> int:
    """What the node's register says of a hash."""
    return int(digest, 16) >> (len(digest) * 4 - REGISTER_BITS)


def sources(product: str) -> dict[str, Path]:
    """Every module that goes into the bitstream of `product`, by dotted name."""
    found: dict[str, Path] = {}
    waiting = [product, FLOW]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found or path is None:
            continue
        found[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += _imported(ast.parse(path.read_bytes()), package)
        waiting += _parents(name)
    return found


def _file(name: str) -> Path | None:
    """The file of a module of ours; None for what is not ours or is a name inside a module."""
    room, *parts = name.split(".")
    if room not in ROOMS:
        return None
    path = ROOMS[room].joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _imported(tree: ast.AST, package: str) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package
            for _ in range(node.level - 1):
                base = base.rpartition(".")[0]
            origin = ".".join(part for part in (base if node.level else "", node.module or "") if part)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
