"""The secret key and the counters that only rise, in a part that forgets them when it is tampered with, and nowhere else without power.

Reference: the M41ST87W (`tamper_memory.py`). A record is key, boot count, epoch of the last seal and their CRC-32C; it lies in two slots,
and an update writes one, reads it back, then the other; the one that holds the only whole record comes last. So power that fails between
any two lines, as often as it likes, leaves a whole record, the old or the new; at power-up the greater of boot count and epoch is the
newer. The boot count rises before the key is used, the epoch before its seal is made. A blank part gets a key from the noise source; a
wiped or damaged one only when it is ordered to. The key goes from the part, or from the noise, to the part and the prover: it leaves by
`seed` and the bus alone.
Latency at 50 MHz: 10 ms from power-up to the prover's seed, 5 ms more for a new key; 4.5 ms to move the epoch.
Area, LIFCL (synthesis): 967 COMB, 331 FF.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink_seal import CustodyState, ProofError

from ..crc32c import Crc32c
from ..vrf.prover import SEED_BYTES
from .noise import SAMPLE_CLOCKS, KeyNoise
from .tamper_memory import ARMED, FLAGS, RAM, TAMPER_1, TAMPER_2, TAMPERED, TamperMemory

COUNTERS_BYTES, CHECK_BYTES = 8, 4
CHECK_AT = SEED_BYTES + COUNTERS_BYTES
RECORD_BYTES = CHECK_AT + CHECK_BYTES
SLOT_STRIDE = 64
_ENABLED = 0x80
"""TEB, in a tamper register."""
_BATTERY_LOW = 4
"""Bit of the flags."""
_RUN = TAMPER_2 - FLAGS + 1


class KeyCustody(wiring.Component):
    """`seed` takes 32 bytes to the prover, zeros to make it forget; `loaded` ends that, and `loading` is high until then.

    `proving` says that the prover is used by others; after tampering the seed is taken from it when they have ended.
    `advance` asks that `epoch` be the last one that is sealed: `advanced` where the part holds it now, `refused` for `refusal` where it
    does not. `make_key` is taken where the state says so. `noise` and `noise_enable` are the source's, `tamper_n` (asynchronous) is the
    part's IRQ/OUT, the rest its bus.
    """

    scl_low: Out(1)
    sda_low: Out(1)
    sda: In(1, init=1)
    tamper_n: In(1, init=1)
    noise: In(1)
    noise_enable: Out(1)
    seed: Out(stream.Signature(8))
    loaded: In(1)
    loading: Out(1)
    proving: In(1)
    state: Out(8, init=CustodyState.STARTING)
    battery_low: Out(1)
    boot_count: Out(32)
    last_epoch: Out(32)
    epoch: In(32)
    advance: In(1)
    advanced: Out(1)
    refused: Out(1)
    refusal: Out(8)
    make_key: In(1)

    def __init__(self, clock_hz: float, sample_clocks: int = SAMPLE_CLOCKS):
        self._memory = TamperMemory(clock_hz)
        self._noise = KeyNoise(sample_clocks)
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        m.submodules.memory = memory = self._memory
        m.submodules.key_noise = noise = self._noise
        m.submodules.check = check = Crc32c()
        m.submodules.keys = keys = Memory(shape=8, depth=2 * SEED_BYTES, init=[])
        key_read, key_write = keys.read_port(domain="comb"), keys.write_port()
        tamper_n = Signal(init=1)
        m.submodules.tamper_synchroniser = FFSynchronizer(self.tamper_n, tamper_n, init=1)

        slot, second, kept_in, valid = Signal(), Signal(), Signal(), Signal()
        place = Signal(range(2 * SEED_BYTES))
        incoming = Signal(8 * COUNTERS_BYTES)
        # All that is told of the key but to the prover: whether a record is whole, and reads back as it was written.
        good = Signal()
        flags, tamper_bits = Signal(8), Array(Signal(8, name=f"tamper_{number}") for number in (1, 2))
        armed, half_armed, wiped = Signal(), Signal(), Signal()
        advancing, arming, disarming = Signal(), Signal(), Signal()
        verdict = Signal(CustodyState)
        counters = Cat(self.last_epoch, self.boot_count)
        m.d.comb += [
            armed.eq((tamper_bits[0] == ARMED) & (tamper_bits[1] == ARMED)),
            half_armed.eq(((tamper_bits[0] | tamper_bits[1]) & _ENABLED).any()),
            wiped.eq((flags & TAMPERED).any()),
            self.battery_low.eq(flags[_BATTERY_LOW]),
            self.scl_low.eq(memory.scl_low),
            self.sda_low.eq(memory.sda_low),
            memory.sda.eq(self.sda),
            noise.noise.eq(self.noise),
            self.noise_enable.eq(noise.enable),
        ]

        # The byte of the record that lies at a place of its slot.
        expected, in_key, in_check = Signal(8), Signal(), Signal()
        m.d.comb += [
            in_key.eq(memory.place < SEED_BYTES),
            in_check.eq(memory.place >= CHECK_AT),
            key_read.addr.eq(Cat(Mux(memory.busy, memory.place[:5], place[:5]), kept_in)),
            expected.eq(Mux(in_check, check.crc.word_select(~memory.place[:2], 8), counters.word_select(~memory.place[:3], 8))),
        ]
        with m.If(in_key):
            m.d.comb += expected.eq(key_read.data)

        def access(name: str, address, count: int, after, write: bool = False, sent=None):
            """Begins a run on the bus, and goes on with `after` at its end."""
            with m.State(name):
                m.d.comb += [memory.start.eq(1), memory.write.eq(int(write)), memory.count.eq(count), check.start.eq(1)]
                m.d.sync += good.eq(1)
                m.next = f"{name}_RUN"
            with m.State(f"{name}_RUN"):
                m.d.comb += [memory.address.eq(address), memory.send.eq(expected if sent is None else sent)]
                if name in _OF_RECORDS:
                    m.d.comb += [
                        check.valid.eq((memory.sends | memory.taken) & ~in_check),
                        check.data.eq(Mux(memory.sends, memory.send, memory.received)),
                    ]
                with m.If(memory.taken):
                    after_byte[name]()
                with m.If(memory.done):
                    with m.If(memory.failed):
                        give_up(CustodyState.NO_MEMORY)
                    with m.Else():
                        after()

        def give_up(why) -> None:
            # A part that was tampered with takes nothing: that is not its fault.
            m.d.sync += [verdict.eq(Mux(tamper_n, why, CustodyState.WIPED)), place.eq(0)]
            m.next = "FORGET"

        def take_flags() -> None:
            with m.If(memory.place == 0):
                m.d.sync += flags.eq(memory.received)
            for number, address in enumerate((TAMPER_1, TAMPER_2)):
                with m.If(memory.place == address - FLAGS):
                    m.d.sync += tamper_bits[number].eq(memory.received)

        def take_record() -> None:
            with m.If(in_key):
                m.d.comb += key_write.en.eq(1)
            with m.Elif(~in_check):
                m.d.sync += incoming.eq(Cat(memory.received, incoming))
            with m.Elif(memory.received != expected):
                m.d.sync += good.eq(0)

        def compare_record() -> None:
            with m.If(memory.received != expected):
                m.d.sync += good.eq(0)

        after_byte = {name: lambda: None for name in ("ARM", "DISARM", "WRITE")}
        after_byte |= {"FLAGS": take_flags, "READ": take_record, "VERIFY": compare_record}

        def after_flags() -> None:
            m.d.sync += [arming.eq(0), disarming.eq(0), slot.eq(0), place.eq(0)]
            with m.If(wiped):
                give_up(CustodyState.WIPED)
            with m.Elif(disarming):
                m.next = "MAKE"
                with m.If(half_armed):
                    give_up(CustodyState.NO_MEMORY)
            with m.Elif(arming):
                m.next = "LOAD"
                with m.If(~armed):
                    give_up(CustodyState.NO_MEMORY)
            with m.Else():
                m.next = "READ"

        def after_read() -> None:
            with m.If(good & (~valid | (incoming > counters))):
                m.d.sync += [counters.eq(incoming), kept_in.eq(slot), valid.eq(1)]
            m.d.sync += slot.eq(1)
            m.next = "READ"
            with m.If(slot):
                m.next = "DECIDE"

        def after_verify() -> None:
            m.d.sync += [slot.eq(~slot), second.eq(~second)]
            m.next = "WRITE"
            with m.If(~good):
                give_up(CustodyState.NO_MEMORY)
            with m.Elif(second):
                m.next = "ARM"
                with m.If(advancing):
                    m.next = "ADVANCED"
                with m.Elif(armed):
                    m.next = "LOAD"

        def then(state: str, *assignments):
            def go() -> None:
                m.d.sync += list(assignments)
                m.next = state

            return go

        slot_address = Mux(slot, RAM + SLOT_STRIDE, RAM)
        m.d.comb += [
            key_write.addr.eq(Cat(memory.place[:5], slot)),
            key_write.data.eq(memory.received),
            self.refusal.eq(Mux(self.state == CustodyState.READY, ProofError.EPOCH_REFUSED, ProofError.NOT_READY)),
        ]
        with m.FSM():
            # Whoever lost power, or its bitstream, in mid-byte may have left the part with SDA low.
            with m.State("FREE"):
                m.d.comb += memory.free.eq(1)
                m.next = "FREED"
            with m.State("FREED"), m.If(memory.done):
                m.next = "FLAGS"

            access("FLAGS", FLAGS, _RUN, after_flags)
            access("READ", slot_address, RECORD_BYTES, after_read)

            with m.State("DECIDE"):
                m.d.sync += [slot.eq(~kept_in), second.eq(0), self.boot_count.eq(self.boot_count + 1)]
                m.next = "WRITE"
                with m.If(~valid):
                    m.d.sync += self.boot_count.eq(0)
                    m.next = "MAKE"
                    with m.If(half_armed):
                        give_up(CustodyState.DAMAGED)

            access("WRITE", slot_address, RECORD_BYTES, then("VERIFY"), write=True)
            access("VERIFY", slot_address, RECORD_BYTES, after_verify)
            access("ARM", TAMPER_1, 2, then("FLAGS", arming.eq(1)), write=True, sent=ARMED)
            access("DISARM", TAMPER_1, 2, then("FLAGS", disarming.eq(1)), write=True, sent=0)

            with m.State("MAKE"):
                m.d.comb += [
                    noise.run.eq(1),
                    noise.bytes.ready.eq(1),
                    key_write.addr.eq(place),
                    key_write.data.eq(noise.bytes.payload),
                    key_write.en.eq(noise.bytes.valid),
                ]
                m.d.sync += [self.state.eq(CustodyState.MAKING_KEY), kept_in.eq(0), slot.eq(1), second.eq(0)]
                with m.If(noise.alarm):
                    give_up(CustodyState.NO_ENTROPY)
                with m.Elif(noise.bytes.valid):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == SEED_BYTES - 1):
                        m.d.sync += [self.boot_count.eq(1), self.last_epoch.eq(0), place.eq(0)]
                        m.next = "WRITE"

            with m.State("LOAD"):
                m.d.comb += [self.seed.valid.eq(1), self.seed.payload.eq(key_read.data)]
                with m.If(self.seed.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == SEED_BYTES - 1):
                        m.d.sync += place.eq(0)
                        m.next = "LOADING"
            with m.State("LOADING"):
                m.d.comb += self.loading.eq(1)
                with m.If(self.loaded):
                    m.d.sync += self.state.eq(CustodyState.READY)
                    m.next = "READY"

            with m.State("READY"):
                m.d.sync += [slot.eq(~kept_in), second.eq(0), place.eq(0)]
                with m.If(~tamper_n):
                    give_up(CustodyState.WIPED)
                with m.Elif(self.advance):
                    with m.If(self.epoch > self.last_epoch):
                        m.d.sync += [self.last_epoch.eq(self.epoch), advancing.eq(1)]
                        m.next = "WRITE"
                    with m.Else():
                        m.d.comb += self.refused.eq(1)
            with m.State("ADVANCED"):
                m.d.comb += self.advanced.eq(1)
                m.d.sync += advancing.eq(0)
                m.next = "READY"

            # Without a key there is none left in the FPGA either.
            with m.State("FORGET"):
                m.d.comb += [key_write.addr.eq(place), key_write.data.eq(0), key_write.en.eq(1)]
                m.d.sync += [place.eq(place + 1), advancing.eq(0), valid.eq(0), self.state.eq(verdict)]
                with m.If(place == 2 * SEED_BYTES - 1):
                    m.next = "PROVING"
            with m.State("PROVING"):
                # What waits for the epoch to move would wait for ever.
                m.d.comb += self.refused.eq(self.advance)
                with m.If(~self.proving):
                    m.next = "FORGET_SEED"
            with m.State("FORGET_SEED"):
                m.d.comb += self.seed.valid.eq(1)
                with m.If(self.seed.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == SEED_BYTES - 1):
                        m.next = "FORGETTING"
            with m.State("FORGETTING"):
                m.d.comb += self.loading.eq(1)
                with m.If(self.loaded):
                    m.next = "HALTED"
            with m.State("HALTED"):
                m.d.comb += self.refused.eq(self.advance)
                with m.If(self.make_key & (self.state != CustodyState.NO_MEMORY)):
                    m.d.sync += self.state.eq(CustodyState.STARTING)
                    m.next = "DISARM"
        return m


_OF_RECORDS = ("READ", "WRITE", "VERIFY")
