"""What the steps of the TCP state machine work on: the connections' words, the registers that hold some of them, and the other parts."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value

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
        # The one adder of 32 bits; what is written comes of it, and all long registers. Each operand is the OR of what it may be, of which
        # a state selects one, or none for 0: a multiplexer along the states, as they are written, is several times larger.
        self.left, self.right, self.carry = Signal(32), Signal(32), Signal()
        self.result = Signal(32)
        m.d.comb += [self.result.eq(self.left + self.right + self.carry), self.write_word.eq(self.result)]
        self._lefts: list[Value] = []
        self._rights: list[Value] = []
        self.frees = Signal()
        self.accepted, self.refused, self.retransmitted = Signal(), Signal(), Signal()

        self.now = Signal(32)
        self.used = Signal(connections)
        self.work, self.unread = Signal(PLACES), Signal(connections)
        # What still comes for the application is passed over: we close, or its peer has closed.
        self.deaf = Signal(connections)
        # `arrived`: a segment is to be acted on; `read_along`: the visit has read it as it came in.
        self.arrived, self.read_along = Signal(), Signal()
        self.stale, self.touched, self.sent = Signal(), Signal(), Signal()
        self.prepared, self.claimed = Signal(), Signal()
        self.tick_place = Signal(range(connections + 1), init=connections)

        # Sequence numbers, and what the next segment is.
        self.seq, self.ack, self.irs = Signal(32), Signal(32), Signal(32)
        self.una, self.end = Signal(11), Signal(11)

        self.timeout = Signal(16)
        m.d.comb += self.timeout.eq(self.timer.timeout)

        segment = self.segment
        self.word_itself = self.left_operand(self.word)
        self.not_word = self.right_operand(~self.word)
        self.minus_one = self.right_operand(C(0xFFFFFFFF, 32))
        self.this_moment = self.left_operand(self.now)
        self.our_seq = self.left_operand(self.seq)
        self.our_ack = self.left_operand(self.ack)
        self.their_seq = self.left_operand(segment.seq)
        self.their_ack = self.left_operand(segment.ack)
        self.all_flags = self.left_operand(self.control)
        self.upper_moment = self.left_operand(Cat(C(0, 16), self.now[:16]))
        self.timeout_twice = self.right_operand(Cat(self.timeout, self.timeout))

    def left_operand(self, value: Value) -> Signal:
        """Have the adder's left side take a value whenever the signal returned is high."""
        select = Signal()
        self._lefts.append(Mux(select, value, 0))
        return select

    def right_operand(self, value: Value) -> Signal:
        """Have the adder's right side take a value whenever the signal returned is high."""
        select = Signal()
        self._rights.append(Mux(select, value, 0))
        return select

    def connect_operands(self) -> None:
        """When all of them are known."""
        self.m.d.comb += [self.left.eq(reduce(or_, self._lefts)), self.right.eq(reduce(or_, self._rights))]

    def look(self, word: Word, place: Value | None = None) -> None:
        """Have the word there in the next clock."""
        self.m.d.comb += self.address.eq(Cat(C(word, 4), self.place if place is None else place))

    def add(self, *operands: Signal, carry: Value | int = 0) -> None:
        """Have the sum of the operands, at most one of either side, as `result` in this clock."""
        self.m.d.comb += [operand.eq(1) for operand in operands]
        self.m.d.comb += self.carry.eq(carry)

    def subtract_word(self, left: Signal) -> None:
        """Have an operand less `word` as `result` in this clock."""
        self.add(left, self.not_word, carry=1)

    def write(self, word: Word | Value, *operands: Signal, carry: Value | int = 0, when: Value | int = 1) -> None:
        """Keep the sum of the operands as a word of the connection."""
        self.m.d.comb += [self.writes.eq(when), self.write_address[:4].eq(word)]
        self.add(*operands, carry=carry)

    def write_timer(self, when: Value | int = 1) -> None:
        """Start the retransmission timer, with `timeout`."""
        self.write(Word.TIMER, self.upper_moment, self.timeout_twice, when=when)

    def of(self, flags: Signal, place: Value | None = None) -> Value:
        """A connection's flag."""
        return flags.bit_select(self.place if place is None else place, 1)

    def free(self) -> None:
        """Give the connection's place away."""
        self.m.d.comb += self.frees.eq(1)
