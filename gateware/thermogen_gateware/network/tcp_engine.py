"""The TCP state machine: takes what is to be done one at a time, segments first.

Reference: RFC 9293; what of it is there and what is not is in docs/network.md. The steps are in tcp_arrival.py, tcp_handshake.py,
tcp_application.py, tcp_output.py and tcp_timers.py, each a generator that makes what surrounds its states, then its states; none is
longer than 160 clocks, and the next segment's verdict is at least 336 after the last one's.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from .tcp_application import add_application
from .tcp_arrival import add_arrival
from .tcp_datapath import TcpDatapath
from .tcp_handshake import add_handshake
from .tcp_output import add_output
from .tcp_segment import EVICTED, REPLY
from .tcp_timers import add_timers


def add_engine(m: Module, d: TcpDatapath, tick: Signal, preferred) -> None:
    """The state machine, in `m`."""
    receiver, visit, transmitter = d.receiver, d.visit, d.transmitter
    segment = d.segment
    turn, turn_place = Signal(range(EVICTED)), Signal(4)
    candidate = Signal()
    begins_live = receiver.expects & ~visit.active & ~d.of(d.deaf, segment.connection)

    m.d.comb += [
        receiver.used.eq(d.used),
        receiver.held.eq(d.arrived | receiver.arrived),
        receiver.stale.eq(d.stale),
        receiver.touched.eq(d.touched),
        receiver.sent.eq(d.sent & (d.place == segment.connection)),
        visit.arrived.eq(receiver.arrived),
        visit.dropped.eq(receiver.dropped),
        transmitter.claimed_length.eq(visit.answer_length),
        turn_place.eq(turn),
    ]
    with m.If(begins_live):
        m.d.comb += [
            visit.start.eq(1),
            visit.start_live.eq(1),
            visit.start_connection.eq(segment.connection),
            visit.start_at.eq(receiver.consumed),
            visit.available.eq(segment.rcv_nxt[:10] - receiver.consumed[:10]),
            visit.peer_ip.eq(segment.peer.ip),
            visit.start_end.eq(receiver.end),
        ]
        m.d.sync += candidate.eq(receiver.simple)
    with m.If(receiver.arrived | receiver.dropped | visit.stop):
        m.d.sync += candidate.eq(0)
    with m.If(receiver.arrived):
        m.d.sync += [d.arrived.eq(1), d.read_along.eq(visit.live)]
    with m.If(tick):
        m.d.sync += [d.now.eq(d.now + 1), d.tick_place.eq(0)]

    with m.If(d.frees):
        m.d.comb += d.stale.eq(1)
        m.d.sync += [d.of(d.used).eq(0), d.of(d.unread).eq(0), d.of(d.work).eq(0)]
        with m.If(visit.active & (visit.connection == d.place)):
            m.d.comb += visit.stop.eq(1)

    visiting = visit.active & (visit.connection == turn[:3]) & ~turn[3] & ~visit.answered_some
    parts = (add_arrival(m, d), add_handshake(m, d, preferred), add_application(m, d), add_output(m, d), add_timers(m, d))
    for part in parts:
        next(part)
    with m.FSM():
        with m.State("IDLE"):
            with m.If(d.arrived):
                m.d.sync += d.place.eq(segment.connection)
                m.next = "STRAY"
                # Its connection may have been given up since it came.
                with m.If(segment.found & d.of(d.used, segment.connection)):
                    m.next = "ARRIVAL"
            with m.Elif(visit.active & visit.stream.answered & visit.stream.settled):
                m.d.sync += d.place.eq(visit.connection)
                m.next = "ANSWERED"
            with m.Elif(visit.active & visit.stream.close & visit.stream.settled):
                m.d.sync += d.place.eq(visit.connection)
                m.next = "CLOSE"
            with m.Elif(visit.exhausted):
                m.d.sync += d.place.eq(visit.connection)
                m.next = "EXHAUSTED"
            with m.Elif(d.work[EVICTED] & transmitter.idle):
                # Before any handshake's answer: whoever has one finds the way free to evict.
                m.d.sync += d.place.eq(EVICTED)
                m.next = "WORK"
            with m.Elif(candidate & transmitter.idle & ~d.work.any()):
                m.d.sync += [candidate.eq(0), d.place.eq(segment.connection)]
                m.next = "PREPARE"
            with m.Elif(d.tick_place != d.connections):
                m.d.sync += [d.tick_place.eq(d.tick_place + 1), d.place.eq(d.tick_place)]
                with m.If(d.of(d.used, d.tick_place)):
                    m.next = "TICK"
            with m.Else():
                m.d.sync += [d.place.eq(turn), turn.eq(turn + 1)]
                with m.If(turn == REPLY):
                    m.d.sync += turn.eq(0)
                with m.If(~turn[3] & d.of(d.unread, turn[:3])), m.If(~visit.active & ~begins_live):
                    m.next = "VISIT"
                with m.Elif(d.of(d.work, turn) & transmitter.idle & ~visiting):
                    m.next = "WORK"
        for part in parts:
            next(part, None)
    d.connect_operands()
