"""The API: guarded, described, and every refusal a problem that says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from thermogen_cloud.api import application
from thermogen_cloud.directory import UnusableSecretError
from thermogen_esf import frames
from thermogen_esf.evidence.approval import Approval, Decision
from thermogen_esf.evidence.bundle import Bundle
from thermogen_esf.evidence.trust import TrustList
from thermogen_esf.points import TimeQuality
from thermogen_esf.scada import WRITABLE, WriteEvent, WriteKind, event_bytes, event_words
from thermogen_esf.signatures import SigningKey


@pytest.fixture
def client(cloud):
    """The API with the viewer's password."""
    with TestClient(application(cloud.services), base_url="http://127.0.0.1") as client:
        client.auth = ("viewer", cloud.directory.viewer_password.read_text().strip())
        yield client


@pytest.fixture
def requested(cloud, site, client):
    """A mint that waits for a decision."""
    first = site.epoch
    for batch in site.batches(2):
        cloud.receive(batch)
    answer = client.post(
        "/api/v1/mints", json={"site": site.name, "first_epoch": first, "last_epoch": first + 1, "methodology": "TZ-DISPLACED-GRID"}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def decision(cloud, request, key=None, **fields):
    values = {"decision": "approve", "reason": "looked at it", "approver": "ada", "role": "approver", "time": cloud.now} | fields
    approval = Approval(request=bytes.fromhex(request), **(values | {"decision": Decision(values["decision"])}))
    return {**values, "signature": approval.sign(key or cloud.approver_key).hex()}


def test_everything_but_health_needs_the_viewers_password(client):
    client.auth = None
    assert client.get("/healthz").status_code == 200
    for path in ("/", "/docs", "/openapi.json", "/page.css", "/api/v1/sites", "/api/v1/batches", "/api/v1/trust", "/api/v1/accounting"):
        for auth in (None, ("viewer", "wrong"), ("admin", "wrong")):
            answer = client.get(path, auth=auth)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_host_name_that_is_not_ours_is_not_answered(client):
    assert client.get("/api/v1/sites", headers={"Host": "rebound.example"}).status_code == 400


def test_a_body_without_bounds_is_refused_before_it_is_read(client):
    for body in (b" " * 65_537, iter([b"{", b"}"])):
        answer = client.post("/api/v1/mints", content=body, auth=None)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_sites_show_their_live_frame_and_how_their_batches_fared(cloud, site, client):
    cloud.receive(site.batch())
    cloud.intake.live(site.name, site.live())
    (view,) = client.get("/api/v1/sites").json()
    assert view["batches"] == {"stored": 0, "believed": 1, "refused": 0}
    assert view["live"]["values"]["bus_voltage"] == 50.0
    assert view["live"]["values"]["site_state"] == "producing"
    assert view["unminted"] == {"count": 1, "first": site.epoch - 1, "last": site.epoch - 1}
    assert client.get(f"/api/v1/sites/{site.name}").json() == view
    assert client.get("/api/v1/sites/nowhere").json()["type"] == "urn:thermogen:problem:unknown-site"


def test_batches_are_asked_for_again_by_a_signed_numbered_command_in_site_time(cloud, site, client):
    cloud.intake.live(site.name, site.live(1_700_000_000))
    path = f"/api/v1/sites/{site.name}"
    first, second = (client.post(f"{path}/resend", json={"first_epoch": 7, "last_epoch": 9}) for _ in range(2))
    assert (first.status_code, first.json()["number"], second.json()["number"]) == (202, 1, 2)
    (to, leaf, data), _ = cloud.sent
    command = frames.decode(data)
    assert (to, leaf, command.code, command.arguments) == (site.name, "command", frames.CommandCode.RESEND_BATCHES, (7, 9))
    assert command.header.time == 1_700_000_000 and frames.verify_frame(command, cloud.key.public_key)
    header = frames.Header(site.identity, 1, 1_700_000_010, TimeQuality.PULSE)
    answer = frames.sign_frame(frames.Acknowledgement(header, 1, frames.Result.DONE, "3 batches"), site.key)
    cloud.intake.acknowledgement(site.name, frames.encode(answer))
    assert [row["results"] for row in client.get(f"{path}/commands").json()] == [[], ["done: 3 batches"]]
    assert client.post("/api/v1/sites/nowhere/resend", json={"first_epoch": 7, "last_epoch": 9}).status_code == 404


def test_what_scada_did_is_listed_newest_first(cloud, site, client):
    client_ip, address = 0xC0A8_5414, WRITABLE["site_power_limit"].address
    told = [
        WriteEvent(1_000, client_ip, address, 1_200, 60, WriteKind.WRITE, 1),
        WriteEvent(1_060, client_ip, 0, 0, 0, WriteKind.EXPIRED, 1),
    ]
    header = frames.Header(site.identity, 0, 1_000, TimeQuality.PULSE)
    writes = frames.Writes(header, 1, 0, tuple(event_bytes(event_words(event)) for event in told))
    cloud.intake.writes(site.name, frames.encode(frames.sign_frame(writes, site.key)))
    shown = client.get(f"/api/v1/sites/{site.name}/writes").json()
    assert [(each["kind"], each["written"], each["client"], each["old"], each["new"]) for each in shown] == [
        ("expired", "", "192.168.84.20", 0, 0),
        ("write", "site_power_limit", "192.168.84.20", 1_200, 60),
    ]
    assert client.get(f"/api/v1/sites/{site.name}").json()["writes"] == shown
    page = client.get("/").text
    assert "site power limit from 1200 to 60 by 192.168.84.20" in page and "override by 192.168.84.20 ended by itself" in page


def test_a_command_is_not_dated_by_a_batch_that_others_sent_in_the_sites_name(cloud, site, client):
    believed = site.batch()
    cloud.receive(believed)
    forged = site.draft()
    forged = site.sign(replace(forged, header=replace(forged.header, time=2**32 - 1)), SigningKey.generate())
    cloud.receive(forged)
    assert cloud.reasons(forged) == ["unknown-key"]
    client.post(f"/api/v1/sites/{site.name}/resend", json={"first_epoch": 7, "last_epoch": 9})
    ((_, _, command),) = cloud.sent
    assert frames.decode(command).header.time == frames.decode(believed).header.time


def test_the_api_lies_where_it_is_set_to_and_lets_in_who_is_set(cloud, requested):
    moved = replace(cloud.services, api_prefix="/wells/v1", viewer="auditor")
    with TestClient(application(moved), base_url="http://127.0.0.1") as client:
        client.auth = ("auditor", cloud.directory.read_viewer_password())
        credit = client.post(f"/wells/v1/mints/{requested['hash']}/approval", json=decision(cloud, requested["hash"])).json()["credit"]
        assert client.get("/api/v1/sites").status_code == 404
        paths = client.get("/openapi.json").json()["paths"]
        assert {path for path in paths if not path.startswith("/wells/v1/")} == {"/healthz"}
        page = client.get("/").text
        assert "/api/v1" not in page
        for link in (f"/wells/v1/credits/{credit}/bundle", "/wells/v1/trust"):
            assert f'href="{link}"' in page and client.get(link).status_code == 200
        assert client.get("/wells/v1/sites", auth=("viewer", cloud.directory.read_viewer_password())).status_code == 401


@pytest.mark.parametrize("password", [b"", b"\n", b"gl\xc3\xbcck auf", b"\xff\xfe", b"two\nlines"])
def test_a_viewers_password_that_no_browser_could_send_lets_nobody_in(cloud, password):
    cloud.directory.viewer_password.write_bytes(password)
    with pytest.raises(UnusableSecretError, match=r"viewer\.password") as error:
        application(cloud.services)
    assert error.value.remedy


def test_a_batch_says_why_it_was_refused(cloud, site, client):
    batch = site.sign(site.draft(), SigningKey.generate())
    cloud.receive(batch)
    (summary,) = client.get("/api/v1/batches", params={"site": site.name}).json()
    assert (summary["status"], summary["count"], summary["epoch"]) == ("refused", 90, site.epoch - 1)
    detail = client.get(f"/api/v1/batches/{frames.frame_hash(batch).hex()}").json()
    assert [check["reason"] for check in detail["checks"] if check["passed"] is False] == ["unknown-key"]
    assert client.get("/api/v1/batches", params={"site": "nowhere"}).json() == []
    assert client.get(f"/api/v1/batches/{frames.frame_hash(batch).hex()}/frame").content == batch
    assert client.get(f"/api/v1/batches/{'0' * 64}/frame").status_code == 404


def test_a_mint_is_requested_approved_and_its_bundle_fetched(cloud, client, requested):
    assert requested["state"] == "requested"
    answer = client.post(f"/api/v1/mints/{requested['hash']}/approval", json=decision(cloud, requested["hash"]))
    assert answer.status_code == 200, answer.text
    minted = answer.json()
    assert (minted["state"], minted["credit"]) == ("minted", "SC-2025-TZ-000001")
    assert minted["approval"]["approver"] == "ada"
    credit = client.get(f"/api/v1/credits/{minted['credit']}").json()
    assert credit["supply"] == credit["held"] == credit["amount"] == requested["amount"]
    assert credit["methodology"] == requested["methodology"] == "TZ-DISPLACED-GRID"
    assert client.get("/api/v1/credits").json() == [credit]
    bundle = client.get(f"/api/v1/credits/{minted['credit']}/bundle")
    assert Bundle.parse(bundle.content).request.decode() == minted["document"]
    assert len(bundle.content) == credit["bundle_bytes"]
    assert client.get("/api/v1/accounting").json() == {"issued": credit["amount"], "held": credit["amount"], "retired": 0, "cancelled": 0}


def test_refusals_are_problems_with_a_type_a_status_and_a_remedy(cloud, site, client, requested):
    path = f"/api/v1/mints/{requested['hash']}/approval"
    cases = [
        (client.post(path, json=decision(cloud, requested["hash"], key=SigningKey.generate())), 403, "bad-approval-signature"),
        (client.post(path, json=decision(cloud, requested["hash"], approver="mallory")), 403, "unknown-approver"),
        (client.post(path, json=decision(cloud, requested["hash"], role="viewer")), 403, "wrong-role"),
        (client.post(path, json={"approver": "ada"}), 422, "invalid-request"),
        (client.post(f"/api/v1/mints/{'0' * 64}/approval", json=decision(cloud, "0" * 64)), 404, "unknown-request"),
        (client.post("/api/v1/mints", json={"site": site.name, "first_epoch": 1, "last_epoch": 2}), 409, "epoch-missing"),
        (client.post("/api/v1/mints", json={"site": "nowhere", "first_epoch": 1, "last_epoch": 2}), 404, "unknown-site"),
        (client.get(f"/api/v1/mints/{'0' * 64}"), 404, "unknown-request"),
    ]
    client.post(path, json=decision(cloud, requested["hash"], decision="reject"))
    cases.append((client.post(path, json=decision(cloud, requested["hash"])), 409, "already-decided"))
    for answer, status, slug in cases:
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (status, status), problem
        assert problem["type"] == f"urn:thermogen:problem:{slug}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"] and problem["remedy"]


