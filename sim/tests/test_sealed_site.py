"""A whole site whose node has a key: what it sealed is what a stranger believes. A minute, most of it compiling."""

import pytest
from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal
from thermogen_esf.hostlink import (
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_ONE,
    CHANNEL_GAIN_WORDS,
    MAX_WRITE_WORDS,
    SITE_WORDS,
    NodeFlag,
    calibration_hash,
)
from thermogen_esf.hostlink_codec import RefusedError, Request
from thermogen_esf.hostlink_seal import DRAW, DRAW_REQUEST, PUBLIC_KEY, SEAL, SEAL_STATUS, CustodyState, ProofState
from thermogen_esf.layout import FIELD
from thermogen_esf.vrf import verify
from thermogen_esf.vrf_inputs import SEAL_BYTES, draw_input, seal_fields
from thermogen_gateware.calibration import DEFAULT_CALIBRATION
from thermogen_sim.inputs import OrdinaryDay
from thermogen_sim.plant import warm_state
from thermogen_sim.site import VirtualSite

pytestmark = pytest.mark.slow

EPOCH_S = 900
START = 1_989_000 * EPOCH_S + 800
"""Less than two minutes before an epoch ends."""
SITE, PROFILE = b"SITE-ID1", b"PROFILE1"
OTHER_GAIN = CHANNEL_GAIN_ONE * 21 // 20
GAINS = [CHANNEL_GAIN_ONE] * 11 + [OTHER_GAIN] + [CHANNEL_GAIN_ONE] * (CHANNEL_GAIN_WORDS - 12)
CALIBRATION = calibration_hash(
    [*(word for one in DEFAULT_CALIBRATION.values() for word in (one.gain, one.offset & 0xFFFF)), *GAINS],
)
"""What the node measures with once the twelfth channel's gain is loaded 5 % too high."""
KEY_LIMIT_S, PROOF_LIMIT_S = 300, 120
"""Site seconds of 10,000 clocks."""
ASKED = bytes(range(68))


class SealingHost:
    """The host's side of seals and draws."""

    def __init__(self, site, host):
        self.site, self.host = site, host(site.transact)

    def read(self, place: tuple[int, int]) -> bytes:
        return self.host.ask(Request.read(1, *place))

    def number(self, name: str) -> int:
        return int.from_bytes(self.read(SEAL_STATUS[name]), "big")

    def until(self, name: str, value: int, seconds: int) -> None:
        for _ in range(seconds):
            if self.number(name) == value:
                return
            self.site.run_seconds(1)
        raise AssertionError(f"{name} is {self.number(name)} and not {value} after {seconds} site seconds")

    def write(self, address: int, data: bytes) -> None:
        assert len(data) // 2 <= MAX_WRITE_WORDS
        self.host.ask(Request.write(2, address, [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]))

    def identify_and_start(self) -> None:
        self.write(SITE_WORDS.start, SITE)
        self.write(FIELD["profile_hash"].offset // 2, PROFILE)
        self.write(CHANNEL_GAIN_BASE + 11, OTHER_GAIN.to_bytes(2, "big"))
        with pytest.raises(RefusedError):
            self.write(FIELD["calibration_hash"].offset // 2, b"CALIBR-1")
        self.host.start(self.site.site_time)

    def seal(self) -> tuple[Seal, bytes]:
        """The last seal, and its output."""
        data = self.read(SEAL)
        fields = seal_fields(data[:SEAL_BYTES])
        numbers = {name: int.from_bytes(fields.pop(name), "big") for name in ("epoch", "boot_count", "leaf_count")}
        return Seal(**fields, **numbers, proof=data[SEAL_BYTES : SEAL_BYTES + 80]), data[SEAL_BYTES + 80 :]


@pytest.fixture(scope="module")
def sealing(host):
    inputs = OrdinaryDay()
    site = VirtualSite(inputs, warm_state(inputs.at(START), 12, 0), START, seal=True)
    sealing = SealingHost(site, host)
    site.run(1_000)
    yield sealing
    site.close()


def test_what_a_node_seals_and_draws_is_believed_until_its_part_is_tampered_with(sealing):
    site, node = sealing.site, sealing.host
    assert node.status()["flags"] & NodeFlag.SEALS
    sealing.until("custody_state", CustodyState.READY, KEY_LIMIT_S)
    key = sealing.read(PUBLIC_KEY)
    sealing.identify_and_start()

    sealing.until("seals", 1, START % EPOCH_S + PROOF_LIMIT_S)
    seal, output = sealing.seal()
    record = node.epoch(0)
    assert verify(key, seal.alpha, seal.proof) == output
    assert (seal.site, seal.profile_hash, seal.calibration_hash) == (SITE, PROFILE, CALIBRATION)
    assert (seal.epoch, seal.leaf_count, int.from_bytes(seal.root, "big")) == (record["epoch"], record["count"], record["root"])
    assert (seal.boot_count, seal.previous) == (1, NO_PREVIOUS)
    assert sealing.number("last_epoch") == seal.epoch

    sealing.write(DRAW_REQUEST[0], ASKED[: 2 * DRAW_REQUEST[1]])
    sealing.until("draws", 1, PROOF_LIMIT_S)
    drawn = sealing.read(DRAW)
    assert drawn[:84] == draw_input({"site": SITE, "day": ASKED[:4], "root": ASKED[4:36], "beacon": ASKED[36:]})
    assert verify(key, drawn[:84], drawn[84:164]) == drawn[164:]

    # The key outlives the power, and says so in the next boot's seals.
    site.compiled.power_cycle()
    sealing.until("custody_state", CustodyState.READY, KEY_LIMIT_S)
    assert (sealing.read(PUBLIC_KEY), sealing.number("boot_count"), sealing.number("last_epoch")) == (key, 2, seal.epoch)

    site.compiled.tamper()
    sealing.until("custody_state", CustodyState.WIPED, KEY_LIMIT_S)
    assert sealing.read(PUBLIC_KEY) == bytes(32)
    assert sealing.number("proof_state") == ProofState.IDLE
