"""Commands that came, what they ask for, and the answers that wait for the uplink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..node import Trip
from .database import Database


@dataclass(frozen=True, slots=True)
class Setpoints:
    """What commands have asked for; `current_limit_ma` None leaves it to the profile."""

    enable: bool
    current_limit_ma: int | None


class CommandLog:
    """The buffer's side of commands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def result(self, key_id: bytes, sequence: int) -> int | None:
        """The result that a command had, if it came before."""
        row = self._database.row("SELECT result FROM commands WHERE key_id = ? AND sequence = ?", key_id, sequence)
        return None if row is None else int(row[0])

    def record(self, key_id: bytes, sequence: int, result: int, effect: Callable[[], object], answer: Callable[[int], bytes]) -> None:
        """In one transaction: that the command came, what it does to the buffer, and its answer. `answer` gets the answer's number."""
        with self._database.transaction():
            self._database.change("INSERT INTO commands VALUES (?, ?, ?)", key_id, sequence, result)
            effect()
            self.answer(answer)

    def answer(self, make: Callable[[int], bytes]) -> None:
        """Stores an answer until the broker takes it."""
        with self._database.transaction():
            (number,) = self._database.counters("next_acknowledgement")
            self._database.change("INSERT INTO acknowledgements VALUES (?, ?)", number, make(number))
            self._database.set_counters(next_acknowledgement=number + 1)

    def answers(self, count: int) -> list[tuple[int, bytes]]:
        """The first `count` answers that the broker has not taken: number and frame."""
        return [
            (number, frame)
            for number, frame in self._database.rows("SELECT number, frame FROM acknowledgements ORDER BY number LIMIT ?", count)
        ]

    def drop_answer(self, number: int) -> None:
        """The broker has taken it."""
        with self._database.transaction():
            self._database.change("DELETE FROM acknowledgements WHERE number = ?", number)

    def set_enable(self, enable: bool) -> None:
        """What SET_ENABLE asked for."""
        with self._database.transaction():
            self._database.set_counters(enable=int(enable))

    def set_current_limit(self, limit_ma: int) -> None:
        """What SET_CURRENT_LIMIT asked for."""
        with self._database.transaction():
            self._database.set_counters(current_limit_ma=limit_ma)

    @property
    def latched_trip(self) -> Trip | None:
        """The trip that the node last showed as latched."""
        return _trip(self._database.counters("trip_cause", "trip_time"))

    def set_latched_trip(self, trip: Trip | None) -> None:
        """What the node shows; a wish to clear another one is forgotten."""
        cause, time_s = (None, None) if trip is None else (trip.cause, trip.time_s)
        with self._database.transaction():
            self._database.set_counters(trip_cause=cause, trip_time=time_s, clear_cause=None, clear_time=None)

    def set_trip_to_clear(self, trip: Trip) -> None:
        """What CLEAR_TRIP asked for."""
        with self._database.transaction():
            self._database.set_counters(clear_cause=trip.cause, clear_time=trip.time_s)

    def take_trip_to_clear(self) -> Trip | None:
        """What CLEAR_TRIP asked for, once: who wants a second try sends a second command."""
        wanted = _trip(self._database.counters("clear_cause", "clear_time"))
        if wanted is not None:
            with self._database.transaction():
                self._database.set_counters(clear_cause=None, clear_time=None)
        return wanted

    @property
    def setpoints(self) -> Setpoints:
        """What commands have asked for, up to now."""
        enable, limit_ma = self._database.counters("enable", "current_limit_ma")
        return Setpoints(bool(enable), limit_ma)


def _trip(row: tuple[int | None, int | None]) -> Trip | None:
    cause, time_s = row
    return None if cause is None or time_s is None else Trip(cause, time_s)
