"""From seals that arrive to a day's state: every failure has its state, is shown, and stays over a restart."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from thermogen_cloud.attestation_trust import AttestationTrust, AttestationTrustError, adopt
from thermogen_cloud.attesting import NotAttestedError
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.methodology_choices import Choice, MethodologyChoiceError
from thermogen_cloud.registry import LoggedDay, StoredSeal, StoredStatement
from thermogen_edge.witness import Witness
from thermogen_esf.evidence.attestation.beacon import judge_contributions
from thermogen_esf.evidence.attestation.exchange import encode_seals
from thermogen_esf.evidence.attestation.log import Checkpoint, EntryKind, day_entry
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import STATEMENT_CONTEXT, Claims, Opinion, Why
from thermogen_esf.evidence.canonical import canonical, parse
from thermogen_sim.fleet.enrolling import signing_key
from thermogen_sim.fleet.node import SealingNode

from .attesting_fleet import DAY, FIRST, AttestingCloud, large_fleet, write_trust

pytestmark = pytest.mark.slow


@pytest.fixture
def cloud(tmp_path):
    cloud = AttestingCloud(tmp_path)
    yield cloud
    cloud.registry.close()


def test_a_day_is_logged_drawn_witnessed_and_decided(cloud):
    cloud.measure()
    announced = cloud.drawn()
    assert announced.site == "tz-0000" and cloud.states() == [(1, "collecting")]
    cloud.witness(announced)
    cloud.round()
    assert cloud.states() == [(1, "collecting")]
    cloud.round(300)
    # Nothing is attested before it: a baseline needs 30 days.
    assert cloud.states() == [(1, "off-baseline")]
    row = cloud.row()
    assert (row.agreeing, row.received, row.label) == (5, 5, "peer-checked") and row.energy_mj > 0
    assert cloud.attestor.announcements() == []


def test_a_site_that_is_not_enrolled_or_does_not_prove_its_seal_is_refused(cloud):
    stranger = SealingNode.named("tz-stranger")
    with pytest.raises(NotAttestedError, match="not enrol"):
        cloud.attestor.take_seals(encode_seals([stranger.seal(FIRST)]))
    forged = replace(cloud.node.seal(FIRST), root=bytes(32))
    with pytest.raises(NotAttestedError, match="not proven"):
        cloud.attestor.take_seals(encode_seals([forged]))
    for junk in (b"", b"x" * 185, b"x" * 186):
        with pytest.raises(NotAttestedError):
            cloud.attestor.take_seals(junk)
    cloud.round()
    assert len(cloud.attestor.log) == 1  # the trust list


def test_the_same_seals_again_change_nothing(cloud):
    cloud.measure()
    cloud.round()
    before = len(cloud.attestor.log)
    cloud.attestor.take_seals(encode_seals(cloud.node.seals))
    cloud.round()
    assert len(cloud.attestor.log) == before


def test_a_day_with_a_seal_missing_is_not_closed_and_is_when_it_comes(cloud):
    cloud.measure(epochs=0)
    seals = [cloud.node.seal(FIRST + 97), cloud.node.seal(FIRST + 98), cloud.node.seal(FIRST + 192)]
    cloud.attestor.take_seals(encode_seals([seals[0], seals[2]]))
    cloud.round()
    assert "withheld" in cloud.attestor.waiting["tz-0000", DAY + 1]
    cloud.attestor.take_seals(encode_seals([seals[1]]))
    cloud.round()
    assert cloud.attestor.waiting == {}
    with cloud.registry.reading() as session:
        assert session.scalars(select(LoggedDay.day)).all() == [DAY + 1]


def test_a_seal_that_is_lost_costs_its_day_and_no_later_one(cloud):
    cloud.measure(epochs=0)
    of_day = [cloud.node.seal(FIRST + epoch) for epoch in (97, 98, 99)]
    later = [cloud.node.seal(FIRST + 96 * day + epoch) for day in (2, 3, 4) for epoch in (1, 2)]
    cloud.attestor.take_seals(encode_seals([of_day[0], of_day[2], *later]))
    for _ in range(3):
        cloud.round()
    with cloud.registry.reading() as session:
        assert session.scalars(select(LoggedDay.day).order_by(LoggedDay.entry)).all() == [DAY + 2, DAY + 3]
    assert list(cloud.attestor.waiting) == [("tz-0000", DAY + 1)]
    cloud.attestor.take_seals(encode_seals([of_day[1]]))
    cloud.round()
    assert cloud.attestor.waiting == {}
    with cloud.registry.reading() as session:
        assert session.scalars(select(LoggedDay.day).order_by(LoggedDay.entry)).all() == [DAY + 2, DAY + 3, DAY + 1]


def test_without_enough_sites_nothing_is_drawn(cloud):
    cloud.measure()
    cloud.round()
    cloud.attestor.take_seals(encode_seals([cloud.fleet.nodes[1].seal(FIRST + 96)]))
    cloud.round()
    assert cloud.states() == [(1, "waiting-for-beacon")] and cloud.attestor.announcements() == []


def test_a_day_without_a_quorum_is_deferred_and_drawn_again_up_to_four_times(cloud):
    cloud.measure()
    cloud.drawn()
    for attempt in range(2, 5):
        cloud.round(900)
        assert cloud.states()[-1][1] in ("deferred", "waiting-for-beacon")
        cloud.others_seal(FIRST + 96 + attempt)
        cloud.round()
        assert cloud.states()[-1] == (attempt, "collecting")
    cloud.round(900)
    assert cloud.states() == [(1, "deferred"), (2, "deferred"), (3, "deferred"), (4, "review")]


def attempt_again(cloud):
    """The drawing's window passes, the next one is witnessed, and its window passes too."""
    cloud.round(900)
    cloud.others_seal(FIRST + 97)
    cloud.round()
    (announced,) = cloud.attestor.announcements()
    cloud.witness(announced)
    cloud.round()
    cloud.round(300)


