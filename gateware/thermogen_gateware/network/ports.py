"""What the layers of the network stack say to each other: bytes as they come from the wire and as they go to it, and registers.

Everything is in the 50 MHz `sync` domain, in which the wire brings or takes a byte every four clocks.
"""

from __future__ import annotations

from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

IP_ADDRESS = 32
MAC_ADDRESS = 48
LENGTH_CLOCKS = 90
"""From a grant to where the length of what is sent has to be final."""

PEER = data.StructLayout({"ip": IP_ADDRESS, "mac": MAC_ADDRESS})
"""A host as the frames that it sent say."""


class Refusal(enum.Enum, shape=3):  # type: ignore[call-arg]
    """Why a request is not done; the values are the MODBUS exception codes."""

    NONE = 0
    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    BUSY = 6


class IngressSignature(wiring.Signature):
    """IPv4 payloads addressed to us, as they arrive; the producer cannot be made to wait.

    `byte` is there in each clock with `valid`, at most one in four clocks. `first` marks the first byte of a payload; with it and until the
    verdict, `peer`, `protocol` and `length` (bytes of payload, as the IP header says; what the frame is padded with is not handed on)
    hold. Then comes one strobe: `commit` (FCS, length and header are right) or `drop`. Until `commit` nothing may be believed.
    `commit` comes at most 3 clocks after the last di-bit of the FCS.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "first": Out(1),
                "byte": Out(8),
                "commit": Out(1),
                "drop": Out(1),
                "peer": Out(PEER),
                "protocol": Out(8),
                "length": Out(16),
            }
        )


class EgressSignature(wiring.Signature):
    """An IPv4 payload to send. One layer at a time has the transmitter.

    The layer holds `request` with `peer`, `protocol` and `length` (bytes of payload, at most 1,480) until `grant`, a strobe; the frame's
    preamble begins within 3 clocks of it if the transmitter is idle, and Ethernet and IP header follow. From 160 clocks after the grant
    on, `take` asks for the next byte of the payload: `byte` has to be the current one whenever `take` may come (it changes in the clock
    after `take`). `sent` is a strobe when the last byte is taken. `length` may be another until LENGTH_CLOCKS after the grant: there is
    time to find out how long an answer is while the preamble and the Ethernet header go out. `peer.mac` is where the frame goes: the
    layer remembers it from what it got. A layer that asks for a host it has not heard of sets `lookup`: the address comes of ARP, and
    `unreachable` instead of `grant` says that it is not known yet and has been asked for.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "request": Out(1),
                "peer": Out(PEER),
                "lookup": Out(1),
                "protocol": Out(8),
                "length": Out(11),
                "grant": In(1),
                "unreachable": In(1),
                "take": In(1),
                "byte": Out(8),
                "sent": In(1),
            }
        )


class RegisterPortSignature(wiring.Signature):
    """What a MODBUS request does to the registers; the server is the initiator, the register file behind it knows no protocol.

    `begin` (strobe) opens a request and freezes what is read: all words of one request are of one instant; it ends with `end` or `abort`.
    Reads: `address` and `space` → `data` and `exists` one clock later. `space`: 0 coils, 1 discrete inputs, 2 input registers, 3 holding
    registers; a coil or discrete input is bit 0 of `data`. Writes are staged: with `write`, `address`, `space` and `value`; two clocks
    later `refusal` says of the words staged in this request so far the first thing wrong: nothing, an address that is not there or not
    writable (ILLEGAL_ADDRESS), a value out of its range (ILLEGAL_VALUE), writes that are not allowed now (ILLEGAL_FUNCTION), or the file
    busy (BUSY); the first word comes four clocks or more after `begin`, when it is known whether who asks may write. `end` makes all that
    is staged true at once, unless something was refused; `abort` forgets it. `peer_ip` names who asks.
    As many words are staged as one request can hold: 1,968 coils, or 123 registers.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "begin": Out(1),
                "end": Out(1),
                "abort": Out(1),
                "space": Out(2),
                "address": Out(16),
                "data": In(16),
                "exists": In(1),
                "write": Out(1),
                "value": Out(16),
                "refusal": In(Refusal),
                "peer_ip": Out(IP_ADDRESS),
            }
        )
