"""The daemon's reading of seals and draws, on the compiled gateware with its key: a minute, most of it compiling."""

import pytest
from thermogen_edge.alerts import Alerts
from thermogen_edge.buffer import Buffer
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.host_link.client import HostLinkClient, HostLinkRefusedError
from thermogen_edge.node import Identity, Lifetimes, Node
from thermogen_edge.node_sealer import NodeSealer
from thermogen_edge.profile import default_profile, parse_profile
from thermogen_edge.sealer import SealCollector
from thermogen_esf import vrf
from thermogen_esf.evidence.attestation.draw import Drawing
from thermogen_esf.evidence.attestation.seal import ENCODED_BYTES, Seal
from thermogen_esf.frames import AlertCode, decode, site_identity
from thermogen_esf.hostlink import EPOCH_S
from thermogen_esf.hostlink_seal import PUBLIC_KEY, RING_BASE, RING_SEAL_WORDS, RING_SLOT_WORDS, SEAL, SEAL_STATUS, CustodyState
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.site import VirtualSite

pytestmark = pytest.mark.slow

SITE = "tz-wellpad-alpha-01"
START = 1_989_000 * EPOCH_S + 800
LIMIT_S = 400
"""Site seconds of 10,000 clocks."""


class Pins:
    """The site's SPI pins as a transport."""

    def __init__(self, site):
        self.site = site

    def exchange(self, transaction):
        return self.site.transact(transaction)

    def close(self):
        self.site.close()


class Sealing:
    """A sealing site, armed two minutes before an epoch ends, and the host's ways to it."""

    def __init__(self):
        inputs = OrdinaryDay()
        self.site = VirtualSite(inputs, warm_state(inputs.at(START), 12, 0), START, seal=True)
        self.site.run(1_000)
        self.link = HostLinkClient(Pins(self.site))
        self.node = Node(self.link)
        self.profile, self.identity = parse_profile(default_profile(SITE)), site_identity(SITE)
        self.sealer = NodeSealer(self.link, lambda: self.node.status().flags)
        self.until_ready()
        self.node.introduce(Identity(self.identity, 1, 0), self.profile, Lifetimes())
        self.node.arm(self.site.site_time)

    def until(self, found, limit_s=LIMIT_S):
        for _ in range(limit_s):
            value = found()
            if value:
                return value
            self.site.run_seconds(1)
        raise AssertionError(f"not within {limit_s} site seconds")

    def until_ready(self):
        self.until(lambda: self.link.read(*SEAL_STATUS["custody_state"])[0] == CustodyState.READY)

    def words(self, place):
        return b"".join(word.to_bytes(2, "big") for word in self.link.read(*place))


@pytest.fixture
def sealing():
    made = Sealing()
    yield made
    made.site.close()


def test_a_seal_and_a_draw_of_the_compiled_node_are_what_a_stranger_believes(sealing):
    node, sealer = sealing.node, sealing.sealer
    assert sealer.seals_after(None, 9) == []
    (kept,) = sealing.until(lambda: sealer.seals_after(None, 9))
    seal, key = Seal.decode(kept.data), sealing.words(PUBLIC_KEY)
    assert seal.site == sealing.identity and seal.proven_by(key)
    assert seal.calibration_hash == sealing.profile.calibration_hash.to_bytes(8, "big")
    assert (seal.epoch, seal.root) == (node.epoch_records(1)[0].epoch, node.epoch_records(1)[0].root)
    drawing = Drawing(b"another!", 20_700, b"root".ljust(32), 3, b"beacon".ljust(32))
    proof = sealing.until(lambda: sealer.draw(drawing.given))
    assert vrf.verify(key, drawing.input_of(sealing.identity), proof) is not None


def test_a_daemon_that_was_away_over_several_epochs_gets_every_seal_and_is_told_what_the_power_took(sealing, tmp_path):
    buffer = Buffer(tmp_path / "buffer.sqlite", 10_000_000)
    outbox, alerts = Outbox(buffer.database), []
    collector = SealCollector(sealing.sealer, outbox, sealing.identity, Alerts(buffer, sealing.identity, alerts.append))

    def kept():
        return [message for _, _, message in outbox.waiting(99)]

    def made():
        """The next seal as the node shows it, byte for byte."""
        (before,) = sealing.link.read(*SEAL_STATUS["seals"])
        sealing.until(lambda: sealing.link.read(*SEAL_STATUS["seals"])[0] == before + 1, EPOCH_S + LIMIT_S)
        return sealing.words(SEAL)[:ENCODED_BYTES]

    seen = [made()]
    collector.collect()
    assert kept() == seen
    seen += [made() for _ in range(3)]
    collector.collect()
    assert kept() == seen
    seals, key = [Seal.decode(data) for data in seen], sealing.words(PUBLIC_KEY)
    assert all(seal.proven_by(key) for seal in seals)
    assert [later.previous for later in seals[1:]] == [earlier.link for earlier in seals[:-1]]
    assert [seal.epoch - seals[0].epoch for seal in seals] == [0, 1, 2, 3]
    assert alerts == []

    # A READ may go on from one seal into the next; it neither begins nor ends between them.
    both = sealing.words((RING_BASE, RING_SLOT_WORDS + RING_SEAL_WORDS))
    assert [both[:ENCODED_BYTES], both[2 * RING_SLOT_WORDS :]] == seen[:2]
    for place in ((RING_BASE, RING_SEAL_WORDS + 1), (RING_BASE + RING_SEAL_WORDS, RING_SLOT_WORDS)):
        with pytest.raises(HostLinkRefusedError):
            sealing.words(place)

    lost = Seal.decode(made())
    sealing.site.compiled.power_cycle()
    sealing.until_ready()
    collector.collect()
    assert kept() == seen
    (told,) = map(decode, alerts)
    assert (told.code, told.value) == (AlertCode.SEALS_LOST, lost.epoch)
    buffer.close()
