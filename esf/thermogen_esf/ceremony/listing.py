"""A trust list on its way to its holders: written from the one before it, compared with it, judged, and its signatures put together.

No file and no clock is used here; `command` has both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha3_256
from typing import TypeVar

from ..evidence.attestation.enrolment import Enrolment, enrolled, judge_enrolment, ordered, sites_root, vrf_keys, vrf_keys_root
from ..evidence.attestation.signed import Signature, Signed
from ..evidence.attestation.trust import FleetTrust, Gateware, RootKeys, TrustError
from ..evidence.check import Check, Reason, passed, refused
from ..evidence.trust import ApproverKey, NamedKey

Named = TypeVar("Named", NamedKey, ApproverKey, Gateware)


@dataclass(frozen=True)
class Changes:
    """What a list has that the one before it had not."""

    operators: tuple[str, ...] = ()
    gateware: tuple[Gateware, ...] = ()
    provisioners: tuple[NamedKey, ...] = ()
    clouds: tuple[NamedKey, ...] = ()
    approvers: tuple[ApproverKey, ...] = ()
    ended: frozenset[str] = frozenset()
    """Names whose keys or bitstreams are valid no longer than now; what they did before stays good."""
    dropped: frozenset[str] = frozenset()
    """Names that are no longer in the list: what they did before is no longer believed either."""


def next_list(
    root: RootKeys,
    previous: FleetTrust | None,
    changes: Changes,
    enrolments: Iterable[Enrolment],
    valid_from: int,
    valid_to: int,
    demonstration: bool = False,
) -> FleetTrust:
    """The list after `previous`, unsigned. TrustError where entries contradict one another or a name to end or drop is not there."""
    entries = ordered(enrolments)
    before = previous
    kept = _Kept(changes, valid_from)
    trust = FleetTrust(
        revision=1 if before is None else before.revision + 1,
        previous=None if before is None else before.hash,
        root_keys=root.hash,
        valid_from=valid_from,
        valid_to=valid_to,
        demonstration=demonstration,
        operators=(
            *(name for name in (() if before is None else before.operators) if not kept.is_dropped(name)),
            *changes.operators,
        ),
        gateware=(*kept.of(() if before is None else before.gateware), *changes.gateware),
        provisioners=(*kept.of(() if before is None else before.provisioners), *changes.provisioners),
        clouds=(*kept.of(() if before is None else before.clouds), *changes.clouds),
        approvers=(*kept.of(() if before is None else before.approvers), *changes.approvers),
        site_count=len(entries),
        sites_root=sites_root(entries),
        vrf_keys_root=vrf_keys_root(vrf_keys(entries)),
    )
    unknown = (changes.ended | changes.dropped) - kept.met
    if unknown:
        raise TrustError(f"the list before has no {', '.join(sorted(unknown))} to end or drop")
    return trust


class _Kept:
    """What stays of the list before, and which of the names that were to end or drop were met."""

    def __init__(self, changes: Changes, now: int) -> None:
        self._changes = changes
        self._now = now
        self.met: set[str] = set()

    def is_dropped(self, name: str) -> bool:
        dropped = name in self._changes.dropped
        if dropped:
            self.met.add(name)
        return dropped

    def of(self, entries: Iterable[Named]) -> tuple[Named, ...]:
        return tuple(self._ended(each) for each in entries if not self.is_dropped(each.name))

    def _ended(self, entry: Named) -> Named:
        if entry.name not in self._changes.ended:
            return entry
        self.met.add(entry.name)
        return replace(entry, valid_to=self._now if entry.valid_to is None else min(entry.valid_to, self._now))


def judge_list(trust: FleetTrust, root: RootKeys, enrolments: Sequence[Enrolment], previous: FleetTrust | None, time: int) -> list[Check]:
    """What a holder has checked before signing: whose list it is, what it follows, and that each site is provisioned. At a time."""
    entries = enrolled(ordered(enrolments))
    checks = [_of_root(trust, root), _follows(trust, previous), _sites(trust, [each.enrolment for each in entries])]
    if checks[-1].passed:
        checks += [check for each in entries for check in judge_enrolment(each, trust, time) if not check.passed]
    return checks


def _of_root(trust: FleetTrust, root: RootKeys) -> Check:
    name = "names the pinned root keys"
    if trust.root_keys != root.hash:
        return refused(name, Reason.WRONG_ROOT_KEYS, f"it names {trust.root_keys.hex()}, the pin is {root.hash.hex()}")
    return passed(name, root.hash.hex())


def _follows(trust: FleetTrust, previous: FleetTrust | None) -> Check:
    name = "follows the list before it"
    wanted = (1, None) if previous is None else (previous.revision + 1, previous.hash)
    if (trust.revision, trust.previous) != wanted:
        shown = "no list before it was given" if previous is None else f"the list before it is revision {previous.revision}"
        return refused(name, Reason.UNREADABLE, f"revision {trust.revision} names {_hex(trust.previous)}; {shown}, {_hex(wanted[1])}")
    return passed(name, "the first list" if previous is None else f"revision {previous.revision}, {previous.hash.hex()}")


def judge_previous_sites(previous: FleetTrust, enrolments: Sequence[Enrolment]) -> Check:
    """Whether the enrolments that a list is compared with are those of the list before it."""
    return _sites(previous, ordered(enrolments), "sites before are those given")


def _sites(trust: FleetTrust, entries: Sequence[Enrolment], name: str = "sites are those given") -> Check:
    found = (len(entries), sites_root(entries), vrf_keys_root(vrf_keys(entries)))
    if found != (trust.site_count, trust.sites_root, trust.vrf_keys_root):
        text = f"the list is over {trust.site_count} sites with root {trust.sites_root.hex()}; given are {found[0]} with {found[1].hex()}"
        return refused(name, Reason.UNKNOWN_SITE, text, sites=trust.site_count)
    return passed(name, f"{trust.site_count} sites, root {trust.sites_root.hex()}", sites=trust.site_count)


def description(trust: FleetTrust) -> list[str]:
    """The list for the person who is to sign it, a line an entry."""
    keys = [("provisioner", key) for key in trust.provisioners] + [("cloud", key) for key in trust.clouds]
    return [
        f"revision {trust.revision}, valid {trust.valid_from} to {trust.valid_to}{', DEMONSTRATION' if trust.demonstration else ''}",
        *(f"operator {name}" for name in trust.operators),
        *(f"gateware {each.name} {each.hash.hex()} valid {_validity(each)}" for each in trust.gateware),
        *(f"{what} {key.name} key {key.key_id.hex()} valid {_validity(key)}" for what, key in keys),
        *(f"approver {key.name} as {key.role} key {key.key_id.hex()} valid {_validity(key)}" for key in trust.approvers),
    ]


def site_lines(enrolments: Iterable[Enrolment]) -> list[str]:
    """The sites for the person who is to sign, a line a site with every field; of key and certificate, which are long, SHA3-256."""
    return [
        f"site {each.name} of {each.operator}, board {each.board_serial}, VRF key {each.vrf_key.hex()}, gateware {each.gateware.hex()},"
        f" public key {_digest(each.public_key)}, profile {each.profile_hash.hex()}, calibration {each.calibration_hash.hex()},"
        f" {each.nameplate_w} W, {each.channels} channels, hot {each.hot_fluid}, cold {each.cold_fluid},"
        f" {each.clocks_per_site_second} clocks a second, valid {_validity(each)},"
        f" provisioned by {each.provisioner} at {each.provisioned_at}, certificate {_digest(each.certificate)}"
        for each in enrolments
    ]


def differences(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Lines that went and lines that came, in that order."""
    return [*(f"- {line}" for line in before if line not in after), *(f"+ {line}" for line in after if line not in before)]


def combine(parts: Sequence[Signed]) -> Signed:
    """One document with everybody's signatures, each key's once. TrustError where the parts are of different documents."""
    documents = {part.document for part in parts}
    if len(documents) != 1:
        raise TrustError(f"the {len(parts)} files are signatures of {len(documents)} different lists: all holders sign the same bytes")
    by_key: dict[bytes, Signature] = {}
    for part in parts:
        for each in part.signatures:
            by_key.setdefault(each.key_id, each)
    return Signed(documents.pop(), tuple(by_key[key] for key in sorted(by_key)))


def _digest(data: bytes) -> str:
    return sha3_256(data).hexdigest()


def _validity(entry: NamedKey | ApproverKey | Gateware | Enrolment) -> str:
    return f"{entry.valid_from} to {'now on' if entry.valid_to is None else entry.valid_to}"


def _hex(digest: bytes | None) -> str:
    return "no list" if digest is None else digest.hex()
