"""What stands around a daemon in the tests: a gpsd, a broker, a cloud that receipts, and the daemon's own process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from thermogen_esf.frames import (
    Acknowledgement,
    Batch,
    Command,
    FrameError,
    Header,
    Receipt,
    Writes,
    decode,
    encode,
    frame_hash,
    sign_frame,
    site_identity,
)
from thermogen_esf.points import TimeQuality
from thermogen_esf.signatures import SigningKey

MOSQUITTO = "/usr/sbin/mosquitto"
PREFIX = "tz/v1"
DEADLINE_S = 30.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Waits until `condition` is true; fails naming `what` where it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        threading.Event().wait(0.005)


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class GpsdModel:
    """gpsd's JSON protocol: a fix each 20 ms of wall time, with the time that `now` gives."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.mode = 3
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(b'{"class":"VERSION","release":"3.22","proto_major":3,"proto_minor":14}\n')
            assert client.recv(4096).startswith(b"?WATCH=")
            client.sendall(b'{"class":"DEVICES","devices":[]}\n{"class":"WATCH","enable":true}\n')
            while not self._closing.wait(0.02):
                fix = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
                client.sendall(json.dumps({"class": "TPV", "mode": self.mode, "time": fix}).encode() + b"\n")


class Broker:
    """A real mosquitto on a loopback port, with a user for the site and one for the cloud, that can be killed and started again."""

    def __init__(self, directory: Path, site: str) -> None:
        self.port = free_port()
        directory.mkdir(mode=0o700)
        self.password_file = directory / "site.password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text("site-secret\n")
        passwords = directory / "passwords"
        passwords.touch(mode=0o600)
        passwords.write_text(f"{site}:site-secret\ncloud:cloud-secret\n")
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True, capture_output=True)
        self._configuration = directory / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
            f"persistence true\npersistence_location {directory}/\nmax_queued_messages 10000\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        process = subprocess.Popen([MOSQUITTO, "-c", self._configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._process = process
        wait_until(lambda: process.poll() is not None or listening(self.port), "the broker listens")
        assert process.poll() is None, "mosquitto did not start"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class CloudStub:
    """Stores what a site sends and receipts it. `receipting` False keeps the receipts back, and of `unreceipted` those for ever."""

    def __init__(self, port: int, site: str) -> None:
        self.key = SigningKey.from_seed(bytes(31) + b"C")
        self.receipting = True
        self.unreceipted: set[bytes] = set()
        self.site = site
        self.received: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()
        self._numbers = iter(range(1 << 32))
        client = Client(CallbackAPIVersion.VERSION2, client_id="cloud", protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set("cloud", "cloud-secret")
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self.subscriptions = 0
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0xFFFFFFFF
        client.connect_async("127.0.0.1", port, 10, clean_start=False, properties=properties)
        client.loop_start()
        self._client = client
        wait_until(lambda: self.subscriptions, "the cloud listens", DEADLINE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of_kind(self, kind: str) -> list[bytes]:
        """The payloads that came under a topic, as often as they came."""
        with self._lock:
            return [payload for name, payload in self.received if name == kind]

    def batches(self) -> dict[int, Batch]:
        """Every batch, by number; the same number must always be the same bytes."""
        found: dict[int, bytes] = {}
        for data in self.of_kind("batch"):
            number = decode(data).header.sequence
            assert found.setdefault(number, data) == data, f"two different batches bear the number {number}"
        return {number: decode(data) for number, data in sorted(found.items())}  # type: ignore[misc]

    def acknowledgements(self) -> list[Acknowledgement]:
        return [decode(data) for data in self.of_kind("ack")]  # type: ignore[misc]

    def receipt_for(self, data: bytes, key: SigningKey | None = None) -> bytes:
        """A signed receipt for a batch's bytes, those of a frame of writes, or a message of attestation, which is no frame."""
        try:
            batch = decode(data)
        except FrameError:
            header = Header(site_identity(self.site), next(self._numbers), 0, TimeQuality.PULSE)
            return encode(sign_frame(Receipt(header, frame_hash(data), 0, 0, 0), key or self.key))
        assert isinstance(batch, Batch | Writes)
        header = Header(batch.header.site, next(self._numbers), batch.header.time, TimeQuality.PULSE)
        named = (batch.epoch, batch.first_sequence, batch.last_sequence) if isinstance(batch, Batch) else (0, 0, 0)
        receipt = Receipt(header, frame_hash(data), *named)
        return encode(sign_frame(receipt, key or self.key))

    def command(
        self, number: int, code: int, arguments: tuple[int, int], time_s: int, ttl_s: int = 600, key: SigningKey | None = None
    ) -> bytes:
        """A signed command for the site."""
        header = Header(site_identity(self.site), number, time_s, TimeQuality.PULSE)
        return encode(sign_frame(Command(header, code, ttl_s, arguments), key or self.key))

    def send(self, kind: str, payload: bytes) -> None:
        self._client.publish(f"{PREFIX}/{self.site}/{kind}", payload, 1)

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe(
            [(f"{PREFIX}/{self.site}/{kind}", 1) for kind in ("batch", "live", "alert", "ack", "writes", "seals", "statement")]
        )

    def _on_subscribe(self, *_: object) -> None:
        self.subscriptions += 1

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        kind = message.topic.rpartition("/")[2]
        with self._lock:
            self.received.append((kind, bytes(message.payload)))
        if kind in ("batch", "writes", "seals", "statement") and self.receipting and bytes(message.payload) not in self.unreceipted:
            self.send("receipt", self.receipt_for(bytes(message.payload)))


class DaemonProcess:
    """`thermogen-edge` as a process of its own, with its settings in the environment and its log in a file."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = {**os.environ, **environment}
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "thermogen_edge.command", "run"], env=self._environment, stderr=log
            )

    def kill(self) -> None:
        """Power off: no chance to do anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(DEADLINE_S)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another of its commands."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "thermogen_edge.command", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )


@contextlib.contextmanager
def ticking(tick: Callable[[], None], each_s: float) -> Iterator[None]:
    """Calls `tick` over and over in a thread."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(each_s):
            tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
