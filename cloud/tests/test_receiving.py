"""From the broker to a signed receipt: every message is stored once, whatever is repeated, parallel, killed or unreadable."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.errors import StorageFullError
from thermogen_cloud.initialise import read_key
from thermogen_cloud.intake import Intake
from thermogen_cloud.receiver import Link, Receiver
from thermogen_cloud.registry import Acknowledgement, Alert, Batch, LiveFrame, Quarantined, Receipt, ScadaWrite
from thermogen_esf import frames
from thermogen_esf.points import TimeQuality
from thermogen_esf.scada import WRITABLE, WriteEvent, WriteKind, event_bytes, event_words
from thermogen_esf.signatures import SigningKey

ALPHA, BETA = "tz-wellpad-alpha-01", "tz-wellpad-beta-02"


def rows(cloud, table):
    with cloud.registry.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def shown_live(cloud):
    with cloud.registry.reading() as session:
        live = session.get_one(LiveFrame, ALPHA)
        return live.frame, live.time, live.received_at


def quarantined(cloud):
    with cloud.registry.reading() as session:
        return session.scalars(select(Quarantined).order_by(Quarantined.number)).all()


@pytest.fixture
def receiving(cloud, broker, wait):
    """The receiver on a thread of this process, subscribed."""
    password = broker.passwords["cloud"]
    receiver = Receiver(broker.address(), lambda: password, "tz/v1", cloud.intake, cloud.judge)
    thread = threading.Thread(target=receiver.run)
    thread.start()
    wait(lambda: receiver.health.link is Link.CONNECTED, "the receiver is subscribed")
    yield receiver
    receiver.stop()
    thread.join()


def test_a_batch_over_the_broker_is_receipted_and_believed(cloud_process, uplink, site, wait):
    cloud_process.start()
    link = uplink()
    sent = site.batches(2)
    for batch in sent:
        link.send(batch)
    wait(lambda: all(link.receipts_of(batch) for batch in sent), "every batch is receipted")
    wait(lambda: {batch["status"] for batch in cloud_process.get("batches")} == {"believed"}, "both are believed")
    receipt = frames.decode(link.receipts_of(sent[1])[0])
    assert frames.verify_frame(receipt, read_key(CloudDirectory(cloud_process.root).cloud_key).public_key)
    assert (receipt.epoch, receipt.first_sequence, receipt.last_sequence) == (site.epoch - 1, 90, 179)
    assert receipt.header.site == site.identity
    assert cloud_process.stop() == 0


def test_the_same_batch_ten_times_is_one_row_and_one_receipt(cloud, receiving, uplink, site, wait):
    link = uplink()
    batch = site.batch()
    for _ in range(10):
        link.send(batch)
    wait(lambda: len(link.receipts_of(batch)) == 10, "each copy is receipted")
    assert len(set(link.receipts_of(batch))) == 1, "the receipt is the same bytes each time"
    assert (rows(cloud, Batch), rows(cloud, Receipt)) == (1, 1)


def test_the_same_batch_in_parallel_is_one_row_and_one_receipt(cloud, site):
    batch = site.batch()
    together = threading.Barrier(8)

    def receive(_):
        together.wait()
        receipt = cloud.intake.batch(ALPHA, batch)
        cloud.judge.judge_arrived(batch)
        return receipt

    with ThreadPoolExecutor(8) as pool:
        receipts = set(pool.map(receive, range(8)))
    assert len(receipts) == 1
    assert (rows(cloud, Batch), rows(cloud, Receipt)) == (1, 1)
    assert cloud.batch(batch).status == "believed"


def test_two_senders_of_one_batch_each_get_a_receipt_of_their_own(cloud, site):
    batch = site.batch()
    receipts = [frames.decode(cloud.intake.batch(sender, batch)) for sender in (ALPHA, BETA)]
    assert [receipt.header.site for receipt in receipts] == [frames.site_identity(sender) for sender in (ALPHA, BETA)]
    assert len({receipt.header.sequence for receipt in receipts}) == 2
    assert rows(cloud, Batch) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda batch: batch[:-1],
        lambda batch: batch + b"\0",
        lambda batch: b"",
        lambda batch: batch[:500] + b"\xff" + batch[501:],
    ],
    ids=["truncated", "one byte more", "empty", "a byte changed"],
)
def test_what_cannot_be_read_is_put_aside_receipted_and_does_not_stop_the_next(cloud, receiving, uplink, site, wait, spoil):
    link = uplink()
    batch = site.batch()
    link.send(spoil(batch))
    link.send(batch)
    wait(lambda: link.receipts_of(batch), "the good batch is receipted")
    receipt = frames.decode(link.receipts_of(spoil(batch))[0])
    assert (receipt.epoch, receipt.first_sequence, receipt.last_sequence) == (0, 0, 0)
    (aside,) = quarantined(cloud)
    assert (aside.site, aside.topic, aside.size) == (ALPHA, "batch", len(spoil(batch)))
    assert "offset" in aside.reason


def test_a_frame_of_another_kind_in_place_of_a_batch_is_put_aside(cloud, site):
    cloud.receive(frames.encode(site.alert()))
    assert quarantined(cloud)[0].reason == "alert where batch belongs"


def test_what_is_too_large_to_keep_is_remembered_not_receipted_and_does_not_stop_the_next(cloud, receiving, uplink, site, wait):
    link, batch, oversized = uplink(), site.batch(), bytes(300_000)
    for message in (oversized, oversized, batch):
        link.send(message)
    wait(lambda: link.receipts_of(batch), "the good batch is receipted")
    assert not link.receipts_of(oversized), "a receipt means that it is stored"
    (aside,) = quarantined(cloud)
    assert aside.size == 300_000
    with cloud.registry.reading() as session:
        assert session.scalar(select(Quarantined.body)) is None


def test_what_was_receipted_keeps_its_bytes_and_the_rest_is_bounded_by_site(cloud, monkeypatch):
    monkeypatch.setattr("thermogen_cloud.intake.KEPT_A_SITE", 3)
    monkeypatch.setattr("thermogen_cloud.intake.MOST_KEPT_BYTES", 10)
    receipted = [b"batch %d" % number for number in range(8)]
    for message in receipted:
        assert cloud.intake.batch(ALPHA, message) is not None
    cloud.intake.alert(BETA, b"quiet")
    for number in range(8):
        assert cloud.intake.batch(ALPHA, b"a large batch %d" % number) is None
        cloud.intake.alert(ALPHA, b"alert %d" % number)
    with cloud.registry.reading() as session:
        kept = session.execute(select(Quarantined.site, Quarantined.topic, Quarantined.body).order_by(Quarantined.number)).all()
    assert [body for _, topic, body in kept if topic == "batch" and body is not None] == receipted
    assert [body for site, _, body in kept if site == BETA] == [b"quiet"], "one site does not push out another's"
    assert [body for site, topic, body in kept if site == ALPHA and (topic, body) not in {("batch", m) for m in receipted}] == [
        b"alert 6",
        None,
        b"alert 7",
    ]
    assert rows(cloud, Receipt) == len(receipted)


@pytest.mark.parametrize("order", list(itertools.permutations((1_000, 1_010, 1_020))))
def test_live_frames_are_kept_newest_only_and_never_become_evidence(cloud, site, order):
    for at in order:
        cloud.intake.live(ALPHA, site.live(at))
    assert shown_live(cloud)[0] == site.live(1_020)
    assert (rows(cloud, LiveFrame), rows(cloud, Batch)) == (1, 0)


@pytest.mark.parametrize("replayed", [1_000, 1_010], ids=["an older one", "the newest itself"])
def test_a_replayed_live_frame_neither_replaces_the_newest_nor_makes_a_silent_site_look_alive(cloud, site, replayed):
    for at in (1_000, 1_010):
        cloud.intake.live(ALPHA, site.live(at))
    before = shown_live(cloud)
    hour_later = Intake(cloud.registry, cloud.key, cloud.trust, lambda: cloud.now + 3_600)
    hour_later.live(ALPHA, site.live(replayed))
    assert shown_live(cloud) == before


def test_telemetry_that_is_not_marked_live_or_is_another_sites_is_put_aside(cloud, site, new_site):
    cloud.intake.live(ALPHA, frames.encode(frames.Telemetry(site.leaf(1_000))))
    cloud.intake.live(ALPHA, new_site(BETA).live())
    assert rows(cloud, LiveFrame) == 0
    assert ["without the live flag" in aside.reason or "names the site" in aside.reason for aside in quarantined(cloud)] == [True, True]


def test_an_alert_is_one_row_however_often_it_comes(cloud, site):
    for _ in range(3):
        cloud.intake.alert(ALPHA, frames.encode(site.alert()))
    assert rows(cloud, Alert) == 1


def test_only_the_sites_own_key_acknowledges_a_command(cloud, site):
    header = frames.Header(site.identity, 1, 1_000, TimeQuality.PULSE)
    answer = frames.Acknowledgement(header, 7, frames.Result.DONE, "done")
    cloud.intake.acknowledgement(ALPHA, frames.encode(frames.sign_frame(answer, SigningKey.generate())))
    assert rows(cloud, Acknowledgement) == 0
    for _ in range(2):
        cloud.intake.acknowledgement(ALPHA, frames.encode(frames.sign_frame(answer, site.key)))
    assert rows(cloud, Acknowledgement) == 1


def writes_of(site, number=0, first_event=0, events=2):
    """A frame of SCADA's writes, not signed yet."""
    told = [
        WriteEvent(1_000 + n, 0xC0A8_5414, WRITABLE["site_power_limit"].address, 1_200, 60 + n, WriteKind.WRITE, 1) for n in range(events)
    ]
    header = frames.Header(site.identity, number, 1_000, TimeQuality.PULSE)
    return frames.Writes(header, 1, first_event, tuple(event_bytes(event_words(event)) for event in told))


