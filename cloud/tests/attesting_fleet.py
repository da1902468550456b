"""A fleet of six sites as the cloud meets it: seals and batches as messages, the daemon's witness at each site, a clock to turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from thermogen_cloud.attestation_log import AttestationLog
from thermogen_cloud.attestation_trust import AttestationTrust, adopt
from thermogen_cloud.attesting import Attestor
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.methodology_choices import MethodologyChoices
from thermogen_cloud.registry import Registry
from thermogen_edge.witness import FetchError, Witness
from thermogen_esf.evidence.attestation.exchange import Announcement, encode_seals
from thermogen_esf.evidence.attestation.statement import Statement
from thermogen_esf.frames import decode
from thermogen_sim.fleet.enrolling import Fleet, signing_key
from thermogen_sim.fleet.node import DAY, SealingNode
from thermogen_sim.fleet.synthetic_site import SyntheticSite

FIRST = DAY * 96
MIDNIGHT = (DAY + 1) * 86_400
SCALE = 9
METHODOLOGY = "TZ-DISPLACED-GRID"

Say = Callable[[SealingNode, Statement], Statement | None]


def write_trust(fleet: Fleet, folder: Path) -> tuple[Path, Path, Path]:
    """Pin, signed list and enrolments as the ceremony leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sites").mkdir(exist_ok=True)
    for former in (folder / "sites").iterdir():
        former.unlink()
    (folder / "root.json").write_bytes(fleet.root.encode())
    (folder / "trust.signed").write_bytes(fleet.signed_trust().encode())
    for entry in fleet.entries:
        (folder / "sites" / f"{entry.enrolment.name}.json").write_bytes(entry.enrolment.encode())
    return folder / "root.json", folder / "trust.signed", folder / "sites"


def large_fleet(sites: int = 6, operators: int = 6) -> Fleet:
    """A fleet whose first site has room for its energy."""
    fleet = Fleet.of(sites, operators)
    fleet.changes = {fleet.nodes[0].name: {"nameplate_w": 1_140 * SCALE}}
    return fleet


@dataclass
class AttestingCloud:
    """An attestor over a fleet; its first site measures."""

    folder: Path
    fleet: Fleet = field(default_factory=large_fleet)
    now: int = MIDNIGHT
    batches: dict[int, bytes] = field(default_factory=dict)
    registry_of: Any = None
    """A cloud whose registry it works in; None: one of its own."""

    def __post_init__(self) -> None:
        directory = CloudDirectory(self.folder / "cloud")
        directory.create()
        self.directory = directory
        self.registry = Registry(directory.registry) if self.registry_of is None else self.registry_of.registry
        self.adopt()
        self.site = SyntheticSite(self.node.name, signing_key(self.node.name), clocks=50_000_000, scale=SCALE)
        self.open()

    def open(self) -> None:
        """Opens everything as a process does at its start; again, after it was closed."""
        trust = AttestationTrust.load(self.directory)
        assert trust is not None
        log = AttestationLog(self.registry, trust.root.hash, signing_key("cloud-1"))
        self.methodologies = MethodologyChoices(self.directory)
        self.attestor = Attestor(self.registry, log, trust, self.methodologies, lambda: self.now)

    def next_list(self, nodes: list[SealingNode]) -> None:
        """The root keys sign a list over these nodes that follows the one in force, and the cloud adopts it."""
        before = self.fleet.trust
        self.fleet = Fleet(nodes, self.fleet.operators, self.fleet.changes)
        self.fleet.__dict__["trust"] = replace(self.fleet.trust, revision=before.revision + 1, previous=before.hash)
        self.adopt()

    def adopt(self) -> None:
        """The cloud takes the fleet's list; what enrols its sites for batches is each test's."""
        files = write_trust(self.fleet, self.folder / "ceremony")
        adopt(self.directory, *files, signing_key("cloud-1").public_key, self.now, lambda _: None)

    def replace_board(self) -> SealingNode:
        """The first site gets another board, with a key of its own and a certificate, and a list that says so; the board that goes."""
        old = self.node
        self.next_list([SealingNode.named(old.name, seed=self.fleet.trust.revision), *self.fleet.nodes[1:]])
        self.open()
        return old

    @property
    def node(self) -> SealingNode:
        """The first site's."""
        return self.fleet.nodes[0]

    def measure(self, epochs: int = 3, first: int = FIRST) -> None:
        """The first site measures, seals and sends its seals, with the one that closes the day of the last."""
        enrolment = self.fleet.entry(self.node).enrolment
        hashes = {name: int.from_bytes(getattr(enrolment, name), "big") for name in ("profile_hash", "calibration_hash")}
        for epoch in range(first, first + epochs):
            self.batches[epoch] = self.site.epoch(epoch, bend=lambda _sequence, _raw: hashes)
            frame = decode(self.batches[epoch])
            self.node.seal(epoch, root=frame.root, leaf_count=len(frame.leaves))  # type: ignore[union-attr]
        last = first + max(epochs - 1, 0)
        self.node.seal(last // 96 * 96 + 96)
        self.attestor.take_seals(encode_seals(self.node.seals[-epochs - 1 :]))

    def round(self, after_s: int = 60) -> None:
        """The clock turns, and a round is made."""
        self.now += after_s
        self.attestor.round()

    def others_seal(self, epoch: int = FIRST + 96) -> None:
        """Every other site sends a seal."""
        for node in self.fleet.nodes[1:]:
            self.attestor.take_seals(encode_seals([node.seal(epoch)]))

    def drawn(self, epoch: int = FIRST + 96) -> Announcement:
        """The day is logged, the others' seals make the beacon, and its drawing is announced."""
        self.round()
        self.others_seal(epoch)
        self.round()
        (announced,) = self.attestor.announcements()
        return Announcement.parse(announced.encode())

    def witness(self, announced: Announcement, say: Say = lambda _node, statement: statement) -> None:
        """Every other site's daemon considers the drawing; `say` bends what it comes to."""
        for node in self.fleet.nodes[1:]:
            witness = Witness(node.identity, node, signing_key(node.name), lambda: self.now)
            drawn = self.fleet.entry(self.node).enrolment
            signed = witness.consider(announced.drawing, announced.day, drawn, self.fleet.trust, self.fetch, announced.until)
            said = None if signed is None else say(node, Statement.parse(signed.document))
            if said is not None:
                self.attestor.take_statement(said.sign(signing_key(node.name)).encode())

    def fetch(self, epoch: int) -> list[bytes]:
        """What is published."""
        if epoch not in self.batches:
            raise FetchError("it is not there")
        return [self.batches[epoch]]

    def states(self) -> list[tuple[int, str]]:
        """Attempt and state of the first site's newest day, the first attempt first."""
        return [(row.attempt, str(row.state)) for row in reversed(self.attestor.days.of(self.node.name)) if row.day == DAY]

    def row(self) -> Any:
        """The newest attempt."""
        return self.attestor.days.of(self.node.name)[0]
