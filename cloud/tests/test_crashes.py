"""SIGKILL while a mint is being made: whatever line it falls on, no tonne is lost and none is minted twice."""

from __future__ import annotations

import base64
import http.client
import json
import random
import threading
import urllib.error
import urllib.request

import pytest
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.initialise import read_key
from thermogen_cloud.ledger import Token2022Ledger
from thermogen_esf.evidence.approval import Approval, Decision

RETIRED, CANCELLED = 300, 200
"""1e-6 t of the first credit."""


def post(cloud_process, path, body):
    """One request that the death of the cloud may cut off; the status, None where it was cut off."""
    password = (cloud_process.root / "viewer.password").read_text().strip()
    headers = {"Authorization": "Basic " + base64.b64encode(f"viewer:{password}".encode()).decode(), "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{cloud_process.port}/api/v1/{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except (OSError, http.client.HTTPException):
        return None, None


def order_two_epochs(cloud_process, link, site, wait):
    """Sends two batches, and asks for their mint once they are believed; the order and the request."""
    order = {"site": site.name, "first_epoch": site.epoch, "last_epoch": site.epoch + 1}
    for batch in site.batches(2):
        link.send(batch)
    wait(lambda: sum(row["status"] == "believed" for row in cloud_process.get(f"batches?site={site.name}")) == site.number, "believed")
    status, mint = post(cloud_process, "mints", order)
    assert status == 201, mint
    return order, mint["hash"]


def approval_of(request, approver_key):
    """The approver's signed decision, as the API takes it."""
    values = {"reason": "looked at it", "approver": "ada", "role": "approver", "time": 1_790_000_000}
    approval = Approval(request=bytes.fromhex(request), decision=Decision.APPROVE, **values)
    return {**values, "decision": "approve", "signature": approval.sign(approver_key).hex()}


def burn_a_part(root):
    """Retires and cancels a part of the only credit, with no server running: nothing does it over the API yet."""
    directory = CloudDirectory(root)
    ledger = Token2022Ledger(directory.ledger, read_key(directory.ledger_authority_key).seed, read_key(directory.ledger_holder_key).seed)
    (mint,) = ledger.holdings()
    ledger.retire(mint, RETIRED, b"r" * 32)
    ledger.cancel(mint, CANCELLED, b"c" * 32)
    ledger.close()


def checked_books(cloud_process, at_least, seed):
    """What is issued, after the books were balanced: by the cloud's own word, and by what it says of each credit."""
    books = cloud_process.get("accounting")
    assert books["held"] + books["retired"] + books["cancelled"] == books["issued"], f"seed {seed}"
    assert (books["retired"], books["cancelled"]) == (RETIRED, CANCELLED), f"seed {seed}"
    assert books["issued"] >= at_least > 0, f"what was issued stays so (seed {seed})"
    credits_ = cloud_process.get("credits")
    for column, total in (("amount", "issued"), ("held", "held"), ("retired", "retired"), ("cancelled", "cancelled")):
        assert sum(row[column] for row in credits_) == books[total], f"{total} (seed {seed})"
    return books["issued"]


def mint_with_kills(cloud_process, link, site, approver_key, wait, seed, kills):
    """Approves mints while the cloud is killed: the books balance after each restart, and in the end every request is one credit.

    One credit is issued before, and a part of it burnt, so that no sum is one of zeros.
    """
    moments = random.Random(seed)
    cloud_process.start()
    _, request = order_two_epochs(cloud_process, link, site, wait)
    assert post(cloud_process, f"mints/{request}/approval", approval_of(request, approver_key))[0] == 200
    assert cloud_process.stop() == 0
    burn_a_part(cloud_process.root)
    cloud_process.start()
    issued = checked_books(cloud_process, 1, seed)
    left = kills
    for _ in range(3):
        order, request = order_two_epochs(cloud_process, link, site, wait)
        body, before = approval_of(request, approver_key), issued
        while cloud_process.get(f"mints/{request}")["state"] != "minted":
            approving = threading.Thread(target=post, args=(cloud_process, f"mints/{request}/approval", body))
            approving.start()
            if left:
                left -= 1
                approving.join(moments.random() * 0.15)
                cloud_process.kill()
                approving.join()  # cut off: what is looked at is what the restart alone made of it
                cloud_process.start()
                issued = checked_books(cloud_process, issued, seed)
            approving.join()
            assert post(cloud_process, "mints", order)[0] in (201, 409)
        issued = checked_books(cloud_process, before + 1, seed)
    credits_ = cloud_process.get("credits")
    assert len(credits_) == 4, f"seed {seed}"
    assert len({row["request"] for row in credits_}) == 4


@pytest.mark.slow
def test_kills_during_a_mint_lose_no_tonne_and_double_none(cloud_process, uplink, site, approver_key, wait):
    mint_with_kills(cloud_process, uplink(), site, approver_key, wait, seed=20, kills=5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(8))
def test_many_kills_during_mints_lose_no_tonne_and_double_none(cloud_process, uplink, site, approver_key, wait, seed):
    mint_with_kills(cloud_process, uplink(), site, approver_key, wait, seed, kills=25)
