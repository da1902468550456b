"""A synthetic site that signs believable batches, a real broker, and a cloud in this process or in one of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from thermogen_cloud.api import Services
from thermogen_cloud.attested_minting import AttestedMinting
from thermogen_cloud.attesting import Attestor
from thermogen_cloud.commanding import Commanding
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.initialise import initialise, read_key
from thermogen_cloud.intake import Intake
from thermogen_cloud.judging import Judge
from thermogen_cloud.ledger import Token2022Ledger
from thermogen_cloud.minting import Minting
from thermogen_cloud.receiver import Health, Link
from thermogen_cloud.registry import Batch, Registry
from thermogen_cloud.settings import Broker
from thermogen_cloud.trust_file import TrustFile
from thermogen_esf import frames, merkle
from thermogen_esf.evidence.approval import Approval, Decision
from thermogen_esf.evidence.trust import ApproverKey, SiteKey
from thermogen_esf.points import TimeQuality
from thermogen_esf.signatures import SigningKey

FIRST_EPOCH = 1_960_000
"""A quarter-hour in November 2025: before the tests' clock, as product credits need."""
NOW = 1_790_000_000
PASSPHRASE = "correct horse battery"
WAIT_S = 30.0
LEAVES = 90
POWER_W = 10_000
"""Of a full node: two epochs are worth more than the least mint."""
CHANNELS = [frames.Channel(2048 + 926, 360, 3)] * 12
"""The others are absent: packing a hundred more is most of a test's time."""
HEAT_SECONDS = 10


