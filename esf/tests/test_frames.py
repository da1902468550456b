"""Frames: whatever is encoded decodes to itself, and any bytes at all give a frame or an error that names its place."""

import json
import random
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thermogen_esf.crc import crc32c
from thermogen_esf.documents.examples import examples
from thermogen_esf.frames import (
    MAX_FRAME_BYTES,
    Acknowledgement,
    Alert,
    Batch,
    Channel,
    ChecksumError,
    Command,
    EncodeError,
    FieldError,
    Frame,
    FrameError,
    FrameFlag,
    FrameTypeError,
    Header,
    MagicError,
    OversizedError,
    Receipt,
    Severity,
    Telemetry,
    TrailingBytesError,
    TruncatedError,
    VersionError,
    decode,
    decode_batch_columns,
    encode,
    frame_hash,
    sign_frame,
    site_identity,
    split_capture,
    verify_frame,
)
from thermogen_esf.frames.declared import BODIES, HEADER, TELEMETRY
from thermogen_esf.layout import HEADER_BYTES, LEAF_BYTES, TELEMETRY_FIELDS
from thermogen_esf.points import POINT, TimeQuality
from thermogen_esf.signatures import SigningKey

VECTORS = json.loads((Path(__file__).parent / "vectors" / "frames.json").read_text())
WORKED = {frame.type.name.lower(): frame for frame in examples()}
NAMES = list(WORKED)
SOME = settings(
    max_examples=25,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def with_crc(data: bytes) -> bytes:
    return data + crc32c(data).to_bytes(4, "big")


def resealed(data: bytes, offset: int, changed: bytes) -> bytes:
    """The frame with some bytes changed and its CRC made right again."""
    return with_crc(data[:offset] + changed + data[offset + len(changed) : -4])


def relengthed(data: bytes) -> bytes:
    """Bytes without their CRC as a frame whose length and CRC are right."""
    return with_crc(data[:4] + (len(data) + 4).to_bytes(4, "big") + data[8:])


# Round trips


@pytest.mark.parametrize("name", NAMES)
@SOME
@given(data=st.data())
def test_a_frame_decodes_to_itself(frames_of: dict[str, st.SearchStrategy[Frame]], name: str, data: st.DataObject) -> None:
    frame = data.draw(frames_of[name])
    encoded = encode(frame)
    assert decode(encoded) == frame
    assert encode(decode(encoded)) == encoded


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["type"])
def test_published_frames_decode_and_their_signatures_verify(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["frame"])
    frame = decode(data)
    assert frame.type.name.lower() == vector["type"]
    assert encode(frame) == data
    if vector["signer"]:
        assert (
            SigningKey.from_seed(bytes.fromhex(VECTORS["seeds"][vector["signer"]])).public_key.hex()
            == VECTORS["public_keys"][vector["signer"]]
        )
        for signer, public_key in VECTORS["public_keys"].items():
            assert verify_frame(frame, bytes.fromhex(public_key), data) == (signer == vector["signer"])


def test_published_receipt_is_for_the_published_batch() -> None:
    by_type = {vector["type"]: bytes.fromhex(vector["frame"]) for vector in VECTORS["frames"]}
    receipt = decode(by_type["receipt"])
    assert isinstance(receipt, Receipt) and receipt.batch_hash == frame_hash(by_type["batch"])


@SOME
@given(data=st.data())
def test_telemetry_reads_as_its_declaration_does(frames_of: dict[str, st.SearchStrategy[Frame]], data: st.DataObject) -> None:
    frame = data.draw(frames_of["telemetry"])
    declared = TELEMETRY.parse(frame.leaf[HEADER_BYTES:])
    assert dict(frame.raw) == {placed.point.identifier: declared[placed.point.identifier] for placed in TELEMETRY_FIELDS}
    assert [tuple(channel) for channel in frame.channels] == [(each.current, each.duty, each.state) for each in declared.channels]
    assert frame.reserved == declared.reserved
    header = HEADER.parse(frame.leaf[:HEADER_BYTES])
    assert (header.site, header.sequence, header.time) == (frame.header.site, frame.header.sequence, frame.header.time)
    assert HEADER.build(header) + TELEMETRY.build(declared) == frame.leaf


