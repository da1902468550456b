"""One worked example of each frame. Signatures are left 0: a hedged signature is another one each time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from .. import merkle
from ..frames import (
    Acknowledgement,
    Alert,
    AlertCode,
    Batch,
    Channel,
    Command,
    CommandCode,
    Frame,
    Header,
    Receipt,
    Result,
    RootSource,
    Severity,
    Telemetry,
    Writes,
    encode,
    frame_hash,
    site_identity,
)
from ..frames.messages import SignedFrame
from ..points import POINT, BurnerFlag, ChannelState, SiteState, TimeQuality, UplinkState
from ..scada import WRITABLE, WriteEvent, WriteKind, event_bytes, event_words
from ..signatures import SIGNATURE_BYTES, SigningKey

SITE = "well-pad-7"
SITE_SEED = bytes(range(32))
CLOUD_SEED = bytes(range(32, 64))
"""Seeds of the keys that the examples name: for examples only."""

_EPOCH = 1_982_880
_TIME = 900 * _EPOCH + 10
_SEALED = 900 * (_EPOCH + 1)
_SITE_KEY = SigningKey.from_seed(SITE_SEED).key_id
_CLOUD_KEY = SigningKey.from_seed(CLOUD_SEED).key_id

_PHYSICAL: dict[str, Fraction] = {
    "bus_voltage": Fraction("50.112"),
    "bus_current": Fraction("21.47"),
    "ground_fault_current": Fraction("0.3"),
    "hot_supply_temperature": Fraction("182.5"),
    "hot_return_temperature": Fraction("163.12"),
    "cold_supply_temperature": Fraction("42.02"),
    "cold_return_temperature": Fraction("60.88"),
    "hot_flow": Fraction("51.7"),
    "cold_flow": Fraction("25.55"),
    "gas_flow": Fraction("3.066"),
    "gas_pressure": Fraction("14.72"),
    "battery_current": Fraction("-3.25"),
    "electrical_energy": Fraction("128411093.127"),
    "bus_energy": Fraction("127990210.004"),
    "gas_volume": Fraction(7_200_003_066, 86_400),
    "channel_power": Fraction("1081.733"),
    "uptime": Fraction(118_710),
    "module_link_errors": Fraction(2),
    "clocks_per_site_second": Fraction(50_000_000),
    "boot_count": Fraction(4),
    "ambient_temperature": Fraction("-7.3"),
    "exhaust_temperature": Fraction("411.9"),
    "hot_pressure": Fraction("2.31"),
    "cold_pressure": Fraction("1.204"),
    "gas_temperature": Fraction("11.8"),
    "burner_modulation": Fraction("71.5"),
    "battery_charge": Fraction("83.5"),
    "load_power": Fraction(940),
    "buffer_frames": Fraction(91),
    "buffer_oldest_age": Fraction(910),
    "buffer_hours_left": Fraction(1440),
    "uplink_reconnects": Fraction(3),
}

_RAW: dict[str, int] = {
    "gateware_version": 0x00_01_0000,
    "burner_flags": BurnerFlag.RUNNING | BurnerFlag.FLAME | BurnerFlag.GAS_VALVE_OPEN,
    "site_state": SiteState.PRODUCING,
    "uplink_state": UplinkState.CONNECTED,
    "daemon_version": 0x00_01_0000,
    "calibration_hash": 0x4E1D_90C2_7733_A5F8,
    "profile_hash": 0x91B6_03FD_22E8_6C47,
}


def _header(sequence: int, time: int) -> Header:
    return Header(site_identity(SITE), sequence, time, TimeQuality.PULSE)


def _unsigned(frame: SignedFrame, key_id: bytes) -> Frame:
    return replace(frame, key_id=key_id, signature=bytes(SIGNATURE_BYTES))


def examples() -> list[Frame]:
    """Telemetry, command, alert, batch, receipt, acknowledgement, writes."""
    raw = {**_RAW, **{identifier: POINT[identifier].raw(value) for identifier, value in _PHYSICAL.items()}}
    channels = [Channel(2048 + 897 + number, 353 + number % 3, ChannelState.TRACK) for number in range(12)]
    telemetry = Telemetry.of(_header(70_213, _TIME), raw, channels)
    point = POINT["hot_flow"]
    alert = Alert(
        _header(12, _TIME + 4),
        AlertCode.HOT_FLOW_LOW,
        Severity.CRITICAL,
        True,
        point.number,
        point.raw(Fraction("4.81")),
        point.raw(5),
        "hot loop flow below 5 L/min",
    )
    root = merkle.root([telemetry.leaf])
    batch = Batch(
        _header(780, _SEALED), _EPOCH, 4, RootSource.GATEWARE, 70_213, root, frame_hash(b"the batch before"), (telemetry.leaf,), (alert,)
    )
    signed_batch = _unsigned(batch, _SITE_KEY)
    receipt = Receipt(_header(30_117, _SEALED + 2), frame_hash(encode(signed_batch)), _EPOCH, 70_213, 70_213)
    command = Command(_header(5, _SEALED + 60), CommandCode.RESEND_BATCHES, 3600, (_EPOCH - 4, _EPOCH))
    acknowledgement = Acknowledgement(_header(5, _SEALED + 63), 5, Result.DONE, "5 batches queued")
    client, cap = 0xC0A8_5414, WRITABLE["site_power_limit"]
    told = [
        WriteEvent(_SEALED + 70, client, cap.address, 1_200, 60, WriteKind.WRITE, 1),
        WriteEvent(_SEALED + 75, client, WRITABLE["heartbeat"].address, 0, 12, WriteKind.HEARTBEATS, 12),
        WriteEvent(_SEALED + 190, client, 0, 0, 0, WriteKind.EXPIRED, 1),
    ]
    writes = Writes(_header(2, _SEALED + 200), 4, 17, tuple(event_bytes(event_words(event)) for event in told))
    return [
        telemetry,
        _unsigned(command, _CLOUD_KEY),
        alert,
        signed_batch,
        _unsigned(receipt, _CLOUD_KEY),
        _unsigned(acknowledgement, _SITE_KEY),
        _unsigned(writes, _SITE_KEY),
    ]
