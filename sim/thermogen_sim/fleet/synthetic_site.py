"""What a site measures and its daemon signs, without gateware or plant: an honest site whose every value can be bent.

For large fleets and for the tests of belief: leaves have the layout of the gateware's, their values are a steady plant's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha3_256
from typing import Any

from thermogen_esf import merkle
from thermogen_esf.frames import Batch, Channel, Header, RootSource, Telemetry, encode, frame_hash, sign_frame, site_identity
from thermogen_esf.points import TimeQuality
from thermogen_esf.signatures import SigningKey

DEMONSTRATION_CLOCKS = 10_000
"""Clocks of a site second, in a simulator."""

Bend = Callable[[int, dict[str, int]], Mapping[str, int]]
"""Changes a leaf's raw values, given its sequence; header fields are `time`, `time_quality`."""


@dataclass
class SyntheticSite:
    """Channels that give 1.05 kW from 29 kW of heat, `scale` times; leaves and batches come one after the other as a real site's do."""

    name: str
    key: SigningKey
    clocks: int = DEMONSTRATION_CLOCKS
    boot: int = 1
    sequence: int = 0
    number: int = 0
    previous: bytes = bytes(32)
    uptime: int = 0
    energy_mj: int = 5_000_000
    gas_raw: int = 7_000_000
    power_mw: int = 1_050_000
    gas_flow: int = 2_800
    scale: int = 1
    batches: list[bytes] = field(default_factory=list)
    """All batches that it made."""

    def leaf(self, time: int, bend: Bend | None = None, site: str | None = None) -> bytes:
        """The next leaf, at `time`."""
        self.uptime += 10
        self.energy_mj += self.power_mw * 10 * self.scale
        self.gas_raw += self.gas_flow * 10 * self.scale
        raw = {
            "bus_voltage": 50_000 + self._ripple(),
            "hot_supply_temperature": 195 * 50,
            "hot_return_temperature": 175 * 50,
            "cold_supply_temperature": 45 * 50,
            "cold_return_temperature": 55 * 50,
            "hot_flow": 4_680 * self.scale,
            "cold_flow": 4_000 * self.scale,
            "gas_flow": self.gas_flow * self.scale,
            "electrical_energy": self.energy_mj,
            "gas_volume": self.gas_raw,
            "channel_power": self.power_mw * self.scale,
            "uptime": self.uptime,
            "clocks_per_site_second": self.clocks,
            "boot_count": self.boot,
        }
        values = {**raw, "time": time, "time_quality": int(TimeQuality.PULSE)}
        if bend is not None:
            values = {**values, **bend(self.sequence, values)}
        header = Header(
            site_identity(site or self.name),
            values.pop("sequence", self.sequence),
            values.pop("time"),
            TimeQuality(values.pop("time_quality")),
        )
        channels = [Channel(2048 + 875, 336, 3)] * values.pop("channels", 12)
        self.sequence += 1
        return Telemetry.of(header, values, channels).leaf

    def epoch(self, epoch: int, leaves: int = 90, skip: int = 0, bend: Bend | None = None, **changes: Any) -> bytes:
        """The batch of an epoch that the site makes next, of its leaves number `skip` on; `changes` replace fields before it is signed."""
        made = tuple(self.leaf(epoch * 900 + 10 * (skip + index + 1), bend) for index in range(leaves))
        return self.batch(epoch, made, **changes)

    def batch(self, epoch: int, leaves: Sequence[bytes], key: SigningKey | None = None, **changes: Any) -> bytes:
        """Sign a batch of these leaves, the last of which is the site's newest."""
        frame = Batch(
            header=Header(site_identity(self.name), self.number, (epoch + 1) * 900, TimeQuality.PULSE),
            epoch=epoch,
            boot_count=self.boot,
            root_source=RootSource.GATEWARE,
            first_sequence=self.sequence - len(leaves),
            root=merkle.root(leaves),
            previous=self.previous,
            leaves=tuple(leaves),
        )
        data = encode(sign_frame(replace(frame, **changes), key or self.key))
        self.number += 1
        self.previous = frame_hash(data)
        self.batches.append(data)
        return data

    def _ripple(self) -> int:
        """The bus voltage's last millivolts, which no two leaves need share: a real input neither stands still nor repeats itself."""
        return int.from_bytes(sha3_256(b"ripple %d" % self.sequence).digest()[:4], "big") % 101

    def reboot(self) -> None:
        """Power was lost: counters and uptime begin anew, sequences and batches go on."""
        self.boot += 1
        self.uptime = 0
        self.energy_mj = 0
        self.gas_raw = 0
