"""Seals and draws by the node's registers, against a model that is made from their description."""

import struct

import pytest
from thermogen_edge.host_link.client import HostLinkRefusedError
from thermogen_edge.node_sealer import NodeSealer
from thermogen_esf import vrf
from thermogen_esf.evidence.attestation.draw import Drawing
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_seal import (
    DRAW,
    DRAW_REQUEST,
    RING_SEALS,
    SEAL_STATUS,
    SEAL_STATUS_BASE,
    CustodyState,
    KeptSeal,
    ProofState,
    ring_slot,
)
from thermogen_sim.fleet.node import SealingNode

DRAWING = Drawing(b"a site!!", 20_700, b"root".ljust(32), 7, b"beacon".ljust(32))


class Registers:
    """The node's seal registers; `ready` ends a draw that was asked for."""

    def __init__(self):
        self.node = SealingNode.named("tz-0000")
        self.state = dict.fromkeys(SEAL_STATUS, 0) | {"custody_state": CustodyState.READY}
        self.content = {}
        self.given = None
        self.reads = 0
        self.between = lambda: None

    def seal(self, epoch):
        seal = self.node.seal(epoch)
        kept = KeptSeal(self.state["seals"], seal.encode())
        self._put(ring_slot(kept.number), kept.data)
        self.state["seals"] = (self.state["seals"] + 1) % 0x10000
        self.state["seals_kept"] = min(self.state["seals_kept"] + 1, RING_SEALS)
        self.state["last_epoch"] = epoch
        return kept

    def power_cycle(self):
        self.node.reboot()
        self.content.clear()
        self.state |= {"boot_count": self.node.boot, "seals": 0, "seals_kept": 0}

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
        self.reads += 1
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


def all_after(sealer, taken):
    return sealer.seals_after(taken, RING_SEALS)


def test_a_node_without_a_key_of_its_own_has_no_seals_and_no_draws(node):
    node.seal(5)
    sealer = sealer_of(node, NodeFlag.ARMED)
    assert all_after(sealer, None) == [] and sealer.earlier_boots() is None and sealer.draw(DRAWING.given) is None and node.given is None


def test_every_seal_that_is_new_is_read_as_it_is_published_and_none_twice(node):
    sealer = sealer_of(node)
    assert all_after(sealer, None) == []
    made = [node.seal(epoch) for epoch in (5, 6, 9)]
    assert all_after(sealer, None) == made
    assert all_after(sealer, made[-1]) == []
    made += [node.seal(epoch) for epoch in (10, 11)]
    assert all_after(sealer, made[2]) == made[3:]
    assert all_after(sealer_of(node), made[0]) == made[1:]


def test_seals_that_could_not_be_stored_are_given_again(node):
    sealer, made = sealer_of(node), [node.seal(epoch) for epoch in (5, 6)]
    assert all_after(sealer, None) == made == all_after(sealer, None)


@pytest.mark.slow
def test_after_a_long_absence_the_whole_ring_is_new_and_the_count_goes_round(node):
    node.state["seals"] = 0x10000 - 100
    known = node.seal(1)
    made = [node.seal(epoch) for epoch in range(2, RING_SEALS + 12)]
    assert node.state["seals"] < RING_SEALS
    assert all_after(sealer_of(node), known) == made[-RING_SEALS:]


def test_a_few_at_a_time_are_the_oldest_and_cost_only_their_own_reading(node):
    made = [node.seal(epoch) for epoch in range(RING_SEALS + 5)][-RING_SEALS:]
    sealer, taken = sealer_of(node), None
    for first in range(0, 40, 8):
        node.reads = 0
        found = sealer.seals_after(taken, 8)
        assert found == made[first : first + 8]
        assert node.reads <= 9
        taken = found[-1]


def test_a_seal_of_an_earlier_boot_or_of_another_node_with_the_same_number_is_not_taken_for_this_boots(node):
    earlier = [node.seal(epoch) for epoch in (5, 6)]
    node.power_cycle()
    made = [node.seal(epoch) for epoch in (8, 9, 10)]
    assert all_after(sealer_of(node), earlier[0]) == all_after(sealer_of(node), earlier[1]) == made


def once(node, happens):
    def act():
        node.between = lambda: None
        happens()

    node.between = act


def test_a_seal_that_is_made_while_others_are_read_comes_with_the_next_look(node):
    made = [node.seal(epoch) for epoch in (5, 6)]
    sealer = sealer_of(node)
    once(node, lambda: made.append(node.seal(7)))
    assert all_after(sealer, None) == made[:2]
    assert all_after(sealer, made[1]) == made[2:]


def test_seals_that_were_overwritten_or_lost_their_power_while_they_were_read_are_not_taken(node):
    for epoch in range(RING_SEALS):
        node.seal(epoch)
    sealer = sealer_of(node)
    once(node, lambda: node.seal(RING_SEALS))
    assert all_after(sealer, None) == []
    assert len(all_after(sealer, None)) == RING_SEALS
    once(node, node.power_cycle)
    assert all_after(sealer_of(node), None) == []


def test_after_a_power_cycle_the_part_says_up_to_which_epoch_there_were_seals(node):
    sealer = sealer_of(node)
    node.seal(7)
    assert sealer.earlier_boots() is None
    node.power_cycle()
    assert sealer.earlier_boots() == (2, 7) and all_after(sealer, None) == []
    node.state["custody_state"] = CustodyState.STARTING
    assert sealer.earlier_boots() is None
    node.state["custody_state"] = CustodyState.READY
    node.state["proof_state"] = ProofState.SEALING
    assert sealer.earlier_boots() is None
    node.state["proof_state"] = ProofState.IDLE
    node.seal(9)
    assert sealer.earlier_boots() is None


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
