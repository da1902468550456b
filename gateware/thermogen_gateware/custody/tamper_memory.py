"""The clearable memory of an M41ST87W, read and written some bytes in a row.

Reference: STMicroelectronics M41ST87W, DocID9497 (secure serial RTC and NVRAM supervisor): I2C address 1101000, 128 bytes of user RAM at
20h that a tamper condition clears, tamper registers at 14h and 15h, flags at 0Fh; a byte is in its cell with its acknowledgement, without
delay. Latency: at 50 MHz 24 us a byte.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .i2c_controller import BusStep, I2cController

TARGET = 0b1101000
FLAGS, TAMPER_1, TAMPER_2, RAM = 0x0F, 0x14, 0x15, 0x20
RAM_BYTES = 128
TAMPERED = 0b11
"""TB1 and TB2, in the flags."""
ARMED = 0b1100_0001
"""TEB, TIE, CLR: a tampered input clears the RAM and pulls IRQ/OUT."""


class TamperMemory(wiring.Component):
    """`start` (one clock, while not `busy`) reads or writes `count` bytes from `address` on.

    To write, `send` is taken as byte `place` of the run where `sends` is high; to read, `received` is byte `place` where `taken` is high.
    `done` is high for a clock at the end; `failed` then says that the part did not acknowledge. `free` in place of `start` frees a bus
    that was left in mid-byte.
    """

    start: In(1)
    free: In(1)
    write: In(1)
    address: In(8)
    count: In(8)
    send: In(8)
    sends: Out(1)
    place: Out(8)
    taken: Out(1)
    received: Out(8)
    busy: Out(1)
    done: Out(1)
    failed: Out(1)
    scl_low: Out(1)
    sda_low: Out(1)
    sda: In(1, init=1)

    def __init__(self, clock_hz: float):
        self._controller = I2cController(clock_hz)
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        m.submodules.i2c = i2c = self._controller
        writes, left = Signal(), Signal(8)
        m.d.comb += [
            self.scl_low.eq(i2c.scl_low),
            self.sda_low.eq(i2c.sda_low),
            i2c.sda.eq(self.sda),
            self.received.eq(i2c.received),
        ]

        def state(name, step, after, sent=0xFF, acknowledge=0, checked=False):
            with m.State(name):
                m.d.comb += [i2c.step.eq(step), i2c.sent.eq(sent), i2c.acknowledge.eq(acknowledge), i2c.start.eq(~i2c.busy)]
                if name == "WRITE":
                    m.d.comb += self.sends.eq(~i2c.busy)
                with m.If(i2c.done):
                    m.next = f"{name}_ENDS" if step is BusStep.BYTE else after
            if step is BusStep.BYTE:
                with m.State(f"{name}_ENDS"):
                    m.next = after
                    if checked:
                        with m.If(~i2c.acknowledged):
                            m.d.sync += self.failed.eq(1)
                            m.next = "STOP"

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += self.place.eq(0)
                with m.If(self.start | self.free):
                    m.d.sync += [writes.eq(self.write), left.eq(self.count), self.failed.eq(0)]
                    m.next = "START"
                with m.If(self.free):
                    m.next = "FREE"
            state("FREE", BusStep.BYTE, "STOP")
            state("START", BusStep.START, "TARGET")
            state("TARGET", BusStep.BYTE, "ADDRESS", TARGET << 1, checked=True)
            state("ADDRESS", BusStep.BYTE, "TURN", self.address, checked=True)
            with m.State("TURN"):
                m.next = "AGAIN"
                with m.If(writes):
                    m.next = "WRITE"
            state("AGAIN", BusStep.START, "TARGET_READ")
            state("TARGET_READ", BusStep.BYTE, "READ", TARGET << 1 | 1, checked=True)
            state("READ", BusStep.BYTE, "READ_NEXT", acknowledge=left != 1)
            state("WRITE", BusStep.BYTE, "WRITE_NEXT", self.send, checked=True)
            for name, again in (("READ_NEXT", "READ"), ("WRITE_NEXT", "WRITE")):
                with m.State(name):
                    m.d.comb += self.taken.eq(~writes)
                    m.d.sync += [self.place.eq(self.place + 1), left.eq(left - 1)]
                    m.next = again
                    with m.If(left == 1):
                        m.next = "STOP"
            with m.State("STOP"):
                m.d.comb += [i2c.step.eq(BusStep.STOP), i2c.start.eq(~i2c.busy)]
                with m.If(i2c.done):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
