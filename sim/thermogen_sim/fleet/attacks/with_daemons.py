"""What came of the attacks that `thermogen-sim fleet --daemons` runs with the product's own processes; its test holds them to this.

It takes a quarter of an hour of wall time, so that the page does not run it anew: a result that changes fails the test, and is written here
by hand.
"""

from __future__ import annotations

CAME_TO: dict[str, dict[str, str]] = {
    "none": {
        "state": "off-baseline",
        "mint": "below-least-mint",
        "thermogen_verify": "step 7 calculation: below-least-mint",
        "monitor": "holds",
    },
    "stalled-beacon": {"state": "waiting-for-beacon"},
    "forged-root": {"state": "roots-disagree"},
    "dropped-dissent": {
        "state": "off-baseline",
        "mint": "below-least-mint",
        "thermogen_verify": "step 7 calculation: below-least-mint",
        "kept": "step 3 quorum: dissent",
        "monitor": "not-logged",
    },
}
"""By attack, or `none` for the honest day: the day's state; where that was looked at, what became of its mint, what `thermogen-verify` says
of its bundle, without and with the dissent that its witness kept, and `thermogen-verify monitor`, which is given that, of the log."""

HOW = {
    "none": "a quarter of an hour, which is too little to mint; fewer than 30 days lie before it",
    "stalled-beacon": "the broker holds back seals until fewer than four sites make a beacon, for two checkpoints",
    "forged-root": "the site's Linux side runs a daemon that changes leaves after they were sealed",
    "dropped-dissent": "a second batch is sent once three witnesses agreed; the fourth finds it, dissents and keeps what never reaches the"
    " cloud",
}
"""How each was made to happen."""
