"""`thermogen-edge`: the daemon of a site's controller node."""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from thermogen_esf.frames import site_identity
from thermogen_esf.keyfile import KeyFileError, KeyFileExistsError, load_seed, save_seed
from thermogen_esf.signatures import SigningKey

from . import version
from .attestation_trust import load_attestation_trust
from .buffer import Buffer, open_buffer
from .clock_source import open_clock
from .cloud_keys import load_cloud_keys
from .daemon import Daemon
from .errors import EdgeError
from .host_link.client import HostLinkClient
from .host_link.spidev import SpidevTransport
from .host_link.transport import Transport
from .host_link.unix_socket import UnixSocketTransport
from .mqtt_link import MqttLink
from .node import Node
from .node_sealer import NodeSealer
from .profile import default_profile, load_profile
from .settings import SETTINGS, SettingError, Settings, check_site_name, edge_dir, read_file, read_settings, text_of
from .site_sensors import SiteSensors

EXIT_OK, EXIT_REFUSED = 0, 2
_MODE_DIRECTORY, _MODE_FILE = 0o700, 0o600
_OTHERS = 0o077
_MAX_PASSWORD_BYTES = 1_024
_log = logging.getLogger(__name__)


class SetUpError(EdgeError):
    """The site's directory is not as it has to be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0 done, 2 refused with the reason on standard error."""
    parsed = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # an absent server is said once, by us
    try:
        environment = {**(read_file(parsed.config) if parsed.config else {}), **os.environ}
        if parsed.command == "init":
            print(json.dumps(initialise(edge_dir(environment), parsed.site)))
        elif parsed.command == "status":
            print(json.dumps(status(environment)))
        else:
            run(read_settings(environment))
    except (EdgeError, KeyFileError) as error:
        print(f"thermogen-edge: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room on that disk, then start again" if full else "check that the path is right and that this user may use it"
        print(f"thermogen-edge: {error}: {advice}", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_OK


def initialise(directory: Path, site: str) -> dict[str, str]:
    """Makes a site's directory, key and profile, where they are not there yet; what others need to know of them."""
    check_site_name(site)
    directory.mkdir(parents=True, exist_ok=True, mode=_MODE_DIRECTORY)
    _require_private(directory)
    profile_path, key_path = directory / "profile.json", directory / "site.key"
    if not profile_path.exists():
        _write_new(profile_path, default_profile(site))
    profile = load_profile(profile_path)
    if profile.site != site:
        raise SetUpError(f"{directory} belongs to the site {profile.site!r}: set THERMOGEN_EDGE_DIR to another directory for {site!r}")
    if not key_path.exists():
        with suppress(KeyFileExistsError):  # a second `init` was quicker; its key is the site's
            save_seed(key_path, SigningKey.generate())
    key = load_seed(key_path)
    return {
        "site": site,
        "site_identity": site_identity(site).hex(),
        "public_key": key.public_key.hex(),
        "key_id": key.key_id.hex(),
        "profile_hash": f"{profile.profile_hash:016x}",
        "calibration_hash": f"{profile.calibration_hash:016x}",
        "calibration": b"".join(word.to_bytes(2, "big") for word in profile.measuring_words).hex(),
    }


def status(environment: Mapping[str, str]) -> dict[str, int | str]:
    """What the buffer holds, whether the daemon runs or not. Ages are against the newest leaf's time."""
    path = edge_dir(environment) / "buffer.sqlite"
    if not path.exists():
        raise SetUpError(f"{path}: no buffer yet; it is made by `thermogen-edge run`")
    limit_mb = text_of("THERMOGEN_BUFFER_MB", environment)
    try:
        buffer = Buffer(path, int(float(limit_mb) * 1_000_000))
    except ValueError as error:
        raise SettingError("THERMOGEN_BUFFER_MB", limit_mb, "give a number") from error
    try:
        depth = buffer.depth()
        return {
            "depth_frames": depth.frames,
            "depth_batches": depth.batches,
            "oldest_age_s": depth.oldest_age_s,
            "hours_left": depth.hours_left,
            "used_bytes": depth.used_bytes,
            "boot_count": buffer.boot_count,
            "next_sequence": buffer.next_sequence,
            "last_time": buffer.last_time_s,
            "site_state": buffer.site_state.name.lower(),
            "set_aside": buffer.count_set_aside(),
        }
    finally:
        buffer.close()


def run(settings: Settings) -> None:
    """Runs the daemon until it is told to stop."""
    directory = settings.edge_dir
    if not directory.is_dir():
        raise SetUpError(f"{directory}: no such directory; make it with `thermogen-edge init --site {settings.site}`")
    _require_private(directory)
    profile = load_profile(settings.profile_path)
    if profile.site != settings.site:
        raise SetUpError(f"{settings.profile_path} is of the site {profile.site!r}, THERMOGEN_SITE is {settings.site!r}")
    key = load_seed(settings.key_path)
    cloud_keys = load_cloud_keys(settings.cloud_keys)
    password = _password(settings.broker_password_file)
    trust = None if settings.attestation is None else load_attestation_trust(settings.attestation, int(time.time()))
    host_link = HostLinkClient(_transport(settings))
    node = Node(host_link)
    with _only_one(directory):
        _log.info("thermogen-edge %s for %s, key %s", version.TEXT, settings.site, key.key_id.hex())
        Daemon(
            profile=profile,
            key=key,
            cloud_keys=cloud_keys,
            buffer=open_buffer(settings.buffer_path, settings.buffer_bytes),
            node=node,
            clock=open_clock(settings.clock),
            sensors=SiteSensors(settings.rtu, max(settings.poll_s, 0.1)) if settings.rtu else None,
            link=MqttLink(settings.broker, password, settings.site, settings.topic_prefix, settings.retry_s, trust is not None),
            poll_s=settings.poll_s,
            retry_s=settings.retry_s,
            scada=settings.scada,
            sealer=NodeSealer(host_link, lambda: node.status().flags),
            trust=trust,
        ).run()


def _transport(settings: Settings) -> Transport:
    address = settings.host_link
    return UnixSocketTransport(address.path) if address.scheme == "unix" else SpidevTransport(address.path)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Holds the directory's lock: two daemons would give one number to two batches."""
    with (directory / "daemon.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetUpError(f"{directory} is in use by another thermogen-edge: stop that one first") from error
        yield


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise SettingError("THERMOGEN_BROKER_PASSWORD_FILE", str(path), "others can read it: chmod 600 it, and change the password")
            return file.read(_MAX_PASSWORD_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            "THERMOGEN_BROKER_PASSWORD_FILE", str(path), f"cannot be read ({error}); give the file with the password"
        ) from error


def _require_private(directory: Path) -> None:
    if directory.stat().st_mode & _OTHERS:
        raise SetUpError(f"{directory} holds the site's key and others may enter it: chmod 700 it")


def _write_new(path: Path, content: bytes) -> None:
    """Writes a file that is complete or not there, mode 0600."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)


def _parser() -> argparse.ArgumentParser:
    table = "\n".join(f"  {setting.variable}  {setting.meaning}\n      default: {setting.default or 'none'}" for setting in SETTINGS)
    parser = argparse.ArgumentParser(
        prog="thermogen-edge",
        description="The daemon of a site's controller node: reads the FPGA, decides, signs, buffers, uploads, obeys.",
        epilog=f"settings, from the environment:\n{table}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version.TEXT)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, meaning in (
        ("init", "make the site's directory, key and profile; print the public key as JSON"),
        ("run", "run the daemon"),
        ("status", "print depth, oldest age and hours left of the buffer as JSON"),
    ):
        command = commands.add_parser(name, help=meaning, description=meaning)
        command.add_argument("--config", type=Path, default=None, metavar="FILE", help="NAME=value lines; the environment overrides them")
        if name == "init":
            command.add_argument("--site", required=True, metavar="NAME", help="the site's name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