@SOME
@given(data=st.data())
def test_columns_are_the_frames_one_by_one(frames_of: dict[str, st.SearchStrategy[Frame]], data: st.DataObject) -> None:
    leaves = data.draw(frames_of["batch"]).leaves
    columns = decode_batch_columns(leaves)
    assert len(columns) == len(leaves)
    for number, leaf in enumerate(leaves):
        one = Telemetry(leaf)
        header = (columns.site[number], columns.sequence[number], columns.time[number], columns.time_quality[number], columns.flags[number])
        assert header == (one.header.site, one.header.sequence, one.header.time, one.header.time_quality, one.header.flags)
        assert {identifier: column[number] for identifier, column in columns.raw.items()} == dict(one.raw)
        assert columns.channels(number) == one.channels


def test_columns_of_no_leaves_are_empty() -> None:
    columns = decode_batch_columns([])
    assert len(columns) == 0 and set(columns.raw.values()) == {()}


@pytest.mark.parametrize(("offset", "changed"), [(0, b"X"), (2, b"\3"), (3, b"\2"), (7, b"\xff"), (24, b"\x09"), (25, b"\x01")])
def test_columns_refuse_the_leaf_that_a_frame_refuses(offset: int, changed: bytes) -> None:
    leaf = WORKED["telemetry"].leaf
    bad = leaf[:offset] + changed + leaf[offset + 1 :]
    with pytest.raises(FrameError) as alone:
        Telemetry(bad)
    with pytest.raises(FrameError) as among:
        decode_batch_columns([leaf, leaf, bad])
    assert type(among.value) is type(alone.value)
    assert (among.value.offset, among.value.field) == (2 * LEAF_BYTES + alone.value.offset, f"leaves[2].{alone.value.field}")


# Totality


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_is_a_typed_error(name: str) -> None:
    data = encode(WORKED[name])
    for length in {*range(0, min(len(data), 700)), *range(len(data) - 40, len(data))}:
        with pytest.raises(TruncatedError):
            decode(data[:length])


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_with_length_and_crc_made_right_is_a_typed_error(name: str) -> None:
    data = encode(WORKED[name])[:-4]
    for length in {*range(26, min(len(data), 700)), *range(len(data) - 40, len(data))}:
        with pytest.raises(FrameError):
            decode(relengthed(data[:length]))


@pytest.mark.parametrize("name", NAMES)
def test_bytes_after_a_frame_are_a_typed_error(name: str) -> None:
    data = encode(WORKED[name])
    with pytest.raises(TrailingBytesError) as error:
        decode(data + b"x")
    assert error.value.offset == len(data)
    with pytest.raises(FrameError):
        decode(relengthed(data[:-4] + b"x"))


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_bit_is_refused(name: str) -> None:
    data = encode(WORKED[name])
    generator = random.Random(name)
    bits = range(8 * len(data)) if len(data) < 600 else [*range(8 * 100), *(generator.randrange(8 * len(data)) for _ in range(500))]
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ChecksumError, MagicError, TruncatedError, OversizedError, TrailingBytesError)):
            decode(bytes(changed))


@pytest.mark.parametrize("name", NAMES)
def test_every_changed_byte_under_a_right_crc_gives_an_exact_frame_or_a_typed_error(name: str) -> None:
    data = encode(WORKED[name])
    generator = random.Random(name)
    offsets = [*range(min(len(data) - 4, 200)), *(generator.randrange(len(data) - 4) for _ in range(100))]
    for offset in offsets:
        changed = resealed(data, offset, bytes([generator.randrange(256)]))
        try:
            frame = decode(changed)
        except FrameError as error:
            assert 0 <= error.offset <= len(changed) and error.field
        else:
            assert encode(frame) == changed


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from([b"", b"TZ", b"TZ\x01\x01", b"TZ\x04\x01\x00\x00\x00\x40"]))
def test_random_bytes_are_a_typed_error(noise: bytes, beginning: bytes) -> None:
    with pytest.raises(FrameError):
        decode(beginning + noise)


