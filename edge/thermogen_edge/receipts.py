"""Receipts: the cloud's signed word that it has stored a batch. Nothing else lets a batch go."""

from __future__ import annotations

import logging

from thermogen_esf.frames import AlertCode, FrameError, Receipt, Severity, decode

from .alerts import Alerts
from .buffer import Buffer, StoredBatch
from .buffer.outbox import Outbox
from .buffer.write_log import WriteLog
from .cloud_keys import CloudKeys
from .monitors import Alarm

_log = logging.getLogger(__name__)
_UNREAD = (0, 0, 0)
"""Epoch and sequences of a receipt for a batch that the cloud stored and could not read."""


class Receipts:
    """Takes receipts as they come from the broker."""

    def __init__(self, buffer: Buffer, site: bytes, cloud_keys: CloudKeys, alerts: Alerts) -> None:
        self._buffer = buffer
        self._site = site
        self._cloud_keys = cloud_keys
        self._alerts = alerts
        self._writes = WriteLog(buffer.database)
        self._outbox = Outbox(buffer.database)

    def take(self, data: bytes) -> StoredBatch | None:
        """Marks the batch that `data` receipts, or lets go of the frame of writes, the seal or the statement; None where it receipts
        no batch. BufferError where that cannot be stored."""
        try:
            receipt = decode(data)
        except FrameError as error:
            self._refuse(f"not a frame: {error}")
            return None
        if not isinstance(receipt, Receipt) or receipt.header.site != self._site:
            self._refuse("not a receipt for this site")
            return None
        if not self._cloud_keys.signed(receipt, data):
            self._refuse(f"receipt {receipt.header.sequence} is not signed by a pinned key")
            return None
        if self._writes.receipted(receipt.batch_hash) or self._outbox.receipted(receipt.batch_hash):
            return None
        return self._batch(receipt)

    def _batch(self, receipt: Receipt) -> StoredBatch | None:
        batch = self._buffer.batch_by_hash(receipt.batch_hash)
        if batch is None:
            # Receipted, dropped, and now receipted again for an old copy; or not ours. Either way there is nothing to let go.
            _log.info("receipt %d names no batch that is held: %s", receipt.header.sequence, receipt.batch_hash.hex())
            return None
        stated = (receipt.epoch, receipt.first_sequence, receipt.last_sequence)
        if stated == _UNREAD:
            _log.warning("the cloud stored batch %d and could not read it: is it of an older version?", batch.number)
        elif stated != (batch.epoch, batch.first_sequence, batch.first_sequence + batch.count - 1):
            self._refuse(f"receipt {receipt.header.sequence} names batch {batch.number} with another range {stated}")
            return None
        self._buffer.mark_receipted(batch)
        return batch

    def _refuse(self, reason: str) -> None:
        self._alerts.raise_(Alarm(AlertCode.RECEIPT_REFUSED, Severity.WARNING, reason))
