import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from thermogen_scripts.broker import MOSQUITTO, BrokerFiles, configure
from thermogen_scripts.processes import Supervisor, listening, wait_until

SITE, OTHER, PREFIX = "tz-one", "tz-two", "tz/v1"
PATIENCE_S = 10


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[BrokerFiles, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = BrokerFiles(tmp_path / "broker")
    configure(files, port, (SITE,), PREFIX)
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start("broker", [MOSQUITTO, "-c", files.configuration])
        wait_until(lambda: listening(port), "the broker listens", PATIENCE_S, supervisor.running)
        yield files, port


def connected(port: int, user: str, password: str, received: Queue[str], topics: tuple[str, ...] = ()) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(user, password)
    client.on_connect = lambda *arguments: received.put(f"connect {arguments[3]}")
    client.on_subscribe = lambda *arguments: received.put("subscribed")
    client.on_message = lambda _client, _data, message: received.put(message.topic)
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert received.get(timeout=PATIENCE_S) == "connect Success"
    for topic in topics:
        client.subscribe(topic, 1)
        assert received.get(timeout=PATIENCE_S) == "subscribed"
    return client


def test_a_site_can_write_its_own_topics_and_no_other_site_s(broker: tuple[BrokerFiles, int]) -> None:
    files, port = broker
    heard: Queue[str] = Queue()
    cloud = connected(port, "cloud", files.password_file("cloud").read_text(), heard, (f"{PREFIX}/+/batch",))
    site = connected(port, SITE, files.password_file(SITE).read_text(), Queue())
    site.publish(f"{PREFIX}/{OTHER}/batch", b"forged", qos=1).wait_for_publish(PATIENCE_S)
    site.publish(f"{PREFIX}/{SITE}/receipt", b"forged", qos=1).wait_for_publish(PATIENCE_S)
    site.publish(f"{PREFIX}/{SITE}/batch", b"own", qos=1).wait_for_publish(PATIENCE_S)
    assert heard.get(timeout=PATIENCE_S) == f"{PREFIX}/{SITE}/batch"
    with pytest.raises(Empty):
        heard.get_nowait()
    for client in (cloud, site):
        client.disconnect()
        client.loop_stop()


def test_nobody_connects_without_the_right_password(broker: tuple[BrokerFiles, int]) -> None:
    _, port = broker
    answers: Queue[str] = Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(SITE, "guess")
    client.on_connect = lambda *arguments: answers.put(str(arguments[3]))
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert answers.get(timeout=PATIENCE_S) == "Not authorized"
    client.disconnect()
    client.loop_stop()


def test_passwords_are_private_and_survive_a_second_set_up(tmp_path: Path) -> None:
    files = BrokerFiles(tmp_path / "broker")
    configure(files, 1883, (SITE,), PREFIX)
    first = files.password_file(SITE).read_text()
    configure(files, 1884, (SITE,), PREFIX)
    assert files.password_file(SITE).read_text() == first
    for path in files.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert first not in (files.directory / "passwords").read_text()
