"""What a monitor judges: somebody who holds the log's entries from the first on, and remembers what was published.

A bundle shows one day and the checkpoints around it. That no checkpoint before them was made up, that a day's root was logged once, that
nothing was taken back and nobody is shown another log: that is seen by who was there. Every checkpoint is judged with the entries that it
added: the root over all of them, the beacon from their seals, each day from its seals, and that nothing is there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...merkle_accumulator import Accumulator
from ..check import Check, Reason, passed, refused, undecided
from ..errors import EvidenceError
from ..trust import NamedKey
from .beacon import contributions, contributions_hash, judge_contributions
from .day import Day, judge_day
from .log import Checkpoint, EntryKind, check_entry, day_entry, judge_checkpoint, judge_first_beacon, judge_successor, statement_entry
from .seal import EPOCHS_A_DAY, NO_PREVIOUS, Seal
from .signed import Signed
from .trust import FleetTrust, RootKeys, judge_trust

SITES_OWN = frozenset((Reason.TWO_SEALS,))
"""What a site did and not who keeps the log: it is told, and the log goes on."""

_SITE, _EPOCH_END, _DAY_END = slice(9, 17), 21, 13


class Entries(Protocol):
    """The entries that a monitor holds, those of the checkpoint that is judged among them."""

    def of_subject(self, subject: bytes) -> Sequence[tuple[int, bytes]]:
        """Index and bytes of each entry with this `subject`, in order."""

    def seals_between(self, site: bytes, first: int, last: int) -> Sequence[Seal]:
        """A site's seals of epochs `first` to `last`, both included, in order of epoch."""

    def seal_before(self, site: bytes, epoch: int) -> Seal | None:
        """The site's newest seal of an earlier epoch."""

    def seal_after(self, site: bytes, epoch: int) -> Seal | None:
        """The site's oldest seal of a later epoch."""


@dataclass(frozen=True)
class PublishedList:
    """A trust list as its holders signed it, and its sites' VRF keys by identity; None where nobody gave the enrolments."""

    signed: Signed
    trust: FleetTrust
    vrf_keys: Mapping[bytes, bytes] | None


@dataclass
class Monitored:
    """Where a monitor stands: what it needs of what it saw, beside the entries."""

    last: Checkpoint | None = None
    accumulator: Accumulator = field(default_factory=Accumulator)
    lists: tuple[bytes, ...] = ()
    """Hashes of the trust lists in the log, in its order."""


def subject(entry: bytes) -> bytes:
    """What there may be one entry of: a site's epoch, a site's day, a trust list, a statement. LogError for an entry of no kind."""
    check_entry(entry)
    if entry[0] == EntryKind.SEAL:
        return seal_subject(entry[_SITE], int.from_bytes(entry[17:_EPOCH_END], "big"))
    return entry[:_DAY_END] if entry[0] == EntryKind.DAY else entry


def seal_subject(site: bytes, epoch: int) -> bytes:
    """The subject of a site's seal of an epoch, 13 bytes: in order of epoch for one site."""
    return bytes((EntryKind.SEAL,)) + site + epoch.to_bytes(4, "big")


def judge_published(
    signed: Signed,
    added: Sequence[bytes],
    before: Monitored,
    entries: Entries,
    known: Mapping[bytes, PublishedList],
    root: RootKeys,
) -> tuple[Monitored, list[Check]]:
    """Whether the next checkpoint is what the protocol promises of it, and where the monitor then stands.

    `added` are the entries since the checkpoint before, which `entries` has too; `known` are trust lists by hash. The last check is the
    first that refuses, but for those of `SITES_OWN`, which are told beside the rest. LogError where something is no checkpoint or entry.
    """
    checkpoint = Checkpoint.parse(signed.document)
    after, checks = Monitored(checkpoint, before.accumulator.copy(), before.lists), list[Check]()
    for more in _steps(signed, checkpoint, added, before, after, entries, known, root):
        checks += more
        if any(each.passed is False and each.reason not in SITES_OWN for each in more):
            return before, checks
    return after, checks


