"""By which methodology attested days are minted: what people chose, for a site or for all, with what the methodology needs, as files.

    methodologies/choices.json     every choice in the order it was made; written last, so that one is there whole or not at all
    methodologies/evidence/HASH    what shows a baseline, byte for byte
    methodologies/custom/HASH      a methodology of somebody's own with its signatures, as an auditor gave it

HASH is SHA3-256 of the file, so that no choice touches what an earlier one named; an auditor's renewed signature makes another file.

A choice holds for the days that begin after it was made: nobody chooses by what a day has measured. A day's attestation names its
methodology, and keeps it whatever is chosen afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha3_256
from pathlib import Path
from typing import Any, ClassVar

from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.canonical import Value
from thermogen_esf.evidence.catalogue import CUSTOM, Rule, catalogue, custom, rule
from thermogen_esf.evidence.document import Document
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.evidence.record import Record
from thermogen_esf.evidence.trust import NAME, ApproverKey

from .directory import CloudDirectory, replace_file
from .errors import OperatorError

DEFAULT_METHODOLOGY = "TZ-DISPLACED-GRID"
"""By which is minted where nobody chose: it needs nothing but measured energy."""
EVERY_OTHER = "*"
"""In place of a site's name: every site that has no choice of its own."""
DAY_S = 86_400
MOST_CHOICES = 10_000
RESTORE = "restore it from a backup, or from whoever gave it: it is that file byte for byte"
MODE = 0o644
"""Nothing secret."""


class MethodologyChoiceError(OperatorError):
    """What was to be chosen cannot be, or what was chosen cannot be read."""


class OtherReleaseError(MethodologyChoiceError):
    """A methodology of the catalogue was chosen or attested as another release has it."""

    def __init__(self, identifier: str, digest: bytes) -> None:
        super().__init__(
            f"{identifier} was chosen with the hash {digest.hex()}, and this release does not have it so: its catalogue was revised",
            "mint these days with the release that was there before; for days to come, choose again",
        )


@dataclass(frozen=True)
class Choice:
    """A methodology for a site, or for every site that has no choice of its own."""

    since: int
    """Unix seconds: it holds for days that begin then or later."""
    site: str | None = None
    """None: every other."""
    methodology: str = DEFAULT_METHODOLOGY
    hash: bytes | None = None
    """Hash of the methodology as it was chosen; None where nobody chose."""
    own: bytes | None = None
    """Hash of the document with its signatures, for CUSTOM."""
    evidence: bytes | None = None
    """Hash of what shows the baseline."""


@dataclass(frozen=True)
class Choices(Document):
    """Every choice in the order it was made."""

    what: ClassVar[str] = "list of chosen methodologies"
    error: ClassVar[type[EvidenceError]] = EvidenceError

    choices: tuple[Choice, ...] = ()

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {"choices": [_value(each) for each in self.choices]}

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        return {"choices": tuple(_read(entry) for entry in record.records("choices", MOST_CHOICES))}


@dataclass(frozen=True)
class Chosen:
    """A methodology that computes, as a day's attestation and bundle have it."""

    rule: Rule
    document: bytes
    """What a bundle carries: the methodology, or an own one as it was signed."""
    evidence: bytes | None
    """Hash of what shows the baseline."""


