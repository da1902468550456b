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
from thermogen_esf.evidence.approval import Approval, Decision


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


def mint_with_kills(cloud_process, link, site, approver_key, wait, seed, kills):
    """Approves mints while the cloud is killed; in the end every request is one credit and the books balance."""
    moments = random.Random(seed)
    cloud_process.start()
    left = kills
    for _ in range(3):
        first = site.epoch
        sent = site.batches(2)
        for batch in sent:
            link.send(batch)
        last = first + 1
        wait(lambda: sum(row["status"] == "believed" for row in cloud_process.get(f"batches?site={site.name}")) == site.number, "believed")
        order = {"site": site.name, "first_epoch": first, "last_epoch": last}
        status, mint = post(cloud_process, "mints", order)
        assert status == 201, mint
        values = {"reason": "looked at it", "approver": "ada", "role": "approver", "time": 1_790_000_000}
        approval = Approval(request=bytes.fromhex(mint["hash"]), decision=Decision.APPROVE, **values)
        body = {**values, "decision": "approve", "signature": approval.sign(approver_key).hex()}
        while cloud_process.get(f"mints/{mint['hash']}")["state"] != "minted":
            approving = threading.Thread(target=post, args=(cloud_process, f"mints/{mint['hash']}/approval", body))
            approving.start()
            if left:
                left -= 1
                approving.join(moments.random() * 0.15)
                cloud_process.kill()
                cloud_process.start()
            approving.join()
            assert post(cloud_process, "mints", order)[0] in (201, 409)
        books = cloud_process.get("accounting")
        assert books["held"] + books["retired"] + books["cancelled"] == books["issued"]
    credits_ = cloud_process.get("credits")
    assert len(credits_) == 3, f"seed {seed}"
    assert len({row["request"] for row in credits_}) == 3
    assert cloud_process.get("accounting")["issued"] == sum(row["amount"] for row in credits_)


@pytest.mark.slow
def test_kills_during_a_mint_lose_no_tonne_and_double_none(cloud_process, uplink, site, approver_key, wait):
    mint_with_kills(cloud_process, uplink(), site, approver_key, wait, seed=20, kills=5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(8))
def test_many_kills_during_mints_lose_no_tonne_and_double_none(cloud_process, uplink, site, approver_key, wait, seed):
    mint_with_kills(cloud_process, uplink(), site, approver_key, wait, seed, kills=25)
