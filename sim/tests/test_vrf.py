"""The compiled prover against RFC 9381's vectors and against libsodium, which shares nothing with it."""

import hashlib
import json
import random
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings as sodium
from nacl.exceptions import RuntimeError as SodiumError
from thermogen_esf.vrf import output, verify
from thermogen_sim.command import main
from thermogen_sim.ecvrf import SoftwareProver
from thermogen_sim.vrf.prover import CLOCK_HZ, CompiledProver, ProverRefusalError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "esf" / "tests" / "vectors" / "rfc9381-tai.json").read_text())["vectors"]
P = 2**255 - 19
IDENTITY = b"\x01" + bytes(31)
AIM_CLOCKS = CLOCK_HZ * 15 // 1000
KEYS = 200


def tries_of(public: bytes, alpha: bytes) -> int:
    """How many tries RFC 9381 5.4.1.1 takes to come to a point."""
    for number in range(256):
        candidate = hashlib.sha512(b"\x03\x01" + public + alpha + bytes((number, 0))).digest()[:32]
        if int.from_bytes(candidate, "little") & 2**255 - 1 >= P:
            continue
        try:
            point = candidate
            for _ in range(3):
                point = sodium.crypto_core_ed25519_add(point, point)
        except SodiumError:
            continue
        if point != IDENTITY:
            return number + 1
    raise AssertionError("no try gave a point")


def expected(seed: bytes, alpha: bytes) -> tuple[bytes, bytes, bytes, int]:
    """Public key, proof, output and tries, with libsodium's arithmetic."""
    software = SoftwareProver(seed)
    proof = software.prove(alpha)
    return software.public_key, proof, output(proof), tries_of(software.public_key, alpha)


@pytest.fixture(scope="module")
def prover():
    compiled = CompiledProver()
    yield compiled
    compiled.close()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"alpha={vector['alpha']}")
def test_vectors_of_the_rfc(prover, vector):
    assert prover.load(bytes.fromhex(vector["sk"])).hex() == vector["pk"]
    proof = prover.prove(bytes.fromhex(vector["alpha"]))
    assert (proof.proof.hex(), proof.output.hex()) == (vector["pi"], vector["beta"])


def test_random_keys_agree_with_libsodium_and_equal_tries_take_equal_time(prover):
    source = random.Random(9381)
    clocks, load_clocks = defaultdict(set), set()
    for number in range(KEYS):
        seed, alpha = source.randbytes(32), source.randbytes(40)
        public, proof, beta, tries = expected(seed, alpha)
        assert prover.load(seed) == public, number
        given = prover.prove(alpha)
        assert (given.proof, given.output, given.tries) == (proof, beta, tries), number
        assert verify(public, alpha, given.proof) == given.output, number
        clocks[tries].add(given.clocks)
        load_clocks.add(prover.load_clocks)
    assert len(clocks) >= 5
    assert all(len(seen) == 1 for seen in clocks.values()), clocks
    assert len(load_clocks) == 1
    # A try costs as much as any other.
    assert len({(clocks[tries + 1].copy().pop() - clocks[tries].copy().pop()) for tries in range(1, 4)}) == 1
    assert clocks[2].pop() < AIM_CLOCKS


@settings(max_examples=40)
@given(seed=st.binary(min_size=32, max_size=32), alpha=st.binary(max_size=256))
def test_any_alpha_under_any_key(prover, seed, alpha):
    public, proof, beta, tries = expected(seed, alpha)
    assert prover.load(seed) == public
    given = prover.prove(alpha)
    assert (given.proof, given.output, given.tries) == (proof, beta, tries)


@pytest.mark.parametrize("special", [bytes(32), b"\xff" * 32, bytes([1]) + bytes(31)])
@pytest.mark.parametrize("length", [0, 1, 93, 94, 256])
def test_edges_of_seed_and_alpha(prover, special, length):
    public, proof, beta, _ = expected(special, b"\xff" * length)
    assert prover.load(special) == public
    given = prover.prove(b"\xff" * length)
    assert (given.proof, given.output) == (proof, beta)


def test_an_alpha_too_long_is_refused_and_the_next_one_is_not(prover):
    prover.load(bytes(32))
    with pytest.raises(ProverRefusalError) as refused:
        prover.prove(bytes(257))
    assert refused.value.reason == "alpha_too_long"
    assert prover.prove(bytes(256)).proof == expected(bytes(32), bytes(256))[1]


def test_there_is_no_proof_without_a_key():
    fresh = CompiledProver()
    with pytest.raises(ProverRefusalError) as refused:
        fresh.prove(b"alpha")
    assert refused.value.reason == "no_key"
    assert fresh.load(bytes(32)) == expected(bytes(32), b"")[0]
    assert fresh.prove(b"alpha").proof == expected(bytes(32), b"alpha")[1]
    fresh.close()


def test_when_no_try_gives_a_point_the_prover_says_so():
    impatient = CompiledProver(tries=2)
    public = impatient.load(bytes(32))
    wanted = {}
    for number in count():
        wanted.setdefault(tries_of(public, bytes([number])), bytes([number]))
        if {1, 2, 3, 5} <= wanted.keys():
            break
    for tries in (1, 2):
        assert impatient.prove(wanted[tries]).tries == tries
    refusals = []
    for tries in (3, 5):
        with pytest.raises(ProverRefusalError) as refused:
            impatient.prove(wanted[tries])
        refusals.append((refused.value.reason, refused.value.tries, refused.value.clocks))
    assert refusals[0][:2] == ("no_point", 2)
    assert refusals[0] == refusals[1]
    assert impatient.prove(wanted[2]).proof == expected(bytes(32), wanted[2])[1]
    impatient.close()


def test_the_command_prints_what_the_prover_gave(capsys):
    vector = VECTORS[1]
    assert main(["vrf", "--key", vector["sk"], "--alpha", vector["alpha"]]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (told["public"], told["pi"], told["beta"]) == (vector["pk"], vector["pi"], vector["beta"])
    assert told["tries"] == "2" and int(told["cycles"].split()[0]) < AIM_CLOCKS