def test_what_scada_wrote_is_stored_and_receipted_once_an_event(cloud, site):
    message = frames.encode(frames.sign_frame(writes_of(site), site.key))
    receipt = cloud.intake.writes(ALPHA, message)
    assert cloud.intake.writes(ALPHA, message) == receipt
    decoded = frames.decode(receipt)
    assert decoded.batch_hash == frames.frame_hash(message) and frames.verify_frame(decoded, cloud.key.public_key)
    assert rows(cloud, ScadaWrite) == 2
    overlapping = frames.encode(frames.sign_frame(writes_of(site, 1, first_event=1), site.key))
    assert cloud.intake.writes(ALPHA, overlapping) not in (None, receipt)
    assert rows(cloud, ScadaWrite) == 3


def test_writes_that_the_site_did_not_sign_are_put_aside_and_not_receipted(cloud, site):
    for message in (
        frames.encode(frames.sign_frame(writes_of(site), SigningKey.generate())),
        frames.encode(site.alert()),
        b"nonsense",
    ):
        assert cloud.intake.writes(ALPHA, message) is None
    assert (rows(cloud, ScadaWrite), len(quarantined(cloud))) == (0, 3)


@pytest.mark.slow
def test_messages_sent_while_the_cloud_was_away_arrive_when_it_is_back(cloud_process, uplink, site, wait):
    cloud_process.start()
    cloud_process.kill()
    link = uplink()
    sent = site.batches(3)
    for batch in sent:
        link.send(batch)
    cloud_process.start()
    wait(lambda: all(link.receipts_of(batch) for batch in sent), "the broker kept them for us")