def test_the_second_attempt_can_find_its_quorum(cloud):
    cloud.measure()
    cloud.drawn()
    attempt_again(cloud)
    assert cloud.states() == [(1, "deferred"), (2, "off-baseline")]


def _one(change):
    return lambda node, statement: change(statement) if node.name == "tz-0003" else statement


def _dissents(why):
    return _one(lambda statement: replace(statement, opinion=Opinion.DISSENT, why=why, epoch=FIRST + 1, claims=None))


@pytest.mark.parametrize(
    ("say", "state", "epoch"),
    [
        (_dissents(Why.IMPLAUSIBLE), "review", FIRST + 1),
        (_dissents(Why.ROOT_DIFFERS), "roots-disagree", FIRST + 1),
        (_one(lambda each: replace(each, claims=Claims(each.claims.energy_mj // 2, each.claims.gas))), "claims-disagree", None),
        (lambda node, statement: statement if node.name < "tz-0003" else None, "deferred", None),
    ],
    ids=["dissent", "root", "claims", "quorum-timeout"],
)
def test_what_a_witness_says_is_stored_as_the_days_state(cloud, say, state, epoch):
    cloud.measure()
    cloud.witness(cloud.drawn(), say)
    cloud.round()
    cloud.round(300)
    assert cloud.states()[0] == (1, state)
    cloud.open()  # as after a restart
    assert cloud.states()[0] == (1, state) and cloud.attestor.days.of("tz-0000")[-1].epoch == epoch


def test_a_methodology_that_cannot_be_applied_is_a_state_and_not_a_fault(cloud, monkeypatch):
    monkeypatch.setattr(cloud.methodologies, "made", lambda: (Choice(0, None, "GS-MICRO-SCALE"),))
    cloud.measure()
    cloud.witness(cloud.drawn())
    cloud.round()
    cloud.round(300)
    assert cloud.states() == [(1, "methodology-error")] and "GS-MICRO-SCALE" in cloud.row().detail


def refused(cloud):
    with cloud.registry.reading() as session:
        return [row.refused for row in session.scalars(select(StoredStatement)) if row.refused]


def test_a_witness_whose_signature_or_draw_is_wrong_is_rejected_alone_and_kept_with_the_reason(cloud):
    cloud.measure()
    announced = cloud.drawn()
    kept = {}
    cloud.witness(announced, lambda node, statement: kept.setdefault(node.name, statement) and None)
    for name, said in kept.items():
        signer = "eve" if name == "tz-0001" else name
        wrong = replace(said, proof=cloud.fleet.nodes[3].draw(announced.drawing)) if name == "tz-0002" else said
        cloud.attestor.take_statement(wrong.sign(signing_key(signer)).encode())
    cloud.round()
    cloud.round(300)
    assert cloud.row().received == 3 and cloud.states() == [(1, "off-baseline")]
    assert sorted(text.partition(":")[0] for text in refused(cloud)) == ["statement signed", "witness drawn"]


def test_a_statement_on_a_beacon_that_drew_nothing_or_of_a_stranger_is_not_kept(cloud):
    cloud.measure()
    announced = cloud.drawn()
    kept = {}
    cloud.witness(announced, lambda node, statement: kept.setdefault(node.name, statement) and None)
    said = kept["tz-0003"]
    for wrong in (replace(said, drawing=replace(said.drawing, beacon=b"another".ljust(32))), replace(said, witness=b"stranger")):
        with pytest.raises(NotAttestedError, match=r"nothing was drawn|not enrol"):
            cloud.attestor.take_statement(wrong.sign(signing_key("tz-0003")).encode())
    assert refused(cloud) == []


def test_refused_statements_in_a_witnesss_name_are_bounded_and_the_newest_stay(cloud, monkeypatch):
    monkeypatch.setattr("thermogen_cloud.attesting.REFUSED_A_WITNESS", 3)
    said = heard_of(cloud, "tz-0003")
    for later in range(6):
        cloud.now += 1
        assert not cloud.attestor.take_statement(replace(said, time=said.time + later).sign(signing_key("eve")).encode())
    assert len(refused(cloud)) == 3


def heard_of(cloud, name):
    """What one witness says of the day; no other is heard."""
    cloud.measure()
    kept = {}
    cloud.witness(cloud.drawn(), lambda node, statement: kept.setdefault(node.name, statement) and None)
    return kept[name]


def test_a_copy_with_a_bad_signature_does_not_erase_the_honest_statement(cloud):
    said = heard_of(cloud, "tz-0003")
    dissent = replace(said, opinion=Opinion.DISSENT, why=Why.IMPLAUSIBLE, epoch=FIRST + 1, claims=None)
    assert not cloud.attestor.take_statement(dissent.sign(signing_key("eve")).encode())
    assert cloud.attestor.take_statement(dissent.sign(signing_key("tz-0003")).encode())
    assert not cloud.attestor.take_statement(dissent.sign(signing_key("eve")).encode())
    cloud.round()
    assert refused(cloud) == [] and cloud.states() == [(1, "review")]


def test_of_a_witness_one_agreement_and_one_dissent_of_a_drawing_are_kept(cloud):
    said = heard_of(cloud, "tz-0003")
    dissent = replace(said, opinion=Opinion.DISSENT, why=Why.IMPLAUSIBLE, epoch=FIRST + 1, claims=None)
    for statement in (said, dissent):
        for later in range(3):
            cloud.attestor.take_statement(replace(statement, time=statement.time + later).sign(signing_key("tz-0003")).encode())
    with cloud.registry.reading() as session:
        assert {row.document_hash for row in session.scalars(select(StoredStatement))} == {said.hash, dissent.hash}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.fixed_dictionaries(
        {
            "day": st.integers(0, 2**33),
            "beacon_number": st.integers(0, 2**64 - 1),
            "epoch": st.none() | st.integers(0, 2**33),
            "claims": st.none() | st.fixed_dictionaries({"energy_mj": st.integers(0, 2**64 - 1), "gas": st.integers(0, 2**64 - 1)}),
            "time": st.integers(0, 2**33),
            "opinion": st.sampled_from(Opinion),
            "why": st.none() | st.sampled_from(Why),
        }
    )
)
@example(fields={"beacon_number": 2**63})
@example(fields={"claims": {"energy_mj": 2**63, "gas": 0}})
@example(fields={"claims": {"energy_mj": 0, "gas": 2**64 - 1}})
def test_any_statement_is_stored_or_refused(cloud, fields):
    statement = {"site": bytes(8), "root": bytes(32), "beacon": bytes(32), "witness": bytes(8), "proof": bytes(80)}
    whole = {name: value.hex() for name, value in statement.items()}
    whole |= {"version": 1, "day": DAY, "beacon_number": 0, "epoch": None, "claims": {"energy_mj": 0, "gas": 0}, "time": 0}
    document = canonical(whole | {"opinion": "agree", "why": None} | fields)
    with contextlib.suppress(NotAttestedError):
        cloud.attestor.take_statement(Signed.by(document, [signing_key("eve")], STATEMENT_CONTEXT).encode())


def test_claims_of_more_than_can_be_stored_stop_no_round(cloud):
    """All witnesses say so, each with its own key, of a day that is drawn."""
    cloud.measure()
    announced, said = cloud.drawn(), {}
    cloud.witness(announced, lambda node, statement: said.setdefault(node.name, statement) and None)
    for name, statement in said.items():
        document = canonical({**parse(statement.encode()), "claims": {"energy_mj": 2**63, "gas": 2**64 - 1}})
        with contextlib.suppress(NotAttestedError):
            cloud.attestor.take_statement(Signed.by(document, [signing_key(name)], STATEMENT_CONTEXT).encode())
    cloud.round()
    cloud.round(300)
    assert len(said) == 5 and cloud.states() == [(1, "deferred")]


def test_a_dissent_after_the_window_undoes_the_day(cloud):
    cloud.measure()
    announced = cloud.drawn()
    late = {}
    cloud.witness(announced, lambda node, said: said if node.name != "tz-0003" else late.setdefault("said", said) and None)
    cloud.round()
    cloud.round(300)
    assert cloud.states() == [(1, "off-baseline")]
    dissent = replace(late["said"], opinion=Opinion.DISSENT, why=Why.BATCH_REFUSED, epoch=FIRST, claims=None)
    cloud.attestor.take_statement(dissent.sign(signing_key("tz-0003")).encode())
    cloud.round()
    assert cloud.states() == [(1, "review")] and "after the window" in cloud.row().detail


def test_two_seals_of_an_epoch_suspend_the_site_whenever_the_second_comes(cloud):
    cloud.measure()
    twin = SealingNode.named("tz-0000")
    cloud.witness(cloud.drawn())
    cloud.round()
    cloud.round(300)
    cloud.attestor.take_seals(encode_seals([twin.seal(FIRST)]))
    cloud.round()
    assert cloud.states() == [(1, "suspended")]


def test_two_boards_of_a_site_may_seal_one_epoch_and_suspend_nothing(cloud):
    """A board is replaced within a quarter of an hour, or the new one's clock is behind."""
    cloud.measure()
    cloud.witness(cloud.drawn())
    cloud.replace_board()
    cloud.attestor.take_seals(encode_seals([cloud.node.seal(FIRST + epoch) for epoch in (0, 1, 96)]))
    cloud.round()
    cloud.round(300)
    assert cloud.states() == [(1, "off-baseline")]


def seal_twice(cloud):
    """The first site's key seals an epoch a second time."""
    cloud.attestor.take_seals(encode_seals([SealingNode.named("tz-0000").seal(FIRST)]))


def test_a_suspended_site_is_attested_again_under_a_list_with_another_key_for_it(cloud):
    cloud.measure()
    seal_twice(cloud)
    cloud.round()
    assert cloud.states() == [(1, "suspended")]
    cloud.replace_board()
    cloud.measure(first=FIRST + 96)
    cloud.witness(cloud.drawn(FIRST + 192))
    cloud.round()
    cloud.round(300)
    states = [(row.day, str(row.state)) for row in cloud.attestor.days.of("tz-0000")]
    assert states == [(DAY + 1, "off-baseline"), (DAY, "suspended")]


def test_a_newer_list_with_the_same_key_does_not_lift_a_suspension(cloud):
    cloud.measure()
    seal_twice(cloud)
    cloud.round()
    cloud.next_list(cloud.fleet.nodes)
    cloud.open()
    cloud.measure(first=FIRST + 97)
    cloud.round()
    cloud.others_seal(FIRST + 192)
    cloud.round()
    assert [row.day for row in cloud.attestor.days.of("tz-0000")] == [DAY] and cloud.states() == [(1, "suspended")]


def test_a_second_seal_of_a_board_that_is_gone_suspends_its_days_and_not_the_site(cloud):
    cloud.measure()
    cloud.witness(cloud.drawn())
    cloud.round()
    cloud.round(300)
    cloud.replace_board()
    seal_twice(cloud)
    cloud.round()
    assert cloud.states() == [(1, "suspended")]
    assert not cloud.attestor.suspended_key(cloud.node.prover.public_key)


def test_every_seal_in_the_log_is_of_a_key_of_the_list_by_which_its_beacon_draws(cloud):
    """Else nobody could recompute the beacon from the VRF keys that a bundle has."""
    cloud.measure()
    cloud.drawn()
    former = cloud.node
    late = encode_seals([former.seal(FIRST + 97)])
    cloud.attestor.take_seals(encode_seals([cloud.fleet.nodes[1].seal(FIRST + 97)]))
    old_list = cloud.replace_board() and cloud.attestor.trust.lists[0]
    cloud.attestor.take_seals(encode_seals([cloud.node.seal(FIRST + 97)]))
    cloud.attestor.take_seals(late)
    for _ in range(3):
        cloud.round()
        cloud.others_seal(FIRST + 98)
    keys, log, before = dict(old_list.vrf_keys), cloud.attestor.log, 0
    frozen = cloud.attestor.frozen_at(cloud.attestor.trust.newest)
    for signed in log.published(0, log.last.number):
        checkpoint = Checkpoint.parse(signed.document)
        seals = [Seal.decode(entry[1:]) for entry in log.between(before, checkpoint.size) if entry[0] == EntryKind.SEAL]
        assert judge_contributions(seals, keys, checkpoint.contributors, checkpoint.contributions).passed
        before = checkpoint.size
        if before > frozen:
            keys = dict(cloud.attestor.trust.newest.vrf_keys)
    assert cloud.node.seals[0].encode() in {entry[1:] for entry in log.between(0, len(log))}


def adopt_while_collecting(cloud, nodes):
    """The cloud takes a list over other nodes after a day was drawn for and before its window is over; the drawing, and the fleet then."""
    cloud.measure()
    announced, drawn = cloud.drawn(), cloud.fleet
    for node in nodes:
        drawn.operators.setdefault(node.name, "operator-9")
    cloud.next_list(nodes)
    cloud.attestor.renew(AttestationTrust.load(cloud.directory))
    cloud.round()
    assert cloud.attestor.announcements() == [announced]
    return announced, drawn


def witness_as(cloud, fleet, announced):
    """Every site of a fleet that is no longer the cloud's considers the drawing, and the window ends."""
    newer, cloud.fleet = cloud.fleet, fleet
    cloud.witness(announced)
    cloud.fleet = newer
    cloud.round()
    cloud.round(300)


def test_a_day_that_was_drawn_is_decided_by_the_list_of_its_drawing_though_another_is_adopted_in_its_window(cloud):
    """One witness is gone in the new list, one has another board, one is new."""
    nodes, new = cloud.fleet.nodes, SealingNode.named("tz-0009")
    announced, drawn = adopt_while_collecting(cloud, [*nodes[:4], SealingNode.named(nodes[4].name, seed=7), new])
    enrolment, witness = cloud.fleet.entry(cloud.node).enrolment, Witness(new.identity, new, signing_key(new.name), lambda: cloud.now)
    said = witness.consider(announced.drawing, announced.day, enrolment, cloud.fleet.trust, cloud.fetch, announced.until)
    with pytest.raises(NotAttestedError, match="not enrol"):
        cloud.attestor.take_statement(said.encode())
    witness_as(cloud, drawn, announced)
    (attempt,) = cloud.attestor.attempts(cloud.node.identity, DAY)
    assert (attempt.trust.trust.revision, cloud.attestor.trust.newest.trust.revision) == (1, 2)
    assert cloud.states() == [(1, "off-baseline")] and cloud.row().agreeing == 5


def test_a_day_that_is_drawn_for_again_is_drawn_by_the_list_that_was_adopted_since(cloud):
    adopt_while_collecting(cloud, cloud.fleet.nodes[:5])
    attempt_again(cloud)
    assert [each.trust.trust.revision for each in cloud.attestor.attempts(cloud.node.identity, DAY)] == [1, 2]
    assert cloud.states() == [(1, "deferred"), (2, "off-baseline")] and cloud.row().agreeing == 4


def test_a_day_of_a_site_that_a_list_drops_in_its_window_comes_to_a_state_all_the_same(cloud):
    announced, drawn = adopt_while_collecting(cloud, cloud.fleet.nodes[1:])
    witness_as(cloud, drawn, announced)
    assert [(row.attempt, str(row.state)) for row in cloud.attestor.days.of("tz-0000")] == [(1, "off-baseline")]
    last = cloud.attestor.log.last.number
    cloud.round()
    assert cloud.attestor.log.last.number == last, "no day waits for a checkpoint"


def test_the_days_of_a_board_that_is_gone_are_said_not_to_close(cloud):
    cloud.measure(epochs=0)
    old = cloud.replace_board()
    cloud.attestor.take_seals(encode_seals([old.seal(FIRST + 97)]))
    cloud.round()
    assert "does not have for the site" in cloud.attestor.waiting["tz-0000", DAY + 1]


def test_seals_of_a_registry_that_did_not_know_keys_are_told_apart_when_it_is_opened(cloud):
    cloud.measure()
    cloud.round()
    before = len(cloud.attestor.log)
    with cloud.registry.writing() as session:
        session.execute(update(StoredSeal).values(vrf_key=b""))
    cloud.open()
    cloud.attestor.take_seals(encode_seals(cloud.node.seals))
    cloud.round()
    assert len(cloud.attestor.log) == before and cloud.states() == [(1, "waiting-for-beacon")]
    seal_twice(cloud)
    cloud.round()
    assert cloud.states() == [(1, "suspended")]


def test_two_roots_of_a_day_in_the_log_are_never_minted(cloud):
    cloud.measure()
    cloud.drawn()
    (attempt,) = cloud.attestor.attempts(cloud.node.identity, DAY)
    other = replace(attempt.day, seals=attempt.day.seals[:-1])
    cloud.attestor._log_day(other)
    cloud.round()
    assert cloud.states() == [(1, "roots-disagree")]
    assert day_entry(other) != day_entry(attempt.day)


def test_a_beacon_that_comes_after_many_checkpoints_draws_all_the_same(cloud, monkeypatch):
    monkeypatch.setattr("thermogen_cloud.attestation_log.CHECKPOINTS_AT_ONCE", 2)
    cloud.measure()
    for epoch in range(FIRST + 96, FIRST + 105):
        cloud.attestor.take_seals(encode_seals([cloud.fleet.nodes[1].seal(epoch)]))
        cloud.round()
    assert cloud.states() == [(1, "waiting-for-beacon")] and cloud.attestor.log.last.number >= 9
    cloud.witness(cloud.drawn(FIRST + 105))
    cloud.round()
    cloud.round(300)
    assert cloud.states() == [(1, "off-baseline")] and cloud.row().agreeing == 5


def test_a_checkpoint_is_closed_over_something_new_or_after_a_window_and_over_nothing_else(cloud):
    def closed(after_s=60):
        before = cloud.attestor.log.last
        cloud.round(after_s)
        return cloud.attestor.log.last.number - (-1 if before is None else before.number)

    cloud.measure()
    assert closed() == 2  # the trust list, and the day
    assert [closed() for _ in range(5)] == [0] * 5 and cloud.states() == [(1, "waiting-for-beacon")]
    announced = cloud.drawn()
    assert closed() == 0 and cloud.states() == [(1, "collecting")]
    cloud.open()  # a restart remembers no window
    assert [closed(120), closed(119)] == [0, 0]
    assert closed(1) == 1 and cloud.now == announced.until and cloud.states() == [(1, "deferred")]
    assert [closed(900) for _ in range(3)] == [0] * 3


def test_a_window_that_ends_while_its_day_cannot_be_decided_still_has_its_checkpoint(cloud, monkeypatch):
    """The methodology's file is lost as the day is drawn for, and is restored after the window."""
    cloud.measure()
    cloud.round()
    cloud.others_seal()
    with monkeypatch.context() as patched:
        patched.setattr(cloud.methodologies, "chosen", _lost)
        cloud.round()
        assert cloud.states() == [(1, "waiting-for-beacon")]
        cloud.round(300)
    cloud.round()
    assert cloud.states() == [(1, "deferred")]


def _lost(*_):
    raise MethodologyChoiceError("a file is missing", "restore it")


def test_a_restart_at_any_moment_goes_on_where_it_was(cloud):
    cloud.measure()
    cloud.open()
    announced = cloud.drawn()
    cloud.open()
    cloud.witness(announced)
    cloud.open()
    cloud.round()
    cloud.open()
    cloud.round(300)
    assert cloud.states() == [(1, "off-baseline")] and cloud.row().agreeing == 5


def test_a_list_that_does_not_follow_or_does_not_name_the_cloud_is_not_adopted(tmp_path):
    fleet = large_fleet()
    directory = CloudDirectory(tmp_path / "cloud")
    directory.create()
    files = write_trust(fleet, tmp_path / "ceremony")
    given = (fleet.trust.valid_from + 10_000, lambda _: None)
    with pytest.raises(AttestationTrustError, match="name this cloud"):
        adopt(directory, *files, signing_key("eve").public_key, *given)
    assert AttestationTrust.load(directory) is None
    own = signing_key("cloud-1").public_key
    (tmp_path / "ceremony/trust.signed").write_bytes(fleet.signed_trust("rita").encode())
    with pytest.raises(AttestationTrustError, match="2 are needed"):
        adopt(directory, *files, own, *given)
    write_trust(fleet, tmp_path / "ceremony")
    for _ in range(2):
        adopt(directory, *files, own, *given)
    fleet.__dict__["trust"] = replace(fleet.trust, revision=2)
    write_trust(fleet, tmp_path / "ceremony")
    with pytest.raises(AttestationTrustError, match="does not follow"):
        adopt(directory, *files, own, *given)
    assert len(AttestationTrust.load(directory).lists) == 1
