"""An auditor who was there: whatever the keeper of a log changes, leaves out or makes up is named at the next look.

The log is served as the cloud's API serves it, by a real HTTP server or as a folder, and read by the command.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from thermogen_esf.evidence.attestation.beacon import after, beacon, contributions_hash, genesis
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.log import (
    CHECKPOINT_CONTEXT,
    EntryKind,
    Log,
    day_entry,
    seal_entry,
    statement_entry,
    trust_entry,
)
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.canonical import canonical
from thermogen_esf.verify import main
from thermogen_sim.fleet.attested_day import AttestedDay
from thermogen_sim.fleet.enrolling import Fleet, signing_key
from thermogen_sim.fleet.node import DAY

USER, PASSWORD, PREFIX = "ada", "not shown", "/api/v1/attestation"
CLOUD = signing_key("cloud-1")


class Cloud:
    """A log as its keeper publishes it; every part can be bent."""

    def __init__(self):
        self.day = AttestedDay(Fleet.of(5, 5), epochs=2, scale=1)
        self.day.measure()
        self.day.witness()
        self.fleet = self.day.fleet
        self.checkpoints = list(self.day.chain)
        self.entries = list(self.day.log.entries)
        self.trust = self.fleet.signed_trust().encode()

    def goes_on(self, *added, **changes):
        """Closes a checkpoint over more entries; `changes` are made to it before it is signed."""
        self.entries += added
        log = Log(self.fleet.root.hash, self.entries, self.checkpoints[-1])
        self.checkpoints.append(replace(log.next_checkpoint(self.checkpoints[-1].time + 60), **changes))

    def again(self, entries):
        """The log written anew from other entries, as if it had always been so."""
        log, sizes = Log(self.fleet.root.hash), [each.size for each in self.checkpoints]
        times, self.checkpoints, self.entries = [each.time for each in self.checkpoints], [], entries
        for size, before, time in zip(sizes, (0, *sizes), times, strict=False):
            for entry in entries[before:size]:
                log.append(entry)
            self.checkpoints.append(log.checkpoint(time))

    def signed(self, number):
        return self.checkpoints[number].sign(CLOUD).encode()

    def answer(self, path, query):
        """What the API answers; None: 404."""
        if path == "/trust":
            return self.trust
        if path == "":
            return json.dumps({"checkpoint": len(self.checkpoints) - 1 if self.checkpoints else None}).encode()
        if path == "/log":
            first, count = int(query["first"][0]), int(query["count"][0])
            return json.dumps([entry.hex() for entry in self.entries[first : first + count]]).encode()
        number = int(path.removeprefix("/checkpoints/"))
        return self.signed(number) if 0 <= number < len(self.checkpoints) and self.checkpoints[number] is not None else None

    def write(self, folder):
        """The same as a folder."""
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "trust").write_bytes(self.trust)
        (folder / "log").write_text(json.dumps([entry.hex() for entry in self.entries]))
        for number, checkpoint in enumerate(self.checkpoints):
            if checkpoint is not None:
                (folder / "checkpoints" / str(number)).write_bytes(self.signed(number))
        return folder


@contextmanager
def serving(cloud):
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            allowed = self.headers["Authorization"] == f"Basic {token}"
            found = cloud.answer(parts.path.removeprefix(PREFIX), parse_qs(parts.query)) if allowed else b""
            self.send_response(200 if found else 404 if allowed else 401)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def honest():
    return Cloud()


@pytest.fixture
def cloud(honest):
    fresh = object.__new__(Cloud)
    fresh.__dict__.update(honest.__dict__, checkpoints=list(honest.checkpoints), entries=list(honest.entries))
    return fresh


class Auditor:
    """Runs the command on a folder that the cloud is written to."""

    def __init__(self, folder, fleet, capsys):
        self.folder, self.capsys = folder, capsys
        (folder / "root.json").write_bytes(fleet.root.encode())
        self.enrol("sites", fleet)

    def enrol(self, name, fleet):
        (self.folder / name).mkdir()
        for entry in fleet.entries:
            (self.folder / name / f"{entry.enrolment.name}.json").write_bytes(entry.enrolment.encode())

    def file(self, name, data):
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def arguments(self, log, *more):
        pinned = ["--root", str(self.folder / "root.json"), "--state", str(self.folder / "state")]
        return ["monitor", str(log), *pinned, "--enrolments", str(self.folder / "sites"), *more]

    def looks(self, cloud, *more):
        """Exit status and what came out."""
        status = main([*self.arguments(cloud.write(self.folder / "log"), *more), "--json"])
        return status, json.loads(self.capsys.readouterr().out)

    def sees(self, cloud, *more):
        """Reason and checkpoint of the first thing that is wrong, at a look and, where it is the log's, at the next."""
        status, found = self.looks(cloud, *more)
        assert status == 1 and not found["holds"]
        return found["first_wrong"]["reason"], found["first_wrong"]["checkpoint"]


