"""What the cloud, or whoever is between it and the verifier, can try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha3_256
from typing import Any

from thermogen_esf.evidence.approval import Approval, Decision
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.attested_twice import OtherBundle
from thermogen_esf.evidence.attestation.beacon import after, beacon, contributions, contributions_hash
from thermogen_esf.evidence.attestation.log import Checkpoint, day_entry, trust_entry
from thermogen_esf.evidence.attestation.log import Log as EntryLog
from thermogen_esf.evidence.attestation.proof_bundle import ProofBundle, encode_frames, encode_statement, parse_frames
from thermogen_esf.evidence.attestation.quorum import BASELINE_DAYS, Label
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Statement, Why
from thermogen_esf.evidence.catalogue import Rule, catalogue, rule

from ..attested_day import METHODOLOGY, AttestedDay
from ..enrolling import NOW, signing_key
from ..node import DAY, SealingNode
from .monitored import ShownLog, monitored
from .trial import Attack, Trial, World, attested, by_the_cloud, heard_late, judged_bundle, said, verified

Forged = tuple[ProofBundle, dict[str, Any]]


def _attestation(**changes: Any) -> Any:
    return by_the_cloud(lambda day: (day.bundle(day.attestation(**changes)), {}))


def _amount(day: AttestedDay) -> Forged:
    emitted = day.attestation()
    return day.bundle(replace(emitted, amount=emitted.amount * 2)), {}


def _more_energy(day: AttestedDay) -> Forged:
    """Attested for twice the claims, the amount computed from that."""
    emitted = day.attestation()
    amount, carry = rule(METHODOLOGY).amount(emitted.energy_mj * 2, emitted.gas, 0, None)
    return day.bundle(replace(emitted, energy_mj=emitted.energy_mj * 2, amount=amount, carry_out=carry)), {}


def _carry(day: AttestedDay) -> Forged:
    emitted = day.attestation()
    amount, carry = rule(METHODOLOGY).amount(emitted.energy_mj, emitted.gas, 10**9, None)
    return day.bundle(replace(emitted, carry_in=10**9, carry_out=carry, amount=amount)), {}


def _dropped_dissent(world: World) -> Trial:
    """One of five dissents, the cloud drops it, and the witness keeps it."""
    day = world.day()
    day.say = lambda node, statement: None if node.name == "tz-0003" else statement
    day.measure()
    day.witness()
    return _shown_by(day, _dissent(day, day.fleet.nodes[3]))


def _dissent(day: AttestedDay, node: SealingNode) -> bytes:
    """What a witness keeps who dissents."""
    epoch, proof = day.day.seals[0].epoch, node.draw(day.drawing)
    dissent = Statement(day.drawing, node.identity, proof, Opinion.DISSENT, Why.BATCH_REFUSED, epoch, None, NOW)
    return encode_statement(day.enrolled(node), dissent.sign(signing_key(node.name)).encode())


def _shown_by(day: AttestedDay, kept: bytes) -> Trial:
    bundle = day.bundle()
    return Trial(said(day), str(day.outcome.state), judged_bundle(day, bundle), kept=judged_bundle(day, bundle, statements=[kept]))


def _dropped_in_an_attempt(world: World) -> Trial:
    """The cloud lets an attempt find no quorum because one dissents, and that witness is not heard in the next."""
    day = world.day()
    day.measure()
    day.close()
    kept = _dissent(day, day.fleet.nodes[3])
    day.next_attempt()
    day.say = lambda node, statement: None if node.name == "tz-0003" else statement
    day.hear()
    return _shown_by(day, kept)


def _chain_with(day: AttestedDay, changed: Checkpoint) -> Forged:
    """The checkpoints with one changed and those after it naming it."""
    chain, previous = list[Checkpoint](), None
    for each in day.chain:
        source = changed if each.number == changed.number else each
        chain.append(replace(source, previous=previous))
        previous = chain[-1].hash
    encoded = tuple(each.encode() for each in chain)
    return day.bundle(checkpoints=encoded, last_checkpoint=chain[-1].sign(signing_key("cloud-1")).encode()), {}


def _chosen_beacon(day: AttestedDay) -> Forged:
    return _chain_with(day, replace(day.drawn, beacon=b"chosen".ljust(32)))


def _drawn_by(day: AttestedDay, place: int, contributors: int, hashed: bytes) -> None:
    """The closed day's checkpoint at `place` says these contributions, the beacons from it on follow, and its witnesses are heard."""
    changed, chain = replace(day.chain[place], contributors=contributors, contributions=hashed), day.chain[:place]
    for each in (changed, *day.chain[place:][1:]):
        beacons, made = after(chain[-1].beacons, chain[-1].beacon, each.contributors, each.contributions)
        chain.append(replace(each, previous=chain[-1].hash, beacons=beacons, beacon=made))
    day.chain[:] = chain
    _draw_by_last(day)


