"""From the node into the buffer: leaves first, acknowledged once they are on disk; then the seals of their epochs.

Nothing here is remembered between two calls but what saves work: what is stored and what is open is asked of the buffer, so that a daemon
killed anywhere carries on where its disk says.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from thermogen_esf.frames import AlertCode, Severity
from thermogen_esf.layout import LEAF_BYTES
from thermogen_esf.signatures import SigningKey

from .alerts import Alerts
from .batches import Root, batch_frame, root_of
from .buffer import BatchDraft, Buffer, OpenEpoch
from .monitors import Alarm
from .node import EpochRecord, Node, NodeStatus, leaves_held

LEAVES_AT_ONCE = 32
"""Leaves in one transaction: some seconds of a slow host link, so that the rest of the daemon is not kept waiting."""
READS_BEFORE_LOSS = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Collected:
    """What one call brought: the newest leaf that is new, and whether the node has more."""

    newest: bytes | None
    more: bool


class LeafCollector:
    """Empties one node into one buffer."""

    def __init__(self, node: Node, buffer: Buffer, site: bytes, key: SigningKey, alerts: Alerts) -> None:
        self._node = node
        self._buffer = buffer
        self._site = site
        self._key = key
        self._alerts = alerts
        self._epochs_settled: int | None = None
        self._failed_reads: dict[int, int] = {}

    def collect(self, status: NodeStatus) -> Collected:
        """Stores and acknowledges new leaves, then seals. HostLinkError or BufferError leave everything as it is on disk."""
        next_sequence = self._buffer.next_sequence
        held = leaves_held(status, next_sequence)
        if held and held.start > next_sequence:
            self._lost(next_sequence, held.start, "the node overwrote them before they were read")
        coming = held[:LEAVES_AT_ONCE]
        if coming:
            self._buffer.make_room(len(coming) * LEAF_BYTES)  # first, so that a full buffer costs no reading
        leaves = self._read(coming)
        if leaves:
            self._buffer.store_leaves(leaves)
        stored_up_to = self._buffer.next_sequence
        self._failed_reads = {sequence: reads for sequence, reads in self._failed_reads.items() if sequence >= stored_up_to}
        if status.leaf_oldest < stored_up_to <= status.leaf_next:
            self._node.acknowledge(stored_up_to)
        self._seal(status)
        return Collected(leaves[-1] if leaves else None, more=len(held) > LEAVES_AT_ONCE)

    def close_earlier_boots(self) -> None:
        """Makes batches of leaves whose seal went with the node's power."""
        for epoch in self._buffer.open_epochs():
            self._make_batch(epoch, None)
        self._epochs_settled = None
        self._failed_reads.clear()  # the new boot gives their sequences to other leaves

    def _read(self, sequences: range) -> list[bytes]:
        leaves: list[bytes] = []
        for sequence in sequences:
            leaf = self._node.leaf(sequence)
            if leaf is not None:
                leaves.append(leaf)
                continue
            reads = self._failed_reads[sequence] = self._failed_reads.get(sequence, 0) + 1
            if reads < READS_BEFORE_LOSS:
                break  # perhaps just being written; a leaf is given up only when it stays unreadable
            if reads == READS_BEFORE_LOSS:  # it is asked for until a later leaf is stored, and said to be lost once
                self._lost(sequence, sequence + 1, "its slot holds something else")
        return leaves

    def _seal(self, status: NodeStatus) -> None:
        epochs = self._buffer.open_epochs()
        if not epochs or (len(epochs) == 1 and status.epochs_sealed == self._epochs_settled):
            return
        records = {(record.epoch, record.boot_count): record for record in self._node.epoch_records(status.epochs_sealed)}
        for epoch in epochs:
            record = records.get((epoch.epoch, epoch.boot_count))
            if record is None and epoch is epochs[-1]:
                break  # still running
            if record is not None and record.first_sequence + record.count > self._buffer.next_sequence:
                return  # its last leaves are still to be read
            # An older epoch without a record was sealed more than a ring of records ago.
            self._make_batch(epoch, record)
        self._epochs_settled = status.epochs_sealed

    def _make_batch(self, epoch: OpenEpoch, record: EpochRecord | None) -> None:
        stated: list[Root] = []

        def make(draft: BatchDraft) -> bytes:
            stated.append(root_of(draft, record))
            return batch_frame(draft, stated[0], record.sealed_at_s if record else None, self._site, self._key)

        batch = self._buffer.seal(epoch, make)
        if batch is None:
            return
        _log.info(
            "batch %d: epoch %d of boot %d, %d leaves, root by the %s",
            batch.number,
            epoch.epoch,
            epoch.boot_count,
            batch.count,
            stated[0].source.name.lower(),
        )
        if stated[0].differs:
            text = f"epoch {epoch.epoch}: the gateware's root is not that of its leaves"
            self._alerts.raise_(Alarm(AlertCode.ROOT_MISMATCH, Severity.CRITICAL, text))

    def _lost(self, first: int, after: int, reason: str) -> None:
        text = f"leaves {first} to {after - 1} are lost: {reason}"
        self._alerts.raise_(Alarm(AlertCode.LEAVES_LOST, Severity.CRITICAL, text, value=after - first))
