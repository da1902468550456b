"""Whether a batch is believed.

A batch is judged on its own bytes, the pinned trust list and, where it is at hand, the batch before it. First what it is and who signed
it; nothing in a batch without a good signature is looked at. Then all the rest, so that one refusal does not hide another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha3_256
from itertools import pairwise

from ..frames import Batch, FrameError, FrameFlag, RootSource, verify_frame
from ..hostlink import EPOCH_S, LEAF_PERIOD_S
from ..layout import CHANNEL_BYTES
from ..merkle import root
from ..points import ChannelState, TimeQuality
from .check import Check, Reason, passed, refused, undecided
from .opened import OpenedBatch
from .plausibility import Span, judge_span
from .trust import PRODUCT_CLOCKS_PER_SITE_SECOND, SiteKey, TrustList, valid_at, validity

NO_PREVIOUS = bytes(32)
COUNTERS = ("electrical_energy", "gas_volume")
"""Counters that only ever go up within a boot."""


@dataclass(frozen=True)
class Verdict:
    """What came out for one batch."""

    batch_hash: bytes
    """SHA3-256 of the bytes that were judged."""
    batch: OpenedBatch | None
    """None where the bytes are not a batch."""
    site: SiteKey | None
    """The key that signed the batch; None where there is no known one."""
    checks: tuple[Check, ...]
    """In the order in which they were made."""

    @property
    def believed(self) -> bool:
        """Nothing refused."""
        return all(check.passed is not False for check in self.checks)

    @property
    def complete(self) -> bool:
        """Everything could be decided: the batch before this one was at hand."""
        return all(check.passed is not None for check in self.checks)

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that refused."""
        return tuple(check for check in self.checks if check.passed is False)


def verify_batch(data: bytes, trust: TrustList, previous: bytes | None = None) -> Verdict:
    """Judge a batch frame.

    `previous` is the frame of the site's batch whose number is one less, whether that one is believed or not. Without it the chain of a
    batch other than the site's first stays undecided (`complete` is False, `believed` may be True). Never raises for any `data`;
    ValueError where `previous` is not that batch.
    """
    try:
        batch = OpenedBatch.open(data)
    except FrameError as error:
        check = refused("decodes", Reason.UNREADABLE, str(error), offset=error.offset)
        return Verdict(sha3_256(data).digest(), None, None, (check,))
    before = None if previous is None else OpenedBatch.open(previous)
    if before is not None and (before.site, before.number) != (batch.site, batch.number - 1):
        raise ValueError(
            f"batch {before.number} of site {before.site.hex()} was given as the one before batch {batch.number} of {batch.site.hex()}"
        )
    return judge_batch(batch, trust, before)


def judge_batch(batch: OpenedBatch, trust: TrustList, previous: OpenedBatch | None = None) -> Verdict:
    """Judge a batch that is opened already; see `verify_batch`."""
    site, checks = _origin(batch, trust)
    if site is None or not all(check.passed for check in checks):
        return Verdict(batch.hash, batch, site, tuple(checks))
    checks += [_root_source(batch.frame), _root(batch.frame), _chain(batch, previous), _sequence(batch, previous), _headers(batch)]
    order = _time(batch, previous)
    checks += [order, _time_quality(batch), _boot(batch, previous), _clocks(batch, site), _installed(batch, site)]
    before = previous if previous is not None and batch.continues(previous) else None
    counters = _counters(batch, before)
    checks.append(counters)
    if order.passed and counters.passed:  # bounds over time need time and counters that go forwards
        checks += judge_span(Span.of([batch], before), site)
    return Verdict(batch.hash, batch, site, tuple(checks))


def _origin(batch: OpenedBatch, trust: TrustList) -> tuple[SiteKey | None, list[Check]]:
    frame = batch.frame
    leaves = len(frame.leaves)
    checks = [passed("decodes", f"batch {batch.number}, epoch {batch.epoch}, {leaves} leaves", bytes=len(batch.data), leaves=leaves)]
    named = trust.sites_named(batch.site)
    if not named:
        text = f"no site of the trust list has the identity {batch.site.hex()}"
        return None, [*checks, refused("site known", Reason.UNKNOWN_SITE, text)]
    name = named[0].name
    checks.append(passed("site known", f"{name} ({batch.site.hex()})"))
    site = next((key for key in named if key.key_id == frame.key_id), None)
    if site is None:
        owner = trust.site_key(frame.key_id)
        whose = f"the key of site {owner.name}" if owner else "not in the trust list"
        return None, [
            *checks,
            refused("site's key", Reason.UNKNOWN_KEY, f"signed with key {frame.key_id.hex()}, {whose}; {name} has another"),
        ]
    first, sealed = batch.columns.time[0], frame.header.time
    text = f"key {site.key_id.hex()} is valid from {validity(site)}; the batch covers {first} to {sealed}"
    if not (valid_at(site, first) and valid_at(site, sealed)):
        return site, [*checks, refused("site's key", Reason.KEY_NOT_VALID, text, first_s=first, sealed_s=sealed)]
    checks.append(passed("site's key", text, first_s=first, sealed_s=sealed))
    if not verify_frame(frame, site.public_key, batch.data):
        return site, [*checks, refused("signature", Reason.BAD_SIGNATURE, f"not the signature of {name}'s key {site.key_id.hex()}")]
    return site, [*checks, passed("signature", f"ML-DSA-87 by {name}'s key {site.key_id.hex()}")]