def _steps(
    signed: Signed,
    checkpoint: Checkpoint,
    added: Sequence[bytes],
    before: Monitored,
    after: Monitored,
    entries: Entries,
    known: Mapping[bytes, PublishedList],
    root: RootKeys,
) -> Iterator[list[Check]]:
    """What is judged, one thing after the other; a step may rely on those before it, and moves `after` on."""
    for entry in added:
        if entry[0] == EntryKind.TRUST:
            yield _judge_list(entry[1:], after.lists, known, root, checkpoint.time)
            after.lists = (*after.lists, entry[1:])
    lists = [known[each] for each in after.lists]
    yield [judge_checkpoint(signed, lists[-1].trust.clouds if lists else ())[1]]
    yield _judge_first(checkpoint, root) if before.last is None else judge_successor(before.last, checkpoint)
    for entry in added:
        after.accumulator.append(entry)
    yield [_judge_root(checkpoint, after.accumulator)]
    numbered = list(enumerate(added, before.accumulator.count))
    for index, entry in numbered:
        yield _judge_once(index, entry, entries.of_subject(subject(entry)), lists)
    yield _judge_contributions(checkpoint, added, lists)
    for index, entry in numbered:
        if entry[0] == EntryKind.DAY:
            yield _judge_day(index, entry, entries, lists)


def _judge_list(hashed: bytes, logged: Sequence[bytes], known: Mapping[bytes, PublishedList], root: RootKeys, time: int) -> list[Check]:
    name = "trust list known"
    if hashed not in known:
        text = f"the log has a trust list {hashed.hex()} that nobody showed: witnesses may be drawn from it"
        return [refused(name, Reason.UNKNOWN_LIST, text)]
    trust, checks = judge_trust(known[hashed].signed, root, time)
    assert trust is not None, "it was read before"
    if logged and trust.previous != logged[-1]:
        previous = "none" if trust.previous is None else trust.previous.hex()
        text = f"list {hashed.hex()} of revision {trust.revision} follows on {previous}, the log's newest is {logged[-1].hex()}"
        checks.append(refused(name, Reason.SUPERSEDED, text, revision=trust.revision))
    return checks


def _judge_first(checkpoint: Checkpoint, root: RootKeys) -> list[Check]:
    name = "checkpoint follows"
    if (checkpoint.number, checkpoint.previous) != (0, None):
        text = f"the first checkpoint is number {checkpoint.number} and names {'none' if checkpoint.previous is None else 'one'} before it"
        return [refused(name, Reason.LOG_FORKED, text, number=checkpoint.number)]
    return [passed(name, "the log's first"), judge_first_beacon(root.hash, checkpoint)]


def _judge_root(checkpoint: Checkpoint, accumulator: Accumulator) -> Check:
    """That the root follows from the entries held shows by itself that the log only grew: the earlier ones are the same."""
    name, numbers = "log only grew", {"entries": accumulator.count, "size": checkpoint.size}
    if (checkpoint.size, checkpoint.root) != (accumulator.count, accumulator.root):
        text = (
            f"the {accumulator.count} entries seen give {accumulator.root.hex()}, checkpoint {checkpoint.number} says {checkpoint.size}, "
        )
        return refused(name, Reason.LOG_FORKED, f"{text}{checkpoint.root.hex()}: entries were changed or taken back", **numbers)
    return passed(name, f"{checkpoint.size} entries, {checkpoint.root.hex()}", **numbers)


def _judge_once(index: int, entry: bytes, found: Sequence[tuple[int, bytes]], lists: Sequence[PublishedList]) -> list[Check]:
    earlier = [(at, each) for at, each in found if at < index]
    if not earlier:
        return []
    kind = EntryKind(entry[0])
    if kind is EntryKind.SEAL:
        try:
            seal, before = Seal.decode(entry[1:]), [(at, Seal.decode(each[1:])) for at, each in earlier]
        except EvidenceError as error:
            return [refused("entry reads", Reason.UNREADABLE, f"entry {index}: {error}", index=index)]
        if all(other.alpha != seal.alpha for _, other in before):
            return [_judge_two(index, seal, at, other, lists) for at, other in before]
    at = earlier[0][0]
    text = f"entry {index} is a {kind.name.lower()} that the log has at entry {at}"
    if kind is EntryKind.DAY:
        text = f"{text}: day {int.from_bytes(entry[9:13], 'big')} of site {entry[1:9].hex()} was drawn for by another beacon then"
    return [refused("logged once", Reason.LOGGED_TWICE, text, before=at, index=index)]


