"""The words that the parts of the TCP server share: flags of a segment, what is kept of a connection, and the sizes of its buffers.

Reference: RFC 9293 sections 3.1 and 3.3.1. A connection is 16 words of 32 bits in block RAM. Sequence numbers are also the positions in
the buffers: the byte with sequence number s lies at s modulo the buffer's size.
"""

from __future__ import annotations

import enum

from amaranth.lib import data

MODBUS_PORT = 502
TCP = 6
HEADER_BYTES = 20
RECEIVE_BYTES = 512
TRANSMIT_BYTES = 1024
ADU_BYTES = 260
MAXIMUM_SEGMENT = 512
"""What we ask for, in the SYN's answer: no more than the receive buffer holds."""
SEGMENT_LIMITS = (48, 128, 256, 536)
"""How much is sent at once, by class of the peer's maximum segment size; a peer that names none takes 536 bytes."""

REPLY = 8
"""The place of an answer that belongs to no connection."""
EVICTED = 9
"""The place of the reset for a connection that gave way."""
PLACES = 10


class Flag(enum.IntFlag):
    """Control bits of a segment."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10


class Word(enum.IntEnum):
    """The words of a connection."""

    IP = 0
    PORT = 1
    """Peer's port, 16 bits; class of its maximum segment size, 2 bits."""
    MAC_LOW = 2
    MAC_HIGH = 3
    """16 bits; above them our port."""
    RCV_NXT = 4
    CONSUMED = 5
    """Sequence number of the first byte that the application has not finished with."""
    SND_UNA = 6
    SND_NXT = 7
    SND_END = 8
    """Sequence number after the last answer's last byte."""
    CONTROL = 9
    TIMER = 10
    RTT = 11
    TIMED_SEQ = 12
    TIMED_AT = 13
    HEARD = 14
    ASKED = 15


CONTROL = data.StructLayout(
    {
        "window": 16,
        "retries": 3,
        "acknowledge": 1,
        "closing": 1,
        "fin_sent": 1,
        "peer_fin": 1,
        "armed": 1,
        "timing": 1,
        "sampled": 1,
        "probes": 2,
        "challenged": 1,
        "resend": 1,
        "reset": 1,
        "syn": 1,
    }
)
"""`closing`: our FIN follows the last answer. `armed`: the retransmission timer runs. `timing`: a segment's round trip is measured,
`sampled`: one has been. `probes`: keep-alives not answered. `resend`, `reset`, `syn`: what the next segment is."""

TIMER = data.StructLayout({"timeout": 16, "deadline": 16})
RTT = data.StructLayout({"smoothed": 16, "variation": 16})
"""In eighths and quarters of a tick."""
