"""How each of cocotb's benches begins: the clock runs, and the core has been reset."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


async def clock_and_reset(dut):
    cocotb.start_soon(Clock(dut.clk, 20, unit="ns").start())
    dut.rst.value = 1
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
