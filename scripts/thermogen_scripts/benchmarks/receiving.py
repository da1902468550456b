"""How many frames one receiver process stores, receipts and verifies per CPU second, and the share that is checking signatures."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.intake import Intake
from thermogen_cloud.judging import Judge
from thermogen_cloud.registry import Registry
from thermogen_cloud.trust_file import TrustFile
from thermogen_esf.frames import Batch, decode, verify_frame
from thermogen_esf.signatures import SigningKey

from .measurement import Row, rate_per_s

TOPIC = "receiver"
ROUNDS = 10
NOW = 1_800_000_000


def measure(cloud_dir: Path, site: str, messages: Sequence[bytes]) -> list[Row]:
    """Takes real batches, oldest first, into an empty registry, `ROUNDS` times; the trust list is the run's."""
    key = SigningKey.generate()
    trust = TrustFile(CloudDirectory(cloud_dir))
    batches = [batch for message in messages if isinstance(batch := decode(message), Batch)]
    frames = sum(len(batch.leaves) for batch in batches) * ROUNDS
    spent = 0.0
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as directory:
            registry = Registry(Path(directory) / "registry.sqlite")
            intake = Intake(registry, key, trust, lambda: NOW)
            judge = Judge(registry, trust, lambda: NOW)
            begin = time.process_time()
            for message in messages:
                intake.batch(site, message)
                judge.judge_arrived(message)
            spent += time.process_time() - begin
            registry.close()
    public_key = trust.current().sites[0].public_key
    checking = len(messages) * ROUNDS / rate_per_s(lambda: verify_frame(batches[0], public_key, messages[0]))
    rate = frames / spent
    return [
        Row(TOPIC, "frames stored, receipted and verified", rate, "frames/s", f"{rate * 10:,.0f} sites at a frame each 10 s"),
        Row(TOPIC, "of it, checking signatures", 100 * checking / spent, "%", "signed by batches, not by frames"),
    ]
