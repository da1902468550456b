"""The daemon's witness comes to what the rules alone come to, whatever a site tries."""

import pytest
from thermogen_edge.witness import FetchError, Witness
from thermogen_esf.evidence.attestation.statement import Statement
from thermogen_sim.fleet.attacks import ATTACKS, World
from thermogen_sim.fleet.enrolling import signing_key

pytestmark = pytest.mark.slow

TRIED = (
    "forged-root",
    "forged-seal",
    "two-batches",
    "fast-pulse",
    "changed-calibration",
    "replayed-epoch",
    "amplifiers-5-percent",
    "hidden-restart",
    "batches-withheld",
)


def by_the_daemon(day, node):
    """What a daemon's witness says at this site."""

    def fetch(epoch):
        published = day.published.get(epoch, [])
        if not published:
            raise FetchError("nothing is published")
        return published

    now = day.drawn.time + 60
    witness = Witness(node.identity, node, signing_key(node.name), lambda: now)
    said = witness.consider(day.drawing, day.day, day.enrolment, day.fleet.trust, fetch, now + 240)
    return None if said is None else Statement.parse(said.document)


@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.name in TRIED], ids=lambda each: each.name)
def test_the_daemons_witness_finds_what_the_rules_find(attack):
    assert attack.run(World(consider=by_the_daemon)) == attack.run(World())
