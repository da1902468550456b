"""Seals and draws of a node: its key's custody, its prover, the two uses of it, and the host's window on what was proven.

Reference: `thermogen_esf.hostlink_seal` (registers), `thermogen_esf.vrf_inputs` (what is proven). An epoch is sealed when its record is
written: epoch, count and root are taken from the recorder's words, never from the host. What goes to the prover and what it answers
are kept byte for byte in one block RAM that the host reads; each seal stays in the ring besides.
Latency: 4.5 ms for the epoch to move, 11.5 ms for a proof of two tries. A word two clocks after its address.
Area, LIFCL (synthesis), with prover and custody: 3,133 COMB of the node, 1,474 FF, 11 EBR, 1 LRAM, eight multipliers of 18 by 18.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import EPOCH_RECORD, EPOCH_RECORD_WORDS, Status
from thermogen_esf.hostlink_seal import (
    DRAW,
    DRAW_REQUEST,
    MAKE_KEY,
    MAKE_KEY_WORD,
    PUBLIC_KEY,
    RING_SEAL_WORDS,
    SEAL,
    SEAL_STATUS,
    SEAL_STATUS_BASE,
    SEAL_STATUS_WORDS,
    CustodyState,
    ProofError,
    ProofState,
)

from ..host_link import RegisterBusSignature
from ..vrf.prover import Prover
from ..vrf.uses import ProofUses
from .key_custody import KeyCustody
from .noise import SAMPLE_CLOCKS
from .seal_ring import SealRing

WORD_BITS = 16
_STATUS, _SEAL, _DRAW, _KEY, _RING = 8, 9, 10, 11, 12
"""Regions, for the bus; the others have those below."""
_WINDOWS = {_SEAL: SEAL, _DRAW: DRAW, _KEY: PUBLIC_KEY}
_WINDOW_BITS = 9
"""Of an address, that tell a word of the three windows."""
_STATUS_BITS = (SEAL_STATUS_WORDS - 1).bit_length()
_STATUS_WIDTHS = {"custody_state": 8, "proof_state": 2, "proof_error": 8, "battery_low": 1}
_STATUS_WIDTHS |= {"boot_count": 32, "last_epoch": 32, "seals": 16, "draws": 16, "seals_kept": 8}
RECORD_PLACE_BITS = (EPOCH_RECORD_WORDS - 1).bit_length()
PART_PINS = ("scl_low", "sda_low", "sda", "tamper_n", "noise", "noise_enable")


def _within(address: Value, place: tuple[int, int]) -> Value:
    return (address >= place[0]) & (address < sum(place))


class Sealer(wiring.Component):
    """`bus` beside the register file's; `here` says that the address is one of these.

    `record_*` are the words of epoch records as they are written, `site` and the hashes those of the leaves in the epoch. `prover` stands
    in for Prover where only what goes around it is of interest.
    """

    def __init__(self, clock_hz: float, prover: wiring.Component | None = None, sample_clocks: int = SAMPLE_CLOCKS):
        self._custody = KeyCustody(clock_hz, sample_clocks)
        self._prover = prover or Prover()
        super().__init__(
            {
                "bus": In(RegisterBusSignature()),
                "here": Out(1),
                "record_place": In(RECORD_PLACE_BITS),
                "record_data": In(WORD_BITS),
                "record_write": In(1),
                "site": In(64),
                "profile_hash": In(64),
                "calibration_hash": In(64),
                **{name: self._custody.signature.members[name] for name in PART_PINS},
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.custody = custody = self._custody
        m.submodules.prover = prover = self._prover
        m.submodules.uses = uses = ProofUses()
        m.submodules.ring = self._ring = ring = SealRing()
        wiring.connect(m, custody.seed, prover.seed)
        wiring.connect(m, uses.alpha, prover.alpha)
        for name in PART_PINS:
            pin, inner = getattr(self, name), getattr(custody, name)
            m.d.comb += inner.eq(pin) if self.signature.members[name].flow == In else pin.eq(inner)
        m.d.comb += [
            custody.loaded.eq(prover.done & custody.loading),
            custody.epoch.eq(uses.epoch),
            custody.advance.eq(uses.advance),
            uses.advanced.eq(custody.advanced),
            uses.refused.eq(custody.refused),
            uses.boot_count.eq(custody.boot_count),
            uses.unchain.eq(custody.loading),
            uses.site.eq(self.site),
            uses.profile_hash.eq(self.profile_hash),
            uses.calibration_hash.eq(self.calibration_hash),
            uses.result.payload.eq(prover.result.payload),
            uses.result.valid.eq(prover.result.valid & ~custody.loading),
            prover.result.ready.eq(uses.result.ready | custody.loading),
            uses.done.eq(prover.done & ~custody.loading),
            uses.error.eq(prover.error),
            uses.answer.ready.eq(1),
        ]

        state, error = Signal(ProofState), Signal(ProofError)
        seal_due, draw_due, missed = Signal(), Signal(), Signal()
        counts = {"seals": Signal(WORD_BITS), "draws": Signal(WORD_BITS)}
        self._take_record(m, uses, seal_due, missed)
        draw_data = self._take_orders(m, custody, state, draw_due)

        byte = Signal(7)
        word = Mux(state == ProofState.DRAWING, draw_data.data, self._root.data)
        given = word.word_select(~byte[0], 8)
        m.d.comb += [
            self._root.addr.eq(byte >> 1),
            draw_data.addr.eq(byte >> 1),
            uses.root.payload.data.eq(given),
            uses.draw.payload.eq(given),
        ]
        refusal = Signal(ProofError)
        with m.If(custody.refused):
            m.d.sync += refusal.eq(custody.refusal)
        with m.FSM() as fsm:
            m.d.comb += custody.proving.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [byte.eq(0), state.eq(ProofState.IDLE), refusal.eq(ProofError.NO_POINT)]
                with m.If(seal_due):
                    m.d.sync += state.eq(ProofState.SEALING)
                    m.next = "GIVE"
                with m.Elif(draw_due):
                    with m.If(custody.state == CustodyState.READY):
                        m.d.sync += state.eq(ProofState.DRAWING)
                        m.next = "GIVE"
                    with m.Else():
                        m.d.sync += [draw_due.eq(0), error.eq(ProofError.NOT_READY)]
            with m.State("GIVE"):
                sealing = state == ProofState.SEALING
                m.d.comb += [
                    uses.root.valid.eq(sealing & (byte < 2 * EPOCH_RECORD["root"][1])),
                    uses.draw.valid.eq(~sealing & (byte < 2 * DRAW_REQUEST[1])),
                ]
                with m.If((uses.root.valid & uses.root.ready) | (uses.draw.valid & uses.draw.ready)):
                    m.d.sync += byte.eq(byte + 1)
                with m.If(uses.failed):
                    m.d.sync += error.eq(refusal)
                with m.Elif(uses.done):
                    m.d.sync += error.eq(ProofError.NONE)
                    for name, kind in (("seals", ProofState.SEALING), ("draws", ProofState.DRAWING)):
                        with m.If(state == kind):
                            m.d.sync += counts[name].eq(counts[name] + 1)
                    m.d.comb += ring.sealed.eq(sealing)
                with m.If(uses.failed | uses.done):
                    with m.If(sealing):
                        m.d.sync += seal_due.eq(0)
                    with m.Else():
                        m.d.sync += draw_due.eq(0)
                    m.next = "IDLE"
        with m.If(missed):
            m.d.sync += error.eq(ProofError.MISSED)

        m.d.comb += [ring.number.eq(counts["seals"]), ring.address.eq(self.bus.address)]
        self._keep_proofs(m, custody, prover, state)
        levels = {name: getattr(custody, name) for name in ("battery_low", "boot_count", "last_epoch")}
        levels |= {"custody_state": custody.state, "proof_state": state, "proof_error": error, "seals_kept": ring.kept, **counts}
        self._read(m, levels, custody.state == CustodyState.READY)
        return m

    def _take_record(self, m: Module, uses: ProofUses, due: Signal, missed: Signal) -> None:
        """Epoch, count and root of a record, unless the one before is still being sealed."""
        m.submodules.root = root = Memory(shape=WORD_BITS, depth=EPOCH_RECORD["root"][1], init=[])
        self._root, write = root.read_port(domain="comb"), root.write_port()
        place, taken = self.record_place, Signal()
        first, last = EPOCH_RECORD["root"][0], sum(EPOCH_RECORD["root"]) - 1
        m.d.comb += [
            taken.eq(self.record_write & ~due),
            write.addr.eq(place - first),
            write.data.eq(self.record_data),
            write.en.eq(taken & (place >= first)),
            missed.eq(self.record_write & due & (place == last)),
        ]
        # A record that began while one was being sealed is not taken by half.
        whole = Signal()
        with m.If(self.record_write & (place == 0)):
            m.d.sync += whole.eq(~due)
        with m.If(taken), m.Switch(place):
            for name, value in (("epoch", uses.epoch), ("count", uses.leaf_count)):
                start, size = EPOCH_RECORD[name]
                for at in range(size):
                    with m.Case(start + at):
                        m.d.sync += value.word_select(size - 1 - at, WORD_BITS).eq(self.record_data)
            with m.Case(last):
                m.d.sync += due.eq(whole)
                m.d.comb += missed.eq(~whole)

    def _take_orders(self, m: Module, custody: KeyCustody, state: Signal, draw_due: Signal):
        """The host's two orders; the port on what a draw is asked over."""
        bus = self.bus
        m.submodules.request = request = Memory(shape=WORD_BITS, depth=DRAW_REQUEST[1], init=[])
        write = request.write_port()
        is_request, is_make = Signal(), Signal()
        taken = bus.offered & bus.commit
        makeable = Signal()
        m.d.comb += [
            is_request.eq(_within(bus.address, DRAW_REQUEST)),
            is_make.eq(bus.address == MAKE_KEY[0]),
            write.addr.eq(bus.address - DRAW_REQUEST[0]),
            write.data.eq(bus.write_data),
            write.en.eq(taken & is_request),
            custody.make_key.eq(taken & is_make),
            self.here.eq((bus.region != 0) | is_request | is_make),
        ]
        for ended in (CustodyState.WIPED, CustodyState.DAMAGED, CustodyState.NO_ENTROPY):
            with m.If(custody.state == ended):
                m.d.comb += makeable.eq(1)
        with m.If(taken & is_request & bus.last):
            m.d.sync += draw_due.eq(1)

        half = (bus.first & (bus.address != DRAW_REQUEST[0])) | (bus.last & (bus.address != sum(DRAW_REQUEST) - 1))
        busy = (state != ProofState.IDLE) | draw_due | (custody.state != CustodyState.READY)
        with m.If(is_request):
            m.d.comb += bus.verdict.eq(Mux(half | busy, Status.REFUSED, Status.OK))
        with m.Elif(is_make):
            m.d.comb += bus.verdict.eq(Mux(makeable & (bus.write_data == MAKE_KEY_WORD), Status.OK, Status.REFUSED))
        with m.Else():
            m.d.comb += bus.verdict.eq(Mux(bus.region != 0, Status.REFUSED, Status.BAD_ADDRESS))
        return request.read_port(domain="comb")

    def _keep_proofs(self, m: Module, custody: KeyCustody, prover: wiring.Component, state: Signal) -> None:
        """What goes to the prover and comes from it, two bytes a word."""
        m.submodules.proofs = proofs = Memory(shape=WORD_BITS, depth=1 << _WINDOW_BITS, init=[])
        write, self._proof_read = proofs.write_port(), proofs.read_port()
        place, upper = Signal(8), Signal(8)
        passes, passing = Signal(), Signal(8)
        base = Signal(_WINDOW_BITS)
        given = prover.alpha.valid & prover.alpha.ready & prover.alpha.payload.keep
        m.d.comb += [
            passes.eq(given | (prover.result.valid & prover.result.ready)),
            passing.eq(Mux(prover.alpha.valid, prover.alpha.payload.data, prover.result.payload.data)),
            base.eq(SEAL[0]),
            write.addr.eq(base + (place >> 1)),
            write.data.eq(Cat(passing, upper)),
            write.en.eq(passes & place[0]),
            self._ring.place.eq(place >> 1),
            self._ring.data.eq(write.data),
            self._ring.write.eq(write.en & (state == ProofState.SEALING) & ~custody.loading & (place < 2 * RING_SEAL_WORDS)),
        ]
        with m.If(state == ProofState.DRAWING):
            m.d.comb += base.eq(DRAW[0] & (1 << _WINDOW_BITS) - 1)
        with m.If(custody.loading):
            m.d.comb += base.eq(PUBLIC_KEY[0] & (1 << _WINDOW_BITS) - 1)
        with m.If(passes):
            m.d.sync += [place.eq(place + 1), upper.eq(passing)]
        with m.If(prover.done):
            m.d.sync += place.eq(0)

    def _read(self, m: Module, levels: dict[str, Value], has_key: Value) -> None:
        bus = self.bus
        m.d.comb += self._proof_read.addr.eq(bus.address)
        for region, window in {_STATUS: (SEAL_STATUS_BASE, SEAL_STATUS_WORDS), **_WINDOWS}.items():
            with m.If(_within(bus.address, window)):
                m.d.comb += bus.region.eq(region)
        with m.If(self._ring.here):
            m.d.comb += bus.region.eq(_RING)
        frozen = Signal(data.StructLayout(_STATUS_WIDTHS))
        with m.If(bus.freeze):
            m.d.sync += [frozen[name].eq(level) for name, level in levels.items()]
        # Each word passes a register that is held at 0 but at its address: the choice is one OR.
        words, region = [], Signal.like(bus.region)
        m.d.sync += region.eq(bus.region)
        for name, (address, size) in SEAL_STATUS.items():
            for at in range(size):
                piece = frozen[name][WORD_BITS * (size - 1 - at) :][:WORD_BITS]
                word = Signal(len(piece), reset_less=True, name=f"word_{address + at:x}")
                m.d.sync += word.eq(Mux(bus.address[:_STATUS_BITS] == (address + at) & (1 << _STATUS_BITS) - 1, piece, 0))
                words.append(word)
        m.d.comb += bus.read_data.eq(self._proof_read.data)
        with m.If(region == _RING):
            m.d.comb += bus.read_data.eq(self._ring.word)
        with m.Elif(region == _STATUS):
            m.d.comb += bus.read_data.eq(reduce(or_, words))
        with m.Elif((region == _KEY) & ~has_key):
            m.d.comb += bus.read_data.eq(0)