def _root_source(frame: Batch) -> Check:
    name = "root from gateware"
    if frame.root_source is not RootSource.GATEWARE:
        text = "the root was recomputed by the host because power failed before the gateware sealed the epoch: stored, not credited"
        return refused(name, Reason.ROOT_NOT_FROM_GATEWARE, text, root_source=int(frame.root_source))
    return passed(name, "sealed by the gateware", root_source=int(frame.root_source))


def _root(frame: Batch) -> Check:
    recomputed = root(frame.leaves)
    if recomputed != frame.root:
        text = f"the leaves give {recomputed.hex()}, the batch says {frame.root.hex()}"
        return refused("root recomputed", Reason.ROOT_DIFFERS, text, leaves=len(frame.leaves))
    return passed("root recomputed", f"{recomputed.hex()} over {len(frame.leaves)} leaves", leaves=len(frame.leaves))


def _chain(batch: OpenedBatch, previous: OpenedBatch | None) -> Check:
    name, named = "chained to the batch before", batch.frame.previous
    if batch.number == 0:
        if named != NO_PREVIOUS:
            return refused(name, Reason.CHAIN_BROKEN, "the site's first batch names a batch before it", number=0)
        return passed(name, "the site's first batch", number=0)
    if previous is None:
        return undecided(name, f"names {named.hex()}; batch {batch.number - 1} is not at hand", number=batch.number)
    if named != previous.hash:
        text = f"names {named.hex()}; batch {previous.number} at hand is {previous.hash.hex()}"
        return refused(name, Reason.CHAIN_BROKEN, text, number=batch.number)
    return passed(name, f"names batch {previous.number}, {previous.hash.hex()}", number=batch.number)


def _sequence(batch: OpenedBatch, previous: OpenedBatch | None) -> Check:
    name, first = "sequence continuous", batch.frame.first_sequence
    expected = range(first, batch.frame.last_sequence + 1)
    for index, (sequence, wanted) in enumerate(zip(batch.columns.sequence, expected, strict=True)):
        if sequence != wanted:
            return _misfit(name, f"leaf {index}", sequence, wanted)
    if previous is not None and first != previous.frame.last_sequence + 1:
        return _misfit(name, f"after batch {previous.number}, leaf 0", first, previous.frame.last_sequence + 1)
    return passed(name, f"leaves {first} to {batch.frame.last_sequence}", first=first, last=batch.frame.last_sequence)


def _misfit(name: str, where: str, sequence: int, expected: int) -> Check:
    gap = sequence > expected
    text = f"{where} has sequence {sequence}; {expected} is next: {'leaves are missing' if gap else 'leaves are there twice'}"
    return refused(name, Reason.SEQUENCE_GAP if gap else Reason.SEQUENCE_OVERLAP, text, sequence=sequence, expected=expected)


def _headers(batch: OpenedBatch) -> Check:
    name, columns = "leaves are this site's telemetry", batch.columns
    for index, site in enumerate(columns.site):
        if site != batch.site:
            return refused(name, Reason.OTHER_SITE, f"leaf {index} is of site {site.hex()}, the batch of {batch.site.hex()}", leaf=index)
    for index, flags in enumerate(columns.flags):
        if flags & FrameFlag.LIVE:
            return refused(name, Reason.LIVE_FRAME, f"leaf {index} is marked live: for display, never evidence", leaf=index)
    return passed(name, f"all {len(columns.site)} leaves are of {batch.site.hex()}", leaves=len(columns.site))


def _time(batch: OpenedBatch, previous: OpenedBatch | None) -> Check:
    name, times, epoch = "times", batch.columns.time, batch.epoch
    for index, time in enumerate(times):
        if (time - 1) // EPOCH_S != epoch:
            return refused(
                name,
                Reason.WRONG_EPOCH,
                f"leaf {index} at {time} is of epoch {(time - 1) // EPOCH_S}, not {epoch}",
                leaf=index,
                time_s=time,
            )
        if time % LEAF_PERIOD_S:
            return refused(name, Reason.WRONG_TIME, f"leaf {index} at {time} is not on a whole {LEAF_PERIOD_S} s", leaf=index, time_s=time)
    for index, (earlier, later) in enumerate(pairwise(times)):
        if later - earlier != LEAF_PERIOD_S:
            return refused(
                name, Reason.WRONG_TIME, f"leaf {index + 1} comes {later - earlier} s after the one before", leaf=index + 1, time_s=later
            )
    sealed = batch.frame.header.time
    if sealed < times[-1]:
        return refused(
            name, Reason.WRONG_TIME, f"sealed at {sealed}, before its last leaf at {times[-1]}", sealed_s=sealed, time_s=times[-1]
        )
    if previous is not None:
        before = previous.columns.time[-1]
        step = times[0] - before
        if step <= 0 or (batch.continues(previous) and step != LEAF_PERIOD_S):
            text = f"the first leaf, at {times[0]}, comes {step} s after the last of batch {previous.number}"
            return refused(name, Reason.WRONG_TIME, text, time_s=times[0], before_s=before)
    return passed(name, f"{times[0]} to {times[-1]} in epoch {epoch}, a leaf every {LEAF_PERIOD_S} s", first_s=times[0], last_s=times[-1])