def _judge_two(index: int, seal: Seal, at: int, before: Seal, lists: Sequence[PublishedList]) -> Check:
    """Whether two seals of one epoch are of two boards, one of which replaced the other."""
    name, numbers = "one seal an epoch", {"epoch": seal.epoch, "before": at, "index": index}
    text = f"entries {at} and {index} are different seals of epoch {seal.epoch} of site {seal.site.hex()}"
    boards = _of_two_boards(seal, before, lists)
    if boards is None:
        return undecided(name, f"{text}: the enrolments, which would say whether its board was replaced, are not given", **numbers)
    if boards:
        return passed(name, f"{text}, by two keys that it had one after the other", **numbers)
    return refused(name, Reason.TWO_SEALS, f"{text}: it sealed twice", **numbers)


def _of_two_boards(one: Seal, other: Seal, lists: Sequence[PublishedList]) -> bool | None:
    """Whether keys that a site had one after the other proved its two seals; None where there are lists without their enrolments."""
    keys = _keys_of(one.site, lists)
    if keys is None:
        return None if len(lists) > 1 else False
    return len(keys) > 1 and _key_of(one, lists) != _key_of(other, lists)


def _judge_contributions(checkpoint: Checkpoint, added: Sequence[bytes], lists: Sequence[PublishedList]) -> list[Check]:
    try:
        seals = [Seal.decode(entry[1:]) for entry in added if entry[0] == EntryKind.SEAL]
    except EvidenceError as error:
        return [refused("entry reads", Reason.UNREADABLE, str(error), number=checkpoint.number)]
    if any(each.vrf_keys is None for each in lists):
        given = contributions(seals)
        if (len(given), contributions_hash(given)) != (checkpoint.contributors, checkpoint.contributions):
            text = (
                f"the seals of {len(given)} sites do not give the {checkpoint.contributors} contributions of checkpoint {checkpoint.number}"
            )
            return [refused("beacon's contributions recomputed", Reason.WRONG_BEACON, text, number=checkpoint.number)]
        return [undecided("seals proven", "the enrolments are not given")] if seals else []
    keys = {seal.site: _key_of(seal, lists) for seal in seals}
    proven = {site: key for site, key in keys.items() if key is not None}
    return [judge_contributions(seals, proven, checkpoint.contributors, checkpoint.contributions)]


def _keys_of(site: bytes, lists: Sequence[PublishedList]) -> tuple[bytes, ...] | None:
    """The VRF keys that lists had for a site, each once, the newest first; None where a list's enrolments are not given."""
    shown = [each.vrf_keys for each in reversed(lists) if each.vrf_keys is not None]
    return tuple(dict.fromkeys(keys[site] for keys in shown if site in keys)) if len(shown) == len(lists) else None


def _key_of(seal: Seal, lists: Sequence[PublishedList]) -> bytes | None:
    """The VRF key of a seal's site: of several that lists had one after the other, the one that proved it, else the newest."""
    keys = _keys_of(seal.site, lists) or (None,)
    return next((key for key in keys if key is not None and seal.proven_by(key)), keys[0]) if len(keys) > 1 else keys[0]


def _judge_day(index: int, entry: bytes, entries: Entries, lists: Sequence[PublishedList]) -> list[Check]:
    """Whether a day follows from the seals of one board: of a site that had several, those of the key that gives its root."""
    keys = _keys_of(entry[1:9], lists)
    if keys is None or len(keys) < 2:
        checks = _judge_day_of(index, entry, entries, keys[0] if keys else None, every=True)
        if keys is None and len(lists) > 1 and any(each.passed is False for each in checks):
            text = f"entry {index} does not follow from all its site's seals; the enrolments, which would say whose they are, are not given"
            return [undecided("day recomputed", text, index=index)]
        return checks
    found = [_judge_day_of(index, entry, entries, key) for key in keys]
    return next((checks for checks in found if all(each.passed for each in checks)), found[0])