@pytest.fixture
def auditor(tmp_path, honest, capsys):
    return Auditor(tmp_path, honest.fleet, capsys)


def another_seal(cloud, epoch, **changes):
    """The last site seals an epoch, another than it did where it did."""
    return cloud.fleet.nodes[-1].seal(epoch, **changes)


def test_a_log_is_followed_from_look_to_look_over_the_api(cloud, auditor, capsys):
    secret = auditor.file("password", PASSWORD.encode())
    (auditor.folder / "password").chmod(0o600)
    with serving(cloud) as address:
        login = ["--user", USER, "--password-file", secret]
        assert main(auditor.arguments(address, *login)) == 0
        shown = capsys.readouterr().out
        assert (
            "checkpoints 0 to 4" in shown
            and "7 seals, 1 days, 1 trust lists, 4 statements" in shown
            and "HOLDS: the log only grew" in shown
        )
        assert main(auditor.arguments(address, *login)) == 0
        assert "nothing new behind checkpoint 4" in capsys.readouterr().out
        cloud.goes_on(statement_entry(bytes(32)))
        assert main(auditor.arguments(address, *login)) == 0
        assert "checkpoints 5 to 5" in capsys.readouterr().out
        assert main(auditor.arguments(address)) == 2
        assert "give --user" in capsys.readouterr().err
    assert main(auditor.arguments(address, *login)) == 2
    assert "is the cloud there?" in capsys.readouterr().err


def test_a_log_of_many_entries_is_read_in_pages(cloud, auditor, capsys):
    for number in range(3):
        cloud.goes_on(*(statement_entry(bytes(28) + (1_000 * number + each).to_bytes(4, "big")) for each in range(900)))
    (auditor.folder / "password").touch(0o600)
    secret = auditor.file("password", PASSWORD.encode())
    with serving(cloud) as address:
        assert main(auditor.arguments(address, "--user", USER, "--password-file", secret)) == 0
    assert "2704 statements" in capsys.readouterr().out


def test_a_log_that_is_wound_back_is_named(cloud, auditor):
    assert auditor.looks(cloud)[0] == 0
    (auditor.folder / "log/checkpoints/4").unlink()
    del cloud.checkpoints[4:]
    for _ in range(2):
        assert auditor.sees(cloud) == ("log-forked", 4)


def test_a_log_that_was_written_anew_is_named(cloud, auditor):
    assert auditor.looks(cloud)[0] == 0
    entries = list(cloud.entries)
    entries[-1] = statement_entry(bytes(32))
    cloud.again(entries)
    for _ in range(2):
        assert auditor.sees(cloud) == ("log-forked", 4)
    cloud.goes_on()
    assert auditor.sees(cloud) == ("log-forked", 4)


def test_entries_that_are_not_the_checkpoints_are_named(cloud, auditor):
    cloud.entries[2] = statement_entry(bytes(32))
    assert auditor.sees(cloud) == ("log-forked", 1)
    del cloud.entries[2]
    assert auditor.sees(cloud) == ("log-forked", 1)


def test_what_was_seen_with_a_release_of_other_checkpoints_is_said_and_left_as_it_is(cloud, auditor, capsys):
    auditor.looks(cloud)
    older = {name: value for name, value in cloud.checkpoints[-1].values().items() if name != "beacons"}
    database = sqlite3.connect(auditor.folder / "state")
    database.execute("UPDATE standing SET newest = ?", (Signed.by(canonical({"version": 1, **older}), [CLOUD], b"x").encode(),))
    database.commit()
    database.close()
    before = (auditor.folder / "state").read_bytes()
    assert main(auditor.arguments(auditor.folder / "log")) == 2
    assert "written by another release: give another file" in capsys.readouterr().err
    assert (auditor.folder / "state").read_bytes() == before


