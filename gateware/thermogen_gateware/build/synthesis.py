"""What yosys is told for LIFCL: `synth_nexus` in two halves, and what it leaves out before, between and after them."""

from __future__ import annotations

from dataclasses import dataclass

from . import arithmetic, mapping, workarounds


@dataclass(frozen=True)
class Script:
    """Lines before `synth_nexus`, its own options besides `-top`, and lines after it."""

    before: str
    options: str
    after: str


def lifcl(top: str) -> Script:
    """For the module `top`; wants `lifcl_files` in the work folder."""
    return Script(
        before=f"{mapping.SETTINGS}\n{arithmetic.BEFORE_SYNTHESIS.format(top=top)}",
        options=arithmetic.SYNTHESIS_OPTIONS,
        after=workarounds.AFTER_SYNTHESIS_NEXUS,
    )


def lifcl_files() -> dict[str, str]:
    """Content by name."""
    return {
        arithmetic.COMPARISON_FILE: arithmetic.COMPARISON,
        arithmetic.SUM_FILE: arithmetic.SUM,
        workarounds.CARRY_TECHMAP_FILE: workarounds.CARRY_TECHMAP,
    }
