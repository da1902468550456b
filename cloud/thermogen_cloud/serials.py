"""Serials of credits: one numbering a vintage, whatever way a credit was minted."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .registry import AttestedMint, MintRequest


def next_number(session: Session, vintage: int) -> int:
    """The next number of a vintage, from 1, within a transaction that uses it."""
    used = [session.scalar(select(func.max(table.number)).where(table.vintage == vintage)) or 0 for table in (MintRequest, AttestedMint)]
    return 1 + max(used)