def test_a_checkpoint_that_is_taken_out_is_named(cloud, auditor):
    cloud.checkpoints[2] = None
    assert auditor.sees(cloud) == ("log-forked", 2)
    status, found = auditor.looks(cloud)
    assert status == 1 and found["newest"]["number"] == 1


def test_a_checkpoint_that_does_not_follow_is_named(cloud, auditor):
    cloud.goes_on(previous=bytes(32))
    assert auditor.sees(cloud) == ("log-forked", 5)


def test_a_beacon_that_was_chosen_is_named_and_so_is_one_of_made_up_contributions(cloud, auditor):
    before = cloud.checkpoints[-1]
    cloud.goes_on(beacon=b"chosen".ljust(32))
    assert auditor.sees(cloud) == ("wrong-beacon", 5)
    beacons, made_up = after(before.beacons, before.beacon, 9, bytes(32))
    cloud.checkpoints[5] = replace(cloud.checkpoints[5], contributors=9, contributions=bytes(32), beacons=beacons, beacon=made_up)
    assert auditor.sees(cloud) == ("wrong-beacon", 5)


def test_a_first_beacon_of_other_root_keys_is_named(cloud, auditor):
    first = cloud.checkpoints[0]
    for changes in ({"beacon": genesis(bytes(32))}, {"beacon": beacon(genesis(cloud.fleet.root.hash), 1, 0, contributions_hash(()))}):
        cloud.checkpoints[:] = [replace(first, **changes)]
        assert auditor.sees(cloud) == ("wrong-beacon", 0)


def test_a_checkpoint_that_counts_fewer_sites_than_sealed_so_that_it_draws_nothing_is_named(cloud, auditor):
    """Else seals that are in the log could be kept out of every beacon."""
    seals = [seal_entry(node.seal(96 * (DAY + 9))) for node in cloud.fleet.nodes]
    before = cloud.checkpoints[-1]
    cloud.goes_on(*seals, contributors=0, contributions=contributions_hash(()), beacons=before.beacons, beacon=before.beacon)
    assert auditor.sees(cloud) == ("wrong-beacon", 5)


def test_a_seal_that_no_enrolled_key_proved_is_named(cloud, auditor):
    stranger = Fleet.of(9, 9).nodes[8]
    cloud.goes_on(seal_entry(stranger.seal(96 * DAY)))
    assert auditor.sees(cloud) == ("wrong-beacon", 5)


def test_without_the_enrolments_what_seals_prove_is_said_to_be_open(cloud, auditor, capsys):
    arguments = auditor.arguments(cloud.write(auditor.folder / "log"))
    assert main(arguments[: arguments.index("--enrolments")]) == 0
    assert "– seals proven: the enrolments are not given" in capsys.readouterr().out


def test_a_checkpoint_that_somebody_else_signed_is_named(cloud, auditor):
    folder = cloud.write(auditor.folder / "log")
    eve = Signed.by(cloud.checkpoints[3].encode(), [signing_key("eve")], CHECKPOINT_CONTEXT)
    (folder / "checkpoints/3").write_bytes(eve.encode())
    assert main(auditor.arguments(folder)) == 1
    assert "[bad-signature]" in auditor.capsys.readouterr().out


def test_an_entry_that_is_there_twice_is_named(cloud, auditor):
    for kind in (EntryKind.SEAL, EntryKind.DAY, EntryKind.STATEMENT):
        bent = object.__new__(Cloud)
        bent.__dict__.update(cloud.__dict__, checkpoints=list(cloud.checkpoints), entries=list(cloud.entries))
        bent.goes_on(next(entry for entry in cloud.entries if entry[0] == kind))
        assert auditor.sees(bent) == ("logged-twice", 5), kind