def _judge_day_of(index: int, entry: bytes, entries: Entries, key: bytes | None, every: bool = False) -> list[Check]:
    """Whether a day follows from the seals that a key proved, or from every seal, which are then judged by the key."""
    name, site, number = "day recomputed", entry[1:9], int.from_bytes(entry[9:_DAY_END], "big")
    first, last = number * EPOCHS_A_DAY, (number + 1) * EPOCHS_A_DAY - 1

    def of_key(seals: Sequence[Seal]) -> list[Seal]:
        return [seal for seal in seals if every or (key is not None and seal.proven_by(key))]

    def nearest(look: Callable[[bytes, int], Seal | None], epoch: int) -> Seal | None:
        while (at := look(site, epoch)) is not None:
            if mine := of_key(entries.seals_between(site, at.epoch, at.epoch)):
                return mine[0]
            epoch = at.epoch
        return None

    seals, closing = of_key(entries.seals_between(site, first, last)), nearest(entries.seal_after, last)
    if not seals or closing is None:
        text = f"entry {index} is day {number} of site {site.hex()}, of which the log has {len(seals)} seals and none of a later day"
        return [refused(name, Reason.NOT_LOGGED, text, index=index)]
    opening = None if seals[0].previous == NO_PREVIOUS else nearest(entries.seal_before, first)
    try:
        day = Day(tuple(seals), closing, opening)
    except EvidenceError as error:
        return [refused(name, Reason.ROOT_DIFFERS, f"entry {index}: {error}", index=index)]
    if day_entry(day) != entry:
        text = f"entry {index} says another root of day {number} of site {site.hex()} than its {len(seals)} seals give, {day.root.hex()}"
        return [refused(name, Reason.ROOT_DIFFERS, text, index=index)]
    return [
        passed(name, f"day {number} of site {site.hex()}, {day.root.hex()}", index=index),
        *([] if key is None else judge_day(day, key)),
    ]


def judge_kept_checkpoint(signed: Signed, published: Checkpoint | None, newest: Checkpoint, clouds: Sequence[NamedKey]) -> Check:
    """Whether a checkpoint that somebody kept is the one that the log has under its number; `published` is None where it has none."""
    name = "kept checkpoint is the log's"
    kept, check = judge_checkpoint(signed, clouds)
    if kept is None or check.passed is False:
        return check
    if published is None:
        text = f"checkpoint {kept.number} was signed at {kept.time}; the log ends at {newest.number}: it was wound back, or is not the same"
        return refused(name, Reason.LOG_FORKED, text, number=kept.number)
    if published != kept:
        text = f"checkpoint {kept.number} is {published.hash.hex()} here, {kept.hash.hex()} was signed too: two logs are shown"
        return refused(name, Reason.LOG_FORKED, text, number=kept.number)
    return passed(name, f"checkpoint {kept.number}, {kept.hash.hex()}", number=kept.number)


def judge_kept_statement(statement_hash: bytes, entries: Entries) -> Check:
    """Whether the log has a witness's statement that somebody kept."""
    name, found = "kept statement in the log", entries.of_subject(statement_entry(statement_hash))
    if not found:
        return refused(name, Reason.NOT_LOGGED, f"the log has no entry of the statement {statement_hash.hex()}: it was dropped")
    return passed(name, f"entry {found[0][0]}", index=found[0][0])


def judge_kept_seal(seal: Seal, entries: Entries, lists: Sequence[PublishedList]) -> Check:
    """Whether the log has a seal that somebody kept, under whichever proof of its one output; `lists` are the log's."""
    name, site = "kept seal in the log", seal.site.hex()
    found = entries.of_subject(seal_subject(seal.site, seal.epoch))
    if not found:
        return refused(
            name, Reason.NOT_LOGGED, f"the log has no seal of epoch {seal.epoch} of site {site}: it was left out", epoch=seal.epoch
        )
    others = [Seal.decode(entry[1:]) for _, entry in found]
    if all(other.alpha != seal.alpha for other in others):
        boards = [_of_two_boards(seal, other, lists) for other in others]
        if all(boards):
            text = f"the log has a seal of epoch {seal.epoch} of site {site} by another of its boards, and not this one: it was left out"
            return refused(name, Reason.NOT_LOGGED, text, epoch=seal.epoch)
        text = f"the log has another seal of epoch {seal.epoch} of site {site}"
        if all(board is not False for board in boards):
            text += ": the enrolments, which would say whether its board was replaced, are not given"
            return undecided("one seal an epoch", text, epoch=seal.epoch)
        return refused("one seal an epoch", Reason.TWO_SEALS, f"{text}: it sealed twice", epoch=seal.epoch)
    return passed(name, f"entry {found[0][0]}", index=found[0][0], epoch=seal.epoch)
