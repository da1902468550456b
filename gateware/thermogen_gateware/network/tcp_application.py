"""What the TCP state machine does for the application: visits of the connections that have something for it, its answers, its wish to
close.

Latency: from an answer to its place in the stream 4 clocks. Between a segment's good end and its answer the state machine waits for the
application at most AWAIT_CLOCKS, or for the answer that it has claimed the transmitter for.
"""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Module, Signal

from .tcp_datapath import TcpDatapath
from .tcp_segment import ADU_BYTES, RECEIVE_BYTES, TRANSMIT_BYTES, Word

AWAIT_CLOCKS = 64


def add_application(m: Module, d: TcpDatapath) -> Iterator[None]:
    """PREPARE: a segment on its way in is likely to be answered at once. VISIT, ANSWERED, EXHAUSTED and CLOSE: one visit."""
    visit, control, transmitter = d.visit, d.control, d.transmitter
    room = Signal()
    waiting, begins_at = Signal(RECEIVE_BYTES.bit_length()), Signal(range(RECEIVE_BYTES))
    waited = Signal(range(AWAIT_CLOCKS))

    m.d.comb += transmitter.claim.eq(d.prepared & visit.active & visit.stream.settled & visit.stream.sure & transmitter.idle)
    with m.If(transmitter.claim):
        m.d.sync += [d.prepared.eq(0), d.claimed.eq(1)]
    answer_bytes, request_bytes = d.right_operand(visit.stream.length), d.right_operand(visit.taken)

    yield
    with m.State("PREPARE"):
        d.look(Word.CONTROL)
        m.next = "PREPARE_CONTROL"
    with m.State("PREPARE_CONTROL"):
        d.look(Word.PORT)
        m.next = "PREPARE_PORT"
        with m.If(d.looked.closing | d.looked.resend | d.looked.acknowledge | d.looked.reset):
            m.next = "IDLE"
    with m.State("PREPARE_PORT"):
        d.look(Word.IP)
        m.next = "PREPARE_IP"
        with m.If(d.word[16:18] != 3):
            m.next = "IDLE"
    with m.State("PREPARE_IP"):
        m.d.comb += [transmitter.peer_word.eq(d.word), transmitter.put_ip.eq(1)]
        d.look(Word.MAC_LOW)
        m.next = "PREPARE_MAC_LOW"
    with m.State("PREPARE_MAC_LOW"):
        m.d.comb += transmitter.put_mac_low.eq(1)
        d.look(Word.MAC_HIGH)
        m.next = "PREPARE_MAC_HIGH"
    with m.State("PREPARE_MAC_HIGH"):
        m.d.comb += transmitter.put_mac_high.eq(1)
        m.next = "PREPARED"
    with m.State("PREPARED"):
        m.d.sync += waited.eq(0)
        with m.If(d.arrived):
            m.d.sync += d.prepared.eq(1)
            m.next = "ARRIVAL"
        with m.Elif(d.receiver.dropped | ~visit.active):
            m.next = "IDLE"
    with m.State("AWAIT"):
        m.d.sync += waited.eq(waited + 1)
        with m.If(visit.stream.answered & visit.active):
            m.d.sync += d.prepared.eq(0)
            m.next = "ANSWERED"
        with m.Elif(
            ~d.claimed & (~visit.active | visit.exhausted | visit.stream.close | (waited == AWAIT_CLOCKS - 1)) & ~transmitter.claim
        ):
            m.d.sync += d.prepared.eq(0)
            m.next = "IDLE"

    with m.State("VISIT"):
        m.d.sync += d.of(d.unread).eq(0)
        d.look(Word.CONTROL)
        m.next = "VISIT_CONTROL"
    with m.State("VISIT_CONTROL"):
        m.d.sync += control.eq(d.word)
        d.look(Word.SND_UNA)
        m.next = "VISIT_UNA"
    with m.State("VISIT_UNA"):
        m.d.sync += d.una.eq(d.word)
        d.look(Word.SND_END)
        m.next = "VISIT_END"
    with m.State("VISIT_END"):
        d.add(d.word_itself)
        m.d.sync += [d.end.eq(d.result), room.eq((d.word[:11] - d.una)[:11] <= TRANSMIT_BYTES - ADU_BYTES)]
        d.look(Word.RCV_NXT)
        m.next = "VISIT_RECEIVED"
    with m.State("VISIT_RECEIVED"):
        # Nobody wants it any more if we are closing: the window is to stay open for the peer's FIN.
        d.write(Word.CONSUMED, d.word_itself, when=control.closing)
        with m.If(control.peer_fin):
            d.add(d.minus_one)
        m.d.sync += d.ack.eq(d.result)
        d.look(Word.IP)
        m.next = "VISIT_IP"
        with m.If(control.closing):
            m.next = "VISIT_OVER"
        with m.Elif(~room):
            m.next = "VISIT_OVER"
    with m.State("VISIT_IP"):
        d.add(d.word_itself)
        m.d.sync += d.seq.eq(d.result)
        d.look(Word.CONSUMED)
        m.next = "VISIT_START"
    with m.State("VISIT_START"):
        m.d.sync += [waiting.eq(d.ack[:10] - d.word[:10]), begins_at.eq(d.word)]
        m.next = "VISIT_BEGIN"
    with m.State("VISIT_BEGIN"):
        with m.If(visit.active | d.receiver.expects):
            m.d.sync += d.of(d.unread).eq(1)
        with m.Elif((waiting != 0) | control.peer_fin):
            m.d.comb += [
                visit.start.eq(1),
                visit.start_live.eq(0),
                visit.start_connection.eq(d.place),
                visit.start_at.eq(begins_at),
                visit.available.eq(waiting),
                visit.peer_ip.eq(d.seq),
                visit.start_end.eq(d.end),
            ]
        m.next = "IDLE"
    with m.State("VISIT_OVER"):
        m.next = "IDLE"

    with m.State("ANSWERED"):
        d.look(Word.SND_END)
        m.next = "ANSWERED_END"
    with m.State("ANSWERED_END"):
        d.write(Word.SND_END, d.word_itself, answer_bytes)
        m.d.sync += d.end.eq(d.result)
        d.look(Word.CONSUMED)
        m.next = "ANSWERED_CONSUMED"
    with m.State("ANSWERED_CONSUMED"):
        d.write(Word.CONSUMED, d.word_itself, request_bytes)
        d.look(Word.SND_UNA)
        m.next = "ANSWERED_UNA"
    with m.State("ANSWERED_UNA"):
        m.d.comb += [visit.accept.eq(1), d.touched.eq(1)]
        m.d.sync += [room.eq((d.end - d.word[:11])[:11] <= TRANSMIT_BYTES - ADU_BYTES), d.of(d.work).eq(1)]
        m.next = "ANSWERED_ROOM"
    with m.State("ANSWERED_ROOM"):
        with m.If(~room):
            # It goes on when some of them are acknowledged.
            m.d.comb += [visit.stop.eq(1), d.touched.eq(1)]
        m.next = "IDLE"
        with m.If(d.claimed):
            m.next = "WORK"

    with m.State("EXHAUSTED"):
        d.look(Word.CONTROL)
        m.d.comb += [visit.stop.eq(1), d.touched.eq(1)]
        m.d.sync += d.of(d.work).eq(1)
        m.next = "EXHAUSTED_CONTROL"
    with m.State("EXHAUSTED_CONTROL"):
        # What came beside the visit is answered first.
        m.d.sync += [control.eq(d.word), control.closing.eq(d.looked.closing | (d.looked.peer_fin & ~d.of(d.unread)))]
        m.next = "VISIT_SAVE"
    with m.State("CLOSE"):
        d.look(Word.CONTROL)
        m.d.comb += [visit.stop.eq(1), d.touched.eq(1)]
        m.d.sync += [d.of(d.work).eq(1), d.of(d.unread).eq(1)]
        m.next = "CLOSE_CONTROL"
    with m.State("CLOSE_CONTROL"):
        m.d.sync += [control.eq(d.word), control.closing.eq(1), d.of(d.deaf).eq(1)]
        m.next = "VISIT_SAVE"
    with m.State("VISIT_SAVE"):
        d.write(Word.CONTROL, d.all_flags)
        m.next = "IDLE"
