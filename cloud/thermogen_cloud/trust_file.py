"""The trust list as a file: read again when it changed, changed by one process at a time, never half written."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from thermogen_esf.evidence.trust import ApproverKey, NamedKey, SiteKey, TrustError, TrustList

from .directory import CloudDirectory, replace_file
from .errors import OperatorError

MODE = 0o644
"""Public keys only: this is the file that auditors pin."""


class UnreadableTrustError(OperatorError):
    """The trust list cannot be read."""


class EnrolmentError(OperatorError):
    """What was to be enrolled contradicts the trust list, or has not the form of an entry."""


class TrustFile:
    """The list in the cloud's directory. Threads may share it."""

    def __init__(self, directory: CloudDirectory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._list: TrustList | None = None

    @property
    def path(self) -> Path:
        """Where the list is."""
        return self._directory.trust

    def current(self) -> TrustList:
        """The list as it is now, so that an enrolment needs no restart; UnreadableTrustError where there is none."""
        try:
            status = self.path.stat()
            version = (status.st_mtime_ns, status.st_ino, status.st_size)
            with self._lock:
                if self._list is None or version != self._version:
                    self._list = TrustList.parse(self.path.read_bytes())
                    self._version = version
                return self._list
        except (OSError, TrustError) as error:
            raise UnreadableTrustError(
                f"{self.path}: {error}", "restore the file from a backup: the keys in it are what everything is judged by"
            ) from error

    def begin(self, cloud: NamedKey, demonstration: bool) -> None:
        """Writes the first list, unless there is one."""
        with self._directory.changing_trust():
            if not self.path.exists():
                self._write(TrustList((), (cloud,), (), demonstration))

    def enrol_site(self, key: SiteKey) -> None:
        """Adds a site's key. A new key ends the site's former one the second before it begins.

        The same key again changes what bounds the site's claims, to what is given, and not when the key began or that another followed
        it. EnrolmentError, and the list as it was, where the entry cannot be.
        """
        self.enrol_sites([key])

    def enrol_sites(self, keys: Iterable[SiteKey]) -> None:
        """The same for many sites, all of them or none."""
        with self._directory.changing_trust():
            now, given = self.current(), {(key.name, key.public_key): key for key in keys}
            known = {(old.name, old.public_key) for old in now.sites}
            new = {key.name: key for named, key in given.items() if named not in known}
            newest = {old.name: old for old in sorted(now.sites, key=lambda old: old.valid_from)}
            former = []
            for old in now.sites:
                again, follower = given.get((old.name, old.public_key)), new.get(old.name)
                valid_to = again.valid_to if again is not None and newest[old.name] is old else old.valid_to
                if follower is not None and valid_to is None:
                    valid_to = follower.valid_from - 1
                former.append(replace(again or old, valid_from=old.valid_from, valid_to=valid_to))
            sites = (*former, *new.values())
            if sites != now.sites:
                self._change(now, sites=sites)

    def enrol_approver(self, key: ApproverKey) -> None:
        """Adds an approver's key; the same key again changes nothing. A new key ends the former one of that person and role."""
        with self._directory.changing_trust():
            now = self.current()
            if any((old.name, old.role, old.public_key) == (key.name, key.role, key.public_key) for old in now.approvers):
                return
            former = (
                replace(old, valid_to=key.valid_from - 1) if (old.name, old.role, old.valid_to) == (key.name, key.role, None) else old
                for old in now.approvers
            )
            self._change(now, approvers=(*former, key))

    def _change(self, now: TrustList, sites: tuple[SiteKey, ...] | None = None, approvers: tuple[ApproverKey, ...] | None = None) -> None:
        try:
            changed = TrustList(
                now.sites if sites is None else sites, now.cloud, now.approvers if approvers is None else approvers, now.demonstration
            )
            TrustList.parse(changed.encode())  # whatever its reader would refuse is refused before it replaces a good list
        except TrustError as error:
            raise EnrolmentError(f"this cannot be enrolled: {error}", "give another name, key, range or time of validity") from error
        self._write(changed)

    def _write(self, trust: TrustList) -> None:
        replace_file(self.path, trust.encode(), MODE)
