"""Between buffer and a real broker: receipts, retransmission, commands, and everything false that may come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from thermogen_edge.alerts import Alerts
from thermogen_edge.batches import batch_frame, root_of
from thermogen_edge.buffer import Buffer, CommandLog
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.buffer.write_log import WriteLog
from thermogen_edge.cloud_keys import CloudKeys
from thermogen_edge.commands import Commands
from thermogen_edge.mqtt_link import MqttLink
from thermogen_edge.node import Trip
from thermogen_edge.receipts import Receipts
from thermogen_edge.settings import BrokerAddress
from thermogen_edge.site_time import SiteTime
from thermogen_edge.uplink import WINDOW, Uplink
from thermogen_esf.frames import (
    Acknowledgement,
    AlertCode,
    CommandCode,
    Header,
    Result,
    Telemetry,
    Writes,
    decode,
    encode,
    sign_frame,
    site_identity,
    verify_frame,
)
from thermogen_esf.points import TimeQuality
from thermogen_esf.scada import WRITABLE, WriteEvent, WriteKind, event_bytes, event_words
from thermogen_esf.signatures import SigningKey

from .conftest import SITE, START_S
from .site_services import PREFIX, Broker, CloudStub, wait_until

IDENTITY = site_identity(SITE)
NOW = SiteTime(START_S + 5_000, TimeQuality.PULSE)
STRANGER = SigningKey.from_seed(bytes(31) + b"X")
RETRY_S = 0.3


class Harness:
    """An uplink, stepped by the test."""

    def __init__(self, buffer: Buffer, broker: Broker, cloud: CloudStub, key: SigningKey, seal: Callable[[Buffer, int], None]) -> None:
        self.buffer = buffer
        self.cloud = cloud
        self.link = MqttLink(BrokerAddress("127.0.0.1", broker.port, SITE, tls=False), "site-secret", SITE, PREFIX, 1)
        self.alerts: list[int] = []
        alerts = Alerts(buffer, IDENTITY, lambda frame: self.alerts.append(decode(frame).code))
        keys = CloudKeys([cloud.key.public_key])
        self.log = CommandLog(buffer.database)
        commands = Commands(buffer, IDENTITY, key, keys, alerts)
        self.uplink = Uplink(self.link, buffer, Receipts(buffer, IDENTITY, keys, alerts), commands, RETRY_S)
        self.now: SiteTime | None = NOW
        self._seal = seal

    def seal(self, epochs: int) -> None:
        for _ in range(epochs):
            self._seal(self.buffer, self.buffer.next_sequence)

    def until(self, condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        def stepped() -> object:
            self.uplink.step(self.now)
            return condition()

        wait_until(stepped, what, seconds)

    def receipted(self) -> int:
        return int(self.buffer.database.row("SELECT count(*) FROM batches WHERE receipted")[0])


@pytest.fixture
def seal(site_key: SigningKey) -> Callable[[Buffer, int], None]:
    def one(buffer: Buffer, first: int) -> None:
        times = (START_S + 300 * first + 10 * (index + 1) for index in range(3))
        buffer.store_leaves(
            [
                Telemetry.of(Header(IDENTITY, first + index, time_s, TimeQuality.PULSE), {"boot_count": 1}).leaf
                for index, time_s in enumerate(times)
            ]
        )
        buffer.seal(buffer.open_epochs()[0], lambda draft: batch_frame(draft, root_of(draft, None), None, IDENTITY, site_key))

    return one


@pytest.fixture
def harness(
    buffer: Buffer, broker: Broker, cloud: CloudStub, site_key: SigningKey, seal: Callable[[Buffer, int], None]
) -> Iterator[Harness]:
    made = Harness(buffer, broker, cloud, site_key, seal)
    made.link.start()
    wait_until(lambda: made.link.connected, "the site is connected")
    yield made
    made.link.stop()


def test_what_scada_wrote_goes_up_until_it_is_receipted(harness: Harness, site_key: SigningKey) -> None:
    event = WriteEvent(START_S, 0x0A00_0005, WRITABLE["site_power_limit"].address, 1_200, 60, WriteKind.WRITE, 1)
    log = WriteLog(harness.buffer.database)
    log.store(1, 0, [event_bytes(event_words(event))])
    header = Header(IDENTITY, 0, START_S, TimeQuality.PULSE)
    log.seal(lambda draft: encode(sign_frame(Writes(header, draft.boot_count, draft.first_event, draft.events), site_key)))
    harness.cloud.receipting = False
    harness.until(lambda: len(harness.cloud.of_kind("writes")) >= 2, "the frame is sent again without a receipt")
    assert log.frames(1), "a broker's acknowledgement is no receipt"
    harness.cloud.receipting = True
    harness.until(lambda: not log.frames(1), "the receipt lets it go")
    assert verify_frame(decode(harness.cloud.of_kind("writes")[0]), site_key.public_key)
    assert harness.alerts == []


def test_seals_and_statements_go_up_until_they_are_receipted(harness: Harness) -> None:
    outbox = Outbox(harness.buffer.database)
    outbox.store("seals", b"a seal".ljust(186))
    outbox.store("statement", b"a statement")
    harness.cloud.receipting = False
    harness.until(lambda: len(harness.cloud.of_kind("seals")) >= 2, "it is sent again without a receipt")
    assert len(outbox.waiting(9)) == 2, "a broker's acknowledgement is no receipt"
    harness.cloud.receipting = True
    harness.until(lambda: not outbox.waiting(9), "the receipts let both go")
    assert set(harness.cloud.of_kind("statement")) == {b"a statement"}
    assert harness.alerts == []


@pytest.mark.slow
def test_what_the_cloud_never_receipts_holds_up_nothing_else(harness: Harness) -> None:
    outbox = Outbox(harness.buffer.database)
    stuck = [b"seal %3d" % number for number in range(2 * WINDOW)]
    for message in stuck:
        outbox.store("seals", message.ljust(186))
    harness.cloud.unreceipted = {message.ljust(186) for message in stuck}
    harness.until(lambda: len(set(harness.cloud.of_kind("seals"))) >= WINDOW, "the window is full")
    outbox.store("statement", b"a statement")
    outbox.store("seals", b"a newer seal".ljust(186))
    harness.until(lambda: harness.cloud.of_kind("statement"), "the statement goes past the seals")
    harness.until(lambda: len(outbox.waiting(99)) == len(stuck), "the newer seal has its receipt")
    sent = len(harness.cloud.of_kind("seals"))
    harness.until(lambda: len(harness.cloud.of_kind("seals")) > sent + WINDOW, "those before it are sent again")
    harness.cloud.unreceipted = set()
    harness.until(lambda: not outbox.waiting(9), "the receipts let all go")


def test_batches_go_in_order_and_are_let_go_by_receipts_only(harness: Harness) -> None:
    harness.cloud.receipting = False
    harness.seal(WINDOW + 4)
    harness.until(lambda: len(set(harness.cloud.of_kind("batch"))) == WINDOW, "a window of batches arrives")
    numbers = [decode(data).header.sequence for data in harness.cloud.of_kind("batch")]
    assert numbers[:WINDOW] == list(range(WINDOW)), "they came out of order"
    assert harness.receipted() == 0
    harness.cloud.receipting = True
    harness.until(lambda: harness.receipted() == WINDOW + 4, "every batch is receipted")
    assert sorted(harness.cloud.batches()) == list(range(WINDOW + 4))


def test_a_batch_without_a_receipt_is_sent_again(harness: Harness) -> None:
    harness.cloud.receipting = False
    harness.seal(1)
    harness.until(lambda: len(harness.cloud.of_kind("batch")) == 2, "it is sent a second time")
    assert len(harness.cloud.batches()) == 1
    harness.cloud.receipting = True
    harness.until(lambda: harness.receipted() == 1, "the third time is receipted")


def spoilt(frame: bytes) -> bytes:
    """With its last byte another one, whatever it was."""
    return frame[:-1] + bytes([frame[-1] ^ 1])


def false_receipts(cloud: CloudStub, data: bytes) -> list[bytes]:
    good = decode(cloud.receipt_for(data))
    unsigned = encode(replace(good, signature=bytes(4_627)))
    return [
        b"",
        b"TZ",
        data,
        cloud.receipt_for(data, STRANGER),
        unsigned,
        spoilt(cloud.receipt_for(data)),
        encode(sign_frame(replace(good, header=replace(good.header, site=site_identity("tz-other"))), cloud.key)),
        encode(sign_frame(replace(good, last_sequence=good.last_sequence + 1), cloud.key)),
        encode(sign_frame(replace(good, batch_hash=bytes(32)), cloud.key)),
    ]


def test_a_false_receipt_lets_nothing_go(harness: Harness) -> None:
    harness.cloud.receipting = False
    harness.seal(1)
    harness.until(lambda: harness.cloud.of_kind("batch"), "the batch arrives")
    data = harness.cloud.of_kind("batch")[0]
    false = false_receipts(harness.cloud, data)
    for receipt in false:
        harness.cloud.send("receipt", receipt)
    harness.until(lambda: harness.alerts.count(AlertCode.RECEIPT_REFUSED) == len(false) - 1, "each is refused; one names no batch")
    assert harness.receipted() == 0
    harness.cloud.send("receipt", harness.cloud.receipt_for(data))
    harness.until(lambda: harness.receipted() == 1, "the true one counts")


def test_a_batch_that_the_cloud_could_not_read_is_stored_all_the_same(harness: Harness) -> None:
    harness.cloud.receipting = False
    harness.seal(1)
    harness.until(lambda: harness.cloud.of_kind("batch"), "the batch arrives")
    good = decode(harness.cloud.receipt_for(harness.cloud.of_kind("batch")[0]))
    harness.cloud.send("receipt", encode(sign_frame(replace(good, epoch=0, first_sequence=0, last_sequence=0), harness.cloud.key)))
    harness.until(lambda: harness.receipted() == 1, "it is receipted")


def test_a_broker_that_is_killed_and_comes_back_loses_nothing(harness: Harness, broker: Broker) -> None:
    harness.seal(2)
    harness.until(lambda: harness.receipted() == 2, "the first two")
    broker.kill()
    harness.until(lambda: not harness.link.connected, "the loss is noticed")
    harness.seal(3)
    for _ in range(20):
        harness.uplink.step(NOW)
    broker.start()
    harness.until(lambda: harness.receipted() == 5, "everything is receipted after its return")
    assert sorted(harness.cloud.batches()) == list(range(5))
    assert harness.link.connections == 2


def test_without_a_broker_the_uplink_waits_and_says_once_what_to_do(
    buffer: Buffer,
    broker: Broker,
    cloud: CloudStub,
    site_key: SigningKey,
    seal: Callable[[Buffer, int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker.kill()
    harness = Harness(buffer, broker, cloud, site_key, seal)
    harness.seal(2)
    harness.link.start()
    harness.until(lambda: caplog.records, "it is said that there is no broker")
    for _ in range(50):
        harness.uplink.step(NOW)
    assert not harness.link.connected
    assert caplog.messages == [f"no broker at 127.0.0.1:{broker.port}: start it, or set THERMOGEN_BROKER; trying again for ever"]
    broker.start()
    harness.until(lambda: harness.receipted() == 2, "both arrive once there is one")
    harness.link.stop()


def answers(harness: Harness) -> list[tuple[int, Result]]:
    return [(answer.command_sequence, answer.result) for answer in harness.cloud.acknowledgements()]


def test_a_command_is_done_once_and_answered_with_a_signature(harness: Harness, site_key: SigningKey) -> None:
    command = harness.cloud.command(7, CommandCode.SET_CURRENT_LIMIT, (1_500, 0), NOW.unix_s)
    harness.cloud.send("command", command)
    harness.until(lambda: answers(harness) == [(7, Result.DONE)], "it is done")
    assert harness.log.setpoints.current_limit_ma == 1_500
    assert verify_frame(harness.cloud.acknowledgements()[0], site_key.public_key)
    harness.log.set_current_limit(900)
    harness.cloud.send("command", command)
    harness.until(lambda: answers(harness) == [(7, Result.DONE), (7, Result.REPEATED)], "it is answered as repeated")
    assert harness.log.setpoints.current_limit_ma == 900, "it was done a second time"
    harness.until(lambda: harness.log.answers(10) == [], "both answers are forgotten once the broker has them")


@pytest.mark.parametrize(
    ("code", "arguments", "age_s", "result"),
    [
        (CommandCode.SET_CURRENT_LIMIT, (4_001, 0), 0, Result.REFUSED),
        (CommandCode.SET_CURRENT_LIMIT, (-1, 0), 0, Result.REFUSED),
        (CommandCode.SET_CURRENT_LIMIT, (1_000, 1), 0, Result.REFUSED),
        (CommandCode.SET_ENABLE, (2, 0), 0, Result.REFUSED),
        (CommandCode.SET_ENABLE, (0, 0), 600, Result.DONE),
        (CommandCode.SET_ENABLE, (0, 0), 601, Result.EXPIRED),
        (CommandCode.RESEND_BATCHES, (5, 4), 0, Result.REFUSED),
        (CommandCode.RESEND_BATCHES, (-1, 4), 0, Result.REFUSED),
        (CommandCode.CLEAR_TRIP, (4, 1_000), 0, Result.REFUSED),
        (CommandCode.CLEAR_TRIP, (0, 0), 0, Result.REFUSED),
        (99, (0, 0), 0, Result.UNKNOWN),
    ],
)
def test_a_command_out_of_its_bounds_or_time_changes_nothing(
    harness: Harness, code: int, arguments: tuple[int, int], age_s: int, result: Result
) -> None:
    before = harness.log.setpoints
    harness.cloud.send("command", harness.cloud.command(1, code, arguments, NOW.unix_s - age_s, ttl_s=600))
    harness.until(lambda: answers(harness) == [(1, result)], f"it is answered with {result.name}")
    assert (harness.log.setpoints == before) is (result is not Result.DONE)


def test_the_trip_that_is_latched_can_be_asked_to_be_cleared(harness: Harness) -> None:
    harness.log.set_latched_trip(Trip(4, 1_000))
    harness.cloud.send("command", harness.cloud.command(1, CommandCode.CLEAR_TRIP, (4, 999), NOW.unix_s))
    harness.cloud.send("command", harness.cloud.command(2, CommandCode.CLEAR_TRIP, (4, 1_000), NOW.unix_s))
    harness.until(lambda: answers(harness) == [(1, Result.REFUSED), (2, Result.DONE)], "only the one that is latched")
    assert harness.log.take_trip_to_clear() == Trip(4, 1_000)
    assert harness.log.take_trip_to_clear() is None


def test_bytes_that_no_pinned_key_signed_are_neither_done_nor_answered(harness: Harness) -> None:
    good = harness.cloud.command(1, CommandCode.SET_ENABLE, (0, 0), NOW.unix_s)
    unsigned = encode(replace(decode(good), signature=bytes(4_627)))
    stranger = harness.cloud.command(2, CommandCode.SET_ENABLE, (0, 0), NOW.unix_s, key=STRANGER)
    other = encode(
        sign_frame(replace(decode(good), header=replace(decode(good).header, site=site_identity("tz-other"))), harness.cloud.key)
    )
    false = [b"", bytes(70_000)[:60_000], good[:-1], unsigned, stranger, other, good[:30] + b"\1" + good[31:]]
    for payload in false:
        harness.cloud.send("command", payload)
    harness.until(lambda: harness.alerts.count(AlertCode.COMMAND_REFUSED) == len(false), "each is refused")
    assert harness.log.setpoints.enable
    harness.cloud.send("command", good)
    harness.until(lambda: answers(harness) == [(1, Result.DONE)], "the good one is done: none of the false ones used its number up")
    assert not harness.log.setpoints.enable


def test_batches_that_are_asked_for_are_sent_again(harness: Harness) -> None:
    harness.seal(4)
    harness.until(lambda: harness.receipted() == 4, "all are receipted")
    first = START_S // 900
    harness.cloud.send("command", harness.cloud.command(1, CommandCode.RESEND_BATCHES, (first + 1, first + 2), NOW.unix_s))
    harness.until(lambda: len(harness.cloud.of_kind("batch")) == 6, "two come again")
    assert [decode(data).header.sequence for data in harness.cloud.of_kind("batch")[4:]] == [1, 2]
    harness.until(lambda: not harness.buffer.wanted(1), "and are receipted again")


def test_commands_wait_while_the_site_has_no_time(harness: Harness) -> None:
    harness.now = None
    harness.seal(1)
    harness.cloud.send("command", harness.cloud.command(1, CommandCode.SET_ENABLE, (0, 0), NOW.unix_s))
    harness.until(lambda: harness.receipted() == 1, "receipts do not wait for them")
    assert harness.log.setpoints.enable
    harness.now = NOW
    harness.until(lambda: answers(harness) == [(1, Result.DONE)], "it is done once there is time")


def test_an_answer_outlives_the_connection(harness: Harness, broker: Broker, site_key: SigningKey) -> None:
    harness.until(lambda: harness.link.connected, "connected")
    broker.kill()
    harness.until(lambda: not harness.link.connected, "the loss is noticed")
    answer = Acknowledgement(Header(IDENTITY, 0, NOW.unix_s, NOW.quality), 1, Result.DONE)
    harness.log.answer(lambda number: encode(sign_frame(answer, site_key)))
    broker.start()
    # A broker that was killed has forgotten who listens: what comes before the cloud does is for nobody.
    wait_until(lambda: harness.cloud.subscriptions == 2, "the cloud listens again")
    harness.until(lambda: harness.cloud.of_kind("ack"), "it is sent on the next connection")
    harness.until(lambda: harness.log.answers(1) == [], "and forgotten once the broker has it")


def test_a_poisoned_message_ends_nothing(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes) -> None:
        raise ZeroDivisionError("our own mistake")

    monkeypatch.setattr(harness.uplink._receipts, "take", fail)
    harness.cloud.send("receipt", b"poison")
    harness.cloud.send("command", harness.cloud.command(1, CommandCode.SET_ENABLE, (0, 0), NOW.unix_s))
    harness.until(lambda: answers(harness) == [(1, Result.DONE)], "what comes after it is dealt with")
