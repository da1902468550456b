"""A daemon's node side in this process: everything between a node model and a buffer on disk, without broker and loop."""

from __future__ import annotations

from pathlib import Path

from thermogen_edge.alerts import Alerts
from thermogen_edge.boot import Boot
from thermogen_edge.buffer import Buffer, open_buffer
from thermogen_edge.clock_source import ClockError
from thermogen_edge.host_link.client import HostLinkClient
from thermogen_edge.host_link.transport import Transport
from thermogen_edge.leaf_collector import LeafCollector
from thermogen_edge.node import Node
from thermogen_edge.node_session import NodeSession, Seen
from thermogen_edge.profile import default_profile, parse_profile
from thermogen_edge.scada_settings import ScadaSettings
from thermogen_edge.scada_writes import ScadaWrites
from thermogen_edge.settings import DEFAULT_SCADA
from thermogen_edge.site_controller import SiteController
from thermogen_esf.frames import Alert, Batch, decode, site_identity
from thermogen_esf.signatures import SigningKey

from .node_model import DirectTransport, NodeModel

SITE = "tz-test-site"
KEY = SigningKey.from_seed(bytes(31) + b"S")
LIMIT_BYTES = 10_000_000


class ModelClock:
    """The model's own time; none while `broken`."""

    def __init__(self, model: NodeModel) -> None:
        self._model = model
        self.broken = False

    def fresh(self) -> int:
        if self.broken:
            raise ClockError("the test has no time")
        return self._model.plant_time_s

    def close(self) -> None:
        pass


class SiteParts:
    """One life of a daemon's node side; a new one over the same directory is the daemon started again."""

    def __init__(
        self,
        model: NodeModel,
        directory: Path,
        transport: Transport | None = None,
        limit_bytes: int = LIMIT_BYTES,
        scada: ScadaSettings = DEFAULT_SCADA,
        profile: bytes = default_profile(SITE),
    ) -> None:
        self.buffer: Buffer = open_buffer(directory / "buffer.sqlite", limit_bytes)
        self.node = Node(HostLinkClient(transport or DirectTransport(model)))
        self.clock = ModelClock(model)
        self.published_alerts: list[bytes] = []
        self.live: list[bytes] = []
        site = site_identity(SITE)
        parsed = parse_profile(profile)
        self.alerts = Alerts(self.buffer, site, self.published_alerts.append)
        collector = LeafCollector(self.node, self.buffer, site, KEY, self.alerts)
        boot = Boot(self.node, self.buffer, self.clock, collector, parsed, site, self.alerts)
        self.controller = SiteController(self.node, self.buffer, parsed, self.alerts)
        self.writes = ScadaWrites(self.node.network, scada, self.buffer, site, KEY)
        self.session = NodeSession(self.node, boot, collector, self.controller, self.alerts, self._supplied, self.live.append, self.writes)

    def look(self) -> Seen:
        """Once round, until the node has nothing more."""
        while (seen := self.session.look()).more:
            pass
        return seen

    def live_on(self, model: NodeModel, seconds: int, look_each_s: int = 100) -> None:
        """Lets the site live, looking now and then."""
        for _ in range(0, seconds, look_each_s):
            model.tick(look_each_s)
            self.look()

    def alert_codes(self, raised: bool = True) -> list[int]:
        """Codes of the alerts published, raised or cleared ones."""
        alerts = [decode(data) for data in self.published_alerts]
        return [alert.code for alert in alerts if isinstance(alert, Alert) and alert.raised is raised]

    def batches(self) -> list[Batch]:
        """All batches in the buffer."""
        return [decode(self.buffer.frame(batch)) for batch in self.buffer.wanted(10_000)]  # type: ignore[misc, arg-type]

    def close(self) -> None:
        self.buffer.close()

    def _supplied(self, time_s: int) -> dict[str, int]:
        return {"site_state": self.controller.state, "buffer_frames": self.buffer.depth(time_s).frames}
