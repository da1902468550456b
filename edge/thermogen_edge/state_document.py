"""Writes docs/site-states.md from the transition table: `python -m thermogen_edge.state_document FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from thermogen_esf.points import SiteState

from .profile import Limits
from .state_machine import CONDITIONS, OUTPUTS, RAISED, TRANSITIONS, Event


def document() -> str:
    """The document's text."""
    limits = Limits()
    lines = [
        "# The site's states",
        "",
        "Generated from the transition table of `thermogen_edge.state_machine`; a test fails when it is stale. Write it again with",
        "`python -m thermogen_edge.state_document docs/site-states.md`. An event that a state does not list changes nothing.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {SiteState.BLACK_START.name.lower()}",
    ]
    lines += [f"    {row.state.name.lower()} --> {row.target.name.lower()}: {row.event.value}" for row in TRANSITIONS]
    lines += ["```", "", "## States", "", "| state | number | channels may switch | current limit |", "| --- | --- | --- | --- |"]
    for state, output in OUTPUTS.items():
        limit = "`throttled_current_limit_ma`" if output.throttled else "`current_limit_ma`"
        lines.append(f"| {state.name.lower()} | {state.value} | {'yes' if output.enable else 'no'} | {limit if output.enable else ''} |")
    lines += ["", "## Transitions", "", "Within a state the first row whose event holds is taken.", ""]
    lines += ["| state | event | next state |", "| --- | --- | --- |"]
    lines += [f"| {row.state.name.lower()} | {row.event.value} | {row.target.name.lower()} |" for row in TRANSITIONS]
    lines += ["", "## Events", "", "Delays count site time. A point that nobody has told makes its condition false.", ""]
    lines += ["| event | when | for |", "| --- | --- | --- |"]
    for event in Event:
        condition = CONDITIONS.get(event)
        text, hold_s = (condition.text, condition.hold_s) if condition else (RAISED[event], 0)
        lines.append(f"| {event.value} | {text} | {f'{hold_s} s' if hold_s else 'at once'} |")
    lines += ["", "## Limits", "", "From the site profile; the defaults are those of bismuth telluride modules.", ""]
    lines += ["| limit | default |", "| --- | --- |"]
    used = [name for name in Limits.__dataclass_fields__ if any(f"`{name}`" in line for line in lines)]
    lines += [f"| `{name}` | {getattr(limits, name):,} |" for name in used]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
