"""What a compromised Linux side runs: `thermogen-edge`, but for batches of leaves that claim more energy than the gateware sealed.

It has the site's signing key, so that batch, root and signature agree with one another. What it does not have is the node's seal.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from thermogen_edge import leaf_collector
from thermogen_edge.batches import Root, batch_frame
from thermogen_edge.buffer import BatchDraft
from thermogen_edge.command import main
from thermogen_esf import merkle
from thermogen_esf.frames import Telemetry
from thermogen_esf.signatures import SigningKey

FORGED_MJ_A_LEAF = 1_000


def with_more_energy(leaf: bytes) -> bytes:
    """The leaf with a counter of energy that runs ahead, and nothing else changed."""
    honest = Telemetry(leaf)
    energy = honest.raw["electrical_energy"] + FORGED_MJ_A_LEAF * (1 + honest.header.sequence)
    raw = {**honest.raw, "electrical_energy": energy}
    return Telemetry.of(honest.header, raw, honest.channels, honest.reserved).leaf


def forged_frame(draft: BatchDraft, stated: Root, sealed_at_s: int | None, site: bytes, key: SigningKey) -> bytes:
    """In place of `batch_frame`: leaves forged, their root stated as if the gateware had made it."""
    leaves = tuple(with_more_energy(leaf) for leaf in draft.leaves)
    return batch_frame(replace(draft, leaves=leaves), replace(stated, value=merkle.root(leaves)), sealed_at_s, site, key)


if __name__ == "__main__":
    vars(leaf_collector)["batch_frame"] = forged_frame
    sys.exit(main())
