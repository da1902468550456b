"""What the page and the API show of attestation, and that a site without it is never shown as one with it."""

from __future__ import annotations

import html
import json
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from thermogen_cloud.api import application
from thermogen_cloud.attestation_api import KIND, NEXT
from thermogen_cloud.attestation_trust import AttestationTrust
from thermogen_cloud.attested_minting import AttestedMinting
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.drawings import Drawings
from thermogen_cloud.errors import OperatorError
from thermogen_cloud.initialise import read_key
from thermogen_cloud.intake import Intake
from thermogen_cloud.refusals import AttestedSiteError
from thermogen_cloud.registry import AttestedDay
from thermogen_esf.evidence.attestation.exchange import encode_request, encode_seals, parse_published
from thermogen_esf.evidence.attestation.log import Log
from thermogen_esf.evidence.attestation.quorum import DayState
from thermogen_esf.evidence.attestation.statement import Opinion, Why
from thermogen_esf.evidence.trust import NamedKey
from thermogen_sim.fleet.enrolling import signing_key
from thermogen_sim.fleet.node import SealingNode

from .attesting_fleet import DAY, FIRST, AttestingCloud, large_fleet, write_trust
from .test_page import address, browser, shot  # noqa: F401  the page's own fixtures

pytestmark = pytest.mark.slow

PUBLISHED = "/api/v1/attestation"


@pytest.fixture
def attesting(tmp_path, cloud):
    """An attesting cloud over the registry and the page of `cloud`, which knows its first site, and alpha that is not attested."""
    made = AttestingCloud(tmp_path / "attesting", registry_of=cloud)
    cloud.trust.enrol_site(made.fleet.entry(made.node).enrolment.site_key)
    cloud.minting.attested = lambda: frozenset(made.attestor.trust.newest.by_name)
    cloud.attestor = made.attestor
    return made


@pytest.fixture
def client(cloud, attesting):
    with TestClient(application(cloud.services), base_url="http://127.0.0.1", follow_redirects=False) as client:
        client.auth = ("viewer", cloud.directory.viewer_password.read_text().strip())
        yield client


def test_the_page_says_of_each_site_whether_it_is_attested(client):
    page = client.get("/").text
    assert "Not sealed, not witnessed: what it says is its own key's word alone." in page
    assert "none of its days is closed yet" in page
    sites = {site["name"]: (site["by_attested_day"], site["attested"]) for site in client.get("/api/v1/sites").json()}
    assert sites == {"tz-wellpad-alpha-01": (False, False), "tz-0000": (True, False)}


def store_days(cloud, *days):
    """Rows of a site's days: day, attempt, state."""
    with cloud.registry.writing() as session:
        for day, attempt, state in days:
            values = {"label": None, "epoch": None, "agreeing": 2, "received": 3, "energy_mj": None, "gas": None, "changed_at": 1}
            session.add(AttestedDay(site="tz-0000", day=day, attempt=attempt, state=state, detail="for this reason", **values))


def card_of(client):
    """The site's state in the API, and what its card on the page says of it."""
    site = client.get("/api/v1/sites/tz-0000").json()
    card = client.get("/").text.partition(f'id="site-{site["identity"]}"')[2].partition("</article>")[0]
    return site["attested"], site["newest_day"]["state"], html.unescape(card)


@pytest.mark.parametrize("state", DayState, ids=str)
def test_a_site_is_called_attested_by_its_newest_day_and_not_for_being_in_the_list(client, cloud, state):
    store_days(cloud, (DAY - 1, 1, DayState.ATTESTED), (DAY, 1, state))
    attested, shown, card = card_of(client)
    assert (attested, shown) == (state is DayState.ATTESTED, state)
    assert f'class="badge {KIND[state]}">{state.value.replace("-", " ")}</span>' in card and NEXT[state] in card


def test_doubt_in_an_earlier_attempt_is_not_hidden_by_a_later_one(client, cloud):
    store_days(cloud, (DAY, 1, DayState.REVIEW), (DAY, 2, DayState.ATTESTED))
    assert card_of(client)[:2] == (False, "review")


