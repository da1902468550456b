"""Cores with one thing broken: the package is imported anew with one line of one file replaced, so that every core built from it has it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

PACKAGE = "thermogen_gateware"


class StaleMutantError(Exception):
    """The line that a mutant breaks is no longer in the core."""

    def __init__(self, mutant: Mutant, found: int) -> None:
        # As they are: the error crosses from the process that found it.
        super().__init__(mutant, found)
        self.mutant, self.found = mutant, found

    def __str__(self) -> str:
        return (
            f"mutant '{self.mutant.name}': {self.mutant.core}.py has the text to be broken {self.found} times, not once; find the line "
            f"that now does what it did and name it: {self.mutant.line!r}"
        )


@dataclass(frozen=True)
class Mutant:
    """`line` of the core's file becomes `broken`. `name` says what no longer works."""

    name: str
    core: str
    line: str
    broken: str

    def applied(self, source: str) -> str:
        """The core's source with the defect. Raises StaleMutantError."""
        if (found := source.count(self.line)) != 1:
            raise StaleMutantError(self, found)
        return source.replace(self.line, self.broken)


class _BrokenLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(f"{PACKAGE}.{mutant.core}", path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> object:
        """Compiled from the changed source: the cached bytecode is the sound core's."""
        path = self.get_filename(fullname)
        return self.source_to_code(self._mutant.applied(self.get_data(path).decode()).encode(), path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if name != f"{PACKAGE}.{self._mutant.core}":
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        return importlib.util.spec_from_loader(name, _BrokenLoader(self._mutant, found.origin)) if found and found.origin else None


@contextlib.contextmanager
def cores(mutant: Mutant | None) -> Iterator[None]:
    """What is imported from the package inside is fresh, and has the mutant's defect if there is one."""

    def taken_out() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]
        return {name: sys.modules.pop(name) for name in names}

    kept = taken_out()
    finder = _Finder(mutant) if mutant else None
    if finder:
        sys.meta_path.insert(0, finder)
        importlib.invalidate_caches()
    try:
        yield
    finally:
        if finder:
            sys.meta_path.remove(finder)
        taken_out()
        sys.modules.update(kept)
