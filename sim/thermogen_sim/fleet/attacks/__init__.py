"""Attacks by name, each tried in a fleet; what comes out is docs/attacks.md."""

from __future__ import annotations

from . import cloud, site, trust, witnesses
from .trial import Attack, Trial, Verdict, World

ATTACKS: tuple[Attack, ...] = (*site.ATTACKS, *witnesses.ATTACKS, *cloud.ATTACKS, *trust.ATTACKS)

__all__ = ["ATTACKS", "Attack", "Trial", "Verdict", "World"]
