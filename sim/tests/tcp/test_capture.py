"""Wireshark's dissectors, as a third opinion on what is on the wire, find no fault in a session with the compiled stack."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from thermogen_sim.tap import available
from thermogen_sim.tcp.session import record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed; scripts/install-system-packages does it"),
]
PUBLISHED = Path(__file__).parents[3] / "docs" / "scada" / "session.pcap"
WARNING = 0x0060_0000
FAULTS = " || ".join(
    (
        "_ws.malformed",
        f"_ws.expert.severity >= {WARNING}",
        "ip.checksum.status == 0",
        "tcp.checksum.status == 0",
        "icmp.checksum.status == 0",
        "tcp.analysis.retransmission",
        "tcp.analysis.out_of_order",
        "tcp.analysis.duplicate_ack",
    )
)


def tshark(capture, *arguments):
    checks = [part for layer in ("ip", "tcp") for part in ("-o", f"{layer}.check_checksum:TRUE")]
    return subprocess.run(
        ["tshark", "-n", *checks, "-r", capture, *arguments], check=True, text=True, capture_output=True, timeout=120
    ).stdout


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    if not available():
        pytest.skip("a TAP device needs root and /dev/net/tun")
    path = tmp_path_factory.mktemp("capture") / "session.pcap"
    record(path)
    return path


def assert_without_fault(capture):
    assert tshark(capture, "-Y", FAULTS) == ""
    frames = Counter(tshark(capture, "-T", "fields", "-e", "_ws.col.Protocol").split())
    assert frames["ARP"] >= 2 and frames["ICMP"] == 2
    # Ten requests and their answers, one of them an exception, each in a frame of its own, all dissected.
    assert frames["Modbus/TCP"] == 20
    functions = tshark(capture, "-Y", "modbus", "-T", "fields", "-e", "modbus.func_code").split()
    assert Counter(functions) == {"1": 2, "2": 2, "3": 6, "4": 2, "5": 2, "6": 2, "16": 2, "43": 2}
    assert tshark(capture, "-Y", "modbus.exception_code == 2").count("\n") == 1
    assert tshark(capture, "-Y", "tcp.flags.syn == 1").count("\n") == 2
    assert tshark(capture, "-Y", "tcp.flags.fin == 1").count("\n") == 2
    assert tshark(capture, "-Y", "tcp.flags.reset == 1") == ""


def test_a_session_with_linux_and_pymodbus_has_no_fault(session):
    assert_without_fault(session)


def test_the_published_session_has_no_fault():
    assert_without_fault(PUBLISHED)


def test_a_fault_would_be_seen(session, tmp_path):
    spoiled = bytearray(session.read_bytes())
    spoiled[spoiled.rindex(b"TZ-NODE")] ^= 1
    (tmp_path / "spoiled.pcap").write_bytes(spoiled)
    assert tshark(tmp_path / "spoiled.pcap", "-Y", FAULTS).count("\n") == 1
