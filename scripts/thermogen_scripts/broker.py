"""The broker of a run: mosquitto on loopback, with a password and an access list for each client."""

from __future__ import annotations

import getpass
import secrets
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from .settings import CLOUD_USER

MOSQUITTO = Path("/usr/sbin/mosquitto")

SITE_WRITES = ("batch", "live", "alert", "ack", "writes", "seals", "statement", "fetch")
CLOUD_WRITES = ("receipt", "command", "drawing", "published")
MAX_MESSAGE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """Where one broker's configuration and its clients' passwords lie."""

    directory: Path

    @property
    def configuration(self) -> Path:
        return self.directory / "mosquitto.conf"

    def password_file(self, user: str) -> Path:
        """The file that holds `user`'s password, mode 0600."""
        return self.directory / f"{user}.password"


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read: the whole text or, if the power or the disk fails, nothing."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def configure(files: BrokerFiles, port: int, sites: Sequence[str], topic_prefix: str) -> None:
    """Writes configuration, access list and, once, the clients' passwords; a second call keeps the passwords."""
    files.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    hashed = files.directory / "passwords"
    if not hashed.exists():
        users = {user: secrets.token_urlsafe(24) for user in (*sites, CLOUD_USER)}
        for user, password in users.items():
            write_private(files.password_file(user), password)
        draft = files.directory / "passwords.plain"
        write_private(draft, "".join(f"{user}:{password}\n" for user, password in users.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(draft)], check=True, capture_output=True)
        draft.rename(hashed)
    allow(files, sites, topic_prefix)
    write_private(
        files.configuration,
        "\n".join(
            (
                f"listener {port} 127.0.0.1",
                "allow_anonymous false",
                f"password_file {hashed}",
                f"acl_file {files.directory / 'access'}",
                f"user {getpass.getuser()}",
                "persistence true",
                f"persistence_location {files.directory}/",
                f"message_size_limit {MAX_MESSAGE_BYTES}",
                "max_queued_messages 10000",
                "",
            )
        ),
    )


def allow(files: BrokerFiles, sites: Sequence[str], topic_prefix: str, withheld: Collection[tuple[str, str]] = ()) -> None:
    """Writes the access list; a broker that runs takes it at SIGHUP.

    `withheld` are pairs of site and topic's last level that the broker keeps from going through, as a compromised one can.
    """
    blocks = [_access(site, topic_prefix, {leaf for name, leaf in withheld if name == site}) for site in sites]
    cloud = [f"user {CLOUD_USER}"]
    cloud += [f"topic read {topic_prefix}/+/{leaf}" for leaf in SITE_WRITES]
    cloud += [f"topic write {topic_prefix}/+/{leaf}" for leaf in CLOUD_WRITES]
    write_private(files.directory / "access", "\n\n".join("\n".join(block) for block in (*blocks, cloud)) + "\n")


def _access(site: str, prefix: str, withheld: Collection[str]) -> list[str]:
    own = f"{prefix}/{site}"
    lines = [f"user {site}"]
    lines += [f"topic write {own}/{leaf}" for leaf in SITE_WRITES if leaf not in withheld]
    return lines + [f"topic read {own}/{leaf}" for leaf in CLOUD_WRITES if leaf not in withheld]
