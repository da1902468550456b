"""Commands from the cloud: listed, bounded, signed, in time, and at most once.

What a command does is written in the transaction that remembers it, as a level that the daemon then brings to the node: a crash
between the two loses nothing and repeats nothing. Bytes that no pinned key signed get no answer, so that nobody can make the site sign
acknowledgements for commands that the cloud never gave.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from thermogen_esf.frames import (
    Acknowledgement,
    AlertCode,
    Command,
    CommandCode,
    FrameError,
    Header,
    Result,
    Severity,
    decode,
    encode,
    sign_frame,
)
from thermogen_esf.signatures import SigningKey

from .alerts import Alerts, shortened
from .buffer import Buffer, CommandLog
from .cloud_keys import CloudKeys
from .monitors import Alarm
from .node import Trip
from .profile import MAX_CURRENT_LIMIT_MA
from .site_time import SiteTime

_log = logging.getLogger(__name__)
_MAX_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Allowed:
    """A command that is listed: which arguments it takes, how that is said, what it does to the buffer, and whether it can be done now."""

    within: Callable[[int, int], bool]
    bounds: str
    text: str
    effect: Callable[[Buffer, CommandLog, int, int], object]
    possible: Callable[[CommandLog, int, int], bool] = lambda *_: True
    impossible: str = ""


_ALLOWED: dict[int, Allowed] = {
    CommandCode.RESEND_BATCHES: Allowed(
        lambda first, last: 0 <= first <= last <= _MAX_U32,
        "give first and last epoch, the first not after the last",
        "epochs {} to {}: what is still held is sent again",
        lambda buffer, _, first, last: buffer.want_again(first, last),
    ),
    CommandCode.SET_CURRENT_LIMIT: Allowed(
        lambda limit_ma, zero: 0 <= limit_ma <= MAX_CURRENT_LIMIT_MA and zero == 0,
        f"give 0 to {MAX_CURRENT_LIMIT_MA} mA, and 0",
        "{} mA at most, less where the site's state asks for it",
        lambda _, log, limit_ma, __: log.set_current_limit(limit_ma),
    ),
    CommandCode.SET_ENABLE: Allowed(
        lambda enable, zero: enable in (0, 1) and zero == 0,
        "give 0 or 1, and 0",
        "enable is {}; the site's state still has to allow it",
        lambda _, log, enable, __: log.set_enable(bool(enable)),
    ),
    CommandCode.CLEAR_TRIP: Allowed(
        lambda cause, time_s: 0 < cause <= _MAX_U32 and 0 <= time_s <= _MAX_U32,
        "give cause and time of the trip, as its alert names them",
        "trip {0:#x} of {1} is cleared if its cause is gone; an alert says so if not",
        lambda _, log, cause, time_s: log.set_trip_to_clear(Trip(cause, time_s)),
        lambda log, cause, time_s: log.latched_trip == Trip(cause, time_s),
        "no such trip is latched: give cause and time of the one that is",
    ),
}
"""Every remote write there is. What is not here, or out of these bounds, is refused."""


class Commands:
    """Takes commands as they come from the broker."""

    def __init__(self, buffer: Buffer, site: bytes, key: SigningKey, cloud_keys: CloudKeys, alerts: Alerts) -> None:
        self._buffer = buffer
        self._log = CommandLog(buffer.database)
        self._site = site
        self._key = key
        self._cloud_keys = cloud_keys
        self._alerts = alerts

    def take(self, data: bytes, now: SiteTime) -> None:
        """Judges and does what `data` asks; the answer waits in the buffer for the uplink. BufferError where that cannot be stored."""
        try:
            command = decode(data)
        except FrameError as error:
            self._refuse_unanswered(f"not a frame: {error}")
            return
        if not isinstance(command, Command) or command.header.site != self._site:
            self._refuse_unanswered("not a command for this site")
        elif not self._cloud_keys.signed(command, data):
            self._refuse_unanswered(f"command {command.header.sequence} is not signed by a pinned key")
        else:
            self._answer(command, now)

    def _answer(self, command: Command, now: SiteTime) -> None:
        sequence = command.header.sequence
        earlier = self._log.result(command.key_id, sequence)
        if earlier is not None:
            text = f"came before; the result was {Result(earlier).name.lower()}"
            self._log.answer(self._acknowledgement(sequence, Result.REPEATED, text, now))
            return
        result, text, effect = self._judge(command, now)
        _log.info("command %d (%d): %s, %s", sequence, command.code, result.name.lower(), text)
        self._log.record(command.key_id, sequence, result, effect, self._acknowledgement(sequence, result, text, now))

    def _judge(self, command: Command, now: SiteTime) -> tuple[Result, str, Callable[[], object]]:
        if now.unix_s > command.expires_at:
            return Result.EXPIRED, f"its life ended {now.unix_s - command.expires_at} s ago", _nothing
        allowed = _ALLOWED.get(command.code)
        if allowed is None:
            return Result.UNKNOWN, f"this daemon does not know command {command.code}", _nothing
        first, second = command.arguments
        if not allowed.within(first, second):
            return Result.REFUSED, allowed.bounds, _nothing
        if not allowed.possible(self._log, first, second):
            return Result.REFUSED, allowed.impossible, _nothing
        return Result.DONE, allowed.text.format(first, second), lambda: allowed.effect(self._buffer, self._log, first, second)

    def _acknowledgement(self, sequence: int, result: Result, text: str, now: SiteTime) -> Callable[[int], bytes]:
        def make(number: int) -> bytes:
            header = Header(self._site, number, now.unix_s, now.quality)
            return encode(sign_frame(Acknowledgement(header, sequence, result, shortened(text)), self._key))

        return make

    def _refuse_unanswered(self, reason: str) -> None:
        self._alerts.raise_(Alarm(AlertCode.COMMAND_REFUSED, Severity.WARNING, reason))


def _nothing() -> None:
    """The effect of a command that was not executed."""
