"""Whether an attested day is believed: the eight steps, each done again from the bundle, its companion and the pinned root keys.

1 signatures, 2 VRF proofs, 3 quorum, 4 Merkle roots, 5 claims, 6 baseline, 7 calculation, 8 attestation. The first step that fails is named
with what is wrong; the steps after it are not made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha3_256
from itertools import pairwise

from ..approval import Approval, judge_approval
from ..catalogue import CUSTOM, Refusal, Rule, catalogue, custom
from ..check import Check, Reason, passed, refused, undecided
from ..errors import EvidenceError
from ..trust import PRODUCT_CLOCKS_PER_SITE_SECOND
from .attested import Attestation
from .attested_twice import OtherBundle, emitted_by, judge_other
from .beacon import judge_contributions
from .chain import two_seals
from .day import Day, judge_day
from .draw import Drawing, drawing_checkpoint, judge_drawing
from .enrolment import Enrolled, Enrolment, judge_enrolment, vrf_keys_root
from .log import Checkpoint, day_entry, judge_checkpoint, judge_first_beacon, judge_inclusion, judge_successor, statement_entry, trust_entry
from .proof_bundle import EnrolledBytes, Entry, ProofBundle, parse_frames, parse_statement
from .proof_report import ProofReport, Step
from .quorum import BASELINE_DAYS, BASELINE_PERCENT, DayState, Findings, Outcome, decide, off_baseline
from .recompute import Recomputed, recompute_day
from .seal import Seal
from .signed import Signed
from .statement import Claims, Heard, Opinion, judge_statement
from .trust import FleetTrust, RootKeys, judge_trust

NEVER_LOGGED = 2**32 - 1
"""Later than any window ends, in Unix seconds: a statement of which no entry is shown is no vote."""
BY_A_PERSON = frozenset((DayState.CLAIMS_DISAGREE, DayState.OFF_BASELINE))
"""States that mint after a person approved."""


def verify_proof(
    data: bytes,
    root: RootKeys,
    frames: bytes | None = None,
    statements: Sequence[bytes] = (),
    seals: Sequence[bytes] = (),
    least_revision: int | None = None,
    bundles: Sequence[OtherBundle] = (),
) -> ProofReport:
    """Judge a proof bundle. EvidenceError where bytes cannot be read as what they should be.

    `frames` is the companion; `statements` are loose ones (`encode_statement`) and `seals` further seals of the site, which a bundle may
    have left out and somebody kept. `least_revision` is the trust list's that the verifier knows to have been in the log before the
    beacon: no bundle shows that a list was the newest. `bundles` are others that somebody kept: one of the same day may attest it twice.
    """
    bundle = ProofBundle.parse(data)
    verification = _Verification(bundle, root, ProofReport(root.hash, sha3_256(data).digest()), least_revision)
    verification.loose = [parse_statement(each) for each in statements]
    verification.further_seals = [Seal.decode(each) for each in seals]
    verification.frames = None if frames is None else parse_frames(frames)
    verification.others = bundles
    verification.run()
    return verification.report


class _StoppedError(Exception):
    """A step refused and nothing after it can be judged."""


@dataclass
class _Verification:
    bundle: ProofBundle
    root: RootKeys
    report: ProofReport
    least_revision: int | None = None
    loose: list[tuple[EnrolledBytes, bytes]] = field(default_factory=list)
    further_seals: list[Seal] = field(default_factory=list)
    frames: tuple[bytes, ...] | None = None
    others: Sequence[OtherBundle] = ()

    def run(self) -> None:
        bundle = self.bundle
        self.emitted = Signed.parse(bundle.attestation)
        self.attestation = self.report.attestation = Attestation.parse(self.emitted.document)
        seals = [Seal.decode(each) for each in bundle.seals]
        self.day = Day(tuple(seals[:-1]), seals[-1], Seal.decode(bundle.opening) if bundle.opening else None)
        self.chain = [Checkpoint.parse(each) for each in bundle.checkpoints]
        self.enrolments = [Enrolled(Enrolment.parse(each.document), each.index, each.proof) for each in bundle.enrolments]
        try:
            self._signatures()
            self._vrf_proofs()
            self._quorum()
            self._merkle_roots()
            self._claims()
            self._baseline()
            self._calculation()
            self._attestation()
        except _StoppedError:
            return
        self._rests_on()

    def _step(self, title: str, checks: Sequence[Check]) -> None:
        self.report.steps.append(Step(f"{len(self.report.steps) + 1} {title}", tuple(checks)))
        if any(check.passed is False for check in checks):
            raise _StoppedError

    def _checkpoint(self, number: int) -> Checkpoint | None:
        return next((each for each in self.chain if each.number == number), None)

    def _drawing_checkpoint(self, attempt: int) -> Checkpoint | None:
        return drawing_checkpoint(self.chain, self.bundle.day_entry.index, attempt)

    def _broken_chain(self) -> list[Check]:
        """What is refused of the checkpoints shown, each after the one before it, and the log's first after the root keys."""
        first = [judge_first_beacon(self.root.hash, each) for each in self.chain[:1] if each.number == 0]
        judged = [*first, *(check for pair in pairwise(self.chain) for check in judge_successor(*pair))]
        return [check for check in judged if not check.passed]

    def _signatures(self) -> None:
        drawn = self._drawing_checkpoint(self.bundle.attempt)
        if drawn is None or not self.enrolments:
            missing = "no checkpoint of the bundle draws for the day" if drawn is None else "the bundle enrols nobody"
            self._step("signatures", [*self._broken_chain(), refused("drawn", Reason.WRONG_BEACON, missing)])
            raise _StoppedError
        time = drawn.time
        trust, checks = judge_trust(Signed.parse(self.bundle.trust), self.root, time)
        if trust is None:
            self._step("signatures", checks)
            raise _StoppedError
        self.trust, self.drawn, self.site = trust, drawn, self.enrolments[0].enrolment
        self.report.demonstration = trust.demonstration
        if self.least_revision is not None:
            checks.append(_not_superseded(trust, self.least_revision))
        checks += judge_enrolment(self.enrolments[0], trust, time)
        checks.append(_same_site(self.site, self.day, self.attestation))
        last, signed = judge_checkpoint(Signed.parse(self.bundle.last_checkpoint), trust.clouds)
        checks.append(signed)
        checks.append(self._emitted(trust, self.chain[-1].time))
        if last != self.chain[-1]:
            checks.append(refused("last checkpoint", Reason.LOG_FORKED, "the signed checkpoint is not the last of the bundle's"))
        self._step("signatures", checks)

    def _emitted(self, trust: FleetTrust, time: int) -> Check:
        name = "attestation signed"
        cloud = emitted_by(self.emitted, trust.clouds, time)
        if cloud is None:
            return refused(name, Reason.BAD_SIGNATURE, "no cloud of the trust list signed it")
        return passed(name, f"by {cloud.name}")

    def _vrf_proofs(self) -> None:
        bundle, day = self.bundle, self.day
        self.drawing = Drawing(day.site, day.number, day.root, self.drawn.number, self.drawn.beacon)
        self.sealed = judge_day(day, self.site.vrf_key)
        checks = [*self.sealed, *self._broken_chain(), judge_drawing(self.drawing, self.chain, bundle.day_entry.index, bundle.attempt)]
        checks += self._logged("day root", day_entry(day), bundle.day_entry)
        checks += self._frozen()
        checks.append(self._beacon())
        self._step("VRF proofs", checks)

    def _logged(self, what: str, entry: bytes, where: Entry) -> list[Check]:
        checkpoint = self._checkpoint(where.checkpoint)
        if checkpoint is None:
            return [refused(f"{what} in the log", Reason.NOT_LOGGED, f"the bundle has no checkpoint {where.checkpoint}")]
        return [judge_inclusion(what, entry, where.index, where.proof, checkpoint)]

    def _frozen(self) -> list[Check]:
        where = self.bundle.trust_entry
        if where.checkpoint >= self.drawn.number:
            text = f"the trust list is shown at checkpoint {where.checkpoint}, not before beacon {self.drawn.number}"
            return [refused("trust list frozen", Reason.NOT_LOGGED, text, checkpoint=where.checkpoint)]
        return self._logged("trust list", trust_entry(self.trust.hash), where)

    def _beacon(self) -> Check:
        """What the drawing beacon was made of. Without it a log could try contributions until it likes the beacon."""
        bundle, name = self.bundle, "beacon recomputed"
        if vrf_keys_root(bundle.vrf_keys) != self.trust.vrf_keys_root or len(bundle.vrf_keys) != self.trust.site_count:
            return refused(name, Reason.WRONG_BEACON, "the VRF keys given are not those of the trust list")
        seals = [Seal.decode(each) for each in bundle.contributions]
        return judge_contributions(seals, dict(bundle.vrf_keys), self.drawn.contributors, self.drawn.contributions)

    def _quorum(self) -> None:
        heard, checks = [], list[Check]()
        for each in sorted(self.bundle.statements, key=lambda each: each.entry.index):
            if each.witness >= len(self.enrolments):
                checks.append(refused("witness enrolled", Reason.UNKNOWN_SITE, f"the bundle has no enrolment {each.witness}"))
                continue
            witness, signed = self.enrolments[each.witness], Signed.parse(each.signed)
            logged = self._logged("statement", statement_entry(sha3_256(signed.document).digest()), each.entry)
            checkpoint = self._checkpoint(each.entry.checkpoint)
            time = 0 if checkpoint is None else checkpoint.time
            judged = judge_statement(signed, self.drawing, witness, self.trust, self.drawn.time, time)
            heard.append(Heard(judged.statement, judged.operator, (*judged.checks, *logged), judged.logged_at))
            checks += [check for check in heard[-1].checks if not check.passed]
        for enrolled, data in self.loose:
            witness = Enrolled(Enrolment.parse(enrolled.document), enrolled.index, enrolled.proof)
            judged = self._judged_loose(Signed.parse(data), witness)
            heard.append(judged)
            if not judged.valid:
                why = next(check.detail for check in judged.checks if not check.passed)
                checks.append(undecided("statement given", f"not valid and counts for nothing: {why}"))
        self.heard = heard
        self.outcome = decide(heard, self._findings())
        self._step("quorum", [*checks, _quorum(self.outcome)])

    def _judged_loose(self, signed: Signed, witness: Enrolled) -> Heard:
        """A statement that somebody kept is of any attempt at the day: a dissent that was dropped in one counts in the next."""
        judged = []
        for attempt in range(self.bundle.attempt, 0, -1):
            drawn = self._drawing_checkpoint(attempt)
            assert drawn is not None, "the attempts after it were drawn"
            drawing = replace(self.drawing, beacon_number=drawn.number, beacon=drawn.beacon)
            judged.append(judge_statement(signed, drawing, witness, self.trust, drawn.time, NEVER_LOGGED))
        return next((each for each in judged if each.valid), judged[0])

    def _findings(self) -> Findings:
        return Findings(
            sites=self.trust.site_count,
            attempt=self.bundle.attempt,
            drawn_at=self.drawn.time,
            now=self.chain[-1].time,
            history_mj=self.attestation.history_mj,
            two_seals=self._suspended(),
        )

    def _suspended(self) -> bool:
        """Two proven seals of one epoch, whichever: those that the bundle has were proven before."""
        day, key = self.day, self.site.vrf_key
        proven = [seal for seal in self.further_seals if seal.site == day.site and seal.proven_by(key)]
        opening = () if day.opening is None else (day.opening,)
        return two_seals((*opening, *day.seals, day.closing, *proven)) is not None

    def _merkle_roots(self) -> None:
        hashes, frames = self.bundle.batch_hashes, self.frames
        self.recomputed: Recomputed | None = None
        if len(hashes) != len(self.day.seals):
            text = f"{len(hashes)} batches are named for {len(self.day.seals)} seals"
            self._step("Merkle roots", [refused("batches named", Reason.WRONG_BATCH, text)])
        if frames is None:
            text = f"the companion with the {len(hashes)} batches was not given: roots and counters are the witnesses' word"
            self._step("Merkle roots", [undecided("batches sealed", text, batches=len(hashes))])
            return
        given = tuple(sha3_256(batch).digest() for batch in frames)
        if given != hashes:
            wrong = next((index for index, (one, other) in enumerate(zip(given, hashes, strict=False)) if one != other), len(given))
            text = f"batch {wrong} of the companion is not the one that the bundle names"
            self._step("Merkle roots", [refused("companion linked", Reason.WRONG_BATCH, text, index=wrong)])
        batches = {seal.epoch: [batch] for seal, batch in zip(self.day.seals, frames, strict=True)}
        trust = self.trust.as_batch_trust([self.site.site_key])
        self.recomputed = recompute_day(self.day, self.site, trust, batches, self.sealed)
        self._step("Merkle roots", _recomputed(self.recomputed, len(frames)))

    def _claims(self) -> None:
        outcome = self.outcome
        spread = outcome.state is DayState.CLAIMS_DISAGREE
        apart = "; 5 % or more apart" if spread else ""
        text = f"{outcome.agreeing} agree; lowest {outcome.energy_mj} mJ and {outcome.gas} of gas{apart}"
        checks = [passed("claims compared", text, energy_mj=outcome.energy_mj or 0, gas=outcome.gas or 0)]
        if self.recomputed is not None and self.recomputed.claims is not None:
            checks.append(_claimed(self.recomputed.claims, outcome))
        self._step("claims", checks)

    def _baseline(self) -> None:
        assert self.outcome.energy_mj is not None, "a quorum claims energy"
        history = self.attestation.history_mj[-BASELINE_DAYS:]
        energy, mean = self.outcome.energy_mj, sum(history) // max(1, len(history))
        within = f"{energy} mJ is within {BASELINE_PERCENT} % of {mean} mJ, the mean of {len(history)} days before"
        numbers = {"days": len(history), "energy_mj": energy, "mean_mj": mean}
        self._step("baseline", [passed("baseline compared", off_baseline(energy, history) or within, **numbers)])

    def _calculation(self) -> None:
        attestation, name = self.attestation, "amount recomputed"
        try:
            rule = self.rule = self._rule()
            assert self.outcome.energy_mj is not None and self.outcome.gas is not None, "a quorum claims both"
            amount, carry = rule.amount(self.outcome.energy_mj, self.outcome.gas, attestation.carry_in, attestation.baseline_evidence)
        except (EvidenceError, ValueError) as error:
            self._step("calculation", [refused(name, Reason.UNKNOWN_METHODOLOGY, str(error))])
            raise _StoppedError from None
        numbers = {"claimed": attestation.amount, "recomputed": amount, "carry_out_parts": carry}
        if (attestation.amount, attestation.carry_out) != (amount, carry) or (attestation.previous is None and attestation.carry_in):
            text = f"{rule.identifier} gives {amount} and {carry} parts over; claimed are {attestation.amount} and {attestation.carry_out}"
            self._step("calculation", [refused(name, Reason.WRONG_AMOUNT, text, **numbers)])
        if amount < rule.least_mint:
            text = f"{amount} x 1e-6 t is below the least mint of {rule.least_mint}"
            self._step("calculation", [refused("least mint", Reason.BELOW_LEAST_MINT, text, **numbers)])
        self._step("calculation", [passed(name, f"{rule.identifier}: {amount} x 1e-6 t CO2e, {carry} parts carried over", **numbers)])

    def _rule(self) -> Rule:
        """The methodology that the attestation names: of this release, or somebody's own that an auditor of the trust list signed."""
        document, attestation = self.bundle.methodology, self.attestation
        if attestation.methodology == CUSTOM:
            own = custom(Signed.parse(document), self.trust.approvers, self.drawn.time)
            if own.hash != attestation.methodology_hash:
                raise EvidenceError(f"the bundle's {CUSTOM} has the hash {own.hash.hex()}, named is {attestation.methodology_hash.hex()}")
            return own
        known = catalogue().get(attestation.methodology)
        if known is None or known.hash != attestation.methodology_hash or known.document != document:
            raise EvidenceError(f"{attestation.methodology} with hash {attestation.methodology_hash.hex()} is not of this release")
        if isinstance(known, Refusal):
            raise EvidenceError(f"{known.identifier} refuses: {known.reason}")
        return known

    def _attestation(self) -> None:
        wrong = _differences(self.attestation, self.outcome, self.drawing, self.bundle.attempt)
        name = "attestation recomputed"
        checks = [refused(name, Reason.WRONG_ATTESTATION, wrong) if wrong else passed(name, f"{self.attestation.hash.hex()}")]
        if self.outcome.state in BY_A_PERSON:
            checks += self._approval()
        checks += [judge_other(each, self.attestation, self.trust, self.root) for each in self.others]
        self._step("attestation", checks)

    def _approval(self) -> list[Check]:
        if not self.bundle.approval:
            return [
                refused("approved by a person", Reason.NOT_APPROVED, f"a day that is {self.outcome.state} is minted after an approval only")
            ]
        approval = Approval.parse(self.bundle.approval)
        trust = self.trust.as_batch_trust([self.site.site_key])
        judged = judge_approval(approval, self.bundle.approval_signature, self.attestation.hash, trust)
        return [*judged, _approved_after(approval, self.drawn, self.site)]

    def _rests_on(self) -> None:
        number, beacon, say = self.drawn.number, self.drawn.beacons, self.report.rests_on.append
        if self.trust.demonstration:
            say("Demonstration credit: the root keys signed a demonstration list, under which simulated sites are believed.")
        say(f"The root keys given, SHA3-256 {self.root.hash.hex()}, which signed revision {self.trust.revision} of the trust list.")
        if self.least_revision is None:
            newest = f"That revision {self.trust.revision} was the newest list in the log before checkpoint {number}, whose beacon draws"
            say(f"{newest}: give the newest revision's number with --least-revision.")
        say("That the bitstream which was provisioned is the one that runs, and that nobody has taken the VRF key out of its part.")
        say("That sensors tell the truth: witnesses prove publication and arithmetic.")
        evidence = self.attestation.baseline_evidence
        shown = "nothing is named that shows it" if evidence is None else f"what shows it has the SHA3-256 {evidence.hex()}"
        say(f"Baseline {self.rule.baseline}: {self.rule.statement} That is declared, not measured; {shown}.")
        if self.attestation.methodology == CUSTOM:
            say("That the auditor who signed the methodology was right to: its constants are nobody else's.")
        if self.frames is None:
            say("Energy and gas are the witnesses' word: give the companion with --frames to recompute them.")
        say(f"That beacon {beacon - 1} was there before the seals that made beacon {beacon} of it: monitors who kept its checkpoint.")
        added = (
            f"That checkpoint {number} added to the log the seals that made beacon {beacon}, and each checkpoint before it what it counts"
        )
        say(f"{added}: a bundle proves whose seals they are and not that they are entries, monitors have the entries.")
        say("When each checkpoint was closed, by which the window and the validity of keys are told: the cloud's word.")
        say("That the log was not rewritten and held the day's root once: monitors who have its entries.")
        say("That no dissent was dropped: whoever has one can give it with --statement.")
        say("That the site's VRF key sealed no epoch twice, which would suspend it: whoever has another seal can give it with --seal.")
        say(f"That {self.attestation.methodology} was chosen before the day was measured: the cloud's word, of which a bundle has nothing.")
        once = "That no other attestation of the day was minted, by this methodology or another"
        say(f"{once}: the ledger, whose credits name theirs, and whoever has another bundle of the day and gives it with --bundle.")
        previous, parts = self.attestation.previous, self.attestation.carry_in
        if previous is not None:
            say(f"That {parts} parts, less than a gram, were left over by attestation {previous.hex()}.")
        say(f"The energies of {len(self.attestation.history_mj)} days before, with which the day is compared: their own bundles.")


