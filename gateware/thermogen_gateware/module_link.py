"""The link between the node and its power modules: what crosses it (`module_link_slave.py` and `module_link_master.py` speak it).

SPI mode 0, most significant bit first, SCLK = node clock / 6 (8.33 MHz), an exchange with all modules at once every 5,000 node clocks
(10 kHz): SCLK is common, each module has its own chip select, COPI and CIPO. Both directions run at once in one assertion of chip select
of exactly 9 + 2 × channels bytes (36 channels: 81 bytes, 3,888 node clocks). Integers are big-endian; every CRC is CRC-16/IBM-3740
over all bytes of its direction before it.

    byte     node → module                          module → node
    0        0xA5                                   0x5A
    1        sequence u8                            sequence u8 of the last good frame before this exchange
    2        flags u8: bit 0 enable                 status u8: ModuleStatus
    3, 4     duty of channel 0 u16                  type u8, version u8
    5, 6     duty of channel 1 u16                  bootstrap pulses since power-up u16, ends at 65,535
    3 + 2k   duty of channel k u16
    7 + 2k                                          current of channel k u16
    3 + 2n   CRC-16, then four bytes of no meaning
    7 + 2n                                          CRC-16

n channels; a duty is counts (of 480) in bits 11 … 3 and eighths of a count in bits 2 … 0, whatever the module's clock; a current is
the converter's 12 bits, 2048 = 0 A, 2 mA a step; upper bits are 0. Type 1, version 2. The slave takes COPI at the rising SCLK; the
master takes CIPO at the end of the bit, because an oversampling slave answers late: at 48 MHz it changes CIPO 42 to 63 ns after the
falling SCLK, at 24 MHz 83 to 125 ns after the rising one. Chip select rests high for at least 100 ns. A frame is good when start
byte, CRC and length are right and its sequence is 1 to 127 ahead of the last good one (mod 256); only the duties and flags of a good
frame are ever applied, all at once. After power-up and after a loss, the first frame with a good CRC only sets the sequence. The
slave's link is lost after 10 ms without a good frame or 3 bad ones in a row; the node calls a module absent after 10 ms without a good
answer. A module that was killed (its `run` wire fell, however shortly, or it has only just been powered) says KILLED
and stays off until it has applied a frame without enable: the node sends it such frames until it says so no more.
"""

from __future__ import annotations

import enum

EXCHANGE_HZ = 10_000
SCLK_DIVIDER = 6
DOWN_START = 0xA5
UP_START = 0x5A
FLAG_ENABLE = 1 << 0
MODULE_TYPE = 1
"""A power module of synchronous bucks with 5 mohm shunts."""
MODULE_VERSION = 2
CURRENT_BITS = 12
CURRENT_ZERO = 2048
LOST_AFTER_S = 10e-3
LOST_AFTER_BAD = 3
DOWN_WORDS_AT = 3
UP_BOOTSTRAP_AT = 5
UP_WORDS_AT = 7
CHIP_SELECT_LEAD_CLOCKS = 16
"""From chip select to the first SCLK: the slave needs four of its own to see it."""


class ModuleStatus(enum.IntFlag):
    """Status byte of a module."""

    LINK_VALID = 1 << 0
    DRIVERS_ENABLED = 1 << 1
    CONVERTER_FAULT = 1 << 2
    """Any of its converters is not believed."""
    RUN = 1 << 3
    """Level of the `run` wire."""
    CONVERTER_0 = 1 << 4
    """That converter is not believed, and the gates of its twelve channels are off."""
    CONVERTER_1 = 1 << 5
    CONVERTER_2 = 1 << 6
    KILLED = 1 << 7
    """The `run` wire has fallen since the last frame without enable, or there has been none since power-up."""


def frame_bytes(channels: int) -> int:
    """Bytes of one exchange with a module of so many channels."""
    return UP_WORDS_AT + 2 * channels + 2


def exchange_clocks(channels: int) -> int:
    """Node clocks from `start` to `done` of one exchange."""
    return CHIP_SELECT_LEAD_CLOCKS + frame_bytes(channels) * 8 * SCLK_DIVIDER + SCLK_DIVIDER + 1