def test_another_root_of_a_day_is_named_and_so_is_one_that_its_seals_do_not_give(cloud, auditor):
    day = cloud.day.day
    cloud.goes_on(day_entry(Day(day.seals[:1], day.closing)))
    assert auditor.sees(cloud) == ("logged-twice", 5)
    del cloud.entries[-1], cloud.checkpoints[-1]
    seals = [another_seal(cloud, 96 * (DAY + 2) + each) for each in range(2)]
    other = Day(tuple(seals), another_seal(cloud, 96 * (DAY + 3)))
    cloud.goes_on(*map(seal_entry, (*seals, other.closing)), day_entry(Day(other.seals[:1], other.closing)))
    assert auditor.sees(cloud) == ("root-differs", 5)


def test_a_day_whose_seals_the_log_does_not_have_is_named(cloud, auditor):
    seals = [another_seal(cloud, 96 * (DAY + 2)), another_seal(cloud, 96 * (DAY + 3))]
    cloud.goes_on(seal_entry(seals[0]), day_entry(Day((seals[0],), seals[1])))
    assert auditor.sees(cloud) == ("not-logged", 5)


def test_two_seals_of_an_epoch_are_told_once_and_noted_from_then_on(cloud, auditor):
    cloud.goes_on(seal_entry(another_seal(cloud, 96 * (DAY + 1), root=bytes(32))))
    status, found = auditor.looks(cloud)
    assert (status, found["first_wrong"]["reason"], found["newest"]["number"]) == (1, "two-seals", 5)
    status, found = auditor.looks(cloud)
    assert status == 0 and "it sealed twice" in found["told_of_sites"][0]


def test_what_the_logs_keeper_did_weighs_more_than_what_a_site_did(cloud, auditor):
    cloud.goes_on(seal_entry(another_seal(cloud, 96 * (DAY + 1), root=bytes(32))))
    cloud.goes_on(beacon=bytes(32))
    assert auditor.sees(cloud) == ("wrong-beacon", 6)


def successor(cloud, **changes):
    """A fleet's next list, and it as the root keys signed it."""
    fleet = Fleet(cloud.fleet.nodes, dict(cloud.fleet.operators))
    fleet.trust = replace(cloud.fleet.trust, **{"revision": 2, "previous": cloud.fleet.trust.hash, **changes})
    return fleet, fleet.signed_trust().encode()


def test_a_list_that_nobody_showed_is_named_and_one_that_follows_is_not(cloud, auditor):
    fleet, signed = successor(cloud)
    first = auditor.file("first.signed", cloud.trust)
    cloud.goes_on(trust_entry(fleet.trust.hash))
    assert auditor.sees(cloud) == ("unknown-list", 5)
    cloud.trust = signed
    assert auditor.looks(cloud, "--trust", first)[0] == 0


def test_a_list_that_was_seen_need_not_be_shown_again(cloud, auditor):
    assert auditor.looks(cloud)[0] == 0
    fleet, cloud.trust = successor(cloud)
    cloud.goes_on(trust_entry(fleet.trust.hash))
    assert auditor.looks(cloud)[0] == 0
    cloud.goes_on(seal_entry(another_seal(cloud, 96 * (DAY + 4))))
    assert auditor.looks(cloud)[0] == 0
    arguments = auditor.arguments(cloud.write(auditor.folder / "log"))
    cloud.goes_on(seal_entry(another_seal(cloud, 96 * (DAY + 4) + 1)))
    cloud.write(auditor.folder / "log")
    assert main(arguments[: arguments.index("--enrolments")]) == 0
    assert "seals proven" not in auditor.capsys.readouterr().out


def test_a_second_list_after_the_same_one_is_named(cloud, auditor):
    first = auditor.file("first.signed", cloud.trust)
    fleet, signed = successor(cloud)
    other, cloud.trust = successor(cloud, revision=3)
    second = auditor.file("second.signed", signed)
    cloud.goes_on(trust_entry(fleet.trust.hash))
    cloud.goes_on(trust_entry(other.trust.hash))
    assert auditor.sees(cloud, "--trust", first, "--trust", second) == ("superseded", 6)


def test_a_list_that_too_few_root_keys_signed_is_named(cloud, auditor):
    cloud.trust = cloud.fleet.signed_trust("rita").encode()
    assert auditor.sees(cloud) == ("bad-signature", 0)


