"""What the TCP state machine does with a segment of a connection.

Reference: RFC 9293 section 3.10.7.4, RFC 5961 sections 3 to 5, RFC 6298 section 2. All comparisons were made while the segment came in;
here the connection's words are brought up to date. Latency: 13 clocks. A word of the RAM comes late in its clock: what is made of it
goes through one sum, or into a register, and no further.
"""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Cat, Module, Mux, Signal, signed

from .comparison import exceeds
from .tcp_datapath import TcpDatapath
from .tcp_segment import Flag, Word


def add_arrival(m: Module, d: TcpDatapath) -> Iterator[None]:
    """From ARRIVAL to SETTLE or IDLE."""
    segment, control = d.segment, d.control
    fin, fin_taken, taken = Signal(), Signal(), Signal(11)
    sampled = Signal()
    visited = Signal()
    sample, elapsed = Signal(16), Signal(32)
    smoothed, variation = Signal(16), Signal(16)
    estimate, measured_timeout = Signal(17), Signal(16)
    error, distance = Signal(signed(17)), Signal(16)
    m.d.comb += [
        fin.eq((segment.flags & Flag.FIN).any()),
        fin_taken.eq(fin & segment.complete & ~control.peer_fin),
        taken.eq(Mux(control.peer_fin, 0, segment.taken)),
        visited.eq(d.read_along & d.visit.active & (d.visit.connection == segment.connection)),
        error.eq(sample - smoothed[3:]),
        # Less one where the error is negative.
        distance.eq(error ^ error[16].replicate(16)),
        estimate.eq(smoothed[3:] + variation),
    ]
    taken_bytes = d.right_operand(taken)
    estimates = d.left_operand(Cat(smoothed, variation))

    yield
    with m.State("ARRIVAL"):
        m.next = "JUDGE"
        d.look(Word.CONTROL)
    with m.State("JUDGE"):
        m.d.sync += control.eq(d.word)
        d.look(Word.TIMED_SEQ)
        m.next = "ARRIVAL_END"
        challenges = Signal()
        with m.If((segment.flags & Flag.RST).any()):
            with m.If(segment.offset_zero):
                d.free()
                m.d.sync += d.arrived.eq(0)
                m.next = "IDLE"
            with m.Else():
                m.d.comb += challenges.eq(segment.in_window)
        with m.Elif((segment.flags & Flag.SYN).any()):
            m.d.comb += challenges.eq(1)
        with m.Elif(~segment.in_order):
            m.d.sync += [control.acknowledge.eq(1), d.of(d.work).eq(1)]
        with m.Elif((segment.flags & Flag.ACK).any()):
            m.d.comb += challenges.eq(segment.ack_wrong)
            with m.If(~segment.ack_wrong):
                m.next = "HEARD"
        with m.If(challenges):
            m.next = "CHALLENGE"
    with m.State("CHALLENGE"):
        with m.If(~control.challenged):
            m.d.sync += [control.challenged.eq(1), control.acknowledge.eq(1), d.of(d.work).eq(1)]
        m.next = "ARRIVAL_END"
    with m.State("HEARD"):
        d.subtract_word(d.their_ack)
        m.d.sync += sampled.eq(control.timing & segment.ack_new & ~d.result[31])
        d.look(Word.TIMED_AT)
        m.next = "ELAPSED"
    with m.State("ELAPSED"):
        d.subtract_word(d.this_moment)
        m.d.sync += elapsed.eq(d.result)
        m.next = "HEARD_NOW"
    with m.State("HEARD_NOW"):
        m.d.sync += sample.eq(Mux(exceeds(elapsed, d.timing.longest_sample), d.timing.longest_sample, elapsed))
        # After our FIN its acknowledgement counts alone: whatever else the peer goes on sending, FIN-WAIT-2 ends.
        d.write(Word.HEARD, d.this_moment, when=~control.fin_sent | segment.ack_new)
        d.look(Word.RCV_NXT)
        m.next = "SEQUENCE"
    with m.State("SEQUENCE"):
        d.write(Word.RCV_NXT, d.word_itself, taken_bytes, carry=fin_taken)
        d.look(Word.RTT)
        m.next = "MEASURE"
    with m.State("MEASURE"):
        m.d.sync += [smoothed.eq(d.rtt.smoothed), variation.eq(d.rtt.variation)]
        d.write(Word.SND_UNA, d.their_ack, when=segment.ack_new)
        m.next = "SMOOTH"
    with m.State("SMOOTH"):
        with m.If(control.sampled):
            m.d.sync += [smoothed.eq(smoothed + error), variation.eq((variation - variation[2:])[:16] + distance + error[16])]
        with m.Else():
            m.d.sync += [smoothed.eq(sample << 3), variation.eq(sample << 1)]
        m.next = "RTT"
    with m.State("RTT"):
        d.write(Word.RTT, estimates, when=sampled)
        # RFC 6298 (2.3), in these units. A register of its own: through the adder of all words the way would be the longest of the node.
        m.d.sync += measured_timeout.eq(estimate)
        with m.If(~exceeds(estimate, d.timing.least_timeout)):
            m.d.sync += measured_timeout.eq(d.timing.least_timeout)
        with m.Elif(exceeds(estimate, d.timing.most_timeout)):
            m.d.sync += measured_timeout.eq(d.timing.most_timeout)
        d.look(Word.TIMER)
        with m.If(sampled):
            m.d.sync += [control.sampled.eq(1), control.timing.eq(0)]
        m.d.sync += [
            control.probes.eq(0),
            control.acknowledge.eq(control.acknowledge | (segment.length != 0) | fin),
            control.peer_fin.eq(control.peer_fin | fin_taken),
        ]
        with m.If(fin_taken):
            m.d.sync += d.of(d.deaf).eq(1)
        with m.If(segment.ack_new | (segment.offset_zero & ~segment.ack_old)):
            m.d.sync += control.window.eq(segment.window)
        with m.If(segment.ack_new):
            # What was sent once more has come; what was sent after it may be lost as well.
            m.d.sync += [
                control.retries.eq(0),
                control.armed.eq(~segment.ack_all),
                control.resend.eq((control.retries != 0) & ~segment.ack_all),
            ]
        with m.Elif(segment.window == 0):
            m.d.sync += control.retries.eq(0)
        with m.Elif((control.window == 0) & segment.offset_zero & ~segment.ack_all):
            # The byte that asked for the window was not taken.
            m.d.sync += control.resend.eq(1)
        m.next = "TIMER"
    with m.State("TIMER"):
        # What was backed off stays so until a segment is measured again (Karn).
        with m.If(sampled):
            m.d.comb += d.timeout.eq(measured_timeout)
        d.write_timer(when=segment.ack_new)
        m.next = "ASKED"
    with m.State("ASKED"):
        d.write(Word.ASKED, d.this_moment, when=segment.taken != 0)
        m.d.sync += d.of(d.work).eq(1)
        with m.If(((segment.length != 0) | fin | segment.ack_new) & ~visited):
            m.d.sync += d.of(d.unread).eq(1)
        m.next = "ARRIVAL_END"
    with m.State("ARRIVAL_END"):
        d.write(Word.CONTROL, d.all_flags)
        m.d.sync += d.arrived.eq(0)
        m.next = "IDLE"
        with m.If(d.prepared | d.claimed):
            m.next = "AWAIT"
