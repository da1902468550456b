"""Whom attestation believes: the pinned root keys, every trust list that they signed, and the sites that each enrols, as files.

    attestation/root.json               the pin, never replaced
    attestation/REVISION/trust.signed   a list as its holders signed it
    attestation/REVISION/NAME.json      an enrolment
    attestation/current                 the newest revision; written last, so that a list is there whole or not at all

Former lists stay: a draw is judged by the list that was in the log before its beacon.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from thermogen_esf.evidence.attestation.enrolment import Enrolled, Enrolment, enrolled, judge_enrolment, ordered, sites_root, vrf_keys
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.trust import FleetTrust, RootKeys, judge_trust
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.evidence.trust import SiteKey

from .directory import CloudDirectory, replace_file
from .errors import OperatorError

MODE = 0o644
"""Public keys only."""


class AttestationTrustError(OperatorError):
    """Root keys, list or enrolments are not there, do not read, or are not believed."""


@dataclass(frozen=True)
class SignedList:
    """A trust list that the pinned keys signed, and the sites that it enrols."""

    signed: Signed
    trust: FleetTrust
    entries: tuple[Enrolled, ...]

    @cached_property
    def by_identity(self) -> dict[bytes, Enrolled]:
        """The entries by their sites' identities."""
        return {each.enrolment.identity: each for each in self.entries}

    @cached_property
    def by_name(self) -> dict[str, Enrolled]:
        """The entries by their sites' names."""
        return {each.enrolment.name: each for each in self.entries}

    @cached_property
    def vrf_keys(self) -> frozenset[tuple[bytes, bytes]]:
        """Identity and VRF key of every site."""
        return frozenset(vrf_keys([each.enrolment for each in self.entries]))


@dataclass(frozen=True)
class AttestationTrust:
    """The pin and all lists under it, the newest last."""

    root: RootKeys
    lists: tuple[SignedList, ...]

    @property
    def newest(self) -> SignedList:
        """The list of the highest revision."""
        return self.lists[-1]

    def vrf_keys(self, site: bytes) -> tuple[bytes, ...]:
        """Every VRF key that a list has had for a site, the newest list's first."""
        entries = (each.by_identity.get(site) for each in reversed(self.lists))
        return tuple(dict.fromkeys(entry.enrolment.vrf_key for entry in entries if entry is not None))

    def name_of(self, site: bytes) -> str | None:
        """Name of the site with an identity in the newest list that has it; None where none has."""
        entries = (each.by_identity.get(site) for each in reversed(self.lists))
        return next((entry.enrolment.name for entry in entries if entry is not None), None)

    @classmethod
    def load(cls, directory: CloudDirectory) -> AttestationTrust | None:
        """What the directory holds; None where this cloud does not attest. AttestationTrustError where it cannot be read."""
        folder = directory.attestation
        if not (folder / "current").exists():
            return None
        try:
            newest = int((folder / "current").read_text())
            root = RootKeys.parse((folder / "root.json").read_bytes())
            revisions = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and int(path.name) <= newest)
            if newest not in revisions:
                raise FileNotFoundError(f"revision {newest} is missing")
            return cls(root, tuple(_read(folder / str(revision)) for revision in revisions))
        except (OSError, ValueError, EvidenceError) as error:
            raise AttestationTrustError(f"{folder}: {error}", "restore it from a backup, or adopt the lists again") from error


def newer(directory: CloudDirectory, known: AttestationTrust) -> AttestationTrust | None:
    """What the directory holds where a list was adopted after those `known`; None where none was. AttestationTrustError as for `load`."""
    try:
        newest = int((directory.attestation / "current").read_text())
    except (OSError, ValueError) as error:
        raise AttestationTrustError(f"{directory.attestation}: {error}", "restore it from a backup, or adopt the lists again") from error
    return None if newest <= known.newest.trust.revision else AttestationTrust.load(directory)


def adopt(
    directory: CloudDirectory, pin: Path, signed: Path, enrolments: Path, cloud_key: bytes, now: int, enrol: Callable[[list[SiteKey]], None]
) -> SignedList:
    """Takes a signed list that a verifier would believe and that names this cloud into the directory; AttestationTrustError otherwise.

    `enrol` takes its sites for batches, and is called before the list is written: whatever stops this, it can be done again to its end.
    The newest list again changes nothing.
    """
    try:
        root, taken = RootKeys.parse(pin.read_bytes()), Signed.parse(signed.read_bytes())
        entries = enrolled(ordered(Enrolment.parse(path.read_bytes()) for path in sorted(enrolments.glob("*.json"))))
        trust, checks = judge_trust(taken, root, now)
        if trust is not None:
            checks += [check for each in entries for check in judge_enrolment(each, trust, now)]
        wrong = [f"{check.name}: {check.detail}" for check in checks if check.passed is False]
        if trust is None or wrong:
            raise AttestationTrustError(f"{signed} is not believed: {'; '.join(wrong)}", "sign what the holders checked")
        found = SignedList(taken, trust, entries)
        _refuse_other_sites(found)
    except EvidenceError as error:
        raise AttestationTrustError(str(error), "give what `thermogen-esf trust` wrote") from error
    if cloud_key not in {key.public_key for key in trust.clouds}:
        raise AttestationTrustError("the list does not name this cloud's key", "have it added with --cloud NAME=FILE and signed")
    known = AttestationTrust.load(directory)
    again = known is not None and known.root == root and known.newest.trust.hash == trust.hash
    if known is not None and not again and (known.root != root or known.newest.trust.hash != trust.previous):
        raise AttestationTrustError(
            f"revision {trust.revision} does not follow revision {known.newest.trust.revision} under the same root keys",
            "a cloud's log begins with its root keys: lists are adopted one after the other",
        )
    enrol([each.enrolment.site_key for each in entries])
    if not again:
        _write(directory.attestation, root, found)
    return found


def _write(folder: Path, root: RootKeys, found: SignedList) -> None:
    revision = folder / str(found.trust.revision)
    if revision.exists():
        shutil.rmtree(revision)  # an adoption that was interrupted
    revision.mkdir(parents=True)
    replace_file(folder / "root.json", root.encode(), MODE)
    replace_file(revision / "trust.signed", found.signed.encode(), MODE)
    for each in found.entries:
        replace_file(revision / f"{each.enrolment.name}.json", each.enrolment.encode(), MODE)
    replace_file(folder / "current", f"{found.trust.revision}\n".encode(), MODE)


def _read(revision: Path) -> SignedList:
    signed = Signed.parse((revision / "trust.signed").read_bytes())
    found = SignedList(signed, FleetTrust.parse(signed.document), enrolled(ordered(_enrolments(revision.glob("*.json")))))
    _refuse_other_sites(found)
    return found


def _enrolments(paths: Iterable[Path]) -> list[Enrolment]:
    return [Enrolment.parse(path.read_bytes()) for path in sorted(paths)]


def _refuse_other_sites(found: SignedList) -> None:
    given = [each.enrolment for each in found.entries]
    if (len(given), sites_root(given)) != (found.trust.site_count, found.trust.sites_root):
        raise EvidenceError(f"the {len(given)} enrolments are not the {found.trust.site_count} of the list")
