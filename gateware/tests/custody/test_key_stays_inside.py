"""By the netlist: nothing that the host can read, and no pin but the part's own, depends on the key, unless through the prover.

What a prover gives is public by design, so the prover is a black box here. The byte that is being received from the part is not looked at:
keys, counters and flags come in through the same register. That none of the host's registers takes a key's byte from it is tested in
`sim/tests/custody`, with sealers that differ in nothing but the key.
"""

import pytest
from amaranth.hdl import Instance, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from thermogen_gateware.custody.sealer import Sealer
from thermogen_gateware.sha3 import byte_layout, message_layout
from thermogen_gateware.vrf.prover import ProverError

from .netlist import Netlist

pytestmark = pytest.mark.slow

TO_THE_PART = {"sda_low"}
WHETHER_A_RECORD_IS_GOOD = r"custody\.good"
SECRETS = (
    r"custody\.key_noise\.byte",
    r"custody\.key_noise\.bit",
    r"custody\.check\.register",
    r"custody\.memory\.send",
    r"custody\.seed__payload",
)


class BlackBox(wiring.Component):
    """The prover's ports on an unknown module, or on wires that let the seed through."""

    seed: In(stream.Signature(8))
    alpha: In(stream.Signature(message_layout()))
    result: Out(stream.Signature(byte_layout()))
    done: Out(1)
    error: Out(ProverError)

    def __init__(self, leaks: bool = False):
        self._leaks = leaks
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        given = {
            "done": self.done,
            "error": Value.cast(self.error),
            "seed_ready": self.seed.ready,
            "alpha_ready": self.alpha.ready,
            "result": Value.cast(self.result.payload),
            "result_valid": self.result.valid,
        }
        if self._leaks:
            m.d.comb += self.result.payload.data.eq(self.seed.payload)
            del given["result"]
        taken = {"seed": self.seed.payload, "seed_valid": self.seed.valid, "result_ready": self.result.ready}
        taken |= {"alpha": Value.cast(self.alpha.payload), "alpha_valid": self.alpha.valid}
        ports = {f"i_{name}": value for name, value in taken.items()} | {f"o_{name}": value for name, value in given.items()}
        m.submodules.inside = Instance("PROVER", **ports)
        return m


def reached(netlist: Netlist, but: set[int]) -> set[str]:
    """The output ports that depend on the key."""
    key = netlist.read_from(r"\custody.keys").union(*(netlist.named(name) for name in SECRETS))
    seen = netlist.reached(key, but)
    return {name for name, bits in netlist.outputs().items() if bits & seen}


@pytest.fixture(scope="module")
def sealer(tmp_path_factory):
    return Netlist.of(Sealer(50e6, BlackBox()), tmp_path_factory.mktemp("sealer"))


def test_the_key_reaches_the_part_and_the_prover_only(sealer):
    assert reached(sealer, but=sealer.named(WHETHER_A_RECORD_IS_GOOD)) == TO_THE_PART


def test_the_way_by_which_a_records_check_is_told_is_the_only_other(sealer):
    # Not cut there, the walk comes to the state of custody: so it does find ways.
    assert "bus__read_data" in reached(sealer, but=set())


def test_a_prover_that_let_the_seed_through_would_be_seen(tmp_path):
    leaky = Netlist.of(Sealer(50e6, BlackBox(leaks=True)), tmp_path)
    assert "bus__read_data" in reached(leaky, but=leaky.named(WHETHER_A_RECORD_IS_GOOD))
