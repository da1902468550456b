"""The ring of seals: a host that was away finds every seal of two and a half days as it was when it was made."""

import pytest
from thermogen_esf.hostlink import Status
from thermogen_esf.hostlink_seal import RING_BASE, RING_SEAL_WORDS, RING_SEALS, RING_SLOT_WORDS, CustodyState, ring_slot
from thermogen_sim.custody.sealer import CompiledSealer

SEAL_BYTES = 186
ROOT = bytes(range(100, 132))
ASKED = bytes(range(68))


def root(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def sealer(part):
    ready = CompiledSealer(part)
    ready.set_identity(b"SITE-ID1", b"PROFILE1", b"CALIBR-1")
    ready.settle()
    return ready


def held(sealer) -> range:
    made = sealer.status("seals")
    return range(made - sealer.status("seals_kept"), made)


@pytest.mark.slow
def test_a_host_that_was_away_for_longer_than_the_ring_finds_the_newest_of_it_whole(sealer):
    made = [sealer.seal(1_000 + 3 * number, root(number))[:SEAL_BYTES] for number in range(RING_SEALS + 40)]
    assert held(sealer) == range(40, RING_SEALS + 40)
    assert [sealer.kept(number) for number in held(sealer)] == made[40:]
    # They stay so while the next is made.
    sealer.record(5_000, 90, ROOT)
    while sealer.status("seals") == len(made):
        assert [sealer.kept(number) for number in (40, len(made) - 1)] == [made[40], made[-1]]
        sealer.run(200)
    assert held(sealer) == range(41, RING_SEALS + 41)


def test_what_is_kept_is_told_from_the_first_seal_on(sealer):
    assert held(sealer) == range(0)
    for number in range(3):
        sealer.seal(1_000 + number, ROOT)
        assert held(sealer) == range(number + 1)


def test_draws_refused_epochs_and_a_new_key_leave_the_ring_as_it_was(sealer, part):
    made = [sealer.seal(1_000 + number, root(number))[:SEAL_BYTES] for number in range(2)]
    sealer.ask_draw(ASKED)
    sealer.draw()
    sealer.seal(1_001, ROOT)
    part.tamper()
    sealer.run(2_000)
    assert sealer.settle() is CustodyState.WIPED
    sealer.seal(1_002, ROOT)
    sealer.make_key()
    sealer.settle()
    assert held(sealer) == range(2)
    assert [sealer.kept(number) for number in range(2)] == made
    made.append(sealer.seal(1_003, ROOT)[:SEAL_BYTES])
    assert [sealer.kept(number) for number in held(sealer)] == made


def test_power_that_fails_takes_the_ring_and_the_part_says_up_to_which_epoch_there_were_seals(sealer, part):
    for epoch in (1_000, 1_001):
        sealer.seal(epoch, ROOT)
    sealer.power_off()
    again = CompiledSealer(part)
    again.settle()
    assert (held(again), again.status("last_epoch")) == (range(0), 1_001)
    assert again.kept(0) == bytes(SEAL_BYTES)


@pytest.mark.parametrize("address", [RING_BASE, RING_BASE + RING_SEAL_WORDS - 1, 0xFF80])
def test_nothing_of_the_ring_can_be_written(sealer, address):
    sealed = sealer.seal(1_000, ROOT)[:SEAL_BYTES]
    assert sealer.write(address, [0]) == Status.REFUSED
    assert sealer.kept(0) == sealed


@pytest.mark.parametrize("address", [RING_BASE - 1, RING_BASE + RING_SEAL_WORDS, RING_BASE + RING_SLOT_WORDS - 1, 0xFFFF])
def test_between_slots_there_is_nothing(sealer, address):
    assert sealer.write(address, [0]) == Status.BAD_ADDRESS
    with pytest.raises(AssertionError, match="nothing at"):
        sealer.read(address, 1)


def test_a_slot_comes_again_after_a_turn_of_the_ring():
    assert ring_slot(RING_SEALS + 1) == ring_slot(0)
    assert ring_slot(0xFFFF) == (0xFF80, RING_SEAL_WORDS)