def _draw_by_last(day: AttestedDay) -> None:
    """The witnesses are drawn by the day's last checkpoint, and heard."""
    day.drawn = day.chain[-1]
    day.log.accept(day.drawn)
    day.drawing = replace(day.drawing, beacon_number=day.drawn.number, beacon=day.drawn.beacon)
    day.hear()


def _made_up_contributions(world: World) -> Trial:
    """The witnesses are drawn by a beacon of seals whose outputs the cloud made up, by a key of its own."""
    day, eve = world.day(), SealingNode.named("eve")
    day.measure()
    day.close()
    day.contributions = [replace(eve.seal(each.epoch), site=each.site) for each in day.contributions]
    made = contributions(day.contributions)
    _drawn_by(day, -1, len(made), contributions_hash(made))
    return attested(day)


def _liked(day: AttestedDay, place: int, contributors: int) -> bytes:
    """Contributions that nobody made, of which the beacon at `place` is the least of 64 tries."""
    before = day.chain[place - 1]
    tries = [sha3_256(b"try %d" % number).digest() for number in range(64)]
    return min(tries, key=lambda hashed: after(before.beacons, before.beacon, contributors, hashed))


def _contributions_left_out(world: World) -> Trial:
    """The cloud tries contributions until it likes the beacon that they make, and the bundle does not have them."""
    day = world.day()
    day.measure()
    day.close()
    _drawn_by(day, -1, 999, _liked(day, -1, 999))
    return Trial(said(day), str(day.outcome.state), judged_bundle(day, day.bundle(vrf_keys=(), contributions=())))


def _beacon_before_made_up(world: World) -> Trial:
    """The same at the checkpoint before, when the seals of the drawing one are known; a monitor has the log's entries."""
    day = world.day()
    day.measure()
    day.close()
    _drawn_by(day, -2, 999, _liked(day, -2, 999))
    shown = ShownLog(day.fleet, day.chain, day.log.entries)
    return Trial(said(day), str(day.outcome.state), verified(day), kept=monitored(shown))


def _empty_checkpoints(world: World) -> Trial:
    """The first beacon is not liked: over nothing up to eight checkpoints are closed, each with a beacon of its own, for another."""
    day = world.day()
    day.measure()
    day.close()
    *chain, drawing = day.chain
    tried = []
    for _ in range(8):
        chain.append(_following(chain[-1], replace(chain[-1], contributors=0, contributions=contributions_hash(()))))
        tried.append(_following(chain[-1], drawing))
    liked = min(tried, key=lambda each: each.beacon)
    day.chain[:] = [*chain[: liked.number], liked]
    _draw_by_last(day)
    return attested(day)


