"""Seals and draws by the node's registers, against a model that is made from their description."""

import struct

import pytest
from thermogen_edge.host_link.client import HostLinkRefusedError
from thermogen_edge.node_sealer import NodeSealer
from thermogen_esf import vrf
from thermogen_esf.evidence.attestation.draw import Drawing
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_seal import DRAW, DRAW_REQUEST, SEAL, SEAL_STATUS, SEAL_STATUS_BASE, CustodyState, ProofState
from thermogen_sim.fleet.node import SealingNode

DRAWING = Drawing(b"a site!!", 20_700, b"root".ljust(32), 7, b"beacon".ljust(32))


class Registers:
    """The node's seal registers; `ready` ends a draw that was asked for."""

    def __init__(self):
        self.node = SealingNode.named("tz-0000")
        self.state = dict.fromkeys(SEAL_STATUS, 0) | {"custody_state": CustodyState.READY}
        self.content = {}
        self.given = None
        self.between = lambda: None

    def seal(self, epoch):
        seal = self.node.seal(epoch)
        self._put(SEAL, seal.encode() + seal.output)
        self.state["seals"] += 1
        return seal.encode()

    def ready(self):
        day, root, beacon = self.given[:4], self.given[4:36], self.given[36:]
        asked = Drawing(b"", int.from_bytes(day, "big"), root, 0, beacon)
        proof = self.node.draw(asked)
        self._put(DRAW, asked.input_of(self.node.identity) + proof + vrf.output(proof))
        self.state |= {"proof_state": ProofState.IDLE, "draws": self.state["draws"] + 1}

    def _put(self, registers, data):
        self.content |= dict(enumerate(struct.unpack(f">{registers[1]}H", data), registers[0]))

    def read(self, address, count):
        if address == SEAL_STATUS_BASE:
            words = []
            for name, (_, size) in SEAL_STATUS.items():
                words += struct.unpack(f">{size}H", int(self.state[name]).to_bytes(2 * size, "big"))
            assert len(words) == count
            return tuple(words)
        answer = tuple(self.content.get(address + place, 0) for place in range(count))
        self.between()
        return answer

    def write(self, address, words):
        assert (address, len(words)) == DRAW_REQUEST
        if self.state["proof_state"] != ProofState.IDLE or self.state["custody_state"] != CustodyState.READY:
            raise HostLinkRefusedError("busy")
        self.given = struct.pack(f">{len(words)}H", *words)
        self.state["proof_state"] = ProofState.DRAWING


@pytest.fixture
def node():
    return Registers()


def sealer_of(node, flags=NodeFlag.SEALS):
    return NodeSealer(node, lambda: flags)


def test_a_node_without_a_key_of_its_own_has_no_seals_and_no_draws(node):
    node.seal(5)
    sealer = sealer_of(node, NodeFlag.ARMED)
    assert sealer.newest() is None and sealer.draw(DRAWING.given) is None and node.given is None


def test_the_newest_seal_is_read_as_it_is_published(node):
    sealer = sealer_of(node)
    assert sealer.newest() is None
    for epoch in (5, 6):
        assert node.seal(epoch) == sealer.newest() == sealer.newest()


def test_a_seal_that_changes_while_it_is_read_is_not_taken(node):
    node.seal(5)
    node.between = lambda: (setattr(node, "between", lambda: None), node.seal(6))
    sealer = sealer_of(node)
    assert sealer.newest() is None and sealer.newest() == node.node.seals[-1].encode()
    node.state["proof_state"] = ProofState.SEALING
    assert sealer.newest() is None


def test_a_draw_is_asked_for_once_and_read_when_it_is_made(node):
    sealer = sealer_of(node)
    assert sealer.draw(DRAWING.given) is None and node.given == DRAWING.given
    assert sealer.draw(DRAWING.given) is None
    node.ready()
    proof = sealer.draw(DRAWING.given)
    assert vrf.verify(node.node.prover.public_key, DRAWING.input_of(node.node.identity), proof) is not None
    assert node.state["draws"] == 1


def test_a_proof_of_another_drawing_is_not_taken_for_this_one(node):
    sealer, other = sealer_of(node), Drawing(b"a site!!", 1, bytes(32), 7, bytes(32))
    sealer.draw(other.given)
    node.ready()
    assert sealer.draw(DRAWING.given) is None and node.given == DRAWING.given


@pytest.mark.parametrize("state", [CustodyState.STARTING, CustodyState.WIPED, CustodyState.NO_MEMORY])
def test_a_node_that_has_no_key_now_is_not_asked(node, state):
    node.state["custody_state"] = state
    assert sealer_of(node).draw(DRAWING.given) is None and node.given is None


def test_a_node_that_begins_to_seal_in_between_is_asked_again(node):
    sealer, status = sealer_of(node), node.state
    write = node.write

    def busy(address, words):
        status["proof_state"] = ProofState.SEALING
        write(address, words)

    node.write = busy
    assert sealer.draw(DRAWING.given) is None
    node.write, status["proof_state"] = write, ProofState.IDLE
    assert sealer.draw(DRAWING.given) is None and node.given == DRAWING.given