def _time_quality(batch: OpenedBatch) -> Check:
    name, qualities = "time quality", batch.columns.time_quality
    other = [quality for quality in qualities if quality != TimeQuality.PULSE]
    numbers = {"leaves": len(qualities), "without_pulse": len(other)}
    if other:
        text = (
            f"{len(other)} of {len(qualities)} leaves were not counted by a pulse within 200 ppm of the crystal"
            f" (the first is {_quality(other[0])})"
        )
        return refused(name, Reason.TIME_QUALITY, text, **numbers)
    return passed(name, f"all {len(qualities)} leaves counted by the 1 Hz pulse", **numbers)


def _quality(number: int) -> str:
    return next((quality.name.lower().replace("_", " ") for quality in TimeQuality if quality == number), str(number))


def _boot(batch: OpenedBatch, previous: OpenedBatch | None) -> Check:
    name, boot = "one boot", batch.frame.boot_count
    for index, count in enumerate(batch.columns.raw["boot_count"]):
        if count != boot:
            return refused(name, Reason.WRONG_BOOT, f"leaf {index} is of boot {count}, the batch of boot {boot}", leaf=index, boot=count)
    for index, (earlier, later) in enumerate(pairwise(batch.columns.raw["uptime"])):
        if later <= earlier:
            text = f"at leaf {index + 1} the node had been up {later} s after {earlier} s: it restarted without counting a boot"
            return refused(name, Reason.WRONG_BOOT, text, leaf=index + 1, uptime_s=later)
    if previous is not None and boot < previous.frame.boot_count:
        text = f"boot {boot} comes after boot {previous.frame.boot_count} of batch {previous.number}"
        return refused(name, Reason.WRONG_BOOT, text, boot=boot)
    return passed(name, f"boot {boot}", boot=boot)


def _clocks(batch: OpenedBatch, site: SiteKey) -> Check:
    name, trusted = "clocks of a site second", site.clocks_per_site_second
    for index, clocks in enumerate(batch.columns.raw["clocks_per_site_second"]):
        if clocks != trusted:
            text = f"leaf {index} was made by gateware with {clocks} clocks a site second; the trust list believes {trusted} of {site.name}"
            return refused(name, Reason.WRONG_CLOCKS, text, clocks=clocks, trusted=trusted)
    if trusted != PRODUCT_CLOCKS_PER_SITE_SECOND:
        text = (
            f"{trusted}, not a product's {PRODUCT_CLOCKS_PER_SITE_SECOND}: simulated,"
            " believed only because the trust list is a demonstration list"
        )
        return passed(name, text, clocks=trusted)
    return passed(name, f"{trusted}, a product's", clocks=trusted)


def _installed(batch: OpenedBatch, site: SiteKey) -> Check:
    name = "channels installed"
    for index, channels in enumerate(batch.columns.channel_bytes):
        spare = channels[site.channels * CHANNEL_BYTES :]
        # ChannelState is the low three bits of a channel's last byte, and an absent channel is all zeros.
        if any(spare):
            text = f"leaf {index} has values for a channel beyond the {site.channels} that {site.name} has"
            return refused(name, Reason.NOT_INSTALLED, text, leaf=index, channels=site.channels)
    return passed(name, f"at most {site.channels}, the others {ChannelState.ABSENT.name.lower()}", channels=site.channels)


def _counters(batch: OpenedBatch, before: OpenedBatch | None) -> Check:
    name = "counters only go up"
    for counter in COUNTERS:
        values: Sequence[int] = (
            batch.columns.raw[counter] if before is None else (before.columns.raw[counter][-1], *batch.columns.raw[counter])
        )
        for index, (earlier, later) in enumerate(pairwise(values)):
            if later < earlier:
                leaf = index + 1 if before is None else index
                text = f"{counter} falls from {earlier} to {later} at leaf {leaf}"
                return refused(name, Reason.COUNTER_WENT_BACK, text, leaf=leaf, value=later, before=earlier)
    energy = batch.columns.raw["electrical_energy"]
    return passed(name, f"electrical energy {energy[0]} to {energy[-1]} mJ", first_mj=energy[0], last_mj=energy[-1])
