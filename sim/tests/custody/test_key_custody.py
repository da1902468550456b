"""The key and its counters in the part: what power that fails, tampering and broken parts leave of them."""

import pytest
from thermogen_esf.crc import crc32c
from thermogen_esf.hostlink import Status
from thermogen_esf.hostlink_seal import DRAW, MAKE_KEY, SEAL, SEAL_STATUS_BASE, SEAL_STATUS_WORDS, CustodyState, ProofError
from thermogen_sim.custody.sealer import CompiledSealer

pytestmark = pytest.mark.slow

ROOT = bytes(range(32))
SLOTS = (0x20, 0x60)
RECORD_BYTES, KEY_BYTES = 44, 32
NO_KEY = bytes(32)
EPOCH_WORD = 9
"""The lower half of the epoch, in a seal's input."""


def record(part, slot: int) -> bytes:
    return bytes(part[SLOTS[slot] + place] for place in range(RECORD_BYTES))


def epoch_of(record: bytes) -> int:
    return int.from_bytes(record[36:40], "big")


def booted(part, **noise) -> CompiledSealer:
    """A sealer on a copy of the part, once its key stands as it will."""
    sealer = CompiledSealer(part.copy(), **noise)
    sealer.settle()
    return sealer


def after_each_write(part, act=lambda sealer: None, settled: bool = True):
    """The part as it is after each byte that is written to it, from power-up on, or from `act` on a sealer that is `settled`."""
    running = part.copy()
    sealer = CompiledSealer(running)
    if settled:
        sealer.settle()
    act(sealer)
    while sealer.run_to_write():
        yield running.copy()


def test_a_blank_part_gets_a_key_twice_over_and_is_armed(library):
    part = library.part()
    sealer = CompiledSealer(part)
    assert sealer.settle() is CustodyState.READY
    first, second = record(part, 0), record(part, 1)
    assert first == second and first[:KEY_BYTES] != NO_KEY
    assert first[32:40] == bytes.fromhex("0000000100000000")
    assert int.from_bytes(first[40:], "big") == crc32c(first[:40])
    assert part[0x14] == part[0x15] == 0b1100_0001
    assert booted(library.part(), noise=7).public_key != sealer.public_key


def test_every_power_up_counts_and_keeps_the_key(part, public_key):
    for boot in range(2, 5):
        sealer = CompiledSealer(part)
        assert sealer.settle() is CustodyState.READY
        assert (sealer.public_key, sealer.status("boot_count"), sealer.status("last_epoch")) == (public_key, boot, 0)
        assert record(part, 0) == record(part, 1)
        sealer.power_off()


def test_the_epoch_is_in_both_slots_before_the_prover_hears_of_the_seal(part):
    sealer = CompiledSealer(part)
    sealer.settle()
    sealer.seal(100, ROOT)
    sealer.record(101, 90, ROOT)
    sealing = 0
    while sealer.run_to_write():
        # The first word of what the prover is given that differs from the last seal's.
        assert int.from_bytes(sealer.read(SEAL[0] + EPOCH_WORD, 1), "big") == 100
        sealing += 1
    assert sealing == 2 * RECORD_BYTES
    assert record(part, 0) == record(part, 1) and epoch_of(record(part, 0)) == 101
    sealer.settle()
    assert int.from_bytes(sealer.read(SEAL[0] + EPOCH_WORD, 1), "big") == 101


def test_power_that_fails_while_the_epoch_moves_leaves_the_old_one_or_the_new(part, public_key):
    sealer = CompiledSealer(part)
    sealer.settle()
    sealer.seal(100, ROOT)
    sealer.power_off()
    epochs = []
    for image in after_each_write(part, lambda sealer: sealer.record(101, 90, ROOT)):
        again = booted(image)
        assert (again.state, again.public_key, again.status("boot_count")) == (CustodyState.READY, public_key, 4)
        epochs.append(again.status("last_epoch"))
        again.seal(101, ROOT)
        assert again.status("proof_error") == (ProofError.EPOCH_REFUSED if epochs[-1] == 101 else ProofError.NONE)
    assert len(epochs) == 2 * RECORD_BYTES
    # Once it has moved it stays so, and it has moved when the first slot holds it whole.
    assert epochs == [100] * (RECORD_BYTES - 1) + [101] * (RECORD_BYTES + 1)


def test_power_that_fails_at_power_up_leaves_the_key_and_a_boot_count_that_no_seal_has(part, public_key):
    counts = []
    for image in after_each_write(part, settled=False):
        again = booted(image)
        assert (again.state, again.public_key) == (CustodyState.READY, public_key)
        counts.append(again.status("boot_count"))
    assert counts == [2] * (RECORD_BYTES - 1) + [3] * (RECORD_BYTES + 1)


