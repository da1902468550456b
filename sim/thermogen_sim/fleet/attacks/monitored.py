"""What `thermogen-verify monitor` says, by its own code, of a log or of several that it is shown one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from thermogen_esf.evidence.attestation.enrolment import vrf_keys
from thermogen_esf.evidence.attestation.log import Checkpoint
from thermogen_esf.evidence.attestation.monitoring import PublishedList
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.monitor.seen import SeenLog
from thermogen_esf.monitor.watching import Kept, look

from ..enrolling import Fleet, signing_key
from .trial import Judged


@dataclass(frozen=True)
class ShownLog:
    """A log as its keeper shows it at one time."""

    fleet: Fleet
    chain: Sequence[Checkpoint]
    shown: Sequence[bytes]

    def trust(self) -> Signed:
        """The fleet's list."""
        return self.fleet.signed_trust()

    def checkpoint(self, number: int) -> Signed | None:
        """A checkpoint as the cloud signs it."""
        return next((each.sign(signing_key("cloud-1")) for each in self.chain if each.number == number), None)

    def newest(self) -> int | None:
        """Its number."""
        return max((each.number for each in self.chain), default=None)

    def entries(self, first: int, last: int) -> list[bytes]:
        """Those that are shown."""
        return list(self.shown[first:last])


def monitored(*logs: ShownLog) -> Judged:
    """What a monitor says who looks at each of these in turn, up to the first that is not as it has to be."""
    fleet = logs[0].fleet
    known = {fleet.trust.hash: PublishedList(fleet.signed_trust(), fleet.trust, dict(vrf_keys([each.enrolment for each in fleet.entries])))}
    with TemporaryDirectory() as folder:
        seen = SeenLog(Path(folder) / "state", fleet.root.hash)
        try:
            for log in logs:
                found = look(log, seen, fleet.root, known, Kept())
                if found.wrong is not None:
                    return Judged(False, f"monitor, checkpoint {found.at}: {found.wrong.reason}")
        finally:
            seen.close()
    return Judged(True, "monitor: believed")
