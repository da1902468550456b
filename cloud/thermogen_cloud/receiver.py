"""The MQTT side of the cloud: takes messages off the broker, acknowledges each once it is on the disk, answers batches with receipts.

MQTT 5, QoS 1, a session that outlives us. A message is acknowledged by hand, after the commit and after its receipt was handed to
the connection: whatever dies in between, the broker sends the message again and the intake answers with the same receipt.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from sqlalchemy.exc import DBAPIError

from .errors import CloudError, OperatorError
from .intake import Intake
from .judging import Judge
from .settings import Broker

log = logging.getLogger(__name__)

CLIENT_ID = "thermogen-cloud"
SESSION_NEVER_EXPIRES = 0xFFFFFFFF
MOST_BYTES = 1 << 20
"""Of a packet; the broker keeps larger ones from us. A batch has at most 90 frames and 64 alerts, less than 70,000 bytes."""
IN_FLIGHT = 20
"""Messages that the broker sends ahead of our acknowledgements: at most 20 MiB wait in memory."""
KEEPALIVE_S = 30
RETRY_S = 2.0
"""Pause before the next attempt when the broker is not there, or when a message could not be stored."""
LOOP_S = 1.0
"""How long one turn waits for the network: so soon is noticed that something is due."""
UPKEEP_S = 60.0
"""Between two rounds over what is stored and not judged."""
MOST_SITE_NAME = 128


class Link(enum.StrEnum):
    """How the connection to the broker stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    NOT_THERE = "not there"
    REFUSED = "refused"
    NOT_STORING = "not storing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Health:
    """The receiver's state for /healthz and the page."""

    link: Link
    detail: str


