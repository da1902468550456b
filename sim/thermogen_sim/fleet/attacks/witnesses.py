"""What witnesses can try, alone, together, or with the cloud."""

from __future__ import annotations

from dataclasses import replace

from thermogen_esf.evidence.attestation.draw import Drawing, is_drawn
from thermogen_esf.evidence.attestation.log import statement_entry
from thermogen_esf.evidence.attestation.quorum import BASELINE_DAYS
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Statement, Why
from thermogen_esf.vrf import output

from ..attested_day import MINUTE_S, AttestedDay
from ..enrolling import signing_key
from ..node import SealingNode
from .trial import Attack, Trial, World, agreeing, attested, heard_late, judged_bundle, said, verified


def _own_witness(world: World) -> Trial:
    """Two honest witnesses are there, and the site speaks for itself as the third."""
    day = world.day()
    day.say = lambda node, statement: statement if node.name in ("tz-0001", "tz-0002") else None
    day.measure()
    day.witness()
    proof = day.node.draw(day.drawing)
    own = Statement(day.drawing, day.node.identity, proof, Opinion.AGREE, None, None, day.recomputed.claims, day.drawn.time)
    _said_in_time(day, day.node, own)
    return Trial(said(day), str(day.outcome.state))


def _said_in_time(day: AttestedDay, node: SealingNode, statement: Statement) -> None:
    """A statement more, as if it had come within the window: the log's last two checkpoints are closed again."""
    for _ in range(2):
        day.chain.pop()
    day.log.accept(day.chain[-1])
    day.publish(node, statement)
    for after in (1, 6):
        day.chain.append(day.log.checkpoint(day.drawn.time + after * MINUTE_S))
    day.__dict__.pop("outcome", None)


def _one_operator(world: World) -> Trial:
    day = world.day(world.fleet(operators=1))
    day.measure()
    day.witness()
    return attested(day)


def _late(world: World) -> Trial:
    return heard_late(world.day(), lambda day: day.chain[-1].time + MINUTE_S)


def _late_dissent(world: World) -> Trial:
    day = world.day()
    day.say = lambda node, statement: None if node.name == "tz-0003" else statement
    day.measure()
    day.witness()
    day.publish(day.fleet.nodes[3], _dissenting(day, day.fleet.nodes[3]))
    day.chain.append(day.log.checkpoint(day.chain[-1].time + MINUTE_S))
    return attested(day)


def _dissenting(day: AttestedDay, node: SealingNode) -> Statement:
    epoch = day.day.seals[0].epoch
    return Statement(day.drawing, node.identity, node.draw(day.drawing), Opinion.DISSENT, Why.IMPLAUSIBLE, epoch, None, day.drawn.time)


def _false_dissent(world: World) -> Trial:
    day = world.day()
    day.say = lambda node, statement: _dissenting(day, node) if node.name == "tz-0003" else statement
    day.measure()
    day.witness()
    return attested(day)


def _silent(world: World) -> Trial:
    day = world.day()
    day.say = lambda node, statement: statement if node.name in ("tz-0001", "tz-0002") else None
    day.measure()
    day.witness()
    return attested(day)


def _higher_claim(world: World, companion: bool) -> Trial:
    """All collude; with the companion or without."""
    day = world.day()

    def twice(_node: SealingNode, statement: Statement) -> Statement:
        found = agreeing(day, statement).claims
        assert found is not None, "an agreement claims"
        return replace(statement, claims=Claims(found.energy_mj * 2, found.gas))

    day.say = twice
    day.measure()
    day.witness()
    day.history_mj = (2 * world.usual_mj,) * BASELINE_DAYS
    return Trial(said(day), str(day.outcome.state), verified(day) if companion else judged_bundle(day, day.bundle(), frames=None))


def _one_higher_claim(world: World) -> Trial:
    """One of five claims more; the lowest counts."""
    day = world.day()

    def more(node: SealingNode, statement: Statement) -> Statement:
        claims = statement.claims
        if node.name != "tz-0003" or claims is None:
            return statement
        return replace(statement, claims=Claims(claims.energy_mj * 2, claims.gas))

    day.say = more
    day.measure()
    day.witness()
    return attested(day)


def _strangers_statement(world: World) -> Trial:
    """Two honest witnesses, and a third whose statement somebody else signed."""
    day = world.day()
    day.say = lambda node, statement: statement if node.name in ("tz-0001", "tz-0002") else None
    day.measure()
    day.witness()
    found = day.found_by(day.fleet.nodes[3])
    assert found is not None, "all of a small fleet are drawn"
    forged = found.sign(signing_key("eve"))
    for _ in range(2):
        day.chain.pop()
    day.log.accept(day.chain[-1])
    day.statements.append((day.fleet.nodes[3], forged, day.log.append(statement_entry(found.hash))))
    for after in (1, 6):
        day.chain.append(day.log.checkpoint(day.drawn.time + after * MINUTE_S))
    return attested(day)


def _other_drawing(world: World) -> Trial:
    """Witnesses' statements of another beacon are sent again for this one."""
    day = world.day()

    def of_before(node: SealingNode, statement: Statement) -> Statement:
        before = Drawing(day.drawing.site, day.drawing.day, day.drawing.root, day.chain[0].number, day.chain[0].beacon)
        return replace(statement, drawing=before, proof=node.draw(before))

    day.say = of_before
    day.measure()
    day.witness()
    return attested(day)


def _not_drawn(world: World) -> Trial:
    """In a fleet of 40, those who are not drawn speak all the same, and those who are stay silent."""
    fleet = world.fleet(sites=40)
    day = world.day(fleet)
    day.consider = _undrawn
    day.measure()
    day.witness()
    return attested(day)


def _undrawn(day: AttestedDay, node: SealingNode) -> Statement | None:
    proof = node.draw(day.drawing)
    if is_drawn(output(proof), day.fleet.trust.site_count - 1):
        return None
    return Statement(day.drawing, node.identity, proof, Opinion.AGREE, None, None, day.recomputed.claims, day.drawn.time)


ATTACKS = (
    Attack("own-witness", "a site witnesses its own day", "site", _own_witness),
    Attack("one-operators-witnesses", "all witnesses are of one operator", "operator", _one_operator),
    Attack("late-witness", "agreements come after the window", "witnesses or link", _late),
    Attack("late-dissent", "a dissent comes after the window: doubt has none", "–", _late_dissent),
    Attack(
        "false-dissent",
        "a drawn witness dissents from an honest day",
        "one drawn site",
        _false_dissent,
        "the witness is named; nothing lets anybody overrule it",
    ),
    Attack("silent-witnesses", "all but two witnesses stay silent", "witnesses or link", _silent),
    Attack(
        "one-claims-more",
        "one witness claims twice the energy",
        "one drawn site",
        _one_higher_claim,
        "minted at the lowest after an approval",
    ),
    Attack("colluding-claim", "all witnesses claim twice the energy", "all that are drawn", lambda world: _higher_claim(world, True)),
    Attack(
        "colluding-claim-no-companion",
        "the same, and the verifier does not have the companion",
        "all that are drawn",
        lambda world: _higher_claim(world, False),
        "`thermogen-verify` says that the claims rest on the witnesses' word",
    ),
    Attack("forged-statement", "a third agreement is signed by somebody else", "cloud", _strangers_statement),
    Attack("replayed-statement", "statements of another beacon are sent for this one", "cloud", _other_drawing),
    Attack("not-drawn-witness", "in a fleet of 40 those speak who are not drawn", "sites and log", _not_drawn),
)
