"""Upload: batches in order through a small window, each kept until the cloud's own receipt; answers and alerts beside them.

A broker's acknowledgement is not a receipt: it may have the batch in memory only. A batch that the broker has taken and the cloud has not
receipted is sent again, after THERMOGEN_RETRY_S and then ever more seldom; a new connection begins anew. Seals and statements that the
cloud does not take give way to those after them.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paho.mqtt.client import MQTTMessageInfo

from .buffer import Buffer, BufferError, CommandLog
from .buffer.outbox import SEALS, Outbox
from .buffer.write_log import WriteLog
from .commands import Commands
from .mqtt_link import Incoming, MqttLink
from .receipts import Receipts
from .site_time import SiteTime
from .witness_duty import STATEMENT

WINDOW = 8
"""Batches under way at once: 400 kB, more than a satellite link's delay times its rate."""
LONGEST_RETRY_FACTOR = 16
TRIES = 3
"""Of a seal or a statement without a receipt; then those after it have their turn, and it comes again when they had."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sent:
    info: MQTTMessageInfo
    connection: int
    at_s: float
    retry_s: float
    tries: int = 1


class Uplink:
    """Moves between buffer and broker; all but the network itself happens in `step`."""

    def __init__(
        self,
        link: MqttLink,
        buffer: Buffer,
        receipts: Receipts,
        commands: Commands,
        retry_s: float,
        takers: Mapping[str, Callable[[bytes], None]] | None = None,
    ) -> None:
        """`takers` take what comes under further topics, by their last level."""
        self._takers = dict(takers or {})
        self._outbox = Outbox(buffer.database)
        self._attested: dict[int, _Sent] = {}
        self._passed = {STATEMENT: 0, SEALS: 0}
        """By kind, the more urgent first: the last number that was tried in vain."""
        self._link = link
        self._buffer = buffer
        self._command_log = CommandLog(buffer.database)
        self._receipts = receipts
        self._commands = commands
        self._retry_s = retry_s
        self._batches: dict[int, _Sent] = {}
        self._answers: dict[int, _Sent] = {}
        self._write_log = WriteLog(buffer.database)
        self._writes: dict[int, _Sent] = {}
        self._waiting: deque[Incoming] = deque()

    def step(self, now: SiteTime | None) -> None:
        """Takes what arrived, sends what is due.

        `now` is None while the site has no time: commands then wait, for they may have expired. BufferError leaves a message waiting.
        """
        self._waiting.extend(self._link.incoming())
        if any(message.connection != self._link.connections for message in self._waiting):
            # What an earlier connection brought and nobody took, the broker brings again.
            self._waiting = deque(message for message in self._waiting if message.connection == self._link.connections)
        for _ in range(len(self._waiting)):
            message = self._waiting[0]
            if message.kind == "command" and now is None:
                self._waiting.rotate(-1)
                continue
            self._take(message, now)
            self._waiting.popleft()
            self._link.taken(message)
        if self._link.connected:
            self._send_answers()
            self._send_batches()
            self._send_writes()
            self._send_attested()

    def publish_live(self, frame: bytes) -> None:
        """Sends the newest frame for display; lost where there is no link."""
        self._link.publish("live", frame, 0)

    def _take(self, message: Incoming, now: SiteTime | None) -> None:
        try:
            if message.kind == "receipt":
                self._receipts.take(message.payload)
            elif message.kind == "command" and now is not None:
                self._commands.take(message.payload, now)
            elif message.kind in self._takers:
                self._takers[message.kind](message.payload)
        except BufferError:
            raise
        except Exception:
            # Our mistake, but the broker would bring this message again at every start: the site's evidence matters more.
            _log.exception("a %s of %d bytes could not be dealt with and is skipped", message.kind, len(message.payload))

    def _send_answers(self) -> None:
        for number, frame in self._command_log.answers(WINDOW):
            sent = self._answers.get(number)
            if sent is not None and sent.info.is_published():
                self._command_log.drop_answer(number)
                del self._answers[number]
            elif sent is None and (info := self._link.publish("ack", frame, 1)) is not None:
                self._answers[number] = _Sent(info, self._link.connections, time.monotonic(), self._retry_s)

    def _send_batches(self) -> None:
        wanted = self._buffer.wanted(WINDOW)
        numbers = {batch.number for batch in wanted}
        self._batches = {number: sent for number, sent in self._batches.items() if number in numbers}
        for batch in wanted:
            retry_s = self._due(self._batches.get(batch.number), f"batch {batch.number}")
            frame = None if retry_s is None else self._buffer.frame(batch)
            if retry_s is not None and frame is not None and (info := self._link.publish("batch", frame, 1)) is not None:
                self._batches[batch.number] = _Sent(info, self._link.connections, time.monotonic(), retry_s)

    def _send_writes(self) -> None:
        waiting = self._write_log.frames(WINDOW)
        numbers = {number for number, _ in waiting}
        self._writes = {number: sent for number, sent in self._writes.items() if number in numbers}
        for number, frame in waiting:
            retry_s = self._due(self._writes.get(number), f"SCADA's writes {number}")
            if retry_s is not None and (info := self._link.publish("writes", frame, 1)) is not None:
                self._writes[number] = _Sent(info, self._link.connections, time.monotonic(), retry_s)

    def _send_attested(self) -> None:
        waiting = [(kind, *each) for kind in self._passed for each in self._next(kind)]
        numbers = {number for _, number, _ in waiting}
        self._attested = {number: sent for number, sent in self._attested.items() if number in numbers}
        for kind, number, message in waiting:
            before = self._attested.get(number)
            retry_s = self._due(before, f"{kind} {number}")
            if retry_s is not None and (info := self._link.publish(kind, message, 1)) is not None:
                tries = 1 if before is None else before.tries + 1
                self._attested[number] = _Sent(info, self._link.connections, time.monotonic(), retry_s, tries)

    def _next(self, kind: str) -> list[tuple[int, bytes]]:
        """The window of a kind, once what was tried often enough at its head has gone to the end."""
        waiting = self._outbox.next(kind, self._passed[kind], WINDOW)
        for number, _ in waiting:
            sent = self._attested.get(number)
            if sent is None or sent.tries < TRIES or not self._is_late(sent):
                break
            _log.warning("%s %d has no receipt after %d tries; those after it have their turn", kind, number, sent.tries)
            self._passed[kind] = number
        return self._outbox.next(kind, self._passed[kind], WINDOW)

    def _is_late(self, sent: _Sent) -> bool:
        on_this_connection = sent.connection == self._link.connections and sent.info.is_published()
        return on_this_connection and time.monotonic() - sent.at_s >= sent.retry_s

    def _due(self, sent: _Sent | None, what: str) -> float | None:
        """How long to wait for the receipt of what is sent now; None where it is not to be sent now."""
        now_s = time.monotonic()
        if sent is None:
            return self._retry_s
        if not sent.info.is_published():
            return None  # the network has it, and gives it to the next connection if this one breaks
        if sent.connection != self._link.connections:
            sent.connection, sent.at_s, sent.retry_s = self._link.connections, now_s, self._retry_s
            return None
        if now_s - sent.at_s < sent.retry_s:
            return None
        _log.info("%s has no receipt after %.0f s and is sent again", what, sent.retry_s)
        return min(2 * sent.retry_s, LONGEST_RETRY_FACTOR * self._retry_s)