class Receiver:
    """One connection to the broker, kept up from `run` until `stop`.

    `after_judging` is called whenever all that waited has been judged: at each connection and each minute. `fetch` answers witnesses, where
    this cloud attests; only then are seals and statements subscribed to.
    """

    def __init__(
        self,
        broker: Broker,
        password: Callable[[], str | None],
        prefix: str,
        intake: Intake,
        judge: Judge,
        after_judging: Callable[[], None] = lambda: None,
        fetch: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._broker = broker
        self._password = password
        self._prefix = prefix
        self._judge = judge
        self._intake = intake
        self._after_judging = after_judging
        self._stopping = threading.Event()
        self._client: mqtt.Client | None = None
        self._health = Health(Link.CONNECTING, f"connecting to {broker}")
        self._thread: threading.Thread | None = None
        self._upkeep_at = 0.0
        self._handlers: dict[str, Callable[[str, bytes], bytes | None]] = {
            "batch": intake.batch,
            "live": intake.live,
            "alert": intake.alert,
            "ack": intake.acknowledgement,
            "writes": intake.writes,
        }
        if fetch is not None:
            self._handlers |= {"seals": intake.seals, "statement": intake.statement, "fetch": fetch}

    @property
    def health(self) -> Health:
        """How the connection stands now; what was last known says nothing once nobody receives."""
        thread = self._thread
        if thread is not None and not thread.is_alive():
            return Health(Link.ENDED, "nothing is received any more: the log says why; restart thermogen-cloud")
        return self._health

    def stop(self) -> None:
        """Ends `run` soon. What is not acknowledged yet comes again at the next start."""
        self._stopping.set()
        client = self._client
        if client is not None:
            client.disconnect()

    def run(self) -> None:
        """Receives until `stop`, whatever happens to the broker, to the disk or in our own code."""
        self._thread = threading.current_thread()
        while not self._stopping.is_set():
            try:
                self._upkeep()
                self._connected_once()
            except CloudError as error:
                self._report(Link.REFUSED, f"{error}: {error.remedy}")
            except OSError as error:
                self._report(
                    Link.NOT_THERE, f"no broker answers at {self._broker} ({error}): start it, or set THERMOGEN_BROKER; trying again"
                )
            except Exception as error:
                self._report_fault(error)
            self._stopping.wait(RETRY_S)

    def publish(self, site: str, leaf: str, payload: bytes) -> None:
        """Sends one message to a site, QoS 1; OperatorError while there is no connection."""
        client = self._client
        if client is None or not client.is_connected():
            raise OperatorError(f"there is no connection to the broker {self._broker}", "wait until it is back, then ask again")
        client.publish(f"{self._prefix}/{site}/{leaf}", payload, qos=1)

    def _connected_once(self) -> None:
        """One connection, from its attempt to its end."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, CLIENT_ID, protocol=mqtt.MQTTv5, reconnect_on_failure=False, manual_ack=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe  # until then the broker keeps nothing for us
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.username_pw_set(self._broker.user, self._password())
        if self._broker.tls:
            client.tls_set()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_NEVER_EXPIRES
        properties.ReceiveMaximum = IN_FLIGHT
        properties.MaximumPacketSize = MOST_BYTES
        self._client = client
        client.connect(self._broker.host, self._broker.port, KEEPALIVE_S, clean_start=False, properties=properties)
        if self._stopping.is_set():
            client.disconnect()
        while client.loop(LOOP_S) is MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._upkeep()

    def _upkeep(self) -> None:
        """Where it is time, has everything judged that waits, so that a passing fault leaves nothing behind, and what follows done."""
        if time.monotonic() >= self._upkeep_at:
            self._upkeep_at = time.monotonic() + UPKEEP_S
            try:
                self._judge.judge_waiting()
                self._after_judging()
            except Exception:
                log.exception("what waits could not be seen to; trying again in %d s", UPKEEP_S)

    def _on_connect(self, client: mqtt.Client, _: Any, __: mqtt.ConnectFlags, reason: ReasonCode, ___: Properties | None) -> None:
        if reason.is_failure:
            self._report(
                Link.REFUSED,
                f"the broker {self._broker} refused us as {self._broker.user} ({reason}): check THERMOGEN_BROKER and its password file",
            )
            return
        client.subscribe([(f"{self._prefix}/+/{leaf}", SubscribeOptions(qos=0 if leaf == "live" else 1)) for leaf in self._handlers])
        self._upkeep_at = 0.0

    def _on_subscribe(self, _: mqtt.Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Properties | None) -> None:
        if any(reason.is_failure for reason in reasons):
            topics = f"{self._prefix}/+/{{{','.join(self._handlers)}}}"
            self._report(Link.REFUSED, f"the broker {self._broker} does not let {self._broker.user} read {topics}: mend its access list")
        else:
            self._report(Link.CONNECTED, f"connected to {self._broker}")

    def _on_disconnect(self, _: mqtt.Client, __: Any, ___: mqtt.DisconnectFlags, reason: ReasonCode, ____: Properties | None) -> None:
        if self._health.link is Link.CONNECTED and not self._stopping.is_set():
            self._report(Link.CONNECTING, f"the connection to {self._broker} ended ({reason}); connecting again")

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        # What fails before the acknowledgement is sent again by the broker on the next connection only: end this one.
        try:
            self._take(client, message)
        except OperatorError as error:
            self._report(Link.NOT_STORING, f"{error}: {error.remedy}")
            client.disconnect()
        except Exception as error:
            self._report_fault(error)
            client.disconnect()

    def _take(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        site, leaf = self._sender(message.topic)
        payload = bytes(message.payload)
        reply = self._reply(site, leaf, payload) if site else None
        if reply is not None:
            client.publish(f"{self._prefix}/{site}/receipt", reply, qos=1)
        client.ack(message.mid, message.qos)
        if leaf == "batch":
            self._judge.judge_arrived(payload)

    def _reply(self, site: str, leaf: str, payload: bytes) -> bytes | None:
        """What the handler answers. A message that it cannot take however often it comes is put aside, so that it stops no other."""
        try:
            return self._handlers[leaf](site, payload)
        except (CloudError, OSError, DBAPIError):
            raise
        except Exception as error:
            log.exception("a fault in this program; the %s of %s is put aside: report it", leaf, site)
            self._intake.put_aside(site, leaf, payload, f"a fault in this program ({error!r}): the log says where, report it")
            return None

    def _sender(self, topic: str) -> tuple[str, str]:
        """Site and last level of a topic that we subscribed to; no site where its name is not one that a site can have."""
        site, _, leaf = topic.removeprefix(f"{self._prefix}/").rpartition("/")
        return (site if len(site.encode()) <= MOST_SITE_NAME else "", leaf)

    def _report_fault(self, error: Exception) -> None:
        log.error("fault while receiving", exc_info=error)
        self._report(Link.NOT_STORING, f"a fault in this program ({error!r}): the log says where, report it; trying again")

    def _report(self, link: Link, detail: str) -> None:
        if self._health != Health(link, detail):
            self._health = Health(link, detail)
            log.log(logging.INFO if link is Link.CONNECTED else logging.WARNING, "%s", detail)
