"""A signed document has every field that its form has and no other: a null that is left out would be a second writing of one statement."""

import pytest
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.enrolment import Enrolment
from thermogen_esf.evidence.attestation.log import Checkpoint
from thermogen_esf.evidence.attestation.statement import Statement
from thermogen_esf.evidence.attestation.trust import FleetTrust, RootKeys
from thermogen_esf.evidence.canonical import canonical, parse
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_sim.fleet.attested_day import AttestedDay
from thermogen_sim.fleet.enrolling import Fleet

KINDS = (Attestation, Statement, Checkpoint, FleetTrust, RootKeys, Enrolment)


@pytest.fixture(scope="module")
def documents():
    """One of each kind, the first of its kind where nulls are: no list, checkpoint or attestation before it."""
    day = AttestedDay(Fleet.of(5, 5), epochs=1, scale=1)
    day.measure()
    day.witness()
    _, signed, _ = day.statements[0]
    made = (day.attestation(), Statement.parse(signed.document), day.chain[0], day.fleet.trust, day.fleet.root)
    return {type(each): parse(each.encode()) for each in (*made, day.fleet.entries[0].enrolment)}


def places(value, path=()):
    """Every object in a document, by its path."""
    if isinstance(value, dict):
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*path, key))


def at(value, path):
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_document_without_any_of_its_fields_or_with_another_is_none(documents, kind):
    whole = canonical(documents[kind])
    assert kind.parse(whole).encode() == whole
    for path in places(documents[kind]):
        for name in at(documents[kind], path):
            bent = parse(whole)
            del at(bent, path)[name]
            with pytest.raises(EvidenceError):
                kind.parse(canonical(bent))
        bent = parse(whole)
        at(bent, path)["more"] = None
        with pytest.raises(EvidenceError):
            kind.parse(canonical(bent))
