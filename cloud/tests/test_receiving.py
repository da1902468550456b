"""From the broker to a signed receipt: every message is stored once, whatever is repeated, parallel, killed or unreadable."""

from __future__ import annotations

from thermogen_cloud.initialise import read_key
from thermogen_cloud.directory import CloudDirectory
from thermogen_esf import frames


def test_a_batch_over_the_broker_is_receipted_and_believed(cloud_process, uplink, site, wait):
    cloud_process.start()
    link = uplink()
    sent = site.batches(2)
    for batch in sent:
        link.send(batch)
    wait(lambda: all(link.receipts_of(batch) for batch in sent), "every batch is receipted")
    wait(lambda: {batch["status"] for batch in cloud_process.get("batches")} == {"believed"}, "both are believed")
    receipt = frames.decode(link.receipts_of(sent[1])[0])
    assert frames.verify_frame(receipt, read_key(CloudDirectory(cloud_process.root).cloud_key).public_key)
    assert (receipt.epoch, receipt.first_sequence, receipt.last_sequence) == (site.epoch - 1, 90, 179)
    assert receipt.header.site == site.identity
    assert cloud_process.stop() == 0
