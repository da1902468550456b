"""The far ends of the power path's pins: the converter as its datasheet describes it, and the two partners of the module link."""

from __future__ import annotations

import binascii
import gc
from dataclasses import dataclass, field

import pytest
from amaranth.sim import Simulator

MODE_MANUAL = 0b0001
MODE_CONTINUE = 0b0000


class Ads7952Model:
    """An ADS7952 (TI SLAS605) between its pins.

    The falling chip select samples the channel that the multiplexer stands at; the command of the frame before moves the
    multiplexer after that, so a command of frame n is answered in frame n + 2. SDO shows the next bit after each falling SCLK, SDI is
    taken at the rising one. `inputs` are fractions of Vref × 4096, per channel. `fault`: None, "stuck-0", "stuck-1",
    "wrong-channel", or a function of the frame's number that gives one of these. A frame has 16 SCLK, unless `may_be_cut_off`:
    its master is reset; a command that was cut off is not obeyed.
    """

    may_be_cut_off = False

    def __init__(self, inputs, fault=None):
        self.inputs = inputs
        self.fault = fault
        self.frames = 0
        self.sampled: list[int] = []
        self._commanded = 0
        self._multiplexer = 0
        self._range = 1

    def _answer(self):
        fault = self.fault(self.frames) if callable(self.fault) else self.fault
        if fault == "stuck-0":
            return 0
        if fault == "stuck-1":
            return 0xFFFF
        channel = (self._multiplexer + (fault == "wrong-channel")) % 12
        return channel << 12 | min(int(self.inputs[channel]) // self._range, 4095)

    def _obey(self, command):
        mode = command >> 12
        if mode == MODE_MANUAL:
            self._commanded = command >> 7 & 0xF
            if command >> 11 & 1:
                self._range = 2 if command >> 6 & 1 else 1
                assert not command >> 5 & 1, "powered down"
                assert not command >> 4 & 1, "GPIO data instead of the channel's number"
        else:
            assert mode == MODE_CONTINUE, f"mode {mode:04b} is not modelled"

    async def run(self, ctx, sclk, cs_n, sdi, set_sdo):
        """Process: `set_sdo(ctx, bit)` drives the data line."""
        while True:
            while ctx.get(cs_n):
                await ctx.changed(cs_n)
            assert not ctx.get(sclk)
            self.sampled.append(self._multiplexer)
            answer, command, bits, clock = self._answer(), 0, 0, 0
            self._multiplexer = self._commanded
            set_sdo(ctx, answer >> 15 & 1)
            while True:
                await ctx.changed(sclk, cs_n)
                if ctx.get(cs_n):
                    break
                if ctx.get(sclk) and not clock:
                    command, bits = command << 1 | ctx.get(sdi), bits + 1
                elif clock and not ctx.get(sclk):
                    set_sdo(ctx, answer >> (15 - bits) & 1 if bits < 16 else 0)
                clock = ctx.get(sclk)
            assert bits == 16 or self.may_be_cut_off, f"{bits} SCLK in a frame"
            if bits == 16:
                self._obey(command)
            self.frames += 1


def crc16(message: bytes) -> bytes:
    """CRC-16/IBM-3740 by the standard library."""
    return binascii.crc_hqx(message, 0xFFFF).to_bytes(2, "big")


def down_frame(sequence, duties, enable=1) -> bytes:
    """An exchange's bytes from node to module, padding included."""
    message = bytes([0xA5, sequence & 0xFF, enable]) + b"".join(duty.to_bytes(2, "big") for duty in duties)
    return message + crc16(message) + bytes(4)


@dataclass
class SpiNode:
    """The node's end of the module link, clocked by its own time: mode 0 at 8.33 MHz, data taken at the end of the bit."""

    half_s: float = 60e-9

    async def exchange(self, ctx, link, message: bytes) -> bytes:
        """Send `message`, return what came back. `link` has link_sclk, link_cs_n, link_copi, link_cipo."""
        received = 0
        ctx.set(link.link_cs_n, 0)
        await ctx.delay(320e-9)
        for byte in message:
            for bit in range(7, -1, -1):
                ctx.set(link.link_copi, byte >> bit & 1)
                await ctx.delay(self.half_s)
                ctx.set(link.link_sclk, 1)
                await ctx.delay(self.half_s)
                received = received << 1 | ctx.get(link.link_cipo)
                ctx.set(link.link_sclk, 0)
        await ctx.delay(120e-9)
        ctx.set(link.link_cs_n, 1)
        await ctx.delay(500e-9)
        return received.to_bytes(len(message), "big")


@dataclass
class SpiModule:
    """A module's end of the link: answers late, as an oversampling slave does. `answer(n)` may change the n-th answer.

    `while_off`: all currents while no duty has come.
    """

    channels: int
    currents: list[int]
    status: int = 1
    delay_s: float = 63e-9
    answer: object = None
    received: list[bytes] = field(default_factory=list)
    present: bool = True
    deaf: bool = False
    last_sequence: int = 0
    type: int = 1
    version: int = 2
    bootstrap_pulses: int = 0
    while_off: int | None = None

    def _message(self):
        message = bytes([0x5A, self.last_sequence, self.status, self.type, self.version])
        message += self.bootstrap_pulses.to_bytes(2, "big")
        switching = self.while_off is None or (self.received and any(self.received[-1][3 : 3 + 2 * self.channels]))
        currents = self.currents if switching else [self.while_off] * self.channels
        message += b"".join(current.to_bytes(2, "big") for current in currents)
        message += crc16(message)
        return self.answer(len(self.received), message) if self.answer else message

    async def run(self, ctx, sclk, cs_n, copi, set_cipo):
        """Process, for one module's chip select (a Signal or a bit of one)."""
        while True:
            while ctx.get(cs_n):
                await ctx.changed(cs_n)
            message = self._message()
            bits = "".join(f"{byte:08b}" for byte in message)
            taken = ""
            if self.present:
                set_cipo(ctx, int(bits[0]))
            clock = 0
            while not ctx.get(cs_n):
                level = ctx.get(sclk)
                if level and not clock:
                    taken += str(ctx.get(copi))
                elif clock and not level and self.present:
                    await ctx.delay(self.delay_s)
                    set_cipo(ctx, int(bits[len(taken)]) if len(taken) < len(bits) else 0)
                clock = level
                if ctx.get(sclk) == level:
                    await ctx.changed(sclk, cs_n)
            frame = int(taken or "0", 2).to_bytes(len(taken) // 8, "big")
            self.received.append(frame)
            if self.present and not self.deaf and frame[:-2] and crc16(frame[:-6]) == frame[-6:-4]:
                self.last_sequence = frame[1]


def simulate(component, *testbenches, background=(), clock_hz=50_000_000):
    """Run testbenches against a component until they end."""
    simulator = Simulator(component)
    simulator.add_clock(1 / clock_hz)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for testbench in background:
        simulator.add_testbench(testbench, background=True)
    simulator.run()


@pytest.fixture
def refuses():
    """Context in which a component's constructor has to raise a ValueError that says so.

    Amaranth warns of a component that was made and not used, and one whose constructor refused is such: the test is marked to ignore that.
    """
    yield lambda says: pytest.raises(ValueError, match=says)
    gc.collect()


@pytest.fixture
def ads7952():
    return Ads7952Model


@pytest.fixture
def spi_node():
    return SpiNode


@pytest.fixture
def spi_module():
    return SpiModule


@pytest.fixture
def frames():
    """Makes an exchange's bytes from node to module."""
    return down_frame


@pytest.fixture(name="simulate")
def _simulate():
    return simulate