@settings(max_examples=300)
@given(st.sampled_from([1, 2, 3, 4, 5, 6]), st.binary(max_size=300))
def test_random_bodies_under_a_right_header_and_crc_give_a_frame_or_a_typed_error(frame_type: int, body: bytes) -> None:
    head = b"TZ" + bytes([frame_type, 1]) + bytes(4) + bytes(16) + b"\x02\x00"
    try:
        frame = decode(relengthed(head + body))
    except FrameError as error:
        assert 0 <= error.offset <= HEADER_BYTES + len(body) + 4
    else:
        assert isinstance(frame, Alert)  # no other type is that short


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_a_long_run_of_changed_frames_gives_exact_frames_or_typed_errors(name: str) -> None:
    generator = random.Random(f"soak {name}")
    original = encode(WORKED[name])
    for _ in range(30_000):
        changed = bytearray(original)
        for _ in range(generator.randint(1, 4)):
            start = generator.randrange(len(changed))
            changed[start : start + generator.randint(0, 4)] = generator.randbytes(generator.randint(0, 4))
        data = relengthed(bytes(changed[:-4])) if generator.random() < 0.9 else bytes(changed)
        try:
            frame = decode(data)
        except FrameError as error:
            assert 0 <= error.offset <= len(data)
        else:
            assert encode(frame) == data


def test_a_length_above_any_frame_is_refused_before_anything_is_read() -> None:
    head = b"TZ\x04\x01" + (MAX_FRAME_BYTES + 1).to_bytes(4, "big")
    with pytest.raises(OversizedError) as error:
        decode(head)
    assert (error.value.offset, error.value.field) == (4, "length")


