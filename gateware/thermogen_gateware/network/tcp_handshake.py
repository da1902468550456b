"""What the TCP state machine does with a segment that belongs to no connection: handshakes that take no place until they are complete.

Reference: RFC 9293 sections 3.10.7.1 and 3.10.7.2, RFC 4987 section 3.6. The answer to a SYN carries all there is to know of the attempt:
its sequence number is the keyed hash of who asks and when, with the class of the maximum segment size in its low two bits. A place is
taken when the number comes back; if there is none, the ordinary connection that has asked nothing for the longest time gives way.
Latency: at most 150 clocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Array, C, Cat, Module, Signal

from .tcp_datapath import TcpDatapath
from .tcp_segment import CONTROL, EVICTED, MODBUS_PORT, REPLY, Flag, Word

_NEW = (
    Word.IP,
    Word.PORT,
    Word.MAC_LOW,
    Word.MAC_HIGH,
    Word.RCV_NXT,
    Word.CONSUMED,
    Word.SND_UNA,
    Word.SND_NXT,
    Word.SND_END,
    Word.CONTROL,
    Word.TIMER,
    Word.HEARD,
    Word.ASKED,
)
_MOVED = (Word.IP, Word.PORT, Word.MAC_LOW, Word.MAC_HIGH, Word.SND_NXT, Word.RCV_NXT)
MOST_PREFERRED = 8


def add_handshake(m: Module, d: TcpDatapath, preferred) -> Iterator[None]:
    """From STRAY to IDLE. `preferred` are the addresses that never give way; 0 is none."""
    segment, cookie, control = d.segment, d.cookie, d.control
    flags = segment.flags
    fin, syn, rst, ack = (((flags & flag).any()) for flag in (Flag.FIN, Flag.SYN, Flag.RST, Flag.ACK))
    completes = Signal()
    earlier = Signal()
    limit = Signal(2)
    claimed = Signal(32)
    candidate, best, best_age = Signal(range(d.connections + 1)), Signal(range(d.connections)), Signal(32)
    available, evicts = Signal(), Signal()
    index = Signal(range(len(_NEW)))
    m.d.comb += [
        completes.eq(ack & ~syn & ~fin),
        cookie.word0.eq(segment.peer.ip),
        cookie.word1.eq(d.irs),
        cookie.word2.eq(Cat((d.now >> d.timing.cookie_shift)[:16] - earlier, segment.port)),
    ]
    is_preferred = Cat(d.word == address for address in preferred).any() & d.word.any()
    data_bytes = d.right_operand(segment.length)
    first_sequence = d.left_operand(Cat(limit, cookie.hash[2:]))
    identity = {
        Word.IP: d.left_operand(segment.peer.ip),
        Word.PORT: d.left_operand(Cat(segment.port, limit)),
        Word.MAC_LOW: d.left_operand(segment.peer.mac[:32]),
        Word.MAC_HIGH: d.left_operand(Cat(segment.peer.mac[32:], segment.local_port)),
    }
    first_timeout = d.left_operand(C(d.timing.first_timeout, 32))

    yield
    with m.State("STRAY"):
        with m.If(ack):
            d.add(d.their_ack)
        m.d.sync += d.seq.eq(d.result)
        m.next = "STRAY_ACK"
    with m.State("STRAY_ACK"):
        d.add(d.their_seq, data_bytes, carry=fin | syn)
        m.d.sync += [
            d.place.eq(REPLY),
            d.ack.eq(d.result),
            earlier.eq(0),
            candidate.eq(0),
            available.eq(0),
            evicts.eq(1),
            best_age.eq(0),
            limit.eq(segment.limit),
            control.eq(CONTROL.const({"reset": 1})),
            index.eq(0),
        ]
        with m.If(rst | (syn & fin)):
            m.d.sync += d.arrived.eq(0)
            m.next = "IDLE"
        with m.Elif((segment.local_port == MODBUS_PORT) & (completes | (syn & ~ack & ~fin))):
            m.next = "COOKIE_START"
        with m.Else():
            m.next = "NEW"
    with m.State("COOKIE_START"):
        d.add(d.their_seq)
        with m.If(completes):
            d.add(d.minus_one)
        m.d.sync += d.irs.eq(d.result)
        m.d.comb += cookie.start.eq(1)
        m.next = "COOKIE"
    with m.State("COOKIE"):
        d.add(d.their_ack, d.minus_one)
        # The hash takes its time: what it is compared with need not come through the adder in the same clock.
        m.d.sync += claimed.eq(d.result)
        with m.If(cookie.done):
            with m.If(~completes):
                m.next = "CANDIDATE"
            with m.Elif((cookie.hash ^ claimed)[2:] == 0):
                m.d.sync += limit.eq(claimed)
                m.next = "CANDIDATE"
            with m.Elif(~earlier):
                m.d.sync += earlier.eq(1)
                m.next = "COOKIE_EARLIER"
            with m.Else():
                m.next = "NEW"
    with m.State("COOKIE_EARLIER"):
        m.d.comb += cookie.start.eq(1)
        m.next = "COOKIE"

    # A free place, or the ordinary connection that has been idle for the longest time.
    with m.State("CANDIDATE"):
        d.look(Word.IP, candidate)
        m.next = "CANDIDATE_IP"
        with m.If(candidate == d.connections):
            m.next = "CHOSEN"
        with m.Elif(~d.of(d.used, candidate[:3])):
            m.d.sync += [best.eq(candidate), available.eq(1), evicts.eq(0)]
            m.next = "CHOSEN"
    with m.State("CANDIDATE_IP"):
        d.look(Word.ASKED, candidate)
        m.next = "CANDIDATE_AGE"
        with m.If(is_preferred):
            m.d.sync += candidate.eq(candidate + 1)
            m.next = "CANDIDATE"
    with m.State("CANDIDATE_AGE"):
        d.subtract_word(d.this_moment)
        m.d.sync += candidate.eq(candidate + 1)
        with m.If(~available | (d.result > best_age)):
            m.d.sync += [best.eq(candidate), best_age.eq(d.result), available.eq(1)]
        m.next = "CANDIDATE"
    with m.State("CHOSEN"):
        m.next = "NEW"
        with m.If(available & ~completes):
            d.add(first_sequence)
            m.d.sync += [control.eq(CONTROL.const({"syn": 1})), d.seq.eq(d.result)]
        with m.Elif(available & evicts & d.work[EVICTED]):
            # The reset of the one evicted before is not sent yet: the client's request completes the handshake again.
            m.d.sync += d.arrived.eq(0)
            m.next = "IDLE"
        with m.Elif(available):
            d.add(d.their_seq)
            m.d.sync += [
                d.place.eq(best),
                d.ack.eq(d.result),
                control.eq(CONTROL.const({})),
                control.window.eq(segment.window),
            ]
            with m.If(evicts):
                m.d.sync += [d.place.eq(EVICTED), control.eq(CONTROL.const({"reset": 1}))]
                m.next = "EVICT"

    # Its reset is sent from a place of its own.
    with m.State("EVICT"):
        with m.Switch(index):
            for at, word in enumerate(_MOVED):
                with m.Case(at):
                    d.look(word, best)
        m.d.sync += index.eq(index + 1)
        with m.If(index != 0):
            d.write(Array(C(word, 4) for word in _MOVED)[index - 1], d.word_itself)
        with m.If(index == len(_MOVED)):
            m.next = "EVICTED"
    with m.State("EVICTED"):
        d.write(Word.CONTROL, d.all_flags)
        m.d.sync += [
            d.of(d.work).eq(1),
            d.place.eq(best),
            index.eq(0),
            control.eq(CONTROL.const({})),
            control.window.eq(segment.window),
        ]
        with m.If(d.visit.active & (d.visit.connection == best)):
            m.d.comb += d.visit.stop.eq(1)
        m.next = "NEW"

    with m.State("NEW"):
        values = {
            **identity,
            Word.RCV_NXT: d.our_ack,
            Word.CONSUMED: d.our_ack,
            Word.SND_UNA: d.our_seq,
            Word.SND_NXT: d.our_seq,
            Word.SND_END: d.our_seq,
            Word.CONTROL: d.all_flags,
            Word.TIMER: first_timeout,
            Word.HEARD: d.this_moment,
            Word.ASKED: d.this_moment,
        }
        with m.Switch(index):
            for at, word in enumerate(_NEW):
                with m.Case(at):
                    d.write(word, values[word])
        m.d.sync += index.eq(index + 1)
        with m.If(index == len(_NEW) - 1):
            m.d.sync += d.arrived.eq(0)
            with m.If(d.place == REPLY):
                m.d.sync += d.of(d.work).eq(1)
                m.d.comb += d.refused.eq(control.reset)
            with m.Else():
                m.d.comb += [d.stale.eq(1), d.accepted.eq(1)]
                m.d.sync += [d.of(d.used).eq(1), d.of(d.unread).eq(0), d.of(d.work).eq(0), d.of(d.deaf).eq(0)]
            m.next = "IDLE"
