"""The connection to the broker: MQTT 5, persistent session, manual acknowledgement, reconnecting for ever.

paho's thread does the network; what arrives waits in a queue for the daemon's own thread, and the broker is told that a message was
taken only after the daemon has stored what follows from it. Receive Maximum bounds the queue.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from .settings import BrokerAddress

KEEPALIVE_S = 15
RECEIVE_MAXIMUM = 20
MAX_INCOMING_BYTES = 65_536
MAX_PUBLISHED_BYTES = 600_000
"""Where this site may be a witness: all batches of an epoch come in one message."""
KINDS = ("receipt", "command")
WITNESS_KINDS = ("drawing", "published")
SESSION_NEVER_EXPIRES = 0xFFFFFFFF
_LEAST_DELAY_S = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message: the last level of its topic, its bytes, and what the broker calls it on which connection."""

    kind: str
    payload: bytes
    message_id: int
    connection: int


class MqttLink:
    """One site's connection. Topics are given by their last level; the rest is the site's prefix."""

    def __init__(
        self, broker: BrokerAddress, password: str, site: str, topic_prefix: str, longest_delay_s: float, witness: bool = False
    ) -> None:
        self._kinds = KINDS + (WITNESS_KINDS if witness else ())
        self._most_bytes = MAX_PUBLISHED_BYTES if witness else MAX_INCOMING_BYTES
        self._broker = broker
        self._prefix = f"{topic_prefix}/{site}"
        self._incoming: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._connected = threading.Event()
        self._connections = 0
        self._unreachable_said = False
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"thermogen-edge-{site}", protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        if broker.user:
            client.username_pw_set(broker.user, password or None)
        if broker.tls:
            client.tls_set()
        client.reconnect_delay_set(_LEAST_DELAY_S, max(_LEAST_DELAY_S, int(longest_delay_s)))
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        self._client = client

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted this connection and its subscriptions."""
        return self._connected.is_set()

    @property
    def connections(self) -> int:
        """How often the broker has accepted us since the daemon started."""
        return self._connections

    def start(self) -> None:
        """Begins to connect, in the background."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_NEVER_EXPIRES
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = self._most_bytes
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S, clean_start=False, properties=properties)
        self._client.loop_start()

    def stop(self) -> None:
        """Says goodbye and ends the thread."""
        self._client.disconnect()
        self._client.loop_stop()
        self._connected.clear()

    def publish(self, kind: str, payload: bytes, qos: int) -> MQTTMessageInfo | None:
        """Hands over a message; None where there is no connection. With QoS 1 its `is_published` turns true once the broker has it."""
        if not self.connected:
            return None
        info = self._client.publish(f"{self._prefix}/{kind}", payload, qos)
        return info if info.rc is MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def incoming(self) -> Iterator[Incoming]:
        """What has arrived and waits."""
        while True:
            try:
                yield self._incoming.get_nowait()
            except queue.Empty:
                return

    def taken(self, message: Incoming) -> None:
        """Tells the broker that the message is dealt with. On a newer connection it will come again, under a name of its own."""
        if message.connection == self._connections and self.connected:
            self._client.ack(message.message_id, 1)

    def _on_connect(self, client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None) -> None:
        if reason.is_failure:
            _log.error("the broker refuses this site: %s; check user and password file", reason)
            return
        self._connections += 1
        self._unreachable_said = False
        client.subscribe([(f"{self._prefix}/{kind}", 1) for kind in self._kinds])
        _log.info("connected to %s:%d, session %s", self._broker.host, self._broker.port, "resumed" if flags.session_present else "new")

    def _on_subscribe(
        self, _client: Client, _userdata: Any, _message_id: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _log.error("the broker lets this site not listen to receipts or commands; check its access list")
        self._connected.set()

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        if not self._unreachable_said:
            _log.warning(
                "no broker at %s:%d: start it, or set THERMOGEN_BROKER; trying again for ever", self._broker.host, self._broker.port
            )
        self._unreachable_said = True

    def _on_disconnect(
        self, _client: Client, _userdata: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self.connected:
            _log.warning("the connection to the broker ended: %s", reason)
        self._connected.clear()

    def _on_publish(self, _client: Client, _userdata: Any, message_id: int, reason: ReasonCode, _properties: Properties | None) -> None:
        if reason.is_failure:
            _log.error("the broker refuses message %d: %s; check its access list for this site", message_id, reason)

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        kind = message.topic.rpartition("/")[2]
        self._incoming.put(Incoming(kind, bytes(message.payload), message.mid, self._connections))