@pytest.mark.parametrize(
    "hostile",
    [
        b"TZ\x04\x01\xff\xff\xff\xff" + bytes(100),
        resealed(encode(WORKED["batch"]), 38, b"\xff\xff"),
        resealed(encode(WORKED["batch"]), 38, b"\x00\x5a\x00\x40"),
        resealed(encode(WORKED["batch"]), 612, b"\xff\xff"),
        resealed(encode(WORKED["acknowledgement"]), 31, b"\xff"),
    ],
    ids=["length", "count", "full counts", "alert length", "text length"],
)
def test_a_claimed_size_takes_no_more_memory_than_the_bytes_deserve(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            decode(hostile)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(hostile) + 20_000


# Errors that say what and where


@pytest.mark.parametrize(
    ("name", "offset", "changed", "error", "field"),
    [
        ("telemetry", 2, b"\x08", FrameTypeError, "type"),
        ("telemetry", 3, b"\x02", VersionError, "version"),
        ("telemetry", 24, b"\x04", FieldError, "time_quality"),
        ("telemetry", 25, b"\x01", FieldError, "flags"),
        ("telemetry", 2, b"\x03", OversizedError, "length"),
        ("alert", 28, b"\x00", FieldError, "severity"),
        ("alert", 29, b"\x02", FieldError, "raised"),
        ("alert", 48, b"\x79", FieldError, "text"),
        ("alert", 49, b"\xff", FieldError, "text"),
        ("batch", 32, b"\x03", FieldError, "root_source"),
        ("batch", 33, b"\x01", FieldError, "reserved"),
        ("batch", 38, b"\x00\x00", FieldError, "count"),
        ("batch", 38, b"\x00\x5b", FieldError, "count"),
        ("batch", 40, b"\x00\x41", FieldError, "alert_count"),
        ("batch", 616, b"\x01", ChecksumError, "alerts[0].crc"),
        ("acknowledgement", 30, b"\x05", FieldError, "result"),
    ],
)
def test_an_error_names_the_field_and_its_offset(name: str, offset: int, changed: bytes, error: type[FrameError], field: str) -> None:
    with pytest.raises(error) as refused:
        decode(resealed(encode(WORKED[name]), offset, changed))
    assert refused.value.field == field
    assert f"offset {refused.value.offset}, {field}: " in str(refused.value)
    at = {"length": 4, "text": 48, "alerts[0].crc": 690}.get(field, offset)
    assert refused.value.offset == at


def test_an_error_in_a_later_alert_counts_the_ones_before_it() -> None:
    batch = replace(WORKED["batch"], alerts=WORKED["batch"].alerts * 3)
    size = len(encode(WORKED["alert"]))
    start = 612 + 2 * (2 + size)
    with pytest.raises(ChecksumError) as refused:
        decode(resealed(encode(batch), start + 2 + 30, b"\xff"))
    assert (refused.value.offset, refused.value.field) == (start + 2 + size - 4, "alerts[2].crc")


def test_a_batch_may_only_carry_alerts_as_alerts() -> None:
    batch = WORKED["batch"]
    telemetry = encode(WORKED["telemetry"])
    data = encode(batch)
    at = 612
    size = 2 + int.from_bytes(data[at : at + 2], "big")
    forged = relengthed(data[:at] + len(telemetry).to_bytes(2, "big") + telemetry + data[at + size : -4])
    with pytest.raises(FrameTypeError) as refused:
        decode(forged)
    assert (refused.value.offset, refused.value.field) == (at + 2 + 2, "alerts[0].type")


def test_an_encoder_names_what_does_not_fit() -> None:
    header = Header(site_identity("x"), 1, 2, TimeQuality.PULSE)
    for field, make in {
        "bus_voltage": lambda: Telemetry.of(header, {"bus_voltage": 65_536}),
        "gas_volume": lambda: Telemetry.of(header, {"gas_volume": -1}),
        "no_such_point": lambda: Telemetry.of(header, {"no_such_point": 0}),
        "channels[1].duty": lambda: Telemetry.of(header, {}, [Channel(0, 0, 0), Channel(0, 512, 0)]),
        "channels": lambda: Telemetry.of(header, {}, [Channel(0, 0, 0)] * 109),
        "reserved": lambda: Telemetry.of(header, {}, (), bytes(33)),
        "site": lambda: Telemetry.of(replace(header, site=b"x"), {}),
        "time": lambda: Telemetry.of(replace(header, time=2**32), {}),
        "time_quality": lambda: Telemetry.of(replace(header, time_quality=9), {}),
        "flags": lambda: Telemetry.of(replace(header, flags=FrameFlag(1)), {}),
        "signature": lambda: encode(Receipt(header, bytes(32), 0, 0, 0)),
        "batch_hash": lambda: encode(replace(WORKED["receipt"], batch_hash=bytes(31))),
        "text": lambda: encode(replace(WORKED["alert"], text="é" * 61)),
        "code": lambda: encode(replace(WORKED["alert"], code=-1)),
        "count": lambda: encode(replace(WORKED["batch"], leaves=WORKED["batch"].leaves * 91)),
        "alert_count": lambda: encode(replace(WORKED["batch"], alerts=WORKED["batch"].alerts * 65)),
        "leaves": lambda: encode(replace(WORKED["batch"], leaves=(b"short",))),
    }.items():
        with pytest.raises(EncodeError) as refused:
            make()
        assert refused.value.field == field


# Meaning


def test_telemetry_gives_exact_physical_values() -> None:
    telemetry = WORKED["telemetry"]
    assert telemetry.value("bus_voltage") == Fraction("50.112")
    assert telemetry.value("battery_current") == Fraction("-3.25")
    assert telemetry.value("gas_volume") == Fraction(7_200_003_066, 86_400)
    assert POINT["channel_current"].physical(telemetry.channels[0].current) == Fraction("1.794")
    with pytest.raises(KeyError):
        telemetry.value("no_such_point")


def test_live_telemetry_is_another_leaf_with_the_same_values() -> None:
    telemetry = WORKED["telemetry"]
    live = telemetry.as_live()
    assert live.header.live and not telemetry.header.live
    assert live.raw == telemetry.raw and live.leaf != telemetry.leaf
    assert decode(encode(live)) == live


def test_a_command_ends_its_life_after_its_time_to_live() -> None:
    command = WORKED["command"]
    assert isinstance(command, Command)
    assert command.expires_at == command.header.time + 3600


def test_the_last_sequence_of_a_batch_follows_from_its_leaves() -> None:
    batch = WORKED["batch"]
    assert isinstance(batch, Batch)
    assert replace(batch, leaves=batch.leaves * 90).last_sequence == batch.first_sequence + 89


@pytest.mark.parametrize("name", ["command", "batch", "receipt", "acknowledgement", "writes"])
def test_a_signature_covers_every_byte_before_it_and_the_type(name: str) -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signed = sign_frame(WORKED[name], key)
    data = encode(signed)
    assert verify_frame(signed, key.public_key) and verify_frame(signed, key.public_key, data)
    assert not verify_frame(signed, other.public_key, data)
    for changed in (
        replace(signed, header=replace(signed.header, sequence=signed.header.sequence ^ 1)),
        replace(signed, header=replace(signed.header, time=signed.header.time ^ 1)),
        replace(signed, header=replace(signed.header, site=bytes(8))),
        replace(signed, signature=bytes(4627)),
        replace(signed, key_id=other.key_id),
    ):
        assert not verify_frame(changed, key.public_key)


def test_a_signature_for_one_type_is_none_for_another() -> None:
    key = SigningKey.generate()
    receipt = sign_frame(WORKED["receipt"], key)
    signature = key.sign(encode(receipt)[: -(4627 + 4)], b"thermogen/command/v1")
    assert not verify_frame(replace(receipt, signature=signature), key.public_key)


def test_a_frame_that_names_another_key_is_not_the_signers() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    named = replace(WORKED["receipt"], key_id=other.key_id, signature=bytes(4627))
    signed = replace(named, signature=key.sign(encode(named)[: -(4627 + 4)], b"thermogen/receipt/v1"))
    assert not verify_frame(signed, key.public_key) and not verify_frame(signed, other.public_key)


def test_site_identity_is_the_beginning_of_a_hash() -> None:
    assert site_identity("well-pad-7").hex() == "776ed093563f52bd"


def test_codes_that_a_newer_sender_knows_pass() -> None:
    assert decode(encode(replace(WORKED["alert"], code=60_000))).code == 60_000
    assert decode(encode(replace(WORKED["command"], code=60_000))).code == 60_000


def test_every_type_has_a_body_and_an_example() -> None:
    assert {frame_type.name.lower() for frame_type in BODIES} == set(NAMES)
    assert isinstance(WORKED["acknowledgement"], Acknowledgement) and WORKED["alert"].severity is Severity.CRITICAL


# Captures


def test_a_capture_gives_its_frames_and_names_what_is_damaged() -> None:
    whole = [encode(frame) for frame in examples()]
    broken = bytearray(whole[2])
    broken[30] ^= 1
    capture = b"junk" + whole[0] + whole[1] + bytes(broken) + whole[3] + b"TZ" + whole[4] + whole[5][:100]
    stretches = list(split_capture(capture))
    assert b"".join(stretch.data for stretch in stretches) == capture
    assert [type(stretch.frame).__name__ for stretch in stretches] == [
        "MagicError",
        "Telemetry",
        "Command",
        "ChecksumError",
        "Batch",
        "OversizedError",
        "Receipt",
        "TruncatedError",
    ]
    assert [stretch.offset for stretch in stretches][:3] == [0, 4, 514]


@settings(max_examples=100)
@given(st.binary(max_size=400), st.integers(0, 500), st.binary(max_size=30))
def test_a_capture_loses_no_byte_whatever_it_holds(noise: bytes, cut: int, more: bytes) -> None:
    capture = noise + encode(WORKED["alert"]) + more + encode(WORKED["telemetry"])[:cut]
    stretches = list(split_capture(capture))
    assert b"".join(stretch.data for stretch in stretches) == capture
    assert any(isinstance(stretch.frame, Alert) for stretch in stretches)
