"""The page: complete without a script, safe against what sites send, usable on a phone; the slow tests drive a real Chromium."""

from __future__ import annotations

import json
import re
import shutil
import threading
from pathlib import Path

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from starlette.testclient import TestClient
from thermogen_cloud.api import application
from thermogen_cloud.keys import save_approver_key
from thermogen_esf import frames
from thermogen_esf.evidence.approval import Approval, Decision

PASSPHRASE = "correct horse battery"
METHODOLOGY = "TZ-DISPLACED-GRID"


@pytest.fixture
def busy(cloud, site):
    """A cloud that has something of everything to show; its waiting mint."""
    first = site.epoch
    for batch in site.batches(2):
        cloud.receive(batch)
    cloud.approve(cloud.minting.request(site.name, first, first + 1, METHODOLOGY))
    for batch in site.batches(2):
        cloud.receive(batch)
    site.sequence += 2
    cloud.receive(site.batch())
    site.number += 2
    cloud.receive(site.batch())
    cloud.receive(b"not a frame")
    cloud.intake.live(site.name, site.live())
    cloud.intake.alert(site.name, frames.encode(site.alert()))
    save_approver_key(cloud.directory.approver_key("ada"), "ada", cloud.approver_key.seed, PASSPHRASE)
    return cloud.minting.request(site.name, first + 2, first + 3, METHODOLOGY).hex()


@pytest.fixture
def client(cloud):
    """A reader of the page without a script."""
    with TestClient(application(cloud.services), base_url="http://127.0.0.1", follow_redirects=False) as client:
        client.auth = ("viewer", cloud.directory.viewer_password.read_text().strip())
        yield client


def decide(client, request, **fields):
    form = {"decision": "approve", "approver": "ada", "reason": "looked at it", "passphrase": PASSPHRASE} | fields
    return client.post(f"/mints/{request}/decision", data=form)


