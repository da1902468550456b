"""What the TCP state machine does with a connection at each tick: retransmission, its end, keep-alive.

Reference: RFC 6298 section 5 (5.4 to 5.6), RFC 9293 sections 3.8.3 and 3.8.4. Latency: 6 clocks a connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Module, Mux, Signal

from .comparison import exceeds
from .tcp_datapath import MOST_RETRIES, TcpDatapath
from .tcp_segment import Word

CHALLENGE_TICKS = 16
"""A connection gets one challenge ACK in so many ticks: a limit for all together would tell an attacker about others (CVE-2016-5696)."""


def add_timers(m: Module, d: TcpDatapath) -> Iterator[None]:
    """From TICK to IDLE."""
    control = d.control
    overdue, timeout, age = Signal(), Signal(16), Signal(32)
    silent = Signal()
    for index, ticks in enumerate(d.timing.keep_alive):
        with m.If(control.probes == index):
            m.d.comb += silent.eq(exceeds(age, ticks - 1))

    yield
    with m.State("TICK"):
        d.look(Word.CONTROL)
        m.next = "TICK_CONTROL"
    with m.State("TICK_CONTROL"):
        m.d.sync += control.eq(d.word)
        d.look(Word.TIMER)
        m.next = "TICK_TIMER"
    with m.State("TICK_TIMER"):
        # The upper half is one less than the time since the deadline, whose sign it is that counts.
        d.add(d.upper_moment, d.not_word)
        since = d.result[16:]
        m.d.sync += [overdue.eq(~(since[15] ^ since[:15].all())), timeout.eq(d.timer.timeout)]
        d.look(Word.HEARD)
        m.next = "TICK_HEARD"
    with m.State("TICK_HEARD"):
        d.subtract_word(d.this_moment)
        m.d.sync += age.eq(d.result)
        m.next = "TICK_DECIDE"
    with m.State("TICK_DECIDE"):
        doubled = Mux(exceeds(timeout, d.timing.most_timeout // 2), d.timing.most_timeout, timeout << 1)
        expired = control.armed & overdue
        m.d.comb += d.timeout.eq(doubled)
        d.write_timer(when=expired)
        with m.If(expired):
            m.d.sync += [d.of(d.work).eq(1), control.timing.eq(0)]
            with m.If(control.retries == MOST_RETRIES):
                m.d.sync += control.reset.eq(1)
            with m.Else():
                m.d.sync += [control.retries.eq(control.retries + 1), control.resend.eq(1)]
        with m.Elif(~control.armed & silent):
            m.d.sync += d.of(d.work).eq(1)
            with m.If((control.probes == 3) | control.fin_sent):
                m.d.sync += control.reset.eq(1)
            with m.Else():
                m.d.sync += [control.probes.eq(control.probes + 1), control.resend.eq(1)]
        with m.If(d.now[: CHALLENGE_TICKS.bit_length() - 1] == 0):
            m.d.sync += control.challenged.eq(0)
        m.next = "TICK_END"
    with m.State("TICK_END"):
        d.write(Word.CONTROL, d.all_flags)
        m.next = "IDLE"
