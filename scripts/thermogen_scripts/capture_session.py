"""`make capture`: a session with the compiled gateware, as docs/scada/session.pcap. Needs root and /dev/net/tun."""

from __future__ import annotations

import sys
from pathlib import Path

from thermogen_sim.tap import available
from thermogen_sim.tcp.session import record

CAPTURE = Path(__file__).parents[2] / "docs" / "scada" / "session.pcap"


def main() -> int:
    """Exit code 1 where no TAP device can be made."""
    if not available():
        print("capture: a TAP device needs root and /dev/net/tun", file=sys.stderr)
        return 1
    record(CAPTURE)
    print(f"written: docs/scada/{CAPTURE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