def test_a_site_whose_key_is_suspended_is_shown_so_on_its_later_days_until_it_has_another(client, cloud, attesting):
    store_days(cloud, (DAY, 1, DayState.ATTESTED))
    for leaves in (1, 2):
        attesting.attestor.take_seals(encode_seals([SealingNode.named("tz-0000").seal(FIRST - 500, leaf_count=leaves)]))
    assert card_of(client)[:2] == (False, "suspended")
    attesting.next_list([SealingNode.named("tz-0000", seed=1), *attesting.fleet.nodes[1:]])
    attesting.attestor.renew(AttestationTrust.load(attesting.directory))
    assert card_of(client)[:2] == (True, "attested")


def test_a_cloud_that_does_not_attest_has_no_such_section(cloud):
    with TestClient(application(cloud.services), base_url="http://127.0.0.1") as client:
        client.auth = ("viewer", cloud.directory.viewer_password.read_text().strip())
        assert 'id="attestation"' not in client.get("/").text
        assert client.get(PUBLISHED).json() is None
        assert client.get(f"{PUBLISHED}/days/tz-0000").status_code == 404


@pytest.mark.parametrize("state", DayState, ids=str)
def test_every_state_is_shown_with_what_follows_from_it(client, cloud, state):
    store_days(cloud, (DAY, 1, state))
    page = html.unescape(client.get("/").text)
    assert f">{state.value.replace('-', ' ')}</span>" in page and "For this reason." in page and "2 of 3 agree" in page
    assert NEXT[state] in page and state in KIND
    (shown,) = client.get(f"{PUBLISHED}/days/tz-0000").json()
    assert (shown["state"], shown["next"]) == (state.value, NEXT[state])


def test_a_site_that_is_attested_is_minted_in_no_other_way(cloud, attesting, client):
    for batch in (attesting.measure(), *attesting.batches.values())[1:]:
        cloud.receive(batch, "tz-0000")
    assert "/sites/tz-0000/mint" not in client.get("/").text, "what would be refused is not offered"
    with pytest.raises(AttestedSiteError):
        cloud.minting.request("tz-0000", FIRST, FIRST + 2, "TZ-DISPLACED-GRID")
    answer = client.post("/sites/tz-0000/mint")
    assert answer.status_code == 409


def test_a_stranger_rebuilds_the_log_from_the_api(client, attesting):
    attesting.measure()
    attesting.drawn()
    log = Log(attesting.fleet.root.hash, [bytes.fromhex(entry) for entry in client.get(f"{PUBLISHED}/log").json()])
    last = attesting.attestor.log.last
    assert len(log) == last.size == client.get(PUBLISHED).json()["entries"]
    assert (
        client.get(f"{PUBLISHED}/checkpoints/{last.number}").content
        == attesting.attestor.log.published(last.number, last.number)[0].encode()
    )
    assert [bytes.fromhex(node) for node in client.get(f"{PUBLISHED}/consistency?old=2&new={last.size}").json()] == log.consistency(
        2, last.size
    )
    assert client.get(f"{PUBLISHED}/checkpoints/999").status_code == 404
    assert client.get(f"{PUBLISHED}/trust").content == attesting.attestor.trust.newest.signed.encode()


def test_a_second_seal_that_somebody_kept_suspends_the_site_over_the_api(client, attesting):
    attesting.measure()
    attesting.round()
    kept = SealingNode.named("tz-0000").seal(FIRST)
    headers = {"Content-Type": "application/octet-stream"}
    assert client.post(f"{PUBLISHED}/seals", content=kept.encode(), headers=headers).status_code == 202
    forged = replace(kept, root=bytes(32))
    assert client.post(f"{PUBLISHED}/seals", content=forged.encode(), headers=headers).status_code == 422
    attesting.round()
    assert client.get(f"{PUBLISHED}/days/tz-0000").json()[0]["state"] == "suspended"


def test_a_dissent_that_did_not_come_by_the_broker_is_taken_over_the_api(client, attesting):
    attesting.measure()
    kept = {}
    attesting.witness(attesting.drawn(), lambda node, said: kept.setdefault(node.name, said) and None)
    dissent = replace(kept["tz-0003"], opinion=Opinion.DISSENT, why=Why.IMPLAUSIBLE, epoch=FIRST + 1, claims=None)
    headers = {"Content-Type": "application/octet-stream"}
    signed = dissent.sign(signing_key("tz-0003")).encode()
    assert client.post(f"{PUBLISHED}/statements", content=signed, headers=headers).status_code == 202
    attesting.round()
    (shown,) = client.get(f"{PUBLISHED}/days/tz-0000").json()
    assert (shown["state"], shown["epoch"]) == ("review", FIRST + 1)


