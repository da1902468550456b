"""CRC-16/IBM-3740 ("CCITT-FALSE"): polynomial 0x1021, initial 0xFFFF, most significant bit first, no final exclusive or.

Reference: the catalogue of parametrised CRC algorithms, check value of "123456789" 0x29B1. Over data followed by its CRC the register
ends at 0. Combinational, one bit at a time; 16 LUT4.
"""

from __future__ import annotations

from amaranth.hdl import Mux, Value

POLYNOMIAL = 0x1021
INITIAL = 0xFFFF


def crc16_step(crc: Value, bit: Value) -> Value:
    """The 16-bit register after one more bit; feeding it its own top bit shifts the CRC out."""
    shifted = (crc << 1)[:16]
    return Mux(crc[15] ^ bit, shifted ^ POLYNOMIAL, shifted)
