"""The frames besides telemetry, as values. Each names its fields as its declaration does; units and ranges are there.

A signed frame begins its life unsigned, with `signature` empty; `signing.sign_frame` fills in key identifier and signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from .codes import FrameType, Result, RootSource, Severity
from .header import Header
from .telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Command:
    """What the cloud asks of a site. The header's sequence is the command's number: one key's command is executed at most once."""

    type: ClassVar[FrameType] = FrameType.COMMAND
    header: Header
    code: int
    """A CommandCode, or a code that a newer cloud knows."""
    ttl_s: int
    arguments: tuple[int, int]
    key_id: bytes = b""
    signature: bytes = b""

    @property
    def expires_at(self) -> int:
        """The last second, in site time, at which it may be executed."""
        return self.header.time + self.ttl_s


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know, raised or cleared. `value` and `threshold` are raw values of the point."""

    type: ClassVar[FrameType] = FrameType.ALERT
    header: Header
    code: int
    """An AlertCode, or a code that a newer site knows."""
    severity: Severity
    raised: bool
    point: int = 0
    value: int = 0
    threshold: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """One epoch of a site, signed as a whole. The header's sequence is the batch's number, its time the seal's."""

    type: ClassVar[FrameType] = FrameType.BATCH
    header: Header
    epoch: int
    boot_count: int
    root_source: RootSource
    first_sequence: int
    root: bytes
    previous: bytes
    leaves: tuple[bytes, ...]
    """1 to 90 leaves of 506 bytes, as they came: `Telemetry(leaf)` reads one, `batch_columns` all."""
    alerts: tuple[Alert, ...] = ()
    key_id: bytes = b""
    signature: bytes = b""

    @property
    def last_sequence(self) -> int:
        """The sequence that the last leaf must have."""
        return self.first_sequence + len(self.leaves) - 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """The cloud's word that a batch is stored; not that it is believed. The header's sequence is the receipt's number."""

    type: ClassVar[FrameType] = FrameType.RECEIPT
    header: Header
    batch_hash: bytes
    epoch: int
    first_sequence: int
    last_sequence: int
    key_id: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A site's answer to a command."""

    type: ClassVar[FrameType] = FrameType.ACKNOWLEDGEMENT
    header: Header
    command_sequence: int
    result: Result
    text: str = ""
    key_id: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Writes:
    """What SCADA wrote to a site over MODBUS. The header's sequence is the frame's number; the events follow each other from
    `first_event` on, numbered since the boot."""

    type: ClassVar[FrameType] = FrameType.WRITES
    header: Header
    boot_count: int
    first_event: int
    events: tuple[bytes, ...]
    """1 to 128 events as the node kept them: `scada.read_event` reads one."""
    key_id: bytes = b""
    signature: bytes = b""


SignedFrame: TypeAlias = Batch | Command | Receipt | Acknowledgement | Writes
Frame: TypeAlias = Telemetry | Alert | SignedFrame