def eventually(condition: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """The condition's value once it holds; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")


@dataclass
class SyntheticSite:
    """A full node at 10 kW whose batches follow one another; each method makes the next one."""

    name: str = "tz-wellpad-alpha-01"
    key: SigningKey = field(default_factory=SigningKey.generate)
    epoch: int = FIRST_EPOCH
    number: int = 0
    sequence: int = 0
    energy_mj: int = 0
    gas_raw: int = 0
    uptime_s: int = 0
    previous: bytes = bytes(32)
    boot_count: int = 1

    @property
    def identity(self) -> bytes:
        return frames.site_identity(self.name)

    @property
    def enrolment(self) -> SiteKey:
        return SiteKey(self.name, self.key.public_key, 0, None, 10_300, 108, "therminol-vp1", "ethylene-glycol-50")

    def leaf(self, at: int, **raw: int) -> bytes:
        """The frame of one instant, 506 bytes, and the site ten seconds later."""
        self.energy_mj += POWER_W * 1000 * HEAT_SECONDS
        self.gas_raw += 25_400 * HEAT_SECONDS
        self.uptime_s += HEAT_SECONDS
        header = frames.Header(self.identity, self.sequence, at, TimeQuality.PULSE)
        self.sequence += 1
        values = {
            "bus_voltage": 50_000,
            "hot_supply_temperature": 165 * 50,
            "hot_return_temperature": 145 * 50,
            "cold_supply_temperature": 35 * 50,
            "cold_return_temperature": 55 * 50,
            "hot_flow": 45_600,
            "cold_flow": 23_000,
            "gas_flow": 25_400,
            "gas_pressure": 2_000,
            "electrical_energy": self.energy_mj,
            "gas_volume": self.gas_raw,
            "channel_power": POWER_W * 1000,
            "uptime": self.uptime_s,
            "clocks_per_site_second": 50_000_000,
            "boot_count": self.boot_count,
            "battery_charge": 160,
            "site_state": 2,
            "load_power": 9_800,
            "buffer_frames": 12,
            "buffer_hours_left": 900,
            "uplink_state": 1,
        } | raw
        return frames.Telemetry.of(header, values, CHANNELS).leaf

    def draft(self, leaves: int = LEAVES, alerts: tuple[frames.Alert, ...] = (), **raw: int) -> frames.Batch:
        """The next batch, not signed yet."""
        first = self.sequence
        end = (self.epoch + 1) * 900
        made = tuple(self.leaf(end - 10 * (leaves - 1 - index), **raw) for index in range(leaves))
        header = frames.Header(self.identity, self.number, end, TimeQuality.PULSE)
        return frames.Batch(
            header, self.epoch, self.boot_count, frames.RootSource.GATEWARE, first, merkle.root(made), self.previous, made, alerts
        )

    def sign(self, batch: frames.Batch, key: SigningKey | None = None) -> bytes:
        """The batch's bytes; what comes next follows on it."""
        data = frames.encode(frames.sign_frame(batch, key or self.key))
        self.previous = frames.frame_hash(data)
        self.number += 1
        self.epoch += 1
        return data

    def batch(self, **how: Any) -> bytes:
        """The next batch's bytes."""
        return self.sign(self.draft(**how))

    def batches(self, count: int) -> list[bytes]:
        """The next batches' bytes."""
        return [self.batch() for _ in range(count)]

    def live(self, at: int | None = None) -> bytes:
        """A live frame's bytes; the site stands still."""
        copy = replace(self)
        return frames.encode(frames.Telemetry(copy.leaf(at or (self.epoch + 1) * 900)).as_live())

    def alert(self, text: str = "hot side too hot", at: int | None = None) -> frames.Alert:
        """An alert."""
        header = frames.Header(self.identity, 0, at or (self.epoch + 1) * 900, TimeQuality.PULSE)
        return frames.Alert(header, frames.AlertCode.HOT_SIDE_TOO_HOT, frames.Severity.CRITICAL, True, 13, 10_100, 10_000, text)


@dataclass
class LocalCloud:
    """The cloud's parts in this process, without a broker."""

    directory: CloudDirectory
    registry: Registry
    ledger: Token2022Ledger
    trust: TrustFile
    key: SigningKey
    intake: Intake
    judge: Judge
    minting: Minting
    approver_key: SigningKey
    now: int = NOW
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    """What was published to sites: site, topic's last level, payload."""
    attestor: Attestor | None = None
    attested_minting: AttestedMinting | None = None

    def receive(self, message: bytes, sender: str = "tz-wellpad-alpha-01") -> frames.Receipt:
        """What the receiver does with a batch; the receipt, decoded."""
        given = self.intake.batch(sender, message)
        assert given is not None
        receipt = frames.decode(given)
        self.judge.judge_arrived(message)
        assert isinstance(receipt, frames.Receipt)
        return receipt

    def batch(self, message: bytes) -> Batch:
        """The row of a batch."""
        with self.registry.reading() as session:
            return session.get_one(Batch, frames.frame_hash(message))

    def reasons(self, message: bytes) -> list[str | None]:
        """Codes of the checks that refused a batch."""
        return [check["reason"] for check in self.batch(message).checks if check["passed"] is False]

    def approve(self, request: bytes, key: SigningKey | None = None, **fields: Any) -> None:
        """Signs and hands in a decision."""
        values: dict[str, Any] = {
            "decision": Decision.APPROVE,
            "reason": "looked at it",
            "approver": "ada",
            "role": "approver",
            "time": self.now,
        }
        approval = Approval(request=request, **(values | fields))
        self.minting.decide(approval, approval.sign(key or self.approver_key))

    @property
    def services(self) -> Services:
        """What the web application stands on."""
        health = Health(Link.CONNECTED, "connected")
        commanding = Commanding(self.registry, self.trust, self.key, lambda *message: self.sent.append(message), lambda: self.now)
        parts = (self.directory, self.registry, self.ledger, self.trust, self.minting, commanding)
        return Services(
            *parts,
            lambda: health,
            lambda: self.now,
            api_prefix="/api/v1",
            viewer="viewer",
            attestor=self.attestor,
            attested_minting=self.attested_minting,
        )


@contextlib.contextmanager
def open_cloud(root: Path, approver_key: SigningKey) -> Iterator[LocalCloud]:
    """Opens a cloud's directory as a process does at its start."""
    directory = CloudDirectory(root)
    key, trust, registry = read_key(directory.cloud_key), TrustFile(directory), Registry(directory.registry)
    ledger = Token2022Ledger(directory.ledger, read_key(directory.ledger_authority_key).seed, read_key(directory.ledger_holder_key).seed)
    clock = lambda: NOW  # noqa: E731
    parts = (Intake(registry, key, trust, clock), Judge(registry, trust, clock), Minting(registry, ledger, trust, key, clock))
    try:
        yield LocalCloud(directory, registry, ledger, trust, key, *parts, approver_key)
    finally:
        ledger.close()
        registry.close()


@pytest.fixture(scope="session")
def approver_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def site() -> SyntheticSite:
    return SyntheticSite()


@pytest.fixture
def new_site() -> type[SyntheticSite]:
    return SyntheticSite


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that `init` has made; tests take copies, being many."""
    root = tmp_path_factory.mktemp("initialised") / "cloud"
    directory = CloudDirectory(root)
    initialise(directory, demonstration=True, now=lambda: NOW)
    Token2022Ledger(directory.ledger, read_key(directory.ledger_authority_key).seed, read_key(directory.ledger_holder_key).seed).close()
    return root


@pytest.fixture(autouse=True)
def _cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files as everywhere, but for the work of a guess."""
    monkeypatch.setattr("thermogen_esf.encrypted_key._COST", 2**4)


@pytest.fixture
def opening(approver_key: SigningKey, initialised: Path) -> Callable[[Path], contextlib.AbstractContextManager[LocalCloud]]:
    """Opens the cloud of a directory: once, or again after it was closed."""

    def open_or_make(root: Path) -> contextlib.AbstractContextManager[LocalCloud]:
        if not root.exists():
            shutil.copytree(initialised, root)
        return open_cloud(root, approver_key)

    return open_or_make


@pytest.fixture
def cloud(tmp_path: Path, site: SyntheticSite, approver_key: SigningKey, opening: Any) -> Iterator[LocalCloud]:
    """A cloud that knows `site` and the approver ada."""
    with opening(tmp_path / "cloud") as local:
        local.trust.enrol_site(site.enrolment)
        local.trust.enrol_approver(ApproverKey("ada", "approver", approver_key.public_key, 0, None))
        yield local


def free_port() -> int:
    """A port that nothing has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class RunningBroker:
    """Mosquitto on loopback with a user for the cloud and one for each site."""

    directory: Path
    port: int
    passwords: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, or starts it again."""
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self.directory / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        eventually(lambda: answers(self.port), "the broker listens")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends it, by default politely."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def address(self, user: str = "cloud") -> Broker:
        """The broker as settings name it."""
        return Broker("127.0.0.1", self.port, user, False)

    def password_file(self, user: str) -> Path:
        """The user's password in a file of its own."""
        return self.directory / f"{user}.password"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker with the project's access rules; sites alpha (as `site` is called) and beta."""
    directory = tmp_path / "broker"
    directory.mkdir(mode=0o700)
    sites = ("tz-wellpad-alpha-01", "tz-wellpad-beta-02")
    passwords = {user: secrets.token_urlsafe(8) for user in (*sites, "cloud")}
    hashed = directory / "passwords"
    hashed.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()))
    hashed.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(hashed)], check=True, capture_output=True)
    by_sites, by_cloud = ("batch", "live", "alert", "ack", "seals", "statement", "fetch"), ("receipt", "command", "drawing", "published")
    rules = ["user cloud", *(f"topic read tz/v1/+/{leaf}" for leaf in by_sites), *(f"topic write tz/v1/+/{leaf}" for leaf in by_cloud)]
    for name in sites:
        rules += [f"user {name}", *(f"topic write tz/v1/{name}/{leaf}" for leaf in by_sites)]
        rules += [f"topic read tz/v1/{name}/{leaf}" for leaf in by_cloud]
    (directory / "access").write_text("\n".join(rules) + "\n")
    (directory / "access").chmod(0o600)
    running = RunningBroker(directory, free_port(), passwords)
    (directory / "mosquitto.conf").write_text(
        f"listener {running.port} 127.0.0.1\nallow_anonymous false\npassword_file {hashed}\nacl_file {directory / 'access'}\n"
        f"user {os.environ.get('USER') or 'root'}\npersistence true\npersistence_location {directory}/\nmessage_size_limit 1048576\n"
    )
    for user, password in passwords.items():
        file = running.password_file(user)
        file.write_text(password + "\n")
        file.chmod(0o600)
    running.start()
    yield running
    running.stop()


