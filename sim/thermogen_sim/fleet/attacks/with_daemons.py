"""What came of the attacks that `thermogen-sim fleet --daemons` runs with the product's own processes; its test holds them to this.

It takes minutes of wall time, so that the page does not run it anew: a result that changes fails the test, and is written here by hand.
"""

from __future__ import annotations

_TOO_LITTLE = "step 7 calculation: below-least-mint"

CAME_TO: dict[str, dict[str, str]] = {
    "none": {"state": "off-baseline", "mint": "below-least-mint", "thermogen_verify": _TOO_LITTLE, "monitor": "holds"},
    "stalled-beacon": {"state": "waiting-for-beacon"},
    "forged-root": {"state": "roots-disagree"},
    "dropped-dissent": {
        "state": "off-baseline",
        "mint": "below-least-mint",
        "thermogen_verify": _TOO_LITTLE,
        "kept": "step 3 quorum: dissent",
        "monitor": "not-logged",
    },
}
"""By attack, or `none` for the honest day: the day's state; what became of its mint; what `thermogen-verify` says of its bundle with the
companion, with the kept dissent too; what `thermogen-verify monitor` says of the log, for the attack with that dissent. A day of a quarter
of an hour is too little to mint: the verifier gets as far as that, and everything before it holds."""

HOW = {
    "none": "a quarter of an hour, which is too little to mint; fewer than 30 days lie before it",
    "stalled-beacon": "the broker holds back the seals of four of five sites for two checkpoints and more",
    "forged-root": "the site's Linux side runs a daemon that changes leaves after they were sealed",
    "dropped-dissent": "a second batch is sent once three witnesses agreed; the fourth finds it, and its statement never reaches the cloud",
}
"""How each was made to happen."""
