"""Host-link transactions: each end reads what the other builds, and damage is never taken for an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_esf.crc import crc32c
from thermogen_esf.hostlink import LEAF_SLOTS, MAX_WRITE_WORDS, TURNAROUND_BYTES, Status
from thermogen_esf.hostlink_codec import (
    DamagedError,
    HostLinkFrameError,
    RefusedError,
    Request,
    RequestError,
    build_request,
    build_response,
    build_transaction,
    parse_request,
    parse_response,
    words,
)
from thermogen_esf.layout import LEAF_BYTES

WORD = st.integers(0, 0xFFFF)
REQUESTS = st.one_of(
    st.builds(Request.read, st.integers(0, 255), st.integers(0, 0x1FF), st.integers(1, 253)),
    st.builds(Request.write, st.integers(0, 255), st.integers(0, 0x1FF), st.lists(WORD, min_size=1, max_size=MAX_WRITE_WORDS)),
    st.builds(Request.leaf, st.integers(0, 255), st.integers(0, 2**32 - 1)),
)


def received(request: Request, response: bytes) -> bytes:
    """What the host sees: nothing of meaning, the answer, and zeros to the end of the transaction."""
    before = b"\xaa" * (len(build_request(request)) + TURNAROUND_BYTES)
    return (before + response).ljust(len(build_transaction(request)), b"\0")


def test_bytes_of_a_transaction_are_those_of_the_protocol() -> None:
    sent = build_transaction(Request.read(7, 0x100, 2))
    assert sent[:6].hex() == "010701000002"
    assert len(sent) == 6 + 4 + 4 + 2 + 4 + 4
    assert build_request(Request.write(8, 0x144, [1])).hex().startswith("02080144" + "0001" + "0001")
    assert build_request(Request.leaf(9, 130)).hex().startswith("03090002" + "0000")


@given(REQUESTS)
def test_a_node_reads_what_the_host_sends(request: Request) -> None:
    assert parse_request(build_transaction(request)) == request


@given(REQUESTS, st.data())
def test_the_host_reads_what_the_node_answers(request: Request, data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=request.data_bytes, max_size=request.data_bytes))
    assert parse_response(request, received(request, build_response(Status.OK, request.tag, content))) == content


@given(REQUESTS, st.sampled_from([status for status in Status if status is not Status.OK]))
def test_a_refusal_carries_its_status(request: Request, status: Status) -> None:
    with pytest.raises(RefusedError, match=status.name) as refused:
        parse_response(request, received(request, build_response(status, request.tag)))
    assert refused.value.status is status


@given(REQUESTS, st.data())
def test_a_flipped_bit_in_an_answer_is_never_data(request: Request, data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=request.data_bytes, max_size=request.data_bytes))
    answer = bytearray(build_response(Status.OK, request.tag, content))
    bit = data.draw(st.integers(0, 8 * len(answer) - 1))
    answer[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedError):
        parse_response(request, received(request, bytes(answer)))


@given(REQUESTS, st.data())
def test_a_flipped_bit_in_a_request_is_never_obeyed(request: Request, data: st.DataObject) -> None:
    sent = bytearray(build_transaction(request))
    bit = data.draw(st.integers(0, 8 * len(build_request(request)) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RequestError):
        parse_request(bytes(sent))


def test_an_answer_to_another_request_is_refused() -> None:
    request = Request.write(5, 0x144, [1])
    with pytest.raises(DamagedError, match="tag 4 instead of 5"):
        parse_response(request, received(request, build_response(Status.OK, 4)))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_request_or_a_typed_error(sent: bytes) -> None:
    try:
        parse_request(sent)
    except RequestError as error:
        assert error.status is not Status.OK


@given(REQUESTS, st.binary(max_size=600))
def test_any_bytes_are_an_answer_or_a_typed_error(request: Request, answer: bytes) -> None:
    with pytest.raises(HostLinkFrameError):
        parse_response(request, answer)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        ((9, 1, 0, 0), Status.BAD_OPCODE),
        ((3, 1, LEAF_SLOTS, 0), Status.BAD_ADDRESS),
        ((3, 1, 0, 1), Status.BAD_ADDRESS),
        ((2, 1, 0, 0), Status.BAD_ADDRESS),
        ((2, 1, 0, MAX_WRITE_WORDS + 1), Status.BAD_ADDRESS),
    ],
)
def test_a_whole_request_that_makes_no_sense_says_why(request_bytes: tuple[int, int, int, int], status: Status) -> None:
    opcode, tag, address, count = request_bytes
    head = bytes((opcode, tag)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
    with pytest.raises(RequestError) as refused:
        parse_request(head + crc32c(head).to_bytes(4, "big"))
    assert (refused.value.status, refused.value.tag) == (status, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Request.read(0, 0, 0),
        lambda: Request.read(0, 0xFFFF, 2),
        lambda: Request.write(0, 0, []),
        lambda: Request.write(0, 0, [0] * (MAX_WRITE_WORDS + 1)),
        lambda: Request.write(0, 0, [0x10000]),
        lambda: Request.write(0, 0, [-1]),
        lambda: build_response(Status.BUSY, 0, b"data"),
    ],
)
def test_our_own_mistakes_are_value_errors(make: object) -> None:
    with pytest.raises(ValueError):
        make()


def test_a_leaf_comes_from_the_slot_of_its_sequence() -> None:
    request = Request.leaf(1, 3 * LEAF_SLOTS + 5)
    assert request.address == 5 and request.data_bytes == LEAF_BYTES
    assert str(request) == "LEAF of slot 5"


def test_words_are_big_endian() -> None:
    assert words(bytes.fromhex("0001fffe")) == (1, 0xFFFE)