class MethodologyChoices:
    """The choices in the cloud's directory, read anew each time, so that a choice needs no restart. Threads may share it."""

    def __init__(self, directory: CloudDirectory) -> None:
        self._directory = directory

    @property
    def _folder(self) -> Path:
        return self._directory.methodologies

    def made(self) -> tuple[Choice, ...]:
        """Every choice, the first first; MethodologyChoiceError where they cannot be read."""
        path = self._folder / "choices.json"
        try:
            return Choices.parse(path.read_bytes()).choices if path.exists() else ()
        except (OSError, EvidenceError) as error:
            raise MethodologyChoiceError(f"{path}: {error}", RESTORE) from error

    def choice(self, site: str, day: int) -> Choice:
        """What was chosen for a site's day: the newest choice before it for that site, else for all, else the default."""
        before = [each for each in self.made() if each.since <= day * DAY_S]
        for wanted in (site, None):
            found = next((each for each in reversed(before) if each.site == wanted), None)
            if found is not None:
                return found
        return Choice(0)

    def chosen(self, site: str, day: int, auditors: Sequence[ApproverKey], time: int) -> Chosen:
        """What is chosen for a site's day, ready to compute; an own methodology as an auditor of these signed it, valid at a time.

        MethodologyRefusedError where it does not compute: a misconfiguration. MethodologyChoiceError where the directory lacks it, and
        OtherReleaseError where this release has another of its name.
        """
        return self._ready(self.choice(site, day), auditors, time)

    def choose(
        self, since: int, site: str | None, methodology: str | Signed, evidence: bytes | None, auditors: Sequence[ApproverKey], time: int
    ) -> Chosen:
        """Stores what was chosen, of the catalogue by name or own as an auditor of these signed it, with what shows its baseline.

        MethodologyChoiceError, and nothing is stored, where it would not compute.
        """
        try:
            if isinstance(methodology, Signed):
                found, signed = custom(methodology, auditors, time), methodology.encode()
            else:
                found, signed = rule(methodology), None
            choice = Choice(since, site, found.identifier, found.hash, digest_of(signed), digest_of(evidence))
            found.amount(0, 0, 0, choice.evidence)
            with self._directory.changing_trust():
                made = self.made()
                listed = Choices((*made, choice)).encode()
                self._folder.mkdir(exist_ok=True)
                self._keep("evidence", evidence)
                self._keep("custom", signed)
                if choice != next((each for each in reversed(made) if each.site == choice.site), None):
                    replace_file(self._folder / "choices.json", listed, MODE)
        except EvidenceError as error:
            named = CUSTOM if isinstance(methodology, Signed) else methodology
            raise MethodologyChoiceError(f"{named} cannot be chosen: {error}", "give what it needs, or choose another") from error
        return Chosen(found, found.document if signed is None else signed, choice.evidence)

    def named(self, attestation: Attestation, auditors: Sequence[ApproverKey], time: int) -> bytes:
        """What a bundle carries of the methodology that an attestation names.

        An own one is carried as an auditor of these signed it, valid at a time. MethodologyChoiceError where the directory lacks it, and
        OtherReleaseError where this release does.
        """
        if attestation.methodology == CUSTOM:
            return self._signed(attestation.methodology_hash, auditors, time).encode()
        return _of_this_release(attestation.methodology, attestation.methodology_hash).document

    def evidence(self, digest: bytes) -> bytes | None:
        """What shows a baseline, by its hash; MethodologyChoiceError where the file cannot be read or is not what was stored."""
        return self._kept("evidence", digest)

    def _ready(self, choice: Choice, auditors: Sequence[ApproverKey], time: int) -> Chosen:
        if choice.methodology == CUSTOM and choice.own is not None:
            signed = self._own(choice.own)
            found, document = custom(signed, auditors, time), signed.encode()
        else:
            found = rule(choice.methodology) if choice.hash is None else _of_this_release(choice.methodology, choice.hash)
            document = found.document
        found.amount(0, 0, 0, choice.evidence)
        if choice.evidence is not None and self.evidence(choice.evidence) is None:
            raise _missing(self._folder / "evidence" / choice.evidence.hex())
        return Chosen(found, document, choice.evidence)

    def _signed(self, digest: bytes, auditors: Sequence[ApproverKey], time: int) -> Signed:
        """An own methodology by its hash, in whichever of the files that were chosen an auditor's signature is valid."""
        files = dict.fromkeys(each.own for each in reversed(self.made()) if each.own is not None and each.hash == digest)
        damaged: MethodologyChoiceError | None = None
        for own in files:
            try:
                signed = self._own(own)
                custom(signed, auditors, time)
            except MethodologyChoiceError as error:
                damaged = error
            except EvidenceError:
                continue  # signed for other times
            else:
                return signed
        what = f"no {CUSTOM} with hash {digest.hex()}, signed by an auditor whose key is valid at {time}, is in {self._folder}"
        raise damaged or MethodologyChoiceError(what, RESTORE)

    def _own(self, digest: bytes) -> Signed:
        content, path = self._kept("custom", digest), self._folder / "custom" / digest.hex()
        if content is None:
            raise _missing(path)
        try:
            return Signed.parse(content)
        except EvidenceError as error:
            raise MethodologyChoiceError(f"{path}: {error}", RESTORE) from error

    def _kept(self, kind: str, digest: bytes) -> bytes | None:
        """A file by its hash, None where it is missing; a damaged one is never taken for what somebody chose."""
        path = self._folder / kind / digest.hex()
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MethodologyChoiceError(f"{path} cannot be read: {error}", RESTORE) from error
        if digest_of(content) != digest:
            raise MethodologyChoiceError(f"{path} is damaged: its SHA3-256 is not its name", RESTORE)
        return content

    def _keep(self, kind: str, content: bytes | None) -> None:
        digest = digest_of(content)
        if content is not None and digest is not None:
            (self._folder / kind).mkdir(exist_ok=True)
            replace_file(self._folder / kind / digest.hex(), content, MODE)


def _of_this_release(identifier: str, digest: bytes) -> Rule:
    """The catalogue's rule of that name and hash: no release changes what was chosen or attested under another."""
    found = catalogue().get(identifier)
    if not isinstance(found, Rule) or found.hash != digest:
        raise OtherReleaseError(identifier, digest)
    return found


def _missing(path: Path) -> MethodologyChoiceError:
    return MethodologyChoiceError(f"{path} is missing, which a choice of methodology names", RESTORE)


def digest_of(content: bytes | None) -> bytes | None:
    """SHA3-256 of a file that a choice names."""
    return None if content is None else sha3_256(content).digest()


def _value(choice: Choice) -> dict[str, Value]:
    return {
        "since": choice.since,
        "site": EVERY_OTHER if choice.site is None else choice.site,
        "methodology": choice.methodology,
        "hash": None if choice.hash is None else choice.hash.hex(),
        "own": None if choice.own is None else choice.own.hex(),
        "evidence": None if choice.evidence is None else choice.evidence.hex(),
    }


def _read(entry: Record) -> Choice:
    site = entry.text("site", pattern=rf"{NAME}|\{EVERY_OTHER}")
    choice = Choice(
        since=entry.time("since"),
        site=None if site == EVERY_OTHER else site,
        methodology=entry.text("methodology", 40),
        hash=entry.octets_or_none("hash", 32),
        own=entry.octets_or_none("own", 32),
        evidence=entry.octets_or_none("evidence", 32),
    )
    entry.end()
    return choice
