"""The long part of `make fuzz` that throws frames at the node's network: writes docs/network-fuzz.md, and what it found to build/."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

from amaranth.back import rtlil
from rich.console import Console
from thermogen_sim.network_harness import CompiledNetwork
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tcp.campaign import CLEAN_EVERY, Campaign, FoundError, Summary
from thermogen_sim.tcp.network_top import NetworkTop
from thermogen_sim.tcp.nonsense import Level
from thermogen_sim.tcp.station import LIMIT_CLOCKS

FRAMES, SEED = 1_000_000, 3
CLOCKS_PER_SECOND = 200_000
CLOCK_MHZ = 50
DIGEST_DIGITS = 16
DOCUMENT = Path(__file__).parents[2] / "docs" / "network-fuzz.md"
FOUND = Path("build/network-fuzz-found.json")


def stack_rtlil() -> str:
    """The stack that is fuzzed, as it is compiled."""
    rtl: str = rtlil.convert(NetworkTop(CLOCKS_PER_SECOND), name=TOP, emit_src=False)
    return rtl


def digest_line(rtl: str) -> str:
    """What the page says of the stack that was fuzzed."""
    return f"The stack's RTLIL has the SHA-256 `{hashlib.sha256(rtl.encode()).hexdigest()[:DIGEST_DIGITS]}…`."


def document(summary: Summary, seed: int, rtl: str) -> str:
    """The summary as a page: nothing in it depends on the machine. `rtl` is what was fuzzed."""
    frames = sum(summary.frames.values())
    levels = "\n".join(f"| {level} | {summary.frames[level]:,} |" for level in Level)
    answers = "\n".join(f"| {kind} | {count:,} |" for kind, count in summary.answers.most_common())

    def microseconds(clocks: int) -> str:
        return f"{clocks:,} clocks ({clocks / CLOCK_MHZ:.1f} µs)"

    return f"""# The network fuzzed

Written by `make fuzz` at the end of its long run; what a frame of each level is, is in `sim/thermogen_sim/tcp/nonsense.py`, and what is
held against the node in `campaign.py` beside it. The same gateware and seed give the same figures on any machine. `make test` runs a
short form and everything that once broke something (`sim/tests/tcp/corpus.json`).

{frames:,} frames, seed {seed}, at the RMII pins of the compiled stack (MAC to MODBUS, 8 connections, a second of
{CLOCKS_PER_SECOND:,} clocks so that timers run out while it lasts), {summary.clocks:,} clocks. Found: nothing.

{digest_line(rtl)} A test fails when the present stack is another.

| spoiled at the level of | frames |
| --- | --- |
{levels}

| what the node sent | frames |
| --- | --- |
{answers}

After every {CLEAN_EVERY:,} frames, with nothing waited for, a client that does all right connected, read, wrote and read back:
{summary.clean_clients:,} times, each within its {LIMIT_CLOCKS:,} clocks. The slowest handshake was answered
{microseconds(summary.slowest_handshake)} after its SYN, the slowest request {microseconds(summary.slowest_answer)}
after its end. After the last frame all places became free.
"""


def main() -> int:
    """Exit code 1 when something was found."""
    begun = time.monotonic()
    rtl = stack_rtlil()
    network = CompiledNetwork(network_library(rtl))
    with Console(stderr=True).status("frames at the node's network…") as status:

        def show(summary: Summary) -> None:
            done = sum(summary.frames.values())
            status.update(f"frames at the node's network: {done:,} of {FRAMES:,}, {time.monotonic() - begun:,.0f} s")

        try:
            summary = Campaign(network, CLOCKS_PER_SECOND, SEED).run(FRAMES, show)
        except FoundError as error:
            FOUND.parent.mkdir(exist_ok=True)
            wires = [{"wire": one.wire.hex(), "flaws": one.flaws} for one in error.wires]
            FOUND.write_text(json.dumps([{"name": str(error), "wires": wires}], indent=1) + "\n")
            print(f"fuzz: {error}; the frames since a client was served last are in {FOUND}", file=sys.stderr)
            return 1
        finally:
            network.close()
    DOCUMENT.write_text(document(summary, SEED, rtl), encoding="utf-8")
    print(f"fuzz: {FRAMES:,} frames at the node's network in {time.monotonic() - begun:,.0f} s, nothing found; docs/{DOCUMENT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
