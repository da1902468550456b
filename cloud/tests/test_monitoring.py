"""What the cloud publishes is enough for `thermogen-verify monitor`, over HTTP and from the first entry on."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from sqlalchemy import update
from thermogen_cloud.registry import LogEntry
from thermogen_esf.evidence.attestation.log import trust_entry
from thermogen_esf.verify import main

from .attesting_fleet import AttestingCloud
from .test_page import address  # noqa: F401  a served cloud


@pytest.fixture
def attesting(tmp_path, cloud):
    """An attesting cloud whose first site's day was drawn and witnessed; it is what `cloud` publishes."""
    made = AttestingCloud(tmp_path / "attesting", registry_of=cloud)
    cloud.attestor = made.attestor
    made.measure()
    made.witness(made.drawn())
    made.round()
    return made


def test_a_monitor_follows_what_the_cloud_publishes_and_sees_it_changed(attesting, cloud, address, tmp_path, capsys):  # noqa: F811
    ceremony, where = tmp_path / "attesting/ceremony", urlsplit(address)
    log = f"http://127.0.0.1:{where.port}/api/v1/attestation"
    login = ["--user", "viewer", "--password-file", str(cloud.directory.viewer_password)]
    pinned = ["--root", str(ceremony / "root.json"), "--enrolments", str(ceremony / "sites")]

    def looks(state):
        status = main(["monitor", log, *pinned, *login, "--state", str(tmp_path / state)])
        return status, capsys.readouterr().out

    status, shown = looks("alpha")
    assert status == 0 and "9 seals, 1 days, 1 trust lists, 5 statements" in shown
    attesting.others_seal(96 * 20_702)
    attesting.round()
    status, shown = looks("alpha")
    assert status == 0 and "checkpoints 4 to 4" in shown and "5 seals" in shown
    with cloud.registry.writing() as session:
        session.execute(update(LogEntry).where(LogEntry.number == 2).values(entry=trust_entry(bytes(32))))
    status, shown = looks("another")
    assert status == 1 and "at checkpoint 1" in shown and "[unknown-list]" in shown