def test_a_message_that_could_not_be_stored_is_not_acknowledged_and_comes_again(cloud, receiving, uplink, site, wait, monkeypatch):
    full = threading.Event()
    full.set()
    stored = cloud.intake.batch

    def batch_on_a_full_disk(sender, message):
        if full.is_set():
            raise StorageFullError("/cloud")
        return stored(sender, message)

    monkeypatch.setitem(receiving._handlers, "batch", batch_on_a_full_disk)
    link = uplink()
    batch = site.batch()
    wait(lambda: receiving.health.link is Link.CONNECTED, "the receiver is connected")
    link.send(batch)
    wait(lambda: receiving.health.link is Link.NOT_STORING, "the receiver says that it cannot store")
    assert "free space" in receiving.health.detail
    assert not link.receipts_of(batch)
    full.clear()
    wait(lambda: link.receipts_of(batch), "the broker sent it again, and it is receipted")
    assert rows(cloud, Batch) == 1


def test_a_registry_that_is_locked_is_said_and_ends_no_receiving(cloud, receiving, uplink, site, wait, monkeypatch):
    wait(lambda: receiving.health.link is Link.CONNECTED, "the receiver is connected")
    monkeypatch.setattr("thermogen_cloud.registry.database.BUSY_MS", 50)
    cloud.registry.engine.dispose()  # so that new connections do not wait long
    link, batch = uplink(), site.batch()
    with contextlib.closing(sqlite3.connect(cloud.directory.registry, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        link.send(batch)
        wait(lambda: receiving.health.link is Link.NOT_STORING, "health says that nothing is stored")
        assert "database is locked" in receiving.health.detail and "end other programs" in receiving.health.detail
        assert not link.receipts_of(batch)
    wait(lambda: link.receipts_of(batch), "the broker sent it again, and it is receipted")
    wait(lambda: receiving.health.link is Link.CONNECTED, "health says that it stores again")
    assert rows(cloud, Batch) == 1


def test_a_message_that_meets_a_fault_of_our_own_is_put_aside_and_stops_no_other(cloud, receiving, uplink, site, wait, monkeypatch):
    faulty, stored = threading.Event(), cloud.intake.batch
    faulty.set()

    def batch_with_a_fault(sender, message):
        if faulty.is_set():
            raise KeyError("no such thing")
        return stored(sender, message)

    monkeypatch.setitem(receiving._handlers, "batch", batch_with_a_fault)
    link, batch = uplink(), site.batch()
    wait(lambda: receiving.health.link is Link.CONNECTED, "the receiver is connected")
    link.send(batch)
    wait(lambda: quarantined(cloud), "it is put aside")
    (aside,) = quarantined(cloud)
    assert aside.size == len(batch) and "KeyError" in aside.reason
    assert receiving.health.link is Link.CONNECTED and link.receipts_of(batch) == []
    faulty.clear()
    link.send(batch)
    wait(lambda: link.receipts_of(batch), "the site sent it again, and it is receipted")


def test_a_fault_outside_of_any_message_ends_no_receiving(cloud, broker, wait, monkeypatch):
    passwords = itertools.chain([ValueError("no such thing")], itertools.repeat(broker.passwords["cloud"]))

    def password():
        found = next(passwords)
        if isinstance(found, Exception):
            raise found
        return found

    receiver = Receiver(broker.address(), password, "tz/v1", cloud.intake, cloud.judge)
    thread = threading.Thread(target=receiver.run)
    thread.start()
    wait(lambda: receiver.health.link is Link.NOT_STORING, "the fault is reported")
    wait(lambda: receiver.health.link is Link.CONNECTED, "it has tried again")
    receiver.stop()
    thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_health_says_when_nobody_receives_any_more(cloud, broker):
    def password():
        raise SystemExit

    receiver = Receiver(broker.address(), password, "tz/v1", cloud.intake, cloud.judge)
    thread = threading.Thread(target=receiver.run)
    thread.start()
    thread.join(10)
    assert receiver.health.link is Link.ENDED and "restart" in receiver.health.detail


@pytest.fixture
def quick_upkeep(monkeypatch):
    """What waits is seen to ten times a second; takes effect for a receiver that is made after it."""
    monkeypatch.setattr("thermogen_cloud.receiver.UPKEEP_S", 0.1)


def test_a_batch_whose_judging_met_a_fault_is_judged_without_a_restart(cloud, quick_upkeep, receiving, uplink, site, wait, monkeypatch):
    judge_one, faulty = cloud.judge._judge, threading.Event()
    faulty.set()

    def judge(digest):
        if faulty.is_set():
            raise OSError("a passing fault")
        judge_one(digest)

    monkeypatch.setattr(cloud.judge, "_judge", judge)
    link, batch = uplink(), site.batch()
    link.send(batch)
    wait(lambda: link.receipts_of(batch), "the batch is receipted")
    assert cloud.batch(batch).status == "stored"
    faulty.clear()
    wait(lambda: cloud.batch(batch).status == "believed", "it is judged again while the connection stands")
    assert receiving.health.link is Link.CONNECTED


def test_a_broker_that_is_not_there_or_refuses_us_is_named_with_what_to_do(cloud, broker, wait):
    def health(address, password):
        receiver = Receiver(address, lambda: password, "tz/v1", cloud.intake, cloud.judge)
        thread = threading.Thread(target=receiver.run)
        thread.start()
        found = wait(lambda: receiver.health.link not in (Link.CONNECTING, Link.CONNECTED) and receiver.health, "a verdict")
        receiver.stop()
        thread.join()
        return found

    refused = health(broker.address(), "wrong")
    assert refused.link is Link.REFUSED and "password" in refused.detail
    broker.stop()
    absent = health(broker.address(), "any")
    assert absent.link is Link.NOT_THERE and "THERMOGEN_BROKER" in absent.detail


def upload_with_kills(cloud_process, broker, link, site, wait, seed, kills, batches):
    """Sends batches with repeats and out of order while cloud and broker are killed at random moments; what the cloud holds in the end."""
    moments = random.Random(seed)
    made = site.batches(batches)
    queue = made[:]
    moments.shuffle(queue)
    cloud_process.start()
    for _ in range(kills):
        for batch in queue[: moments.randint(1, 3)]:
            link.send(batch)
        threading.Event().wait(moments.random() * 0.2)
        if moments.random() < 0.3:
            broker.stop(9)
            broker.start()
        else:
            cloud_process.kill()
            cloud_process.start()
        queue = [batch for batch in queue if not link.receipts_of(batch)]  # a site sends on until it has the receipt

    turns = itertools.count()

    def all_receipted():
        missing = [batch for batch in made if not link.receipts_of(batch)]
        if missing and next(turns) % 100 == 0:
            for batch in missing:
                link.send(batch)
        return not missing

    wait(all_receipted, f"every batch is receipted (seed {seed})", 60)
    wait(cloud_process.healthy, "the cloud is healthy")
    wait(lambda: {row["status"] for row in cloud_process.get("batches")} == {"believed"}, f"all are believed (seed {seed})")
    assert sorted(row["number"] for row in cloud_process.get("batches")) == list(range(batches)), f"seed {seed}"
    for batch in made:
        assert len(set(link.receipts_of(batch))) == 1, f"one receipt a batch (seed {seed})"


@pytest.mark.slow
def test_kills_at_random_moments_of_an_upload_lose_nothing_and_double_nothing(cloud_process, broker, uplink, site, wait):
    upload_with_kills(cloud_process, broker, uplink(), site, wait, seed=20, kills=8, batches=14)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(8))
def test_many_kills_at_random_moments_lose_nothing_and_double_nothing(cloud_process, broker, uplink, site, wait, seed):
    upload_with_kills(cloud_process, broker, uplink(), site, wait, seed, kills=25, batches=40)