def test_a_statement_that_was_dropped_is_missed(cloud, auditor):
    _, kept, _ = cloud.day.statements[0]
    statement = auditor.file("statement", kept.encode())
    assert auditor.looks(cloud, "--statement", statement)[0] == 0
    (auditor.folder / "again").mkdir()
    again = Auditor(auditor.folder / "again", cloud.fleet, auditor.capsys)
    cloud.again([entry for entry in cloud.entries if entry != cloud.entries[cloud.day.statements[0][2]]])
    cloud.checkpoints.pop()
    del cloud.entries[cloud.checkpoints[-1].size :]
    assert again.sees(cloud, "--statement", statement) == ("not-logged", None)


def test_a_seal_that_was_left_out_is_missed(cloud, auditor):
    there = auditor.file("there", cloud.day.day.seals[0].encode())
    assert auditor.looks(cloud, "--seal", there)[0] == 0
    left_out = auditor.file("left-out", another_seal(cloud, 96 * (DAY + 5)).encode())
    assert auditor.sees(cloud, "--seal", left_out) == ("not-logged", None)


def test_two_people_who_are_shown_different_logs_find_out(cloud, auditor):
    same = auditor.file("same", cloud.signed(4))
    assert auditor.looks(cloud, "--checkpoint", same)[0] == 0
    other = replace(cloud.checkpoints[4], root=bytes(32)).sign(CLOUD)
    assert auditor.sees(cloud, "--checkpoint", auditor.file("other", other.encode())) == ("log-forked", None)
    later = replace(cloud.checkpoints[4], number=7).sign(CLOUD)
    assert auditor.sees(cloud, "--checkpoint", auditor.file("later", later.encode())) == ("log-forked", None)


@pytest.mark.slow
def test_a_look_that_is_killed_at_any_write_is_made_up_for(cloud, auditor):
    """The state is a log up to some checkpoint, whichever the power failed at, and the next look goes on from it."""
    folder = cloud.write(auditor.folder / "log")
    program = (
        "import os, sys\nfrom thermogen_esf.monitor import seen\nleft, run = int(sys.argv[1]), seen.sqlite3.connect\n"
        "class Dying(seen.sqlite3.Connection):\n"
        "    def execute(self, *given):\n"
        "        global left\n        left -= 1\n        if not left: os._exit(9)\n        return super().execute(*given)\n"
        "seen.sqlite3.connect = lambda *given, **named: run(*given, factory=Dying, **named)\n"
        "from thermogen_esf.verify import main\nsys.exit(main(sys.argv[2:]))\n"
    )
    ends = set()
    for left in range(1, 60, 6):
        (auditor.folder / "state").unlink(missing_ok=True)
        (auditor.folder / "state-journal").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", program, str(left), *auditor.arguments(folder)], capture_output=True, timeout=60, check=False
        )
        ends.add(done.returncode)
        assert auditor.looks(cloud)[0] == 0
    assert ends >= {9}


def test_a_state_file_that_was_damaged_or_is_anothers_is_not_used(cloud, auditor, capsys):
    assert auditor.looks(cloud)[0] == 0
    database = sqlite3.connect(auditor.folder / "state")
    database.execute("DELETE FROM entry WHERE number = 3")
    database.commit()
    database.close()
    assert main(auditor.arguments(auditor.folder / "log")) == 2
    assert "are not those of checkpoint 4" in capsys.readouterr().err
    (auditor.folder / "state").unlink()
    assert auditor.looks(cloud)[0] == 0
    (auditor.folder / "root.json").write_bytes(replace(cloud.fleet.root, threshold=1).encode())
    assert main(auditor.arguments(auditor.folder / "log")) == 2
    assert "it watches the log under root keys" in capsys.readouterr().err
    (auditor.folder / "state").write_bytes(b"not a database, which is longer than a header" * 99)
    assert main(auditor.arguments(auditor.folder / "log")) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"), [("log", b"{}"), ("log", b'["zz"]'), ("trust", b"junk"), ("checkpoints/2", b"junk"), ("log", b'["09"]')]
)
def test_what_does_not_read_is_said_and_nothing_is_kept_of_it(cloud, auditor, name, content):
    folder = cloud.write(auditor.folder / "log")
    (folder / name).write_bytes(content)
    assert main(auditor.arguments(folder)) in (1, 2)
    auditor.capsys.readouterr()
    assert auditor.looks(cloud)[0] == 0
