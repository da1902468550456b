"""A day of a fleet from measurement to proof bundle, in memory: one site measures and seals, the others are drawn and say what they find.

Every step can be bent before the next one is made, so that an attack is a day with one thing different.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.draw import NEXT_ATTEMPT_S, Drawing, is_drawn
from thermogen_esf.evidence.attestation.enrolment import vrf_keys
from thermogen_esf.evidence.attestation.log import Checkpoint, Log, day_entry, seal_entry, statement_entry, trust_entry
from thermogen_esf.evidence.attestation.proof_bundle import EnrolledBytes, Entry, ProofBundle, StatementBytes, encode_frames
from thermogen_esf.evidence.attestation.quorum import Findings, Outcome, decide
from thermogen_esf.evidence.attestation.recompute import Recomputed, recompute_day, signed_for
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Opinion, Statement, judge_statement
from thermogen_esf.evidence.catalogue import rule
from thermogen_esf.frames import decode, frame_hash
from thermogen_esf.vrf import output

from .enrolling import NOW, Fleet, signing_key
from .node import DAY, SealingNode
from .synthetic_site import Bend, SyntheticSite

METHODOLOGY = "TZ-DISPLACED-GRID"
MINUTE_S = 60
NEXT_DAY = NOW + 86_400


@dataclass
class AttestedDay:
    """One day of the fleet's first site. `epochs` of it are measured, each with `leaves` leaves."""

    fleet: Fleet
    epochs: int = 4
    leaves: int = 90
    scale: int = 9
    """Times 1.05 kW, which is what the site's nameplate has to allow."""
    batches: dict[int, bytes] = field(default_factory=dict)
    """By epoch, as published."""
    say: Callable[[SealingNode, Statement], Statement | None] = lambda _node, statement: statement
    """What a witness makes of the statement that it came to; None: it stays silent."""
    statements: list[tuple[SealingNode, Signed, int]] = field(default_factory=list)
    """Witness, statement, index of its entry."""
    chain: list[Checkpoint] = field(default_factory=list)
    history_mj: tuple[int, ...] = ()
    further: dict[int, list[bytes]] = field(default_factory=dict)
    """By epoch, what else is published as its batch."""
    before: dict[int, SyntheticSite] = field(default_factory=dict)
    """By epoch, the site as it was before it measured it: to make another batch of it."""
    consider: Callable[[AttestedDay, SealingNode], Statement | None] = lambda day, node: day.found_by(node)
    """What a site comes to on the day, None where it is not drawn; the daemon's witness can stand here."""
    silent: frozenset[str] = frozenset()
    """Sites whose seals the beacon's checkpoint does not get."""
    early: frozenset[str] = frozenset()
    """Sites whose seals come into the log with the day's root and not, like the others', a minute after it."""
    two_roots: bool = False
    two_seals: bool = False
    attempt: int = 1

    def __post_init__(self) -> None:
        self.log = Log(self.fleet.root.hash)
        self.trust_index = self.log.append(trust_entry(self.fleet.trust.hash))
        self.node = self.fleet.nodes[0]
        self.enrolment = self.fleet.entry(self.node).enrolment
        self.site = SyntheticSite(self.node.name, signing_key(self.node.name), clocks=50_000_000, scale=self.scale)

    def hashes(self, _sequence: int, _raw: dict[str, int]) -> dict[str, int]:
        """Profile and calibration in each leaf: the one is the host's word, the other what the node measures with."""
        found = {"profile_hash": self.enrolment.profile_hash, "calibration_hash": self.node.calibration}
        return {name: int.from_bytes(value, "big") for name, value in found.items()}

    def measure(self, bend: Bend | None = None) -> None:
        """The site measures, signs and seals its epochs."""
        for number in range(self.epochs):
            self.measure_epoch(number, bend)

    def measure_epoch(self, number: int, bend: Bend | None = None) -> None:
        """The site measures, signs and seals an epoch, by its number within the day."""
        epoch = DAY * 96 + number
        self.before[epoch] = replace(self.site, batches=[])
        batch = self.site.epoch(epoch, self.leaves, bend=bend or self.hashes)
        frame = decode(batch)
        self.batches[epoch] = batch
        self.node.seal(epoch, root=frame.root, leaf_count=len(frame.leaves))  # type: ignore[union-attr]

    def close(self) -> Day:
        """The day closes, its root comes into the log, and a minute later the other sites' seals make the beacon that draws."""
        first = DAY * 96
        before = [seal for seal in self.node.seals if seal.day < DAY]
        sealed = tuple(seal for seal in self.node.seals if seal.day == DAY)
        day = Day(sealed, self.node.seal(first + 96), before[-1] if before else None)
        self._checkpoint(NEXT_DAY)
        others = [node for node in self.fleet.nodes[1:] if node.name not in self.silent]
        before_root = [node.seal(first + 96) for node in others if node.name in self.early]
        for seal in (*day.seals, day.closing, *before_root):
            self.log.append(seal_entry(seal))
        self.day, self.day_index = day, self.log.append(day_entry(day))
        self._checkpoint(NEXT_DAY + MINUTE_S)
        self.contributions = [node.seal(first + 96) for node in others if node.name not in self.early]
        self._draw(self.chain[-1].time + MINUTE_S)
        return day

    def _draw(self, time: int) -> None:
        for seal in self.contributions:
            self.log.append(seal_entry(seal))
        self.drawn = self._checkpoint(time)
        self.drawing = Drawing(self.day.site, self.day.number, self.day.root, self.drawn.number, self.drawn.beacon)

    def draw_again(self, log_again: bool) -> None:
        """Another beacon is made and used, a minute later; where the root is logged again, as if that had been its first time."""
        if log_again:
            self.day_index = self.log.append(day_entry(self.day))
            self._checkpoint(self.chain[-1].time + MINUTE_S)
        self.contributions = [node.seal(DAY * 96 + 97) for node in self.fleet.nodes[1:]]
        self._draw(self.chain[-1].time + MINUTE_S)

    def next_attempt(self) -> None:
        """The window passes, and the first beacon a quarter of an hour after the last draws again."""
        self.end_window()
        self.attempt += 1
        self.contributions = [node.seal(DAY * 96 + 97) for node in self.fleet.nodes[1:]]
        self._draw(self.drawn.time + NEXT_ATTEMPT_S)

    def witness(self) -> None:
        """The day closes, and its witnesses are heard."""
        self.close()
        self.hear()

    def hear(self) -> None:
        """All that are drawn recompute what is published and publish what they found; then the window passes."""
        for node in self.fleet.nodes[1:]:
            came_to = self.consider(self, node)
            said = None if came_to is None else self.say(node, came_to)
            if said is not None:
                self.publish(node, said)
        self.end_window()

    def end_window(self) -> None:
        """What was said comes into the log, and the window passes."""
        self._checkpoint(self.drawn.time + MINUTE_S)
        self._checkpoint(self.drawn.time + 6 * MINUTE_S)

    @property
    def published(self) -> dict[int, list[bytes]]:
        """All batches that a witness takes of what it can fetch, by epoch."""
        fetched = {epoch: [batch, *self.further.get(epoch, [])] for epoch, batch in self.batches.items()}
        return {epoch: list(signed_for(self.enrolment, epoch, batches)) for epoch, batches in fetched.items()}

    @cached_property
    def recomputed(self) -> Recomputed:
        """What anybody comes to who has what is published."""
        return recompute_day(self.day, self.enrolment, self.fleet.trust.as_batch_trust([self.enrolment.site_key]), self.published)

    def found_by(self, node: SealingNode) -> Statement | None:
        """What an honest witness comes to, by the rules alone; None where it is not drawn."""
        proof, found = node.draw(self.drawing), self.recomputed
        if not is_drawn(output(proof), self.fleet.trust.site_count - 1):
            return None
        epoch = found.epoch if found.opinion is Opinion.DISSENT else None
        return Statement(self.drawing, node.identity, proof, found.opinion, found.why, epoch, found.claims, self.drawn.time + MINUTE_S)

    def publish(self, node: SealingNode, statement: Statement) -> Signed:
        """Sign a statement with its witness's key and log it."""
        signed = statement.sign(signing_key(node.name))
        self.statements.append((node, signed, self.log.append(statement_entry(statement.hash))))
        return signed

    def _checkpoint(self, time: int) -> Checkpoint:
        self.chain.append(self.log.checkpoint(time))
        return self.chain[-1]

    @cached_property
    def outcome(self) -> Outcome:
        """What the cloud makes of the statements."""
        trust = self.fleet.trust
        heard = [
            judge_statement(signed, self.drawing, self.fleet.entry(node), trust, self.drawn.time, self._holding(index).time)
            for node, signed, index in self.statements
        ]
        drawn_at = self.drawn.time if self.drawn.draws else None
        findings = Findings(trust.site_count, self.attempt, drawn_at, self.chain[-1].time, self.history_mj, self.two_seals, self.two_roots)
        return decide(heard, findings)

    def _holding(self, index: int) -> Checkpoint:
        return next(each for each in self.chain if each.size > index)

    def attestation(self, **changes: Any) -> Attestation:
        """What the cloud emits."""
        outcome, methodology = self.outcome, rule(METHODOLOGY)
        assert outcome.energy_mj is not None and outcome.gas is not None and outcome.label is not None, outcome
        amount, carry_out = methodology.amount(outcome.energy_mj, outcome.gas, 0, None)
        values: dict[str, Any] = {
            "site": self.node.name,
            "day": self.day.number,
            "root": self.day.root,
            "attempt": self.attempt,
            "beacon_number": self.drawing.beacon_number,
            "state": outcome.state,
            "label": outcome.label,
            "agreeing": outcome.agreeing,
            "received": outcome.received,
            "energy_mj": outcome.energy_mj,
            "gas": outcome.gas,
            "methodology": methodology.identifier,
            "methodology_hash": methodology.hash,
            "baseline_evidence": None,
            "carry_in": 0,
            "carry_out": carry_out,
            "amount": amount,
            "history_mj": self.history_mj,
            "previous": None,
        }
        return Attestation(**{**values, **changes})

    def entry(self, index: int, checkpoint: Checkpoint | None = None) -> Entry:
        """Where an entry lies, by default at the first checkpoint that holds it."""
        held = checkpoint or self._holding(index)
        return Entry(index, held.number, tuple(self.log.inclusion(index, held.size)))

    def enrolled(self, node: SealingNode) -> EnrolledBytes:
        """A node's enrolment as a bundle carries it."""
        entry = self.fleet.entry(node)
        return EnrolledBytes(entry.index, entry.proof, entry.enrolment.encode())

    def bundle(self, attestation: Attestation | None = None, **changes: Any) -> ProofBundle:
        """The day's proof bundle; `changes` replace its parts."""
        nodes = [self.node, *(node for node, _, _ in self.statements)]
        statements = tuple(
            StatementBytes(place, self.entry(index), signed.encode()) for place, (_, signed, index) in enumerate(self.statements, 1)
        )
        keys: Sequence[tuple[bytes, bytes]] = vrf_keys([each.enrolment for each in self.fleet.entries])
        values: dict[str, Any] = {
            "attestation": (attestation or self.attestation()).sign(signing_key("cloud-1")).encode(),
            "methodology": rule(METHODOLOGY).document,
            "trust": self.fleet.signed_trust().encode(),
            "enrolments": tuple(self.enrolled(node) for node in nodes),
            "opening": b"" if self.day.opening is None else self.day.opening.encode(),
            "seals": tuple(seal.encode() for seal in (*self.day.seals, self.day.closing)),
            "batch_hashes": tuple(frame_hash(self.batches[seal.epoch]) for seal in self.day.seals),
            "checkpoints": tuple(each.encode() for each in self.chain),
            "last_checkpoint": self.chain[-1].sign(signing_key("cloud-1")).encode(),
            "trust_entry": self.entry(self.trust_index),
            "day_entry": self.entry(self.day_index),
            "attempt": self.attempt,
            "statements": statements,
            "vrf_keys": tuple(keys),
            "contributions": tuple(seal.encode() for seal in self.contributions),
        }
        return ProofBundle(**{**values, **changes})

    def frames(self) -> bytes:
        """The companion."""
        return encode_frames([self.batches[seal.epoch] for seal in self.day.seals])
