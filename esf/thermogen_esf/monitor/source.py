"""Where a log is read: the cloud's API, or a folder with what it answers.

trust                the newest trust list, signed
checkpoints/NUMBER   each checkpoint, signed
log                  the entries in order, hex, as JSON
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from ..evidence.attestation.signed import Signed
from ..evidence.errors import EvidenceError

AT_ONCE = 1_000
"""Entries that the API gives at a time."""
MOST_BYTES = 20_000_000
TIMEOUT_S = 30
MOST_ENTRY_CHARACTERS = 1_000
UNAUTHORIZED, NOT_FOUND = 401, 404

_T = TypeVar("_T")


class SourceError(EvidenceError):
    """A log cannot be read: the text says where, and what to do."""


class LogSource(Protocol):
    """A published log."""

    def trust(self) -> Signed:
        """The newest trust list."""

    def checkpoint(self, number: int) -> Signed | None:
        """A checkpoint; None where there is none of that number."""

    def newest(self) -> int | None:
        """Number of the newest checkpoint; None where there is none yet."""

    def entries(self, first: int, last: int) -> list[bytes]:
        """The entries from `first` on, `last` not included; fewer where the log has fewer."""


def open_source(where: str, user: str, password: str) -> LogSource:
    """The log at an address, `http://` or `https://`, or in a folder; SourceError where it is neither."""
    if urlsplit(where).scheme in ("http", "https"):
        return _Web(where.rstrip("/"), user, password)
    if Path(where).is_dir():
        return _Folder(Path(where))
    raise SourceError(f"{where}: neither an address that begins with http:// or https:// nor a folder")


class _Web:
    def __init__(self, base: str, user: str, password: str) -> None:
        self._base = base
        self._headers = {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"} if user else {}
        self._page: tuple[int, list[bytes]] = (0, [])

    def trust(self) -> Signed:
        found = self._get("/trust")
        if found is None:
            raise SourceError(f"{self._base}: no trust list was adopted there, so that nothing is attested")
        return Signed.parse(found)

    def checkpoint(self, number: int) -> Signed | None:
        found = self._get(f"/checkpoints/{number}")
        return None if found is None else Signed.parse(found)

    def newest(self) -> int | None:
        found = _read(lambda: json.loads(self._get("") or b"null")["checkpoint"], self._base)
        return found if isinstance(found, int) else None

    def entries(self, first: int, last: int) -> list[bytes]:
        found: list[bytes] = []
        while first < last:
            begin, page = self._page
            if not begin <= first < begin + len(page):
                begin, page = self._page = first, self._entries_from(first)
            taken = page[first - begin : last - begin]
            if not taken:
                break
            found += taken
            first += len(taken)
        return found

    def _entries_from(self, first: int) -> list[bytes]:
        where = f"/log?first={first}&count={AT_ONCE}"
        return _read(lambda: _entries(json.loads(self._get(where) or b"[]")), self._base + where)

    def _get(self, path: str) -> bytes | None:
        """The answer's body; None for 404."""
        request = urllib.request.Request(self._base + path, headers=self._headers)  # noqa: S310  `open_source` takes http and https only
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                data: bytes = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == NOT_FOUND:
                return None
            advice = "give --user and --password-file" if error.code == UNAUTHORIZED else "look at the cloud's log"
            raise SourceError(f"{self._base}{path}: HTTP {error.code} {error.reason}: {advice}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"{self._base}{path}: no answer ({error}): is the cloud there?") from error
        if len(data) > MOST_BYTES:
            raise SourceError(f"{self._base}{path}: more than {MOST_BYTES} bytes; no answer of a log is that long")
        return data


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def trust(self) -> Signed:
        path = self._folder / "trust"
        return Signed.parse(_read(path.read_bytes, path))

    def checkpoint(self, number: int) -> Signed | None:
        path = self._folder / "checkpoints" / str(number)
        return Signed.parse(_read(path.read_bytes, path)) if path.exists() else None

    def newest(self) -> int | None:
        numbers = [int(path.name) for path in (self._folder / "checkpoints").glob("*") if path.name.isdecimal()]
        return max(numbers, default=None)

    def entries(self, first: int, last: int) -> list[bytes]:
        return self._log[first:last]

    @cached_property
    def _log(self) -> list[bytes]:
        path = self._folder / "log"
        return _read(lambda: _entries(json.loads(path.read_bytes())), path)


def _entries(value: object) -> list[bytes]:
    if not isinstance(value, list) or not all(isinstance(each, str) and len(each) <= MOST_ENTRY_CHARACTERS for each in value):
        raise ValueError("not a list of entries in hex")
    return [bytes.fromhex(each) for each in value]


def _read(read: Callable[[], _T], where: object) -> _T:
    try:
        return read()
    except SourceError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{where}: cannot be read: {error}") from error
