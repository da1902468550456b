"""`thermogen-verify`: what an auditor runs. It judges bundles offline; `thermogen-verify monitor` alone reads a log that is published."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .evidence import command as evidence_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["monitor"]:
        from .monitor import command as monitor_command  # judging a bundle loads nothing that reads a network

        evidence_command.make_printable()
        return monitor_command.run(given[1:])
    return evidence_command.main(given)


if __name__ == "__main__":
    sys.exit(main())
