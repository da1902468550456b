"""The pins of the part that keeps the node's key, and the noise that the key is made of.

Reference: NXP UM10204 (open drain: a wire is pulled low or let go, never driven high); what else is wired to the part: the boards' README.
The noise is the parity of four rings, each sampled by flip-flops of its own, so that one that stands still or runs with the clock takes
nothing from the others.
Latency: 3 clocks from a ring to its sample, of 64 between two samples. Area, LIFCL: 27 COMB, 9 FF.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component

from .board_pins import BoardPins

RING_LENGTHS = (3, 5, 7, 11)


def connect_key_memory(m: Module, pins: BoardPins, node: Any, rings: Component) -> None:
    """Put `node`'s key pins on the board's `key_memory`; `rings` has RingOscillators' ports."""
    pins.output(C(0), "key_memory", "scl", enable=node.key_scl_low)
    m.submodules.pin_key_memory_sda = sda = io.Buffer("io", pins.port("key_memory", "sda"))
    sampled, parity = Signal(len(rings.noise)), Signal()
    m.submodules.key_rings = rings
    m.submodules.key_ring_samples = FFSynchronizer(rings.noise, sampled)
    m.d.sync += parity.eq(sampled.xor())
    m.d.comb += [
        sda.o.eq(0),
        sda.oe.eq(node.key_sda_low),
        node.key_sda.eq(sda.i),
        node.key_tamper_n.eq(pins.input("key_memory", "tamper_n")),
        rings.enable.eq(node.key_noise_enable),
        node.key_noise.eq(parity),
    ]
