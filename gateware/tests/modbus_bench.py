"""The half of `test_network_second_opinion.py` that cocotb runs inside the simulator: MODBUS requests in, answers out.

What is right is worked out here from the MODBUS application protocol V1.1b3 (section 6, with the state diagrams' order of exceptions) and
the messaging guide V1.0b (3.1). The server's two ports are driven as `ports.py` and `tcp_stream.py` say, and what they ask of the server is
held against it. Of the extensions, functions 8 and 17, nothing is asked.
"""

import json
import os
import random
import struct
from collections import Counter

import cocotb
from clock_bench import clock_and_reset
from cocotb.triggers import FallingEdge, ReadOnly

SEED, REQUESTS = 4, 450
MOST_CLOCKS = 2600
"""Without a byte taken or an answer given: more than 2,000 coils take."""
LENGTH_CLOCKS, WRITTEN_CLOCKS = 90, 160
MOST_PDU_BYTES = 253
COILS, DISCRETE_INPUTS, INPUT_REGISTERS, HOLDING_REGISTERS = range(4)
EXISTING = {COILS: 2048, DISCRETE_INPUTS: 2048, INPUT_REGISTERS: 300, HOLDING_REGISTERS: 300}
WRITABLE = {COILS: 2000, HOLDING_REGISTERS: 200}
BOUNDED, MOST = range(100, 120), 1000
"""Holding registers with a range, and its end."""
LAST = range(0xFFFA, 0x10000)
"""Addresses that are there at the end of each space, so that a range that went on at 0 would find something."""
READS = {1: (COILS, 2000), 2: (DISCRETE_INPUTS, 2000), 3: (HOLDING_REGISTERS, 125), 4: (INPUT_REGISTERS, 125)}
MOST_COILS, MOST_WRITTEN, MOST_WRITTEN_AND_READ = 1968, 123, 121
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY = 1, 2, 3, 6
OBJECTS = [text.encode() for text in json.loads(os.environ.get("IDENTIFICATION", "[]"))]
CLOSED = None
TO_BE_SEEN = {
    *((function, code) for function in READS for code in (0, ILLEGAL_ADDRESS, ILLEGAL_VALUE)),
    *((function, code) for function in (5, 6, 15, 16, 22, 23) for code in (0, ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE)),
    *((43, code) for code in (0, ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE)),
    (9, ILLEGAL_FUNCTION),
    (0, 0),
}
"""Function and exception (0: none), and (0, 0) for a connection that is closed: a run that lacks one of them shows too little."""


def exists(space, address):
    return address < EXISTING[space] or address in LAST


def changing(space, address, instant):
    """Inputs are others in every clock: a read that is not of one instant is seen."""
    word = address * 257 + instant
    return word >> 3 & 1 if space == DISCRETE_INPUTS else word & 0xFFFF


class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


def demand(condition, code):
    if not condition:
        raise Refused(code)