def test_witnesses_are_told_of_a_drawing_and_get_the_days_batches_and_no_others(cloud, attesting):
    sent = []
    drawings = Drawings(attesting.attestor, cloud.registry, lambda *message: sent.append(message))
    attesting.measure()
    for batch in attesting.batches.values():
        cloud.receive(batch, "tz-0000")
    announced = attesting.drawn()
    drawings.announce()
    assert sorted(site for site, _, _ in sent) == [f"tz-000{number}" for number in range(1, 6)]
    assert {(leaf, content) for _, leaf, content in sent} == {("drawing", announced.encode())}
    sent.clear()
    site = attesting.node.identity
    for sender, request in (
        ("tz-0001", encode_request(site, FIRST + 200)),  # not of the day
        ("tz-nobody", encode_request(site, FIRST)),
        ("tz-0001", b"junk"),
    ):
        drawings.fetch(sender, request)
    assert sent == []
    drawings.fetch("tz-0001", encode_request(site, FIRST))
    ((sender, leaf, content),) = sent
    assert (sender, leaf) == ("tz-0001", "published")
    assert parse_published(content) == (site, FIRST, (attesting.batches[FIRST],))


def test_a_drawing_that_cannot_be_announced_now_is_announced_by_a_later_round(cloud, attesting):
    def no_link(*_message):
        raise OperatorError("no link", "wait")

    attesting.measure()
    attesting.drawn()
    Drawings(attesting.attestor, cloud.registry, no_link).announce()
    sent = []
    Drawings(attesting.attestor, cloud.registry, lambda *message: sent.append(message)).announce()
    assert len(sent) == 5


def test_seals_and_statements_that_come_by_the_broker_are_receipted_and_what_is_none_is_put_aside(cloud, attesting):
    intake = Intake(cloud.registry, cloud.key, cloud.trust, lambda: cloud.now, attesting.attestor)
    seals = encode_seals([attesting.node.seal(FIRST)])
    first = intake.seals("tz-0000", seals)
    assert first is not None and intake.seals("tz-0000", seals) == first
    assert intake.seals("tz-0000", b"junk") is None and intake.statement("tz-0000", b"junk") is None
    assert Intake(cloud.registry, cloud.key, cloud.trust, lambda: cloud.now).seals("tz-0000", seals) is None


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_the_days_are_legible_in_a_browser_at(browser, cloud, attesting, address, tmp_path, width):  # noqa: F811
    parts = (cloud.registry, cloud.ledger, attesting.attestor, signing_key("cloud-1"), attesting.methodologies)
    cloud.attested_minting = minting = AttestedMinting(*parts, lambda: cloud.now)
    attesting.measure()
    for batch in attesting.batches.values():
        cloud.receive(batch, "tz-0000")
    attesting.witness(attesting.drawn(), lambda node, said: said if node.name > "tz-0001" else None)
    attesting.round()
    attesting.round(300)
    minting.round()
    browser.get(address)
    shot(browser, tmp_path / f"attestation-{width}.png", width)
    text = browser.find_element("id", "attestation").text
    assert "off baseline" in text and "4 of 4 agree" in text and "waits for approval" in text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width, "nothing sticks out"
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.slow
def test_an_operator_adopts_a_list_and_seals_are_receipted_over_the_broker(cloud_process, uplink, tmp_path, wait):
    own = read_key(CloudDirectory(cloud_process.root).cloud_key).public_key
    fleet = large_fleet()
    clouds = (NamedKey("cloud-1", own, 0, None),)
    fleet.__dict__["trust"] = replace(fleet.trust, clouds=clouds, valid_to=2**32 - 1)  # the command has the wall clock
    pin, signed, sites = write_trust(fleet, tmp_path / "ceremony")
    arguments = ("adopt-trust", "--pin", str(pin), "--trust", str(signed), "--enrolments", str(sites))
    for _ in range(2):
        assert json.loads(cloud_process.run(*arguments).stdout)["sites"] == 6
    cloud_process.start()
    link, message = uplink(), encode_seals([fleet.nodes[0].seal(FIRST)])
    link.send(message, "seals")
    wait(lambda: link.receipts_of(message), "the seal is receipted")
    assert cloud_process.get("attestation")["revision"] == 1
    assert {site["name"]: site["by_attested_day"] for site in cloud_process.get("sites")}["tz-0000"] is True