class Uplink:
    """A site's connection to the broker: sends messages and collects receipts by batch hash."""

    def __init__(self, broker: RunningBroker, site: str) -> None:
        self.site = site
        self.receipts: dict[bytes, list[bytes]] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"test-{site}", protocol=mqtt.MQTTv5)
        self._client.username_pw_set(site, broker.passwords[site])
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(f"tz/v1/{site}/receipt", qos=1)
        self._subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(WAIT_S)

    def send(self, payload: bytes, leaf: str = "batch") -> None:
        """Publishes, QoS 1."""
        self._client.publish(f"tz/v1/{self.site}/{leaf}", payload, qos=1)

    def receipts_of(self, payload: bytes) -> list[bytes]:
        """Receipt frames that came for a message."""
        return self.receipts.get(frames.frame_hash(payload), [])

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        receipt = frames.decode(message.payload)
        assert isinstance(receipt, frames.Receipt)
        self.receipts.setdefault(receipt.batch_hash, []).append(message.payload)

    def close(self) -> None:
        """Ends the connection."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = self._client.on_subscribe = None  # or the collector would find us and its sockets, in an order of its own


@pytest.fixture
def uplink(broker: RunningBroker) -> Iterator[Callable[[str], Uplink]]:
    """Connects a site to the broker."""
    opened: list[Uplink] = []

    def connect(site: str = "tz-wellpad-alpha-01") -> Uplink:
        opened.append(Uplink(broker, site))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@dataclass
class CloudProcess:
    """`thermogen-cloud` as people run it."""

    root: Path
    environment: dict[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        command = [sys.executable, "-m", "thermogen_cloud.command", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=check, timeout=60)

    def start(self) -> None:
        """`serve`, until it is connected and answers."""
        log = (self.root.parent / "cloud.log").open("ab")
        self.process = subprocess.Popen([sys.executable, "-m", "thermogen_cloud.command", "serve"], env=self.environment, stderr=log)
        log.close()
        eventually(self.healthy, "the cloud is healthy")

    def healthy(self) -> bool:
        """Whether /healthz says so."""
        assert self.process is None or self.process.poll() is None, (self.root.parent / "cloud.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """SIGKILL: no line of ours runs any more."""
        self.stop(signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def get(self, path: str) -> Any:
        """JSON of the API."""
        password = (self.root / "viewer.password").read_text().strip()
        token = base64.b64encode(f"viewer:{password}".encode()).decode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())


@pytest.fixture
def cloud_process(
    tmp_path: Path, broker: RunningBroker, site: SyntheticSite, approver_key: SigningKey, initialised: Path
) -> Iterator[CloudProcess]:
    """A cloud of its own process that knows `site` and the approver ada, not started yet."""
    root, port = tmp_path / "cloud", free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("THERMOGEN_")},
        "THERMOGEN_CLOUD_DIR": str(root),
        "THERMOGEN_CLOUD_PORT": str(port),
        "THERMOGEN_CLOUD_DEMONSTRATION": "1",
        "THERMOGEN_BROKER": f"mqtt://cloud@127.0.0.1:{broker.port}",
        "THERMOGEN_BROKER_PASSWORD_FILE": str(broker.password_file("cloud")),
    }
    made = CloudProcess(root, environment, port)
    directory = CloudDirectory(root)
    shutil.copytree(initialised, root)
    TrustFile(directory).enrol_site(site.enrolment)
    TrustFile(directory).enrol_approver(ApproverKey("ada", "approver", approver_key.public_key, 0, None))
    yield made
    if made.process is not None:
        made.kill()


@pytest.fixture
def wait() -> Callable[..., Any]:
    """Waits on a condition with a deadline."""
    return eventually
