"""The Ethernet PHY's pins with flip-flops in their I/O cells, and a node's network behind them.

Reference: RMII specification 1.2 (all data are timed by the reference clock's rising edge); the times that are left at the pins are in
`thermogen_boards.controller_node.ethernet_pins`. The cells' flip-flops are those of double data rate, of which one edge is used
(workaround H). Management and reset are slow and leave unregistered. Latency of the cells: 2 clocks in, 2 to 3 clocks out.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, ClockSignal, Instance, Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out

from ..build.workarounds import NEXUS_INPUT_REGISTER, NEXUS_OUTPUT_REGISTER
from .board_pins import BoardPins

RECEIVED, SENT = ("rxd", "crs_dv", "rx_er"), ("txd", "tx_en")


class InputRegisters(wiring.Component):
    """A flip-flop in the cell of each input, by the rising edge."""

    def __init__(self, width: int) -> None:
        super().__init__({"d": In(width), "q": Out(width)})

    def elaborate(self, _platform):
        m = Module()
        for bit in range(len(self.d)):
            m.submodules[f"bit_{bit}"] = Instance(
                NEXUS_INPUT_REGISTER,
                i_SCLK=ClockSignal(),
                i_RST=C(0),
                i_D=self.d[bit],
                o_Q0=self.q[bit],
                o_Q1=Signal(name=f"falling_{bit}"),
            )
        return m


class OutputRegisters(wiring.Component):
    """A flip-flop in the cell of each output; both halves of a period get the same."""

    def __init__(self, width: int) -> None:
        super().__init__({"d": In(width), "q": Out(width)})

    def elaborate(self, _platform):
        m = Module()
        for bit in range(len(self.d)):
            m.submodules[f"bit_{bit}"] = Instance(
                NEXUS_OUTPUT_REGISTER,
                i_SCLK=ClockSignal(),
                i_RST=C(0),
                i_D0=self.d[bit],
                i_D1=self.d[bit],
                o_Q=self.q[bit],
            )
        return m


def connect_ethernet(m: Module, pins: BoardPins, node: Any, inputs: type[wiring.Component], outputs: type[wiring.Component]) -> None:
    """Put `node`'s RMII and management ports on the board's `ethernet`; `inputs` and `outputs` make the cells' flip-flops."""
    for name in RECEIVED:
        pin = pins.input("ethernet", name)
        m.submodules[f"ethernet_{name}"] = cells = inputs(len(pin))
        m.d.comb += [cells.d.eq(pin), getattr(node, name).eq(cells.q)]
    # An output of such a flip-flop needs an enable that is one too.
    enable = Signal()
    m.d.sync += enable.eq(1)
    for name in SENT:
        sent = getattr(node, name)
        m.submodules[f"ethernet_{name}"] = cells = outputs(len(sent))
        m.d.comb += cells.d.eq(sent)
        pins.output(cells.q, "ethernet", name, enable=enable)
    pins.output(node.mdc, "ethernet", "mdc")
    pins.output(node.phy_reset_n, "ethernet", "reset_n")
    m.submodules.pin_ethernet_mdio = mdio = io.Buffer("io", pins.port("ethernet", "mdio"))
    m.d.comb += [mdio.o.eq(node.mdio_o), mdio.oe.eq(node.mdio_oe), node.mdio_i.eq(mdio.i)]
