"""docs/attacks.md: every attack as it ran."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping

from . import ATTACKS, Attack, Trial, Verdict, World
from .trial import EPOCHS, SITES, Judged
from .with_daemons import CAME_TO, HOW

SEED = 0

_MEANING = {
    Verdict.CAUGHT: "a stranger with the pin, the bundle and its companion refuses, whoever else colludes",
    Verdict.BY_WITNESSES: "honest witnesses stop it; where cloud and witnesses collude it is believed",
    Verdict.BY_WHO_KEPT: "the bundle is believed; not with a statement, seal, checkpoint, bundle or list's number that somebody kept",
    Verdict.MINTS_NOTHING: "it costs credits or time and makes none",
    Verdict.NOT_CAUGHT: "believed: the document says so, and so does this table",
}


_ABOUT = (
    "Written by `make docs` from `sim/thermogen_sim/fleet/attacks`; do not edit. {attacks} attacks, each on one day of a fleet of {sites}"
    " sites with {epochs} sealed epochs of 90 leaves, from seed {seed}; `thermogen-sim fleet --attack NAME` tries one, `--list` names them."
)
_WHAT_RAN = (
    "**What ran.** Nodes are modelled in software: seals and draws by an ECVRF prover that is not the gateware's, leaves by a steady"
    " plant. Witnesses recompute with the rules that the daemon's witness calls; `edge/tests/test_fleet_witness.py` tries attacks with that"
    " witness and compares; a daemon passes over an announced day whose seals are not proven and chained, since no honest log has one."
    " The state is what the cloud's rule decides. The columns after it are `thermogen-verify`'s own code with the"
    " bundle and its companion. No broker, no receiver and no compiled gateware ran for the table."
)
_WITH_DAEMONS = (
    "**With real processes.** `thermogen-sim fleet --daemons` runs five sites, each with the compiled gateware and its own"
    " `thermogen-edge`, one mosquitto and one `thermogen-cloud`; the drawn daemons fetch the days over the broker and judge them."
    " `scripts/tests/test_daemon_fleet.py` holds the days to what follows, and so what `thermogen-verify` and its monitor said as"
    " programs of their own. The other attacks ran in one process:"
)
_COLUMNS = (
    "*Colluding*: the cloud and all other sites say whatever the attacker needs, and a bundle is published all the same. *Kept*: with what"
    " somebody kept that the bundle does not have; *monitor* is the code of `thermogen-verify monitor`, which has the log's entries."
)


def row(attack: Attack, trial: Trial) -> str:
    """An attack's line of the table."""
    remark = f"; {attack.remark}" if attack.remark else ""
    cells = (
        f"`{attack.name}`: {attack.what}",
        attack.compromised,
        trial.witnesses,
        trial.state,
        _said(trial.bundle, "no bundle"),
        _said(trial.colluding, ""),
        _said(trial.kept, ""),
        f"**{trial.verdict}**{remark}",
    )
    return f"| {' | '.join(cells)} |"


def attacks_document(seed: int = SEED) -> str:
    """The page, each attack tried anew."""
    world = World(seed)
    tried = [(attack, attack.run(world)) for attack in ATTACKS]
    counted = Counter(trial.verdict for _, trial in tried)
    return "\n".join(
        (
            "# Attacks as run",
            "",
            *_wrapped(_ABOUT.format(attacks=len(tried), sites=SITES, epochs=EPOCHS, seed=seed)),
            "",
            *_wrapped(_WHAT_RAN),
            "",
            *_wrapped(_WITH_DAEMONS),
            "",
            *(_came_to(name, found) for name, found in CAME_TO.items()),
            "",
            *_wrapped(_COLUMNS),
            "",
            "| verdict | attacks | meaning |",
            "| --- | --- | --- |",
            *(f"| {verdict} | {counted[verdict]} | {_MEANING[verdict]} |" for verdict in Verdict),
            "",
            "| attack | compromised | witnesses | state of the day | thermogen-verify | colluding | kept | verdict |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *(row(attack, trial) for attack, trial in tried),
            "",
        )
    )


def _came_to(name: str, found: Mapping[str, str]) -> str:
    what = "no attack" if name == "none" else f"`{name}`"
    others = [f"{who.replace('_', '-')} `{said}`" for who, said in found.items() if who != "state"]
    return f"- {what} ({HOW[name]}): {', '.join([found['state'], *others])}."


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 140, break_on_hyphens=False)


def _said(judged: Judged | None, otherwise: str) -> str:
    return otherwise if judged is None else judged.said