def test_what_is_not_there_is_a_problem_too(client):
    for path in ("/api/v1/nothing", "/api/v1/credits/SC-2026-TZ-000009", f"/api/v1/batches/{'0' * 64}"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert client.get("/api/v1/batches/nonsense").status_code == 422


def test_the_trust_list_is_served_byte_for_byte(cloud, client):
    answer = client.get("/api/v1/trust")
    assert answer.content == cloud.directory.trust.read_bytes()
    assert answer.headers["x-sha3-256"] == TrustList.parse(answer.content).fingerprint.hex()


def test_every_operation_is_described_and_names_its_problems(client):
    described = client.get("/openapi.json").json()
    operations = {(method, path): operation for path, methods in described["paths"].items() for method, operation in methods.items()}
    assert {path for _, path in operations} >= {
        "/healthz",
        "/api/v1/mints/{digest}/approval",
        "/api/v1/credits/{serial}/bundle",
        "/api/v1/accounting",
    }
    for name, operation in operations.items():
        assert operation.get("description"), name
    approval = operations["post", "/api/v1/mints/{digest}/approval"]["responses"]
    assert {"200", "403", "404", "409"} <= approval.keys()
    assert client.get("/docs").status_code == 200


def test_books_that_do_not_balance_are_an_error_that_names_the_credit(cloud, client, requested):
    client.post(f"/api/v1/mints/{requested['hash']}/approval", json=decision(cloud, requested["hash"]))
    with cloud.registry.writing() as session:
        session.connection().exec_driver_sql("UPDATE credits SET amount = amount + 1")
    answer = client.get("/api/v1/accounting")
    assert answer.status_code == 500
    assert "SC-2025-TZ-000001" in answer.json()["detail"]
    assert "do not balance" in client.get("/").text
