"""The daemon's reading of seals and draws, on the compiled gateware with its key: a minute, most of it compiling."""

import pytest
from thermogen_edge.host_link.client import HostLinkClient
from thermogen_edge.node import Identity, Lifetimes, Node
from thermogen_edge.node_sealer import NodeSealer
from thermogen_edge.profile import default_profile, parse_profile
from thermogen_esf import vrf
from thermogen_esf.evidence.attestation.draw import Drawing
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.frames import site_identity
from thermogen_esf.hostlink_seal import PUBLIC_KEY, SEAL_STATUS, CustodyState
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.site import VirtualSite

pytestmark = pytest.mark.slow

SITE = "tz-wellpad-alpha-01"
START = 1_989_000 * 900 + 800
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


def test_a_seal_and_a_draw_of_the_compiled_node_are_what_a_stranger_believes():
    inputs = OrdinaryDay()
    site = VirtualSite(inputs, warm_state(inputs.at(START), 12, 0), START, seal=True)
    site.run(1_000)
    link = HostLinkClient(Pins(site))
    node, profile, identity = Node(link), parse_profile(default_profile(SITE)), site_identity(SITE)
    sealer = NodeSealer(link, lambda: node.status().flags)

    def until(found):
        for _ in range(LIMIT_S):
            value = found()
            if value:
                return value
            site.run_seconds(1)
        raise AssertionError(f"not within {LIMIT_S} site seconds")

    until(lambda: link.read(*SEAL_STATUS["custody_state"])[0] == CustodyState.READY)
    node.introduce(Identity(identity, 1, 0), profile, Lifetimes())
    node.arm(site.site_time)
    assert sealer.newest() is None
    seal = Seal.decode(until(sealer.newest))
    key = b"".join(word.to_bytes(2, "big") for word in link.read(*PUBLIC_KEY))
    assert seal.site == identity and seal.proven_by(key)
    assert seal.calibration_hash == profile.calibration_hash.to_bytes(8, "big")
    assert (seal.epoch, seal.root) == (node.epoch_records(1)[0].epoch, node.epoch_records(1)[0].root)
    drawing = Drawing(b"another!", 20_700, b"root".ljust(32), 3, b"beacon".ljust(32))
    proof = until(lambda: sealer.draw(drawing.given))
    assert vrf.verify(key, drawing.input_of(identity), proof) is not None
    site.close()
