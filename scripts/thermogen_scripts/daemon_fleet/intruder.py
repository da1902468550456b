"""What somebody does who has a site's Linux side, with its signing key and its password at the broker, and not its node."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from thermogen_esf import merkle
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Statement
from thermogen_esf.frames import Batch, decode, encode, sign_frame
from thermogen_esf.keyfile import load_seed

from ..processes import ProcessError
from .compromised_host import with_more_energy
from .world import PREFIX, FleetWorld, Site

ANSWER_S = 30.0


def another_batch(site: Site, honest: bytes) -> bytes:
    """A batch of the same epoch with other leaves, signed with the site's own key."""
    frame = decode(honest)
    assert isinstance(frame, Batch), "the API gives batches"
    leaves = tuple(map(with_more_energy, frame.leaves))
    return encode(sign_frame(replace(frame, leaves=leaves, root=merkle.root(leaves)), load_seed(site.edge / "site.key")))


def send_batch(world: FleetWorld, site: Site, batch: bytes) -> None:
    """Publishes it under the site's name; ProcessError where the broker does not take it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{site.name}-intruder", protocol=mqtt.MQTTv5)
    client.username_pw_set(site.name, world.broker.password_file(site.name).read_text())
    client.connect("127.0.0.1", world.broker_port)
    client.loop_start()
    try:
        sent = client.publish(f"{PREFIX}/{site.name}/batch", batch, 1)
        sent.wait_for_publish(ANSWER_S)
        if not sent.is_published():
            raise ProcessError(f"the broker did not take a batch of {site.name} within {ANSWER_S:.0f} s")
    finally:
        client.disconnect()
        client.loop_stop()


def kept_statements(site: Site) -> list[tuple[Statement, Signed]]:
    """The statements that a daemon keeps since nobody receipted them."""
    return [(Statement.parse(signed.document), signed) for message in _kept(site, "statement") for signed in [Signed.parse(message)]]


def kept_seals(site: Site) -> list[bytes]:
    """The seals that a daemon keeps since nobody receipted them."""
    return _kept(site, "seals")


def _kept(site: Site, kind: str) -> list[bytes]:
    database = sqlite3.connect(f"file:{site.edge / 'buffer.sqlite'}?mode=ro", uri=True)
    try:
        return [message for (message,) in database.execute("SELECT message FROM outbox WHERE kind = ? ORDER BY number", (kind,))]
    finally:
        database.close()
