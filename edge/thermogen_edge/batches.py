"""From the leaves of an epoch to the one signed frame that carries them."""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.frames import Alert, Batch, FrameError, Header, RootSource, Telemetry, decode, encode, sign_frame
from thermogen_esf.layout import HEADER_OFFSET
from thermogen_esf.merkle import root
from thermogen_esf.points import TimeQuality
from thermogen_esf.signatures import SigningKey

from .buffer import BatchDraft
from .node import EpochRecord


@dataclass(frozen=True, slots=True)
class Root:
    """The root that a batch states. `differs`: every leaf is there, and yet the gateware's root is another than theirs."""

    value: bytes
    source: RootSource
    differs: bool = False


def root_of(draft: BatchDraft, record: EpochRecord | None) -> Root:
    """The gateware's root where its record is of just these leaves, and else the root over the leaves that there are."""
    recomputed = root(draft.leaves)
    if record is None or (record.first_sequence, record.count) != (draft.first_sequence, len(draft.leaves)):
        return Root(recomputed, RootSource.HOST)
    return Root(record.root, RootSource.GATEWARE, differs=record.root != recomputed)


def batch_frame(draft: BatchDraft, stated: Root, sealed_at_s: int | None, site: bytes, key: SigningKey) -> bytes:
    """The signed batch's bytes. `sealed_at_s` None takes the last leaf's time, all that is known where the gateware sealed nothing."""
    quality, last_time_s = _clock(draft.leaves[-1])
    alerts = tuple(alert for alert in map(_alert, draft.alerts) if alert is not None)
    batch = Batch(
        header=Header(site, draft.number, last_time_s if sealed_at_s is None else sealed_at_s, quality),
        epoch=draft.epoch,
        boot_count=draft.boot_count,
        root_source=stated.source,
        first_sequence=draft.first_sequence,
        root=stated.value,
        previous=draft.previous,
        leaves=draft.leaves,
        alerts=alerts,
    )
    return encode(sign_frame(batch, key))


def _clock(leaf: bytes) -> tuple[TimeQuality, int]:
    try:
        header = Telemetry(leaf).header
    except FrameError:
        # The gateware hashed these bytes, so they go as they are; the cloud will say what is wrong with them.
        at = HEADER_OFFSET["time"]
        return TimeQuality.UNSET, int.from_bytes(leaf[at : at + 4], "big")
    return header.time_quality, header.time


def _alert(data: bytes) -> Alert | None:
    try:
        frame = decode(data)
    except FrameError:
        return None  # rotten on disk; an alert was published when it was raised
    return frame if isinstance(frame, Alert) else None
