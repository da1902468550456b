"""The ledger of credits: a small interface, and Token-2022 in an embedded virtual machine behind it."""

from .interface import (
    AlreadyIssuedError,
    CreditBlock,
    Holding,
    IssuedBlock,
    Ledger,
    LedgerRefusedError,
    NotEnoughHeldError,
    NotIssuedError,
)
from .token2022 import Token2022Ledger

__all__ = [
    "AlreadyIssuedError",
    "CreditBlock",
    "Holding",
    "IssuedBlock",
    "Ledger",
    "LedgerRefusedError",
    "NotEnoughHeldError",
    "NotIssuedError",
    "Token2022Ledger",
]
