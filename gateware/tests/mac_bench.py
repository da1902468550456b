"""The half of `test_network_second_opinion.py` that cocotb runs inside the simulator: frames in, frames out, FCS by zlib."""

import random
import zlib

import cocotb
from clock_bench import clock_and_reset
from cocotb.triggers import FallingEdge, ReadOnly

PREAMBLE = [1] * 31 + [3]
SHORTEST_BYTES = 60


def di_bits(data):
    return [byte >> shift & 3 for byte in data for shift in (0, 2, 4, 6)]


def wire(frame):
    return frame + zlib.crc32(frame).to_bytes(4, "little")


async def begin(dut):
    for pin in (dut.rxd, dut.crs_dv, dut.rx_er, dut.start, dut.byte, dut.last):
        pin.value = 0
    await clock_and_reset(dut)
    for _ in range(4):
        await FallingEdge(dut.clk)


async def receive(dut, data, toggling_nibbles=0):
    """Drive a frame; the bytes that come out and what is said of them."""
    got, verdicts = bytearray(), []
    pins = [(1, bit) for bit in PREAMBLE + di_bits(data)]
    for at in range(len(pins) - 2 * toggling_nibbles, len(pins), 2):
        pins[at] = (0, pins[at][1])
    for crs_dv, rxd in [*pins, *[(0, 0)] * 8]:
        dut.crs_dv.value, dut.rxd.value = crs_dv, rxd
        await ReadOnly()
        if dut.valid.value:
            got.append(int(dut.received.value))
        if dut.end.value:
            verdicts.append(bool(dut.good.value))
        await FallingEdge(dut.clk)
    return bytes(got), verdicts


async def transmit(dut, frame):
    """Have a frame sent; what was between the edges of TX_EN."""
    dut.start.value = 1
    await FallingEdge(dut.clk)
    dut.start.value = 0
    sent, at = [], 0
    while True:
        dut.byte.value, dut.last.value = frame[min(at, len(frame) - 1)], at == len(frame) - 1
        await ReadOnly()
        at += bool(dut.take.value)
        if dut.tx_en.value:
            sent.append(int(dut.txd.value))
        elif sent:
            break
        await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert sent[:32] == PREAMBLE
    data = sent[32:]
    assert len(data) % 4 == 0
    return bytes(sum(data[place + bit] << 2 * bit for bit in range(4)) for place in range(0, len(data), 4))


@cocotb.test()
async def frames_come_in_however_the_carrier_ends(dut):
    await begin(dut)
    randomly = random.Random(1)
    for toggling, length in ((0, 60), (1, 60), (5, 61), (3, 118)):
        data = wire(randomly.randbytes(length))
        assert await receive(dut, data, toggling) == (data, [True])


@cocotb.test()
async def a_damaged_or_short_frame_is_not_good(dut):
    await begin(dut)
    data = bytearray(wire(random.Random(2).randbytes(60)))
    data[17] ^= 0x20
    assert await receive(dut, bytes(data)) == (bytes(data), [False])
    short = wire(bytes(59))
    assert await receive(dut, short) == (short, [False])


@cocotb.test()
async def frames_go_out_padded_and_with_their_fcs(dut):
    await begin(dut)
    randomly = random.Random(3)
    for length in (1, 42, 60, 99):
        frame = randomly.randbytes(length)
        assert await transmit(dut, frame) == wire(frame.ljust(SHORTEST_BYTES, b"\0"))
        gap = 0
        while not dut.idle.value:
            gap += 1
            await FallingEdge(dut.clk)
        assert 44 <= gap <= 48