class Model:
    """A MODBUS server's data and what it answers. `writes` is what is refused of every write now (0: nothing)."""

    def __init__(self):
        self.stored = {COILS: {}, HOLDING_REGISTERS: {}}
        self.writes = 0

    def value(self, space, address, instant):
        return self.stored[space].get(address, 0) if space in self.stored else changing(space, address, instant)

    def refusal(self, space, address, value):
        if self.writes:
            return self.writes
        if address >= WRITABLE[space]:
            return ILLEGAL_ADDRESS
        return ILLEGAL_VALUE if space == HOLDING_REGISTERS and address in BOUNDED and value > MOST else 0

    def write(self, space, address, values):
        for at, value in enumerate(values):
            demand(not (code := self.refusal(space, address + at, value)), code)
        self.stored[space].update(enumerate(values, address))

    def words(self, space, address, quantity, instant):
        return struct.pack(f">{quantity}H", *(self.value(space, address + at, instant) for at in range(quantity)))

    def answer(self, adu, instant):
        """The answer to an ADU, or CLOSED; what it writes is written."""
        protocol, length = struct.unpack_from(">HH", adu, 2)
        if protocol or not 2 <= length <= MOST_PDU_BYTES + 1:
            return CLOSED
        try:
            pdu = adu[7:8] + self.data(adu[7], adu[8:], instant)
        except Refused as refused:
            pdu = bytes([adu[7] | 0x80, refused.code])
        return adu[:4] + struct.pack(">H", len(pdu) + 1) + adu[6:7] + pdu

    def data(self, function, data, instant):
        """What follows the function code. Raises Refused."""
        if function in READS:
            demand(len(data) == 4, ILLEGAL_VALUE)
            (space, most), (address, quantity) = READS[function], struct.unpack(">HH", data)
            read = self.read(space, address, quantity, most, instant)
            return bytes([len(read)]) + read
        if function == 5:
            demand(len(data) == 4, ILLEGAL_VALUE)
            address, value = struct.unpack(">HH", data)
            demand(value in (0, 0xFF00), ILLEGAL_VALUE)
            self.write(COILS, address, [value >> 15])
            return data
        if function == 6:
            demand(len(data) == 4, ILLEGAL_VALUE)
            address, value = struct.unpack(">HH", data)
            self.write(HOLDING_REGISTERS, address, [value])
            return data
        if function in (15, 16):
            return self.write_many(function, data)
        if function == 22:
            demand(len(data) == 6, ILLEGAL_VALUE)
            address, and_mask, or_mask = struct.unpack(">HHH", data)
            demand(exists(HOLDING_REGISTERS, address), ILLEGAL_ADDRESS)
            before = self.value(HOLDING_REGISTERS, address, instant)
            self.write(HOLDING_REGISTERS, address, [before & and_mask | or_mask & ~and_mask & 0xFFFF])
            return data
        if function == 23:
            return self.read_write(data, instant)
        if function == 43:
            return self.identify(data)
        raise Refused(ILLEGAL_FUNCTION)

    def read(self, space, address, quantity, most, instant):
        demand(1 <= quantity <= most, ILLEGAL_VALUE)
        self.all_exist(space, address, quantity)
        if space not in (COILS, DISCRETE_INPUTS):
            return self.words(space, address, quantity, instant)
        bits = sum(self.value(space, address + at, instant) << at for at in range(quantity))
        return bits.to_bytes(-(-quantity // 8), "little")

    def all_exist(self, space, address, quantity):
        demand(address + quantity <= 0x10000, ILLEGAL_ADDRESS)
        demand(all(exists(space, address + at) for at in range(quantity)), ILLEGAL_ADDRESS)

    def write_many(self, function, data):
        demand(len(data) >= 6, ILLEGAL_VALUE)
        address, quantity, count = struct.unpack_from(">HHB", data)
        values = data[5:]
        if function == 15:
            size, most, space = -(-quantity // 8), MOST_COILS, COILS
        else:
            size, most, space = 2 * quantity, MOST_WRITTEN, HOLDING_REGISTERS
        demand(1 <= quantity <= most and count == size == len(values), ILLEGAL_VALUE)
        demand(address + quantity <= 0x10000, ILLEGAL_ADDRESS)
        if space == COILS:
            bits = int.from_bytes(values, "little")
            self.write(space, address, [bits >> at & 1 for at in range(quantity)])
        else:
            self.write(space, address, struct.unpack(f">{quantity}H", values))
        return data[:4]

    def read_write(self, data, instant):
        demand(len(data) >= 11, ILLEGAL_VALUE)
        address, quantity, to, written, count = struct.unpack_from(">HHHHB", data)
        values = data[9:]
        demand(1 <= quantity <= 125 and 1 <= written <= MOST_WRITTEN_AND_READ, ILLEGAL_VALUE)
        demand(count == 2 * written == len(values), ILLEGAL_VALUE)
        demand(to + written <= 0x10000, ILLEGAL_ADDRESS)
        self.all_exist(HOLDING_REGISTERS, address, quantity)
        self.write(HOLDING_REGISTERS, to, struct.unpack(f">{written}H", values))
        return bytes([2 * quantity]) + self.words(HOLDING_REGISTERS, address, quantity, instant)

    def identify(self, data):
        demand(data, ILLEGAL_VALUE)
        demand(data[0] == 14, ILLEGAL_FUNCTION)
        demand(len(data) == 3 and 1 <= data[1] <= 4, ILLEGAL_VALUE)
        code, first = data[1], data[2]
        if code == 4:
            demand(first < len(OBJECTS), ILLEGAL_ADDRESS)
            numbers = range(first, first + 1)
        else:
            # What is not known begins anew, and extended is answered as far as there is something.
            last = 3 if code == 1 else len(OBJECTS)
            numbers = range(first if first < last else 0, last)
        told = b"".join(bytes([number, len(OBJECTS[number])]) + OBJECTS[number] for number in numbers)
        return bytes([14, code, 0x82, 0, 0, len(numbers)]) + told


class Requests:
    """Seeded requests: most of them right, and at and past every limit."""

    def __init__(self, seed):
        self._randomly = random.Random(seed)

    def _quantity(self, most):
        # Full ones are rare: they are long.
        return self._randomly.choices(
            [self._randomly.randint(1, min(most, 40)), most, most + 1, 0, self._randomly.randrange(0x10000)], [24, 3, 3, 2, 1]
        )[0]

    def _address(self, space, quantity):
        size = EXISTING[space]
        inside = self._randomly.randint(0, max(0, WRITABLE.get(space, size) - quantity))
        edge = max(0, size - quantity + self._randomly.randint(0, 1))
        last = max(0, 0x10000 - quantity + self._randomly.randint(-1, 1))
        anywhere = self._randomly.randrange(0x10000)
        return self._randomly.choices([inside, edge, min(last, 0xFFFF), anywhere], [9, 3, 3, 1])[0]

    def _data(self, function):
        randomly = self._randomly
        if function in READS:
            space, most = READS[function]
            quantity = self._quantity(most)
            return struct.pack(">HH", self._address(space, quantity), quantity)
        if function == 5:
            return struct.pack(">HH", self._address(COILS, 1), randomly.choice([0, 0xFF00, 0xFF00, 0xFF01, 1]))
        if function == 6:
            return struct.pack(">HH", self._address(HOLDING_REGISTERS, 1), randomly.randrange(0x10000))
        if function == 15:
            quantity = self._quantity(MOST_COILS)
            values = randomly.randbytes(min(-(-quantity // 8), 255))
            return struct.pack(">HHB", self._address(COILS, quantity), quantity, len(values)) + values
        if function == 16:
            quantity = self._quantity(MOST_WRITTEN)
            return struct.pack(">HH", self._address(HOLDING_REGISTERS, quantity), quantity) + self._values(quantity)
        if function == 22:
            return struct.pack(">HHH", self._address(HOLDING_REGISTERS, 1), randomly.randrange(0x10000), randomly.randrange(0x10000))
        if function == 23:
            quantity, written = self._quantity(125), self._quantity(MOST_WRITTEN_AND_READ)
            first, to = self._address(HOLDING_REGISTERS, quantity), self._address(HOLDING_REGISTERS, written)
            return struct.pack(">HHHH", first, quantity, to, written) + self._values(written)
        if function == 43:
            return bytes(
                [14 if randomly.random() < 0.9 else 13, randomly.choice([0, 1, 2, 3, 4, 4, 5]), randomly.randint(0, len(OBJECTS) + 1)]
            )
        return randomly.randbytes(randomly.randint(0, 8))

    def _values(self, quantity):
        """The byte count and as many words, small ones mostly."""
        words = [self._randomly.randrange(self._randomly.choice([MOST, MOST, 0x10000])) for _ in range(min(quantity, 127))]
        return struct.pack(f">B{len(words)}H", 2 * len(words), *words)

    def next(self):
        randomly = self._randomly
        unknown = randomly.choice([0, 7, 9, 24, 42, 44, 100, 128, 131, 255])
        function = randomly.choice([*READS, 5, 5, 6, 15, 15, 16, 16, 22, 22, 23, 23, 43, 43, unknown])
        data = self._data(function)
        if randomly.random() < 0.08:
            data = (
                data[: randomly.randrange(len(data))]
                if data and randomly.random() < 0.5
                else data + randomly.randbytes(randomly.randint(1, 3))
            )
        pdu = (bytes([function]) + data)[:MOST_PDU_BYTES]
        protocol, length = 0, len(pdu) + 1
        if randomly.random() < 0.04:
            protocol = randomly.choice([1, 0x100, 0xFFFF])
        if randomly.random() < 0.04:
            length = randomly.choice([0, 1, MOST_PDU_BYTES + 2, 0x100, 0x106, 0xFFFF])
        return struct.pack(">HHHB", randomly.randrange(0x10000), protocol, length, randomly.randrange(0x100)) + pdu


class Server:
    """The server's two ports, and what they promise each other. The memory behind the register port refuses what `model` does."""

    def __init__(self, dut, model, seed):
        self.dut, self.model, self._randomly = dut, model, random.Random(seed)
        self.stored = {COILS: {}, HOLDING_REGISTERS: {}}
        self.now, self.instant, self._open, self._staged = 0, None, False, []
        self._refusals = [0, 0]
        self.written, self._sure_since, self._length = {}, None, None
        self.peer_ip = 0

    async def begin(self):
        dut = self.dut
        pins = ("valid", "byte", "settled", "cancel", "peer_ip", "accepted")
        for pin in [getattr(dut, f"stream__{name}") for name in pins] + [
            dut.registers__data,
            dut.registers__exists,
            dut.registers__refusal,
        ]:
            pin.value = 0
        await clock_and_reset(dut)

    async def clock(self, *, valid=0, byte=0, settled=0, cancel=0, accepted=0):
        """One clock with this on the stream; whether the byte was taken, an answer held out, the end asked for."""
        dut = self.dut
        dut.stream__valid.value, dut.stream__byte.value, dut.stream__settled.value = valid, byte, settled
        dut.stream__cancel.value, dut.stream__accepted.value, dut.stream__peer_ip.value = cancel, accepted, self.peer_ip
        await ReadOnly()
        self.now += 1
        seen = bool(valid and dut.stream__ready.value), bool(dut.stream__answered.value), bool(dut.stream__close.value)
        if not cancel:
            self._watch_answer(settled)
        data = self._serve_registers(settled)
        await FallingEdge(dut.clk)
        dut.registers__data.value, dut.registers__exists.value, dut.registers__refusal.value = data
        return seen

    def _watch_answer(self, settled):
        dut = self.dut
        if dut.stream__restart.value:
            self.written = {}
        if dut.stream__sure.value and settled and self._sure_since is None:
            self._sure_since = self.now
        since = self._sure_since
        if dut.stream__write.value:
            assert since is None or self.now - since <= WRITTEN_CLOCKS, "written after the transmitter has passed"
            offset, word = int(dut.stream__offset.value), int(dut.stream__word.value)
            for place, value in [(offset, word >> 8), (offset + 1, word & 0xFF)][: 1 if dut.stream__single.value else 2]:
                assert place not in self.written, f"byte {place} is written twice"
                self.written[place] = value
        if since is not None and self.now - since >= LENGTH_CLOCKS:
            length = int(dut.stream__length.value)
            assert self._length in (None, length), "another length after it was sent"
            self._length = length

    def _serve_registers(self, settled):
        """What the register port shows in the next clock: data, exists, refusal."""
        dut = self.dut
        space, address = int(dut.registers__space.value), int(dut.registers__address.value)
        self._refusals.append(self._refusals[-1])
        begin, end, abort = (bool(pin.value) for pin in (dut.registers__begin, dut.registers__end, dut.registers__abort))
        assert begin + end + abort <= 1
        if begin:
            assert not self._open, "a request within a request"
            assert int(dut.registers__peer_ip.value) == self.peer_ip
            self._open, self.instant, self._staged, self._refusals = True, self.now, [], [0, 0, 0]
        if dut.registers__write.value:
            assert self._open, "a write outside of a request"
            value = int(dut.registers__value.value)
            self._staged.append((space, address, value))
            self._refusals[-1] = self._refusals[-1] or self.model.refusal(space, address, value)
        if end or abort:
            assert self._open, "the end of no request"
            self._open = False
        if end:
            assert settled, "made true before the frame was"
            if not self._refusals[-1]:
                for where, at, value in self._staged:
                    self.stored[where][at] = value
        self._refusals.pop(0)
        if self.instant is None:
            return 0, 0, 0
        value = self.stored[space].get(address, 0) if space in self.stored else changing(space, address, self.instant)
        return value, int(exists(space, address)), self._refusals[0]

    async def _show(self, data):
        """Hand bytes on in pieces, each with a frame that ends after it; whether the server asked for the end."""
        at, waited, piece = 0, 0, 0
        gaps = self._randomly.choice([0, 0, 0.3, 0.75])
        while at < len(data):
            if piece == 0:
                for _ in range(self._randomly.randint(0, 3) if at else 0):
                    await self.clock(settled=1)
                piece = self._randomly.choice([1, 6, 7, len(data)])
            valid = self._randomly.random() >= gaps
            taken, answered, close = await self.clock(valid=int(valid), byte=data[at] if valid else 0)
            assert not answered, "an answer before the request's end"
            if close:
                return True
            waited = 0 if taken else waited + 1
            assert waited < MOST_CLOCKS, f"byte {at} is not taken"
            at, piece = at + taken, piece - taken
        return False

    async def cancel(self, settled=0):
        await self.clock(cancel=1, settled=settled)
        assert not self._open, "cancelled, and the registers are still open"
        self._forget()
        for _ in range(self._randomly.randint(0, 2)):
            await self.clock()

    def _forget(self):
        self.written, self._sure_since, self._length, self.instant = {}, None, None, None

    async def ask(self, request, following):
        """The answer, or CLOSED. Visits may end before the request has been believed; `following` is there before it is asked for."""
        self._forget()
        self.peer_ip = self._randomly.getrandbits(32)
        while self._randomly.random() < 0.2:
            closes = await self._show(request[: self._randomly.randint(1, len(request))])
            await self.cancel(settled=0 if closes else self._randomly.randint(0, 1))
        if await self._show(request):
            return await self._end()
        for _ in range(self._randomly.choice([0, 1, 20, 200])):
            taken, answered, close = await self.clock(valid=1, byte=following)
            assert not taken and not answered, "an answer to a frame that is still on the wire"
            if close:
                return await self._end()
        for _ in range(MOST_CLOCKS):
            taken, answered, close = await self.clock(valid=1, byte=following, settled=1)
            assert not taken, "the next request is begun before this one is answered"
            if close:
                return await self._end()
            if answered:
                break
        else:
            raise AssertionError("no answer")
        for _ in range(self._randomly.randint(0, 5)):
            assert await self.clock(settled=1) == (False, True, False), "an answer is taken back"
        length = int(self.dut.stream__length.value)
        assert self._length in (None, length), "another length than was sent"
        assert sorted(self.written) == list(range(length)), "more or less is written than the answer"
        assert not self._open
        await self.clock(settled=1, accepted=1)
        return bytes(self.written[place] for place in range(length))

    async def _end(self):
        for _ in range(3):
            assert (await self.clock(settled=1))[2], "the end is no longer asked for"
        await self.cancel(settled=1)
        return CLOSED


@cocotb.test()
async def every_request_gets_the_answer_of_the_specification(dut):
    model, requests, seen = Model(), Requests(SEED), Counter()
    server = Server(dut, model, SEED)
    randomly = random.Random(SEED)
    await server.begin()
    request = requests.next()
    for number in range(REQUESTS):
        following = requests.next()
        model.writes = randomly.choices([0, ILLEGAL_FUNCTION, BUSY], [8, 3, 1])[0]
        answer = await server.ask(request, following[0])
        expected = model.answer(request, server.instant)
        assert answer == expected, f"{number}: {request.hex()} is answered {answer and answer.hex()}, not {expected and expected.hex()}"
        assert server.stored == model.stored, f"{number}: {request.hex()} wrote something else"
        seen[(0, 0) if answer is CLOSED else (answer[7] & 0x7F, answer[8] if answer[7] & 0x80 else 0)] += 1
        request = following
    lacking = TO_BE_SEEN - seen.keys()
    assert not lacking, f"no request was answered with {sorted(lacking)}"