def _approved_after(approval: Approval, drawn: Checkpoint, site: Enrolment) -> Check:
    """What is approved says who witnessed it. A key that was ended could sign for new days by an old date."""
    name, numbers = "approved after the draw", {"approved_s": approval.time, "drawn_s": drawn.time}
    if site.clocks_per_site_second != PRODUCT_CLOCKS_PER_SITE_SECOND:
        return undecided(name, "a simulated site's time does not run with the approver's clock", **numbers)
    if approval.time < drawn.time:
        return refused(name, Reason.WRONG_TIME, f"approved at {approval.time}, before beacon {drawn.number} at {drawn.time}", **numbers)
    return passed(name, f"approved at {approval.time}, witnesses were drawn at {drawn.time}", **numbers)


def _not_superseded(trust: FleetTrust, least: int) -> Check:
    name, text = "trust list not superseded", f"revision {trust.revision}; asked for is {least} at least"
    if trust.revision < least:
        return refused(name, Reason.SUPERSEDED, text, revision=trust.revision)
    return passed(name, text, revision=trust.revision)


def _same_site(site: Enrolment, day: Day, attestation: Attestation) -> Check:
    name = "bundle of one day"
    if (site.identity, site.name, day.number, day.root) != (day.site, attestation.site, attestation.day, attestation.root):
        text = f"seals are of {day.site.hex()} on day {day.number}, root {day.root.hex()}; the enrolment is of {site.name}"
        return refused(name, Reason.OTHER_SITE, text)
    return passed(name, f"{site.name}, day {day.number}, root {day.root.hex()}", day=day.number)