def test_power_that_fails_again_and_again_leaves_the_key(part, public_key):
    sealer = CompiledSealer(part)
    sealer.settle()
    sealer.seal(100, ROOT)
    sealer.power_off()
    once = [*after_each_write(part, lambda sealer: sealer.record(101, 90, ROOT))]
    for image in once[::5]:
        for twice in after_each_write(image, settled=False):
            again = booted(twice)
            assert (again.state, again.public_key) == (CustodyState.READY, public_key)
            assert again.status("last_epoch") == booted(image).status("last_epoch")


@pytest.mark.parametrize("from_power_up", [True, False])
def test_an_fpga_that_is_loaded_anew_in_mid_byte_frees_the_bus_and_keeps_the_key(part, public_key, from_power_up):
    held_low = 0
    for at in range(0, 15_500, 41):
        running = part.copy()
        sealer = CompiledSealer(running)
        if not from_power_up:
            sealer.settle()
            sealer.record(101, 90, ROOT)
        sealer.run(at)
        sealer.power_off()
        held_low += running.holds_the_bus
        again = CompiledSealer(running, reconfigured=True)
        assert (again.settle(), again.public_key) == (CustodyState.READY, public_key), at
        assert again.status("last_epoch") in (0, 101)
        assert record(running, 0) == record(running, 1)
    assert held_low


def test_power_that_fails_while_the_first_key_is_made_leaves_it_or_none(library):
    blank = library.part()
    first = booted(blank).public_key
    given = []
    for image in after_each_write(blank, settled=False):
        again = booted(image, noise=2)
        assert again.state is CustodyState.READY
        given.append(again.public_key == first)
    assert given == sorted(given) and given[0] is False
    # Before the key is taken to the prover the part is armed and holds it twice.
    assert given.index(True) == RECORD_BYTES - 1


@pytest.mark.parametrize("spoiled", [0, 1])
@pytest.mark.parametrize("place", [0, 31, 35, 39, 43])
def test_one_spoiled_record_is_mended_from_the_other(part, public_key, spoiled, place):
    part[SLOTS[spoiled] + place] ^= 0x10
    sealer = CompiledSealer(part)
    assert (sealer.settle(), sealer.public_key) == (CustodyState.READY, public_key)
    assert record(part, 0) == record(part, 1)


def test_two_spoiled_records_are_no_key_and_no_new_one_is_made_unasked(part, public_key):
    for slot in SLOTS:
        part[slot] ^= 1
    sealer = CompiledSealer(part)
    assert (sealer.settle(), sealer.public_key) == (CustodyState.DAMAGED, NO_KEY)
    assert sealer.make_key() == Status.OK
    assert sealer.settle() is CustodyState.READY
    assert sealer.public_key not in (NO_KEY, public_key)


def test_no_epoch_is_sealed_twice_nor_an_older_one(part):
    sealer = CompiledSealer(part)
    sealer.settle()
    first = sealer.seal(100, ROOT)
    for epoch in (100, 99, 1):
        assert sealer.seal(epoch, ROOT[::-1]) == first
        assert (sealer.status("proof_error"), sealer.status("seals")) == (ProofError.EPOCH_REFUSED, 1)
    sealer.power_off()
    again = CompiledSealer(part)
    again.settle()
    again.seal(100, ROOT[::-1])
    assert (again.status("proof_error"), again.status("seals")) == (ProofError.EPOCH_REFUSED, 0)
    again.seal(101, ROOT)
    assert (again.status("proof_error"), again.status("seals")) == (ProofError.NONE, 1)


@pytest.mark.parametrize("tampered", [1, 2])
@pytest.mark.parametrize("powered", [True, False])
def test_tampering_wipes_the_key_from_the_part_and_from_the_fpga(part, public_key, tampered, powered):
    sealer = CompiledSealer(part)
    sealer.settle()
    sealed = sealer.seal(100, ROOT)
    if not powered:
        sealer.power_off()
    part.tamper(tampered)
    assert record(part, 0) == record(part, 1) == bytes(RECORD_BYTES)
    if powered:
        sealer.run(2_000)
    else:
        sealer = CompiledSealer(part)
        sealed = sealer.read(*SEAL)
    assert sealer.settle() is CustodyState.WIPED
    assert (sealer.public_key, sealer.keys_held) == (NO_KEY, bytes(64))
    assert sealer.ask_draw(bytes(68)) == Status.REFUSED
    assert sealer.seal(101, ROOT) == sealed
    assert sealer.status("proof_error") == ProofError.NOT_READY
    # It stays so, and only an order makes a new key.
    sealer.power_off()
    again = CompiledSealer(part)
    assert again.settle() is CustodyState.WIPED
    assert again.make_key() == Status.OK
    assert again.settle() is CustodyState.READY
    assert again.public_key not in (NO_KEY, public_key)
    assert (part[0x0F], part[0x14], part[0x15]) == (0, 0b1100_0001, 0b1100_0001)


