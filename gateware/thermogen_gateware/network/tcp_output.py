"""What the TCP state machine sends of a connection: answers, retransmissions, probes, acknowledgements, resets.

Reference: RFC 9293 sections 3.8.4 (keep-alive), 3.8.6.1 (zero window) and 3.8.6.2.1 (no silly windows), RFC 6298 section 5. One segment
at a time is lost and sent again: its acknowledgement brings the next one. Latency: 27 clocks from the decision to `go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import C, Cat, Module, Mux, Signal

from .comparison import exceeds
from .tcp_datapath import TcpDatapath
from .tcp_segment import (
    HEADER_BYTES,
    MAXIMUM_SEGMENT,
    RECEIVE_BYTES,
    REPLY,
    SEGMENT_LIMITS,
    TCP,
    TRANSMIT_BYTES,
    Flag,
    Word,
)
from .tcp_transmit import UNUSED_PLACE


def add_output(m: Module, d: TcpDatapath) -> Iterator[None]:
    """From WORK to IDLE."""
    control, transmitter = d.control, d.transmitter
    nxt, una, end, seq = Signal(11), d.una, d.end, d.seq
    outstanding, unsent, usable, limit, length = (Signal(11) for _ in range(5))
    fin, again, _sends = Signal(), Signal(), Signal()
    closed = Signal()
    fits, below, exceeded = Signal(11), Signal(), Signal()
    is_reply = d.place >= REPLY
    window = Mux(exceeds(control.window, TRANSMIT_BYTES), TRANSMIT_BYTES, control.window)

    received = Signal(10)
    flags = Signal(6)
    m.d.comb += [
        transmitter.peer_word.eq(d.word),
        transmitter.length.eq(length),
        transmitter.long.eq(control.syn),
        transmitter.data_at.eq(Cat(seq[:10], d.place[: len(transmitter.data_at) - 10])),
        transmitter.summed.eq(d.claimed),
        transmitter.data_sum.eq(d.visit.answer_sum),
        flags.eq(
            Flag.ACK
            | Mux(fin, Flag.FIN, 0)
            | Mux(control.syn, Flag.SYN, 0)
            | Mux(control.reset, Flag.RST, 0)
            | Mux(length != 0, Flag.PSH, 0)
        ),
    ]
    sent_bytes = d.right_operand(length)

    yield
    with m.State("WORK"):
        d.look(Word.CONTROL)
        m.next = "WORK_CONTROL"
    with m.State("WORK_CONTROL"):
        m.d.sync += control.eq(d.word)
        d.look(Word.SND_UNA)
        m.next = "WORK_UNA"
    with m.State("WORK_UNA"):
        m.d.sync += una.eq(d.word)
        d.look(Word.SND_NXT)
        m.next = "WORK_NXT"
    with m.State("WORK_NXT"):
        d.add(d.word_itself)
        m.d.sync += [nxt.eq(d.word), seq.eq(d.result)]
        d.look(Word.SND_END)
        m.next = "WORK_END"
    with m.State("WORK_END"):
        m.d.sync += [
            outstanding.eq(Mux(is_reply, 0, nxt - una)),
            unsent.eq(Mux(control.fin_sent | is_reply, 0, d.word[:11] - nxt)),
            end.eq(d.result),
        ]
        d.add(d.word_itself)
        d.look(Word.PORT)
        m.next = "WORK_USABLE"
    with m.State("WORK_USABLE"):
        for index, size in enumerate(SEGMENT_LIMITS):
            with m.If(d.word[16:18] == index):
                m.d.sync += limit.eq(size)
        difference = window[:11] - outstanding
        m.d.sync += usable.eq(Mux(difference[11], 0, difference[:11]))
        again_now = control.resend & (outstanding != 0)
        m.d.sync += again.eq(again_now)
        with m.If(again_now):
            m.d.sync += [usable.eq(outstanding - control.fin_sent), unsent.eq(outstanding - control.fin_sent)]
        d.look(Word.SND_UNA)
        m.next = "WORK_LENGTH"
    with m.State("WORK_LENGTH"):
        d.add(d.word_itself)
        with m.If(again):
            m.d.sync += seq.eq(d.result)
        m.d.comb += [below.eq(usable < limit), fits.eq(Mux(below, usable, limit)), exceeded.eq(unsent > fits)]
        m.d.sync += length.eq(Mux(exceeded, fits, unsent))
        # A piece smaller than it could be waits for what is under way, and everything for what was lost.
        with m.If(~again & (outstanding != 0) & ((exceeded & below) | (control.retries != 0))):
            m.d.sync += length.eq(0)
        m.next = "WORK_DECIDE"
    with m.State("WORK_DECIDE"):
        probes = control.resend & ~again
        d.add(d.our_seq, d.minus_one)
        with m.If(control.reset):
            m.d.sync += length.eq(0)
        with m.Elif(probes & (length == 0)):
            # One byte into a window that is closed, or with nothing to send a byte that the peer has.
            with m.If(unsent != 0):
                m.d.sync += length.eq(1)
            # A FIN that is due asks for an answer itself, and has a number of its own.
            with m.Elif(~control.closing | control.fin_sent):
                m.d.sync += seq.eq(d.result)
        m.d.sync += [
            fin.eq(
                Mux(again, control.fin_sent & (length == unsent), control.closing & ~control.fin_sent & (length == unsent))
                & ~control.reset
                & ~is_reply
            ),
            closed.eq(control.reset | (control.fin_sent & control.peer_fin & (outstanding == 0))),
        ]
        m.next = "WORK_SENDS"
    with m.State("WORK_SENDS"):
        more = Mux(again, (control.retries == 0) & ~control.fin_sent & (end != nxt), (length != 0) & (length != unsent))
        m.d.sync += d.of(d.work).eq(more & ~closed)
        with m.If((length != 0) | fin | control.acknowledge | control.resend | control.reset | control.syn | d.claimed):
            m.d.comb += transmitter.begin.eq(1)
            d.look(Word.IP)
            m.next = "SEGMENT_IP_UPPER"
        with m.Elif(closed):
            d.free()
            m.next = "IDLE"
        with m.Elif((unsent != 0) & (outstanding == 0) & ~control.armed):
            # The window is closed: ask for it in due time.
            d.look(Word.TIMER)
            m.next = "ARM"
        with m.Else():
            m.next = "IDLE"

    def put(at: int, word) -> None:
        m.d.comb += [transmitter.put.eq(1), transmitter.place.eq(at), transmitter.word.eq(word)]

    with m.State("SEGMENT_IP_UPPER"):
        m.d.comb += transmitter.put_ip.eq(1)
        put(UNUSED_PLACE, d.word[16:])
        d.look(Word.IP)
        m.next = "SEGMENT_IP_LOWER"
    with m.State("SEGMENT_IP_LOWER"):
        put(UNUSED_PLACE, d.word[:16])
        d.look(Word.MAC_LOW)
        m.next = "SEGMENT_MAC_LOW"
    with m.State("SEGMENT_MAC_LOW"):
        m.d.comb += transmitter.put_mac_low.eq(1)
        put(UNUSED_PLACE, d.own_ip[16:])
        d.look(Word.MAC_HIGH)
        m.next = "SEGMENT_MAC_HIGH"
    with m.State("SEGMENT_MAC_HIGH"):
        m.d.comb += transmitter.put_mac_high.eq(1)
        put(UNUSED_PLACE, d.own_ip[:16])
        d.look(Word.PORT)
        m.next = "SEGMENT_PORT"
    with m.State("SEGMENT_PORT"):
        put(1, d.word[:16])
        d.look(Word.RCV_NXT)
        m.next = "SEGMENT_ACK_UPPER"
    with m.State("SEGMENT_ACK_UPPER"):
        put(4, d.word[16:])
        m.d.sync += received.eq(d.word)
        d.look(Word.RCV_NXT)
        m.next = "SEGMENT_ACK_LOWER"
    with m.State("SEGMENT_ACK_LOWER"):
        put(5, d.word[:16])
        d.look(Word.CONSUMED)
        m.next = "SEGMENT_WINDOW"
    with m.State("SEGMENT_WINDOW"):
        put(7, Mux(is_reply, RECEIVE_BYTES, (RECEIVE_BYTES - (received - d.word[:10]))[:10]))
        m.next = "SEGMENT_SEQ_UPPER"
    with m.State("SEGMENT_SEQ_UPPER"):
        put(2, seq[16:])
        m.next = "SEGMENT_SEQ_LOWER"
    with m.State("SEGMENT_SEQ_LOWER"):
        put(3, seq[:16])
        m.next = "SEGMENT_FLAGS"
    with m.State("SEGMENT_FLAGS"):
        put(6, Cat(flags, C(0, 6), Mux(control.syn, C(6, 4), C(5, 4))))
        d.look(Word.MAC_HIGH)
        m.next = "SEGMENT_SOURCE"
    with m.State("SEGMENT_SOURCE"):
        put(0, d.word[16:])
        m.next = "SEGMENT_LENGTH"
    with m.State("SEGMENT_LENGTH"):
        put(UNUSED_PLACE, length + Mux(control.syn, HEADER_BYTES + 4 + TCP, HEADER_BYTES + TCP))
        m.next = "SEGMENT_GO"
        with m.If(control.syn):
            m.next = "SEGMENT_OPTION"
    with m.State("SEGMENT_OPTION"):
        put(10, 0x0204)
        m.next = "SEGMENT_OPTION_SIZE"
    with m.State("SEGMENT_OPTION_SIZE"):
        put(11, MAXIMUM_SEGMENT)
        m.next = "SEGMENT_GO"
    with m.State("SEGMENT_GO"):
        m.d.comb += [transmitter.go.eq(1), d.retransmitted.eq(again)]
        d.write(Word.SND_NXT, d.our_seq, sent_bytes, carry=fin, when=0)
        m.d.sync += [d.claimed.eq(0), control.acknowledge.eq(0), control.resend.eq(0)]
        with m.If(is_reply):
            m.next = "IDLE"
        with m.Elif(closed):
            d.free()
            m.next = "IDLE"
        with m.Else():
            m.d.comb += [d.sent.eq(~again & ((length != 0) | fin)), d.writes.eq(d.sent)]
            m.d.sync += control.fin_sent.eq(control.fin_sent | fin)
            d.look(Word.TIMER)
            m.next = "ARM"
    with m.State("ARM"):
        arms = ((unsent != 0) | fin) & ~control.armed
        d.write_timer(when=arms)
        m.d.sync += control.armed.eq(control.armed | arms)
        m.next = "TIME"
    with m.State("TIME"):
        times = ~again & ~control.timing & ((length != 0) | fin)
        d.write(Word.TIMED_SEQ, d.our_seq, sent_bytes, carry=fin, when=times)
        m.next = "WORK_DONE"
        with m.If(times):
            m.d.sync += control.timing.eq(1)
            m.next = "TIME_NOW"
    with m.State("TIME_NOW"):
        d.write(Word.TIMED_AT, d.this_moment)
        m.next = "WORK_DONE"
    with m.State("WORK_DONE"):
        d.write(Word.CONTROL, d.all_flags)
        m.next = "IDLE"