def _following(before: Checkpoint, checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint made the one after another, with a beacon of its own however few contributed."""
    number = before.beacons + 1
    made = beacon(before.beacon, number, checkpoint.contributors, checkpoint.contributions)
    return replace(checkpoint, number=before.number + 1, previous=before.hash, beacons=number, beacon=made)


def _split(world: World) -> Trial:
    """Of eight sites' seals four come with the day's root and four after it: every seal is in the log, and the beacon is another."""
    fleet = world.fleet(9)
    day = world.day(fleet, early=frozenset(node.name for node in fleet.nodes[1:5]))
    day.measure()
    day.witness()
    shown = ShownLog(day.fleet, day.chain, day.log.entries)
    return Trial(said(day), str(day.outcome.state), verified(day), kept=monitored(shown))


def _unlogged_seals(world: World) -> Trial:
    """The beacon is made of seals that the other sites once sent and that are in no log; a monitor has the log's entries."""
    day = world.day()
    kept_back = [node.seal(DAY * 96 - 5_000) for node in day.fleet.nodes[1:]]
    day.measure()
    day.close()
    day.contributions, given = kept_back, contributions(kept_back)
    _drawn_by(day, -1, len(given), contributions_hash(given))
    shown = ShownLog(day.fleet, day.chain, day.log.entries)
    return Trial(said(day), str(day.outcome.state), verified(day), kept=monitored(shown))


def _subset(world: World) -> Trial:
    """The cloud keeps one site's seal out of the beacon's checkpoint, and with it chooses among two beacons."""
    day = world.day(silent=frozenset(("tz-0003",)))
    day.measure()
    day.witness()
    return attested(day)


def _better_beacon(world: World) -> Trial:
    """The witnesses are drawn by a beacon after the first that draws."""
    day = world.day()
    day.measure()
    day.close()
    day.draw_again(log_again=False)
    day.hear()
    return Trial(said(day), str(day.outcome.state), verified(day))


def _stalled(world: World, silent: Sequence[int]) -> Trial:
    day = world.day(silent=frozenset(f"tz-{number:04}" for number in silent))
    day.measure()
    day.witness()
    return attested(day)


def _two_roots(world: World) -> Trial:
    day = world.day()
    day.measure()
    day.witness()
    other = replace(day.day, seals=day.day.seals[:-1])
    day.log.append(day_entry(other))
    day.two_roots = len({day_entry(each) for each in (day.day, other)}) > 1
    return attested(day)


def _root_logged_twice(world: World) -> Trial:
    """The root is logged, its beacon not liked, the root logged again and drawn again; a monitor has the entries."""
    day = world.day()
    day.measure()
    day.close()
    before = day.chain[-1]
    day.draw_again(log_again=True)
    day.hear()
    shown = [each for each in day.chain if each.number >= before.number]
    bundle = day.bundle(checkpoints=tuple(each.encode() for each in shown), trust_entry=day.entry(day.trust_index, before))
    monitor = monitored(ShownLog(day.fleet, day.chain, day.log.entries))
    return Trial(said(day), str(day.outcome.state), judged_bundle(day, bundle), kept=monitor)


def _rewritten_log(world: World) -> Trial:
    """An entry is replaced after a checkpoint was published; a monitor looked before and looks again."""
    day = world.honest
    published = ShownLog(day.fleet, day.chain[:2], day.log.entries)
    entries = [trust_entry(b"another list".ljust(32)), *day.log.entries[1:]]
    anew = EntryLog(day.fleet.root.hash, entries, day.chain[1]).next_checkpoint(day.chain[2].time)
    monitor = monitored(published, ShownLog(day.fleet, [*day.chain[:2], anew], entries))
    return Trial(said(day), str(day.outcome.state), verified(day), kept=monitor)


def _keys_after_the_beacon(day: AttestedDay) -> Forged:
    return day.bundle(trust_entry=day.entry(day.trust_index, day.drawn)), {}


def _closed_early(world: World) -> Trial:
    """The window's checkpoint is stamped late, so that every statement comes after it."""
    return heard_late(world.day(), lambda day: day.drawn.time + 3_600)


def _held_open(world: World) -> Trial:
    """Witnesses agree an hour late, and the cloud stamps the checkpoint as if that had been in the window."""
    day = world.day()
    day.measure()
    day.close()
    day.hear()
    return attested(day)


def _second_word_first(world: World) -> Trial:
    """A witness claims too little, then as much as all; the cloud's bundle has its second word first."""
    day = world.day()
    day.measure()
    day.close()
    hasty = day.fleet.nodes[1]
    found = {node.name: day.found_by(node) for node in day.fleet.nodes[1:]}
    for node in day.fleet.nodes[1:]:
        statement = found[node.name]
        assert statement is not None and statement.claims is not None, "of so few sites all are drawn"
        less = Claims(statement.claims.energy_mj * 9 // 10, statement.claims.gas)
        day.publish(node, replace(statement, claims=less) if node is hasty else statement)
    second = found[hasty.name]
    assert second is not None
    day.publish(hasty, second)
    day.end_window()
    honest = str(day.outcome.state)
    del day.outcome
    day.statements = [day.statements[-1], *day.statements[:-1]]
    return Trial(said(day), honest, verified(day))


def _minted_by(day: AttestedDay, chosen: Rule) -> ProofBundle:
    """The day by a methodology, and whatever it needs as evidence of its baseline."""
    measured, evidence = day.attestation(), sha3_256(b"a permit").digest() if chosen.evidence_required else None
    amount, carry = chosen.amount(measured.energy_mj, measured.gas, 0, evidence)
    named = {"methodology": chosen.identifier, "methodology_hash": chosen.hash, "baseline_evidence": evidence}
    return day.bundle(day.attestation(**named, amount=amount, carry_out=carry), methodology=chosen.document)


def _most(day: AttestedDay, but: str = "") -> Rule:
    """The methodology that gives the most for what a day measured."""
    rules, measured = [each for each in catalogue().values() if isinstance(each, Rule) and each.identifier != but], day.attestation()
    return max(rules, key=lambda each: each.amount(measured.energy_mj, measured.gas, 0, bytes(32)))


def _attested_twice(world: World) -> Trial:
    """By the methodology that was chosen and by the one that gives the most besides; somebody has both bundles."""
    day = world.honest
    bundle, second = day.bundle(), _minted_by(day, _most(day, but=METHODOLOGY))
    kept = judged_bundle(day, bundle, bundles=[OtherBundle.parse(second.encode())])
    return Trial(said(day), str(day.outcome.state), judged_bundle(day, bundle), kept=kept)


def _chosen_late(day: AttestedDay) -> Forged:
    return _minted_by(day, _most(day)), {}


def _history(world: World) -> Trial:
    """A site of a tenth of its power before says that it always had as much."""
    day = world.day()
    day.measure()
    day.witness()
    day.history_mj = (world.usual_mj // 10,) * BASELINE_DAYS
    honest = str(day.outcome.state)
    del day.outcome
    day.history_mj = (world.usual_mj,) * BASELINE_DAYS
    return Trial(said(day), honest, verified(day))


def _off_baseline(approver: str | None, time: int = NOW + 200_000) -> Any:
    """A day after too few, minted without an approval, or with one that somebody signed and dated."""

    def run(world: World) -> Trial:
        day = world.day()
        day.measure()
        day.witness()
        day.history_mj = ()
        emitted: Attestation = day.attestation()
        approval = Approval(emitted.hash, Decision.APPROVE, "as always", "alice", "approver", time)
        signed = {"approval": approval.encode(), "approval_signature": approval.sign(signing_key(approver))} if approver else {}
        return Trial(said(day), str(day.outcome.state), judged_bundle(day, day.bundle(emitted, **signed)))

    return run


def _flipped(day: AttestedDay) -> Forged:
    batches = list(parse_frames(day.frames()))
    changed = bytearray(batches[0])
    changed[200] ^= 1
    batches[0] = bytes(changed)
    return day.bundle(), {"frames": encode_frames(batches)}


def _changed_on_the_way(world: World) -> Trial:
    """The broker changes a byte of a batch: whoever fetches it has what nobody signed."""
    day = world.day()
    day.measure()
    epoch = max(day.batches)
    changed = bytearray(day.batches[epoch])
    changed[3_000] ^= 1
    day.batches[epoch] = bytes(changed)
    day.witness()
    return attested(day)


def _forged_checkpoint(day: AttestedDay) -> Forged:
    return day.bundle(last_checkpoint=day.chain[-1].sign(signing_key("eve")).encode()), {}


def _checkpoint_left_out(day: AttestedDay) -> Forged:
    encoded = tuple(each.encode() for each in day.chain)
    return day.bundle(checkpoints=(*encoded[:1], *encoded[2:])), {}


def _statement_left_out(day: AttestedDay) -> Forged:
    """Two statements, attested as if they were three."""
    return replace(day.bundle(day.attestation(agreeing=3, received=3)), statements=day.bundle().statements[:2]), {}


ATTACKS = (
    Attack(
        "dropped-dissent",
        "the cloud drops a dissent that its witness keeps",
        "cloud",
        _dropped_dissent,
        "how many agreed cannot be raised by dropping: the label",
    ),
    Attack(
        "dropped-dissent-of-an-attempt",
        "the cloud drops a dissent and attests the day in the next attempt",
        "cloud",
        _dropped_in_an_attempt,
        "a dissent counts in every attempt after the one it is of",
    ),
    Attack("second-word-first", "of a witness that claimed twice the bundle has the higher claim first", "cloud", _second_word_first),
    Attack("chosen-beacon", "the cloud writes a beacon of its own", "cloud", by_the_cloud(_chosen_beacon)),
    Attack("made-up-contributions", "witnesses are drawn by outputs that no enrolled key proved", "cloud", _made_up_contributions),
    Attack(
        "contributions-left-out",
        "a beacon is tried for until it is liked, and what it was made of is left out",
        "cloud",
        _contributions_left_out,
    ),
    Attack(
        "beacon-before-made-up",
        "the same with the beacon before, from which the drawing one follows",
        "cloud",
        _beacon_before_made_up,
        "a bundle has the drawing beacon's seals only",
    ),
    Attack(
        "beacon-of-a-subset",
        "a site's seal is kept out of the beacon's checkpoint",
        "cloud",
        _subset,
        "attestation-odds.md counts the choices; the site misses its seal",
    ),
    Attack("beacon-empty-checkpoints", "checkpoints over nothing are closed until the beacon is liked", "cloud", _empty_checkpoints),
    Attack(
        "beacon-split",
        "the seals at hand are split over the checkpoints before and after a day's root, until the beacon is liked",
        "cloud",
        _split,
        "attestation-odds.md counts the choices; a site that watches sees its seal come late",
    ),
    Attack(
        "beacon-of-unlogged-seals",
        "a beacon is made of old seals that are not in the log",
        "cloud",
        _unlogged_seals,
        "a bundle proves whose seals they are, and not that its checkpoint added them",
    ),
    Attack("better-beacon", "a later beacon is taken than the first that draws", "cloud", _better_beacon),
    Attack("stalled-beacon", "no seals of others come into the log", "cloud", lambda world: _stalled(world, range(1, 6))),
    Attack("foreseeable-beacon", "seals of three sites only make the beacon", "cloud", lambda world: _stalled(world, range(4, 6))),
    Attack("two-roots", "two roots are logged for one day", "cloud, host", _two_roots),
    Attack("root-logged-twice", "a day's root is logged a second time to be drawn again", "cloud", _root_logged_twice),
    Attack(
        "rewritten-log",
        "the log is written anew after a checkpoint was published",
        "cloud",
        _rewritten_log,
        "the bundle before it stays good",
    ),
    Attack(
        "keys-after-the-beacon",
        "a trust list is frozen after the beacon that it is used with",
        "cloud and k root keys",
        by_the_cloud(_keys_after_the_beacon),
    ),
    Attack("window-closed-early", "the cloud stamps a checkpoint late, so that statements miss the window", "cloud", _closed_early),
    Attack(
        "window-held-open",
        "statements that came late are stamped as if they had come in time",
        "cloud",
        _held_open,
        "a checkpoint's time is the cloud's word: `thermogen-verify` says so",
    ),
    Attack("amount-overstated", "the attestation says twice the amount", "cloud", by_the_cloud(_amount)),
    Attack("energy-overstated", "the attestation says twice the energy", "cloud", by_the_cloud(_more_energy)),
    Attack("carry-invented", "the first attestation carries something in", "cloud", by_the_cloud(_carry)),
    Attack("label-overstated", "`witnessed` is said of a day that is `peer-checked`", "cloud", _attestation(label=Label.WITNESSED)),
    Attack("quorum-overstated", "three agreements are said where two are shown", "cloud", by_the_cloud(_statement_left_out)),
    Attack(
        "other-methodology", "another methodology's name is put over the same amount", "cloud", _attestation(methodology="IPCC-AR5-20Y")
    ),
    Attack(
        "attested-twice",
        "one day is attested by two methodologies and both are minted",
        "cloud",
        _attested_twice,
        "each bundle is good by itself: whoever has the other gives it with `--bundle`",
    ),
    Attack(
        "methodology-chosen-late",
        "the methodology is chosen that gives the most for what the day measured",
        "cloud",
        by_the_cloud(_chosen_late),
        "when it was chosen is the cloud's word: `thermogen-verify` says so",
    ),
    Attack("history-invented", "the 30 days before are made up to fit", "cloud", _history, "the bundles of those days show it"),
    Attack("approval-missing", "a day off its baseline is minted without an approval", "cloud", _off_baseline(None)),
    Attack("approval-forged", "the same with an approval that another key signed", "cloud", _off_baseline("eve")),
    Attack(
        "approval-backdated",
        "the same by an approver's key that was ended, under a date before its end",
        "cloud and an approver's old key",
        _off_baseline("alice", NOW - 10_000_000),
    ),
    Attack("forged-checkpoint", "a checkpoint is signed by somebody else", "who hands the bundle on", by_the_cloud(_forged_checkpoint)),
    Attack("checkpoint-left-out", "a checkpoint is left out of the bundle", "cloud", by_the_cloud(_checkpoint_left_out)),
    Attack("companion-changed", "a byte of the companion is changed", "who hands the bundle on", by_the_cloud(_flipped)),
    Attack("changed-on-the-way", "a byte of a batch is changed between site and cloud", "broker", _changed_on_the_way),
)
