"""One look at a published log: everything new since the last one, judged and kept, up to the first thing that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..evidence.attestation.enrolment import Enrolment, ordered, sites_root, vrf_keys
from ..evidence.attestation.log import Checkpoint, EntryKind, LogError
from ..evidence.attestation.monitoring import (
    SITES_OWN,
    PublishedList,
    judge_kept_checkpoint,
    judge_kept_seal,
    judge_kept_statement,
    judge_published,
)
from ..evidence.attestation.seal import Seal
from ..evidence.attestation.signed import Signed
from ..evidence.attestation.statement import Statement
from ..evidence.attestation.trust import FleetTrust, RootKeys
from ..evidence.check import Check, Reason, passed, refused
from .seen import SeenLog
from .source import LogSource, SourceError


@dataclass
class Look:
    """What one look came to."""

    first: int | None = None
    """Number of the first new checkpoint; None where there was none."""
    newest: Checkpoint | None = None
    """The newest that was judged, in this look or before."""
    added: Counter[EntryKind] = field(default_factory=Counter)
    undecided: dict[str, Check] = field(default_factory=dict)
    """By name, what could not be decided."""
    checks: list[Check] = field(default_factory=list)
    """About the log as a whole and what somebody kept."""
    wrong: Check | None = None
    """The first thing that is wrong; nothing behind it was looked at, but where it is a site's own."""
    at: int | None = None
    """Number of the checkpoint that it is wrong at."""

    def refuse(self, check: Check, at: int | None = None) -> None:
        """Notes a refusal, where it is the first or weighs more: what a site did is told after what the log's keeper did."""
        if self.wrong is None or (self.wrong.reason in SITES_OWN and check.reason not in SITES_OWN):
            self.wrong, self.at = check, at


@dataclass(frozen=True)
class Kept:
    """What somebody kept, to be found in the log."""

    checkpoints: Sequence[Signed] = ()
    statements: Sequence[Signed] = ()
    seals: Sequence[Seal] = ()


def published_lists(signed: Sequence[Signed], folders: Sequence[Path]) -> dict[bytes, PublishedList]:
    """Trust lists by hash, each with the VRF keys of the folder that holds its enrolments.

    SourceError where there are folders and none is a list's; EvidenceError or OSError where something cannot be read.
    """
    by_root: dict[bytes, dict[bytes, bytes]] = {}
    for folder in folders:
        entries = ordered(Enrolment.parse(path.read_bytes()) for path in sorted(folder.glob("*.json")))
        by_root[sites_root(entries)] = dict(vrf_keys(entries))
    lists = {}
    for each in signed:
        trust = FleetTrust.parse(each.document)
        keys = by_root.get(trust.sites_root)
        if folders and keys is None:
            where = ", ".join(str(folder) for folder in folders)
            raise SourceError(
                f"{where}: not the enrolments of list {trust.hash.hex()}, revision {trust.revision}: give its --enrolments too"
            )
        lists[trust.hash] = PublishedList(each, trust, keys)
    return lists


def look(
    source: LogSource,
    seen: SeenLog,
    root: RootKeys,
    known: Mapping[bytes, PublishedList],
    kept: Kept,
    progress: Callable[[int, int], None] = lambda _number, _newest: None,
) -> Look:
    """Judges what the log has that was not seen yet, and keeps it; then what somebody kept. `known` are the lists that are shown now."""
    shown = {hashed: each for hashed, each in known.items() if each.vrf_keys is not None or hashed not in seen.standing.lists}
    known = {**seen.lists(), **shown}
    found = Look(newest=seen.standing.last)
    newest = source.newest()
    if _same_as_before(source, seen, newest, found):
        first = 0 if seen.standing.last is None else seen.standing.last.number + 1
        for number in range(first, -1 if newest is None else newest + 1):
            progress(number, newest or 0)
            if not _next(number, source, seen, root, known, found):
                break
    if found.wrong is None or found.wrong.reason in SITES_OWN:
        _judge_kept(seen, known, kept, found)
    return found


def _same_as_before(source: LogSource, seen: SeenLog, newest: int | None, found: Look) -> bool:
    last = seen.standing.last
    if last is None:
        return True
    name = "the log that was seen before"
    shown = source.checkpoint(last.number)
    if newest is None or newest < last.number or shown is None:
        text = (
            f"checkpoint {last.number} of {last.time} was seen; now the newest is {'none' if newest is None else newest}: it was wound back"
        )
        found.refuse(refused(name, Reason.LOG_FORKED, text, number=last.number), last.number)
        return False
    if shown.document != last.encode():
        text = f"checkpoint {last.number} was {last.hash.hex()} when it was seen, and is another now: the log was written anew"
        found.refuse(refused(name, Reason.LOG_FORKED, text, number=last.number), last.number)
        return False
    found.checks.append(passed(name, f"checkpoint {last.number}, {last.hash.hex()}, is there as it was", number=last.number))
    return True


def _next(number: int, source: LogSource, seen: SeenLog, root: RootKeys, known: Mapping[bytes, PublishedList], found: Look) -> bool:
    signed = source.checkpoint(number)
    if signed is None:
        text = f"checkpoint {number} is not there, and later ones are: it was taken out"
        found.refuse(refused("checkpoint shown", Reason.LOG_FORKED, text, number=number), number)
        return False
    try:
        size = Checkpoint.parse(signed.document).size
        added = source.entries(seen.standing.accumulator.count, size)
        with seen.adding(added):
            standing, checks = judge_published(signed, added, seen.standing, seen, known, root)
            told = [each for each in checks if each.passed is False]
            for each in told:
                found.refuse(each, number)
            if any(each.reason not in SITES_OWN for each in told):
                return False
            seen.keep(signed, standing, known, [f"checkpoint {number}: {each.detail}" for each in told])
    except LogError as error:
        found.refuse(refused("checkpoint and entries read", Reason.UNREADABLE, str(error), number=number), number)
        return False
    found.undecided |= {each.name: each for each in checks if each.passed is None}
    found.added += Counter(EntryKind(entry[0]) for entry in added)
    found.first = number if found.first is None else found.first
    found.newest = standing.last
    return True


def _judge_kept(seen: SeenLog, known: Mapping[bytes, PublishedList], kept: Kept, found: Look) -> None:
    checks = [judge_kept_statement(Statement.parse(each.document).hash, seen) for each in kept.statements]
    lists = [known[each] for each in seen.standing.lists]
    checks += [judge_kept_seal(each, seen, lists) for each in kept.seals]
    newest = seen.standing.last
    if kept.checkpoints and newest is None:
        text = "checkpoints were kept, and the log has none: it was wound back"
        checks.append(refused("kept checkpoint is the log's", Reason.LOG_FORKED, text))
    elif newest is not None:
        clouds = [key for each in seen.standing.lists for key in known[each].trust.clouds]
        for each in kept.checkpoints:
            published = seen.checkpoint(Checkpoint.parse(each.document).number)
            checks.append(judge_kept_checkpoint(each, published, newest, clouds))
    for check in checks:
        if check.passed is False:
            found.refuse(check)
        else:
            found.checks.append(check)
