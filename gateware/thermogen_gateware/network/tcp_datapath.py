"""What the steps of the TCP state machine work on: the connections' words, the registers that hold some of them, and the other parts."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Signal, Value

from .tcp_cookie import TcpCookie
from .tcp_receive import TcpReceiver
from .tcp_segment import CONTROL, PLACES, RTT, TIMER, Word
from .tcp_transmit import TcpTransmitter
from .tcp_visit import TcpVisit

MOST_RETRIES = 7


class TcpTiming:
    """The server's times, in ticks."""

    def __init__(self, ticks_per_second: int, keep_alive_s: float = 30):
        def ticks(seconds: float) -> int:
            return max(1, round(seconds * ticks_per_second))

        self.first_timeout = ticks(1)
        self.least_timeout = ticks(0.25)
        self.most_timeout = ticks(8)
        self.keep_alive = tuple(ticks(keep_alive_s + probe * keep_alive_s / 6) for probe in range(4))
        """Silence after which the first probe is sent, the next ones, and after which the connection is given up."""
        self.cookie_shift = ticks(16).bit_length()
        """A handshake is good for one to two times two to the power of this many ticks."""
        self.longest_sample = ticks(40)


class TcpDatapath:
    """`place` is the connection that the present step is about, `word` what was looked at in the clock before."""

    def __init__(self, m: Module, connections: int, timing: TcpTiming, receiver: TcpReceiver, visit: TcpVisit, transmitter: TcpTransmitter):
        self.m = m
        self.connections = connections
        self.timing = timing
        self.receiver, self.visit, self.transmitter = receiver, visit, transmitter
        self.segment = receiver.segment
        self.own_ip = Signal(32)
        m.submodules.cookie = self.cookie = TcpCookie()

        self.address, self.word = Signal(8), Signal(32)
        self.writes, self.write_address, self.write_word = Signal(), Signal(8), Signal(32)
        self.place = Signal(4)
        self.control = Signal(CONTROL)
        self.looked, self.timer, self.rtt = CONTROL(self.word[: CONTROL.size]), TIMER(self.word), RTT(self.word)
        m.d.comb += self.write_address[4:].eq(self.place)
        # The one adder of 32 bits; what is written comes of it.
        self.left, self.right, self.carry = Signal(32), Signal(32), Signal()
        self.result = Signal(32)
        m.d.comb += [self.result.eq(self.left + self.right + self.carry), self.write_word.eq(self.result)]
        self.frees = Signal()
        self.accepted, self.refused, self.retransmitted = Signal(), Signal(), Signal()

        self.now = Signal(32)
        self.used = Signal(connections)
        self.work, self.unread = Signal(PLACES), Signal(connections)
        self.arrived = Signal()
        self.stale, self.touched = Signal(), Signal()
        self.prepared, self.claimed = Signal(), Signal()
        self.tick_place = Signal(range(connections + 1), init=connections)

        # Sequence numbers, and what the next segment is.
        self.seq, self.ack, self.irs = Signal(32), Signal(32), Signal(32)
        self.una, self.end = Signal(11), Signal(11)

    def look(self, word: Word, place: Value | None = None) -> None:
        """Have the word there in the next clock."""
        self.m.d.comb += self.address.eq(Cat(C(word, 4), self.place if place is None else place))

    def add(self, left: Value, right: Value | int = 0, carry: Value | int = 0) -> None:
        """Have `result` in this clock."""
        self.m.d.comb += [self.left.eq(left), self.right.eq(right), self.carry.eq(carry)]

    def subtract(self, left: Value, right: Value) -> None:
        """Have the difference as `result` in this clock."""
        self.add(left, ~right, 1)

    def write(self, word: Word | Value, left: Value, right: Value | int = 0, carry: Value | int = 0) -> None:
        """Keep a word of the connection."""
        self.m.d.comb += [self.writes.eq(1), self.write_address[:4].eq(word)]
        self.add(left, right, carry)

    def write_timer(self, timeout: Value) -> None:
        """Start the retransmission timer."""
        self.write(Word.TIMER, Cat(C(0, 16), self.now[:16]), Cat(timeout[:16], timeout[:16]))

    def of(self, flags: Signal, place: Value | None = None) -> Value:
        """A connection's flag."""
        return flags.bit_select(self.place if place is None else place, 1)

    def free(self) -> None:
        """Give the connection's place away."""
        self.m.d.comb += self.frees.eq(1)
