"""What has to hold of a connection in use: it is on a timer, and only its peer can take back what that timer has counted.

One connection is followed through its words in the memory, whatever comes for it and for the other.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state, word
from .tcp_states import ARRIVAL, HANDSHAKE, SENDS, WORK, following

CONNECTIONS, FOLLOWED = 2, 1
_LOADED = (*WORK[2:], *SENDS, "ARM", "TIME", "TIME_NOW", "WORK_DONE", "VISIT_SAVE", "TICK_TIMER", "TICK_HEARD", "TICK_DECIDE")
"""States that hold the connection's CONTROL as it is kept, but for what they add; a segment of the peer may take back as well."""


class OnATimer(Spec):
    """At each tick the connection's timer runs on or counts one more; at the counters' end the connection is reset and given up."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp import TICKS_PER_SECOND, TcpServer
        from thermogen_gateware.network.tcp_datapath import MOST_RETRIES, TcpTiming
        from thermogen_gateware.network.tcp_handshake import _NEW
        from thermogen_gateware.network.tcp_segment import CONTROL, EVICTED, REPLY, TIMER, Word

        timing = TcpTiming(TICKS_PER_SECOND)
        core = TcpServer(clocks_per_tick=1000, connections=CONNECTIONS)
        inside = self.around(core)
        here = internal(inside, "place", "sync") == FOLLOWED
        control, now = CONTROL(internal(inside, "control", "sync")), internal(inside, "now", "sync")
        used, work = core.used[FOLLOWED], internal(inside, "work", "sync")[FOLLOWED]
        kept = CONTROL(word(inside, "words", Const(Word.CONTROL | FOLLOWED << 4, 8))[: CONTROL.size])
        timer = TIMER(word(inside, "words", Const(Word.TIMER | FOLLOWED << 4, 8)))
        reset = self.past(self.domain.rst)

        same = (control.retries == kept.retries) & (control.probes == kept.probes) & (control.reset == kept.reset)
        same &= (control.fin_sent == kept.fin_sent) | (control.fin_sent & state(inside, "ARM", "TIME", "TIME_NOW", "WORK_DONE"))
        holds = used & here & state(inside, *_LOADED)
        same &= (control.armed == kept.armed) | (control.armed & state(inside, "TIME", "TIME_NOW", "WORK_DONE"))
        self.always(~holds | same, "works on another word than the kept one")

        arrives = used & here & state(inside, *following("CHALLENGE", ARRIVAL))
        self.always(~arrives | (control.reset == kept.reset), "a segment takes the reset back")

        # What was counted, or armed, stays until a segment of the peer, or a new connection.
        peers = self.past(here & state(inside, "ARRIVAL_END", "NEW"))
        before = CONTROL(self.past(kept.as_value()))
        stays = (kept.retries >= before.retries) & (kept.probes >= before.probes)
        stays &= (kept.armed | ~before.armed) & (kept.reset | ~before.reset) & (kept.fin_sent | ~before.fin_sent)
        self.always(reset | ~used | peers | stays, "taken back without the peer")

        # The retransmission timer is never further away than its longest time; without it the keep-alive's patience is what counts.
        begun = state(inside, "NEW") & here & (internal(inside, "index", "sync") > _NEW.index(Word.TIMER))
        self.always(~(used | begun) | (timer.timeout <= timing.most_timeout), "a timeout longer than the longest")
        moved = used & ~reset & (timer.as_value() != self.past(timer.as_value())) & ~self.past(state(inside, "NEW"))
        self.always(~moved | (timer.deadline == (self.past(now[:16]) + timer.timeout)[:16]), "a deadline further away than its timeout")
        overdue = internal(inside, "overdue")
        since = (self.past(now[:16]) - timer.deadline)[:16]
        self.always(~(used & here & state(inside, "TICK_HEARD")) | (overdue == ~since[15]), "a deadline is taken for another")
        expired = (control.armed & overdue) | (~control.armed & internal(inside, "silent"))
        counted = self.past(used & here & state(inside, "TICK_DECIDE") & expired)
        more = (control.retries == kept.retries + 1) | (control.probes == kept.probes + 1) | control.reset
        ticked = used & here & state(inside, "TICK_END")
        self.always(~(ticked & counted) | (more & work), "a timer expired, and nothing was counted")
        last = (kept.armed & (kept.retries == MOST_RETRIES)) | (~kept.armed & ((kept.probes == 3) | kept.fin_sent))
        self.always(~(ticked & counted & last) | control.reset, "the last try was not the last")
        grows = (control.retries >= kept.retries) & (control.probes >= kept.probes) & (control.reset | ~kept.reset)
        self.always(~ticked | (grows & (control.armed == kept.armed) & (control.fin_sent == kept.fin_sent)), "a tick takes something back")
        self.always(~(ticked & control.reset) | kept.reset | work, "to be reset, and nobody does it")

        # A place that is taken anew has its words written one by one, and no order to reset among them.
        place, index = internal(inside, "place", "sync"), internal(inside, "index", "sync")
        for_nobody = (place == REPLY) & (index == 0)
        self.always(~state(inside, *HANDSHAKE) | for_nobody, "a handshake has a place before it is complete")
        self.always(~state(inside, "EVICT") | (place == EVICTED), "the reset of an evicted connection is another's")
        self.always(~state(inside, "EVICTED") | (place == EVICTED), "the reset of an evicted connection is another's")
        done = index > _NEW.index(Word.CONTROL)
        self.always(~(state(inside, "NEW") & here) | (~control.reset & ~(done & kept.reset)), "begins with a reset")

        # What is to be reset is: it waits for its turn, or has it and is given up at the end of it.
        closed = internal(inside, "closed", "sync")
        ends = here & closed & state(inside, "WORK_SENDS", *SENDS)
        self.always(~(used & kept.reset) | work | ends, "to be reset, and nobody does it")
        gone = self.past(used & here & state(inside, "SEGMENT_GO") & closed)
        self.always(reset | ~gone | ~used, "was reset, and is not given up")
        self.possible(ticked & counted & last)
        self.possible(gone)


PROPERTIES = (
    Property(
        name="tcp_on_a_timer",
        core="network/tcp",
        says="Every connection in use is on a timer at each tick: the retransmission's, never further away than 8 s, or the keep-alive's. "
        "At its expiry a try is counted that only a segment of the peer takes back; after the seventh retransmission, the third probe or "
        "a FIN that is not answered the connection is reset, which nothing takes back before its place is given up.",
        parameters=f"{CONNECTIONS} connections, the product's times, any segments and answers",
        spec=OnATimer,
        mutant=Mutant(
            "an unanswered FIN is probed for ever",
            "network.tcp_timers",
            "with m.If((control.probes == 3) | control.fin_sent):",
            "with m.If(control.probes == 3):",
        ),
        depth=3,
        reach=3,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
