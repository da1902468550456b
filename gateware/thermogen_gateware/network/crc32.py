"""CRC-32 of Ethernet (the FCS), two bits at a time as RMII brings them: no table, 32 flip-flops and a few gates for each bit.

Reference: IEEE 802.3, 3.2.9; the register reflected: polynomial 0xEDB88320, initial 0xFFFFFFFF, complemented and least significant bit
first on the wire. Over a frame with its FCS the register ends at a constant. Combinational.
"""

from __future__ import annotations

from amaranth.hdl import Mux, Value

POLYNOMIAL = 0xEDB88320
INITIAL = 0xFFFFFFFF
RESIDUE = 0xDEBB20E3
"""The register after a frame and its own FCS."""


def crc32_step(crc: Value, di_bit: Value) -> Value:
    """The register after two more bits, the lower of them first."""
    for bit in (di_bit[0], di_bit[1]):
        crc = crc[1:] ^ Mux(crc[0] ^ bit, POLYNOMIAL, 0)
    return crc