def test_an_empty_cloud_has_a_page(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "No batch has arrived" in page.text and "No mint waits" in page.text


def test_the_page_says_why_each_batch_is_or_is_not_believed(client, busy):
    page = client.get("/").text
    for text in (
        "ML-DSA-87 by tz-wellpad-alpha-01",
        "leaves are missing",
        "waiting for predecessor",
        "Put aside",
        "hot side too hot",
        "SC-2025-TZ-000001",
    ):
        assert text in page, text


def test_an_approval_with_the_passphrase_mints(client, busy, cloud):
    answer = decide(client, busy)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?done=approve#mints")
    assert "SC-2025-TZ-000002" in client.get("/").text


def test_a_rejection_mints_nothing(client, busy):
    assert decide(client, busy, decision="reject").status_code == 303
    page = client.get("/").text
    assert "SC-2025-TZ-000002.bundle" not in page and "rejected" in page


def test_a_decision_signed_elsewhere_can_be_pasted(client, busy, cloud):
    values = {"reason": "at my own desk", "approver": "ada", "role": "approver", "time": cloud.now}
    approval = Approval(request=bytes.fromhex(busy), decision=Decision.APPROVE, **values)
    signed = json.dumps({**values, "decision": "approve", "signature": approval.sign(cloud.approver_key).hex()})
    assert "the button was to reject" in decide(client, busy, signed=signed, decision="reject").text
    assert decide(client, busy, signed=signed, passphrase="", reason="").status_code == 303


def test_a_decision_that_cannot_be_taken_says_why_and_changes_nothing(client, busy):
    for fields, status, says in (
        ({"passphrase": "wrong horse battery"}, 403, "passphrase"),
        ({"reason": ""}, 422, "reason"),
        ({"approver": "../../etc/passwd"}, 422, "approver"),
        ({"approver": "mallory"}, 503, "no key file"),
        ({"signed": "{"}, 422, "paste"),
    ):
        answer = decide(client, busy, **fields)
        assert answer.status_code == status
        assert says in answer.text.lower()
        assert "Approve and mint" in answer.text


def test_a_form_that_another_sites_page_sends_is_refused(client, busy):
    client.headers["Sec-Fetch-Site"] = "cross-site"
    assert decide(client, busy).status_code == 403


def ask(client, site):
    return client.post(f"/sites/{site.name}/mint")


def test_a_mint_of_all_that_is_believed_can_be_requested_and_twice_is_once(client, cloud, site):
    assert "Request a mint" not in client.get("/").text, "there is nothing to request"
    first = site.epoch
    for batch in site.batches(3):
        cloud.receive(batch)
    page = client.get("/").text
    assert f'action="/sites/{site.name}/mint"' in page and "No mint waits" in page
    for _ in range(2):
        answer = ask(client, site)
        assert (answer.status_code, answer.headers["location"]) == (303, "/?done=request#mints")
    (waiting,) = client.get("/api/v1/mints").json()
    assert (waiting["state"], waiting["first_epoch"], waiting["last_epoch"]) == ("requested", first, first + 2)
    assert f'action="/mints/{waiting["hash"]}/decision"' in client.get("/").text


def test_a_mint_that_cannot_be_requested_says_why_on_the_page(client, cloud, site, new_site):
    for asked, status, says in (
        (new_site("tz-wellpad-nobody"), 409, "There is nothing to mint"),
        (site, 409, "There is nothing to mint"),
    ):
        answer = ask(client, asked)
        assert answer.status_code == status and says in answer.text
    cloud.receive(site.batch())
    answer = ask(client, site)
    assert answer.status_code == 409
    assert "The amount is below the least mint" in answer.text and "Request more epochs at once" in answer.text
    assert client.get("/api/v1/mints").json() == []


def test_a_mint_request_from_another_sites_page_or_without_the_password_is_refused(client, cloud, site):
    for batch in site.batches(3):
        cloud.receive(batch)
    client.headers["Sec-Fetch-Site"] = "cross-site"
    assert ask(client, site).status_code == 403
    del client.headers["Sec-Fetch-Site"]
    client.auth = None
    assert ask(client, site).status_code == 401
    client.auth = ("viewer", cloud.directory.viewer_password.read_text().strip())
    assert client.get("/api/v1/mints").json() == []


def test_nothing_that_a_site_sends_becomes_markup(client, cloud, site):
    hostile = '<script>alert("x")</script>'
    cloud.intake.alert(site.name, frames.encode(site.alert(hostile)))
    cloud.intake.batch(hostile, b"junk")
    page = client.get("/").text
    assert "alert(" not in page.replace("alert(&#34;", "")
    assert "&lt;script&gt;" in page


def test_the_page_may_run_only_its_own_script_and_load_nothing_from_elsewhere(client):
    one, other = client.get("/"), client.get("/")
    policy = one.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
    assert f'<script nonce="{nonce}">' in one.text
    assert nonce not in other.text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', one.text)
    assert " style=" not in one.text and " onclick=" not in one.text


@pytest.fixture
def address(cloud):
    """The page over HTTP, with the viewer's password in the address."""
    server = uvicorn.Server(uvicorn.Config(application(cloud.services), host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    password = cloud.directory.viewer_password.read_text().strip()
    yield f"http://viewer:{password}@127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def browser(tmp_path):
    """Headless Chromium with a fresh profile."""
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def shot(browser, where: Path, width: int) -> None:
    """The whole page as a picture, at a width."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    )
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    )
    browser.save_screenshot(str(where))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_the_page_is_legible_at(browser, address, busy, tmp_path, width):
    browser.get(address)
    shot(browser, tmp_path / f"page-{width}.png", width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width, "nothing sticks out"
    small = browser.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => e.innerText && parseFloat(getComputedStyle(e).fontSize) < 12).length"
    )
    assert small == 0, "no text is smaller than 12 pixels"
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"], "no fault and nothing that the policy blocked"


@pytest.mark.slow
def test_an_approver_mints_in_the_browser(browser, address, busy, wait):
    browser.get(address)
    form = browser.find_element(By.CSS_SELECTOR, f"#mint-{busy} form")
    form.find_element(By.NAME, "reason").send_keys("flows and temperatures agree")
    form.find_element(By.NAME, "passphrase").send_keys(PASSPHRASE)
    form.find_element(By.CSS_SELECTOR, "button.approve").click()
    wait(lambda: "Approved and minted." in browser.page_source, "the page says that it is minted")
    assert "SC-2025-TZ-000002" in browser.find_element(By.ID, "credits").text


@pytest.mark.slow
def test_the_page_follows_what_happens_and_leaves_a_form_alone(browser, address, busy, cloud, site, wait):
    browser.get(address)
    reason = browser.find_element(By.NAME, "reason")
    reason.send_keys("half a sent")
    batch = site.batch()
    cloud.receive(batch)
    wait(lambda: frames.frame_hash(batch).hex() in browser.page_source, "the new batch is on the page")
    assert reason.get_attribute("value") == "half a sent"


@pytest.mark.slow
def test_every_field_has_a_label_and_the_keyboard_reaches_the_buttons(browser, address, busy):
    browser.get(address)
    unlabelled = browser.execute_script(
        "return [...document.querySelectorAll('input, select, textarea')].filter(e => !e.labels.length).length"
    )
    assert unlabelled == 0
    order = browser.execute_script(
        "return [...document.querySelectorAll('a, button, input, select, textarea, summary')].filter(e => e.tabIndex < 0).length"
    )
    assert order == 0
    assert browser.execute_script("return document.documentElement.lang") == "en"
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
