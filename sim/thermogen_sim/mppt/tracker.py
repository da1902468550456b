"""The compiled tracker alone, exchange by exchange: for whoever brings strings of his own."""

from __future__ import annotations

import ctypes

import numpy as np
from thermogen_esf.points import ChannelState
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS

from .bench import library

_NUMBER = {parameter.identifier: number for number, parameter in enumerate(TRACKER_PARAMETERS)}


class CompiledTracker:
    """A tracker of one module. `exchange` takes the converters' 12 bits and gives duties in eighths of a count of 480."""

    def __init__(self, channels: int):
        self._library = library(channels)
        self._channels = channels
        self._tracker = ctypes.c_void_p(self._library.tz_tracker_new(channels))
        self._duties = np.zeros(channels, dtype=np.uint16)
        self._words = np.zeros(channels, dtype=np.uint32)
        self.set(**{parameter.identifier: parameter.default for parameter in TRACKER_PARAMETERS})
        self.levels()

    def close(self) -> None:
        """Free the model."""
        self._library.tz_tracker_delete(self._tracker)

    def set(self, **parameters: int) -> None:
        """Write parameters as the register file would."""
        for identifier, value in parameters.items():
            self._library.tz_tracker_parameter(self._tracker, _NUMBER[identifier], value)

    def levels(
        self,
        *,
        present: int = 1,
        converter_fault: int = 0,
        allowed: bool = True,
        hold: bool = False,
        shed: bool = False,
        autonomous: bool = False,
    ) -> None:
        """What protection, link and heartbeat say from the next exchange on."""
        self._library.tz_tracker_levels(self._tracker, present, converter_fault, allowed, hold, shed, autonomous)

    def exchange(self, raw: list[int], bus_mv: int) -> list[int]:
        """One pass; the duties that it ends with."""
        currents = np.array(raw, dtype=np.uint16)
        self._library.tz_tracker_exchange(self._tracker, currents.ctypes.data, bus_mv, self._duties.ctypes.data, self._words.ctypes.data)
        return [int(duty) for duty in self._duties]

    @property
    def states(self) -> list[ChannelState]:
        """Of all channels, after the last exchange."""
        return [ChannelState(int(word) & 7) for word in self._words]

    @property
    def overcurrent(self) -> bool:
        """A channel is off for over-current."""
        return bool(self._library.tz_tracker_flags(self._tracker) & 1)

    @property
    def reverse(self) -> bool:
        """A channel is off for reverse current."""
        return bool(self._library.tz_tracker_flags(self._tracker) & 2)
