"""What came of the attacks that `thermogen-sim fleet --daemons` runs with the product's own processes; its test holds them to this.

It takes minutes of wall time, so that the page does not run it anew: a result that changes fails the test, and is written here by hand.
"""

from __future__ import annotations

CAME_TO: dict[str, dict[str, str]] = {
    "none": {"state": "off-baseline", "thermogen_verify": "believed", "monitor": "holds"},
    "stalled-beacon": {"state": "waiting-for-beacon"},
    "forged-root": {"state": "roots-disagree"},
    "dropped-dissent": {
        "state": "off-baseline",
        "thermogen_verify": "believed",
        "kept": "step 3 quorum: dissent",
        "monitor": "not-logged",
    },
}
"""By attack, or `none` for the honest day: the day's state; what `thermogen-verify` says of its bundle with the companion, with the kept
dissent too, and what `thermogen-verify monitor` says of the log, for the attack with that dissent."""

HOW = {
    "none": "an honest day, approved since fewer than 30 days lie before it, and minted",
    "stalled-beacon": "the broker holds back the seals of two of five sites for two checkpoints",
    "forged-root": "the site's Linux side runs a daemon that changes leaves after they were sealed",
    "dropped-dissent": "a second batch is sent once three witnesses agreed; the fourth finds it, and its statement never reaches the cloud",
}
"""How each was made to happen."""
