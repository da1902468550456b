"""Raising alerts: numbered, kept for the next batch, and sent at once where there is a link."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from thermogen_esf.frames import MAX_TEXT_BYTES, Alert, Header, encode
from thermogen_esf.points import POINT

from .buffer import Buffer, BufferError
from .monitors import Alarm
from .site_time import UNKNOWN, SiteTime

_log = logging.getLogger(__name__)


class Alerts:
    """Turns alarms into alert frames. `now` is the site time that they carry; `publish` sends a frame if it can."""

    def __init__(self, buffer: Buffer, site: bytes, publish: Callable[[bytes], None]) -> None:
        self._buffer = buffer
        self._site = site
        self._publish = publish
        self._lasting: set[str] = set()
        self.now: SiteTime = UNKNOWN

    def lasting(self, alarm: Alarm, active: bool) -> None:
        """Raises `alarm` when it becomes active and clears it when it ends; in between it says nothing."""
        if active and alarm.text not in self._lasting:
            self._lasting.add(alarm.text)
            self.raise_(alarm)
        elif not active and alarm.text in self._lasting:
            self._lasting.remove(alarm.text)
            self.raise_(replace(alarm, raised=False))

    def raise_(self, alarm: Alarm) -> None:
        """Raises or clears. Where the disk is full the alert is sent only, under the number 2**32 - 1, which no stored one reaches."""
        _say(alarm)
        try:
            frame = self._stored(alarm)
        except BufferError as error:
            _log.error("the alert could not be stored: %s", error)
            frame = self._frame(alarm, 0xFFFFFFFF)
        self._publish(frame)

    def raise_with(self, alarms: Sequence[Alarm], effect: Callable[[], object]) -> None:
        """Raises or clears in one transaction with what `effect` does to the buffer, so that neither is there without the other.

        They are sent once that is on disk. BufferError leaves everything undone and nothing said.
        """
        with self._buffer.database.transaction():
            effect()
            frames = [self._stored(alarm) for alarm in alarms]
        for alarm, frame in zip(alarms, frames, strict=True):
            _say(alarm)
            self._publish(frame)

    def _stored(self, alarm: Alarm) -> bytes:
        return self._buffer.add_alert(lambda number: self._frame(alarm, number))

    def _frame(self, alarm: Alarm, number: int) -> bytes:
        return encode(
            Alert(
                header=Header(self._site, number, self.now.unix_s, self.now.quality),
                code=alarm.code,
                severity=alarm.severity,
                raised=alarm.raised,
                point=POINT[alarm.point].number if alarm.point else 0,
                value=alarm.value,
                threshold=alarm.threshold,
                text=shortened(alarm.text),
            )
        )


def _say(alarm: Alarm) -> None:
    _log.log(
        logging.WARNING if alarm.raised else logging.INFO,
        "%s %s (%s): %s",
        "raised" if alarm.raised else "cleared",
        alarm.code.name.lower(),
        alarm.severity.name.lower(),
        alarm.text,
    )


def shortened(text: str) -> str:
    """`text`, cut to what a frame carries."""
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