def _quorum(outcome: Outcome) -> Check:
    name = "quorum"
    numbers = {"agreeing": outcome.agreeing, "received": outcome.received, **({} if outcome.epoch is None else {"epoch": outcome.epoch})}
    if outcome.state is DayState.ATTESTED or outcome.state in BY_A_PERSON:
        return passed(name, f"{outcome.state}, {outcome.label}: {outcome.detail}", **numbers)
    reason = {
        DayState.SUSPENDED: Reason.TWO_SEALS,
        DayState.ROOTS_DISAGREE: Reason.ROOT_DIFFERS,
        DayState.REVIEW: Reason.DISSENT if outcome.epoch is not None else Reason.NO_QUORUM,
    }.get(outcome.state, Reason.NO_QUORUM)
    return refused(name, reason, f"{outcome.state}: {outcome.detail}", **numbers)


def _recomputed(found: Recomputed, batches: int) -> list[Check]:
    wrong = [check for check in found.checks if check.passed is False]
    if wrong:
        return wrong
    if found.opinion is not Opinion.AGREE:
        return [refused("batches sealed", Reason.WRONG_BATCH, f"{found.why} in epoch {found.epoch}")]
    return [passed("batches sealed", f"{batches} batches, {len(found.checks)} checks", batches=batches, checks=len(found.checks))]


def _claimed(claims: Claims, outcome: Outcome) -> Check:
    name, numbers = "claims recomputed", {"energy_mj": claims.energy_mj, "gas": claims.gas}
    if claims.energy_mj < (outcome.energy_mj or 0) or claims.gas < (outcome.gas or 0):
        text = f"the leaves give {claims.energy_mj} mJ and {claims.gas} of gas; the lowest claims are {outcome.energy_mj} and {outcome.gas}"
        return refused(name, Reason.WRONG_ENERGY, text, **numbers)
    return passed(name, f"the leaves give {claims.energy_mj} mJ and {claims.gas} of gas", **numbers)


def _differences(attestation: Attestation, outcome: Outcome, drawing: Drawing, attempt: int) -> str:
    wanted = {
        "attempt": attempt,
        "beacon_number": drawing.beacon_number,
        "state": outcome.state,
        "label": outcome.label,
        "agreeing": outcome.agreeing,
        "received": outcome.received,
        "energy_mj": outcome.energy_mj,
        "gas": outcome.gas,
    }
    said = {name: getattr(attestation, name) for name in wanted}
    return "; ".join(f"{name} is {said[name]} and comes to {value}" for name, value in wanted.items() if said[name] != value)
