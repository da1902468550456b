"""docs/network-fuzz.md speaks of the network that is there."""

from __future__ import annotations

from collections import Counter

import pytest
from thermogen_scripts.fuzz_network import DOCUMENT, SEED, digest_line, document, stack_rtlil
from thermogen_sim.tcp.campaign import Summary


@pytest.mark.slow
def test_the_page_is_of_the_present_stack():
    assert digest_line(stack_rtlil()) in DOCUMENT.read_text(encoding="utf-8"), "another network was fuzzed: run `make fuzz`"


def test_the_page_names_the_stack_that_was_fuzzed():
    pages = [document(Summary(frames=Counter(), answers=Counter()), SEED, rtl) for rtl in ("one", "another")]
    assert digest_line("one") in pages[0]
    assert digest_line("another") in pages[1]
    assert digest_line("one") != digest_line("another")
