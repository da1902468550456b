"""What has to hold of the receive buffer as the application reads it, whatever engine, receiver and application do."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from .mutant import Mutant
from .proof import Property
from .spec import Spec, internal

CONNECTIONS = 2
RECEIVE_BITS = 9
MOST_COUNTED = 1023


class OnlyWhatWasReceived(Spec):
    """No byte is handed on that was neither there when the visit began nor stored since; each is the one that lies at its position."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp_visit import TcpVisit

        visit = TcpVisit(CONNECTIONS)
        inside = self.around(visit)
        stream = visit.stream
        # Counted from outside: bytes that were there or came, and bytes that were handed on.
        received, handed, start = Signal(11), Signal(11), Signal(RECEIVE_BITS)
        hands_on = stream.valid & stream.ready
        with m.If(visit.start):
            m.d.sync += [received.eq(visit.available + (visit.start_live & visit.store)), handed.eq(0), start.eq(visit.start_at)]
        with m.Else():
            m.d.sync += [received.eq(received + (visit.live & visit.store)), handed.eq(handed + hands_on)]
        # The engine never has more than a window of 512 bytes there; a visit with more than its counter holds is no visit.
        counted = Signal()
        with m.If(visit.start):
            m.d.sync += counted.eq(visit.available != MOST_COUNTED)
        with m.Elif((received == MOST_COUNTED) & visit.live & visit.store):
            m.d.sync += counted.eq(0)

        left, position = internal(inside, "left"), internal(inside, "position")
        fetched = internal(inside, "fetched")
        self.always(~counted | (received <= MOST_COUNTED), "counts more than it can")
        self.always(
            ~counted | ((left == (received - handed)[:10]) & (handed <= received)), "left is not what was received and not handed on"
        )
        self.always(~counted | (position == (start + handed)[:RECEIVE_BITS]), "reads at another position")
        self.always(~(counted & fetched) | (left != 0), "fetched before it was there")
        self.always(~fetched | visit.active, "fetched without a visit")
        self.always(~(counted & stream.valid) | (handed < received), "a byte is shown that was not received")
        self.possible(counted & hands_on & (handed + 1 == received))


PROPERTIES = (
    Property(
        name="receive_buffer_read",
        core="network/tcp_visit",
        says="No byte is shown to the application that was neither there when its visit began nor stored since; "
        "what is left is what was received and not handed on, and lies at the positions that follow the visit's first.",
        parameters=f"{CONNECTIONS} connections",
        spec=OnlyWhatWasReceived,
        mutant=Mutant(
            "a byte is shown when none is left",
            "network.tcp_visit",
            "self.active & (left != 0) & ~hands_on",
            "self.active & ~hands_on",
        ),
        depth=2,
        reach=6,
    ),
)
