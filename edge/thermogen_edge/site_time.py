"""Site time, as the node counts it."""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.points import TimeQuality

from .node import NodeStatus


@dataclass(frozen=True, slots=True)
class SiteTime:
    """A site second, and how far it can be trusted."""

    unix_s: int
    quality: TimeQuality

    @classmethod
    def of(cls, status: NodeStatus) -> SiteTime | None:
        """The node's time; None where it has none."""
        if NodeFlag.TIME_VALID not in status.flags:
            return None
        return cls(status.time_s, TimeQuality.PULSE if NodeFlag.PULSE_GOOD in status.flags else TimeQuality.FREE_RUNNING)


UNKNOWN = SiteTime(0, TimeQuality.UNSET)
