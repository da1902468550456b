"""A network namespace with a TAP device in it: where programs of this machine meet simulated gateware, and nothing else.

Needs root and /dev/net/tun. The namespace lives as long as the process that holds it; programs are run in it with `command`.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

DEVICE = "tap0"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000


@dataclass(frozen=True)
class TapNamespace:
    """The namespace, by the process that holds it, and the descriptor of its device."""

    holder: int
    descriptor: int

    def command(self, arguments: Sequence[str]) -> list[str]:
        """What to run so that `arguments` runs in the namespace."""
        return ["nsenter", "--net", f"--target={self.holder}", "--", *arguments]

    def run(self, *arguments: str, timeout_s: float = 30) -> str:
        """Run a program in the namespace to its end; its output. Raises CalledProcessError."""
        return subprocess.run(self.command(arguments), check=True, text=True, capture_output=True, timeout=timeout_s).stdout


def available() -> bool:
    """Whether this machine lets us make one."""
    return os.geteuid() == 0 and os.access("/dev/net/tun", os.R_OK | os.W_OK)


_made = 0
_making = threading.Lock()


def _free_name() -> str:
    global _made  # noqa: PLW0603  a name is used for an instant, but by one at a time
    with _making:
        _made += 1
        return f"tz{os.getpid()}.{_made}"[:15]


@contextmanager
def tap_namespace(address: str = "192.0.2.1/24") -> Iterator[TapNamespace]:
    """A namespace whose device has this address (none if empty), with nothing of the kernel's own on it but what is asked for."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    name = _free_name()
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            subprocess.run(["ip", "link", "set", name, "netns", str(holder.pid), "name", DEVICE], check=True)
            namespace = TapNamespace(holder.pid, descriptor)
            namespace.run("sysctl", "-qw", f"net.ipv6.conf.{DEVICE}.disable_ipv6=1")
            namespace.run("ip", "link", "set", "lo", "up")
            if address:
                namespace.run("ip", "address", "add", address, "dev", DEVICE)
            namespace.run("ip", "link", "set", DEVICE, "up")
            yield namespace
        finally:
            os.close(descriptor)
            holder.terminate()
