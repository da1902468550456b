"""One telemetry frame against protobuf, CBOR and MessagePack of the same fields: bytes, and how fast each way."""

from __future__ import annotations

import random

from thermogen_esf.frames import Channel, Header, Telemetry, decode, decode_batch_columns, encode, site_identity
from thermogen_esf.frames.declared import MAX_LEAVES
from thermogen_esf.layout import FIELD
from thermogen_esf.points import CHANNELS_PER_SITE, POINT, ChannelState, TimeQuality

from .measurement import Row, rate_per_s
from .peer_encodings import Channels, Scalars, peers

TOPIC = "telemetry encoding"
SEED = 1


def sample() -> tuple[Header, dict[str, int], tuple[Channel, ...]]:
    """A full site's raw values, each within its point's range."""
    chance = random.Random(SEED)  # noqa: S311  sample values, nothing secret
    header = Header(site_identity("bench"), 1_234_567, 1_780_272_010, TimeQuality.PULSE)
    raw = {}
    for identifier in FIELD:
        point = POINT[identifier]
        low, high = (int((limit - point.offset) / point.scale) for limit in (point.minimum, point.maximum))
        raw[identifier] = chance.randint(max(low, point.raw_limits[0]), min(high, point.raw_limits[1]))
    channels = tuple(Channel(chance.randint(2700, 2800), chance.randint(330, 350), ChannelState.TRACK) for _ in range(CHANNELS_PER_SITE))
    return header, raw, channels


def _fields(header: Header, raw: dict[str, int], channels: tuple[Channel, ...]) -> tuple[Scalars, Channels]:
    signed = {name: value - (1 << 64) if value >= 1 << 63 else value for name, value in raw.items()}
    site = int.from_bytes(header.site, "big", signed=True)
    scalars = {"site": site, "sequence": header.sequence, "time": header.time, "time_quality": int(header.time_quality), **signed}
    columns = zip(*channels, strict=True)
    return scalars, {name: list(values) for name, values in zip(("current", "duty", "state"), columns, strict=True)}


def measure() -> list[Row]:
    """Bytes of one frame, and encodings and decodings of all its values per CPU second, each beside the peers'."""
    header, raw, channels = sample()
    scalars, columns = _fields(header, raw, channels)
    frame = encode(Telemetry.of(header, raw, channels))
    leaves = [frame[:-4]] * MAX_LEAVES

    def every_value() -> object:
        telemetry = decode(frame)
        assert isinstance(telemetry, Telemetry)
        return telemetry.raw, telemetry.channels

    own = {
        "bytes": float(len(frame)),
        "encodings/s": rate_per_s(lambda: encode(Telemetry.of(header, raw, channels))),
        "decodings/s": rate_per_s(every_value),
    }
    rows = [Row(TOPIC, "ESF frame", value, unit) for unit, value in own.items()]
    bulk = rate_per_s(lambda: decode_batch_columns(leaves)) * MAX_LEAVES
    rows.append(Row(TOPIC, "ESF frame, a batch by columns", bulk, "decodings/s", f"{bulk / own['decodings/s']:.1f}x one by one"))
    for peer in peers(scalars, columns):
        encoded = peer.encode()
        figures = {
            "bytes": float(len(encoded)),
            "encodings/s": rate_per_s(peer.encode),
            "decodings/s": rate_per_s(lambda peer=peer, encoded=encoded: peer.decode(encoded)),  # type: ignore[misc]
        }
        rows += [Row(TOPIC, peer.name, value, unit, f"{value / own[unit]:.2f}x of ESF") for unit, value in figures.items()]
    return rows
