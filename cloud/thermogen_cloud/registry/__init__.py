"""The registry: what arrived, what was believed and why, what was asked for, approved and minted."""

from .database import Registry
from .tables import (
    Acknowledgement,
    Alert,
    Approval,
    Batch,
    BatchStatus,
    Command,
    ConsumedEpoch,
    Credit,
    LiveFrame,
    MintRequest,
    MintState,
    Quarantined,
    Receipt,
    ScadaFrame,
    ScadaWrite,
    Site,
)

__all__ = [
    "Acknowledgement",
    "Alert",
    "Approval",
    "Batch",
    "BatchStatus",
    "Command",
    "ConsumedEpoch",
    "Credit",
    "LiveFrame",
    "MintRequest",
    "MintState",
    "Quarantined",
    "Receipt",
    "Registry",
    "ScadaFrame",
    "ScadaWrite",
    "Site",
]