def test_tampering_at_any_time_of_a_seal_leaves_a_whole_seal_or_none(part):
    twin = CompiledSealer(part.copy())
    twin.settle()
    none, whole = twin.seal(100, ROOT), twin.seal(101, ROOT)
    seen = set()
    # While the epoch moves now and then, and close together while the prover hears of it and answers.
    for at in (*range(0, 14_000, 1_471), *range(14_000, 15_500, 13)):
        tampered = part.copy()
        sealer = CompiledSealer(tampered)
        sealer.settle()
        sealer.seal(100, ROOT)
        sealer.record(101, 90, ROOT)
        sealer.run(at)
        tampered.tamper()
        sealer.run(5_000)
        assert sealer.settle() is CustodyState.WIPED
        assert (sealer.public_key, sealer.keys_held) == (NO_KEY, bytes(64))
        window = sealer.read(*SEAL)
        assert window == (whole if sealer.status("seals") == 2 else none), at
        seen.add(window)
    assert seen == {none, whole}


def test_power_that_fails_while_a_wiped_part_gets_a_new_key_never_brings_back_the_old(part, public_key):
    part.tamper()
    assert booted(part).state is CustodyState.WIPED
    outcomes = []
    for image in after_each_write(part, lambda sealer: sealer.make_key()):
        again = booted(image, noise=3)
        outcomes.append(again.state)
        assert again.public_key != public_key
        if again.state is not CustodyState.READY:
            assert again.make_key() == Status.OK
            assert again.settle() is CustodyState.READY
    # Between the two bytes that disarm it the part no longer knows which input it was.
    assert outcomes[0] is CustodyState.DAMAGED
    assert {*outcomes[1:]} == {CustodyState.READY}


def test_a_key_is_made_only_by_the_word_and_only_where_there_is_none(part):
    sealer = CompiledSealer(part)
    sealer.settle()
    assert sealer.make_key() == Status.REFUSED
    part.tamper()
    sealer.run(2_000)
    assert sealer.settle() is CustodyState.WIPED
    assert sealer.write(MAKE_KEY[0], [0x4E4A]) == Status.REFUSED
    assert sealer.make_key() == Status.OK


def test_a_part_that_does_not_answer_seals_nothing(part):
    part.set_answers(False)
    sealer = CompiledSealer(part)
    assert sealer.settle() is CustodyState.NO_MEMORY
    sealer.seal(100, ROOT)
    assert (sealer.status("proof_error"), sealer.status("seals")) == (ProofError.NOT_READY, 0)
    assert sealer.make_key() == Status.REFUSED


@pytest.mark.parametrize("cell", [0x20, 0x27 + 0x20, 0x60 + 36, 0x60 + 43])
def test_a_cell_that_does_not_keep_what_is_written_stops_the_seal(part, cell):
    sealer = CompiledSealer(part)
    sealer.settle()
    sealer.seal(0x0101_0100, ROOT)
    part.set_stuck(cell)
    part[cell] ^= 0x80
    sealed = sealer.read(*SEAL)
    assert sealer.seal(0x0202_0200, ROOT) == sealed
    assert (sealer.state, sealer.keys_held) == (CustodyState.NO_MEMORY, bytes(64))


def test_a_source_that_makes_no_noise_makes_no_key(library):
    part = library.part()
    stuck = CompiledSealer(part, noise_stuck=True)
    assert stuck.settle() is CustodyState.NO_ENTROPY
    assert (record(part, 0), part[0x14], stuck.public_key) == (bytes(RECORD_BYTES), 0, NO_KEY)
    assert stuck.make_key() == Status.OK
    assert stuck.settle() is CustodyState.NO_ENTROPY


def with_key(part, key: bytes):
    """The same part with another key in both records."""
    other = part.copy()
    for number, slot in enumerate(SLOTS):
        body = key + record(part, number)[KEY_BYTES:40]
        for place, byte in enumerate(body + crc32c(body).to_bytes(4, "big")):
            other[slot + place] = byte
    return other


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, b"\x55\xaa" * 16])
def test_all_that_the_host_reads_is_the_same_for_every_key_but_keys_and_proofs(part, public_key, key):
    parts = part, with_key(part, key)
    pair = [CompiledSealer(each) for each in parts]
    differences = 0

    def compare(clocks: int) -> None:
        nonlocal differences
        for _ in range(0, clocks, 97):
            seen = []
            for sealer in pair:
                sealer.run(97)
                status = sealer.read(SEAL_STATUS_BASE, SEAL_STATUS_WORDS)
                seen.append((status, sealer.read(*SEAL)[:106], sealer.read(*DRAW)[:84]))
            assert seen[0] == seen[1]
            differences += pair[0].public_key != pair[1].public_key

    compare(20_000)
    for sealer in pair:
        sealer.record(100, 90, ROOT)
    compare(18_000)
    for sealer in pair:
        assert sealer.ask_draw(bytes(range(68))) == Status.OK
    compare(1_000)
    for each in parts:
        each.tamper()
    compare(2_000)
    assert differences, "the keys are not told apart by what may differ either"
