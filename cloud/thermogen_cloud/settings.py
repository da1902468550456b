"""What the cloud can be told, all by environment; the defaults need nothing but a broker."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .directory import CloudDirectory, UnusableSecretError, read_secret_text
from .errors import OperatorError

ADDRESS = "127.0.0.1"
"""Where the page and the API listen: nowhere else."""
_API_PREFIX = r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+"
"""Levels that mean the same to every client and router: nothing to escape, no `.` and `..`, no empty level."""
_VIEWER = r"[A-Za-z0-9._~-]{1,64}"
"""HTTP Basic ends the name at a colon; these need no escape in an address either."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, default and meaning."""

    variable: str
    default: str
    meaning: str


SETTINGS: tuple[Setting, ...] = (
    Setting("THERMOGEN_CLOUD_DIR", "run/cloud", "directory (mode 0700) of the databases, keys and the trust list"),
    Setting("THERMOGEN_CLOUD_PORT", "8080", "port of the page and the API, on 127.0.0.1"),
    Setting("THERMOGEN_API_PREFIX", "/api/v1", "first levels of every path of the API"),
    Setting("THERMOGEN_VIEWER", "viewer", "user name for the page and the API"),
    Setting("THERMOGEN_VIEWER_PASSWORD_FILE", "", "file (mode 0600) with that user's password; empty: viewer.password in the directory"),
    Setting("THERMOGEN_BROKER", "mqtt://cloud@127.0.0.1:1883", "MQTT 5 broker, as mqtt:// or mqtts://user@host:port"),
    Setting("THERMOGEN_BROKER_PASSWORD_FILE", "", "file (mode 0600) with the broker's password; empty: no password"),
    Setting("THERMOGEN_TOPIC_PREFIX", "tz/v1", "first levels of every MQTT topic"),
    Setting("THERMOGEN_CLOUD_DEMONSTRATION", "0", "1: trust lists are written as demonstration, so that credits are marked so"),
)


class SettingError(OperatorError):
    """A setting cannot be used."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    user: str | None
    tls: bool

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The cloud's settings, checked."""

    directory: CloudDirectory
    port: int
    api_prefix: str
    viewer: str
    broker: Broker
    broker_password_file: Path | None
    topic_prefix: str
    demonstration: bool

    def broker_password(self) -> str | None:
        """The broker's password without its line end; SettingError where the file cannot be read, ExposedSecretError where others can."""
        if self.broker_password_file is None:
            return None
        try:
            return read_secret_text(self.broker_password_file)
        except (OSError, UnusableSecretError) as error:
            raise SettingError(
                f"THERMOGEN_BROKER_PASSWORD_FILE={self.broker_password_file}: {error}", "name a readable file that holds the password alone"
            ) from error


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environment` (default: the process's); SettingError names the variable and what it should be."""
    given = os.environ if environment is None else environment
    text = {setting.variable: given.get(setting.variable) or setting.default for setting in SETTINGS}

    port = text["THERMOGEN_CLOUD_PORT"]
    if not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise SettingError(f"THERMOGEN_CLOUD_PORT={port} is not a port", "give a whole number from 1 to 65535")
    api_prefix = text["THERMOGEN_API_PREFIX"]
    if not re.fullmatch(_API_PREFIX, api_prefix):
        raise SettingError(
            f"THERMOGEN_API_PREFIX={api_prefix} is not a path",
            "begin with / and end without one, in letters, digits and . _ ~ - between the slashes, as /api/v1",
        )
    viewer = text["THERMOGEN_VIEWER"]
    if not re.fullmatch(_VIEWER, viewer):
        raise SettingError(f"THERMOGEN_VIEWER={viewer} is not a user name", "give 1 to 64 letters, digits and . _ ~ -")
    prefix = text["THERMOGEN_TOPIC_PREFIX"].strip("/")
    if not prefix or not prefix.isprintable() or any(symbol in prefix for symbol in "+#"):
        raise SettingError(f"THERMOGEN_TOPIC_PREFIX={prefix} is not a topic", "give topic levels without + and #, as tz/v1")
    demonstration = text["THERMOGEN_CLOUD_DEMONSTRATION"]
    if demonstration not in ("0", "1"):
        raise SettingError(f"THERMOGEN_CLOUD_DEMONSTRATION={demonstration} is neither 0 nor 1", "give 1 for a demonstration, else 0")
    password_file, viewer_file = text["THERMOGEN_BROKER_PASSWORD_FILE"], text["THERMOGEN_VIEWER_PASSWORD_FILE"]
    return Settings(
        directory=CloudDirectory(Path(text["THERMOGEN_CLOUD_DIR"]).absolute(), Path(viewer_file).absolute() if viewer_file else None),
        port=int(port),
        api_prefix=api_prefix,
        viewer=viewer,
        broker=_broker(text["THERMOGEN_BROKER"]),
        broker_password_file=Path(password_file) if password_file else None,
        topic_prefix=prefix,
        demonstration=demonstration == "1",
    )


def _broker(url: str) -> Broker:
    remedy = "give mqtt://user@host:port or mqtts://user@host:port"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # what the resolver does with it, too late for an answer
    except ValueError as error:
        raise SettingError(f"THERMOGEN_BROKER={url}: {error}", remedy) from error
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/"):
        raise SettingError(f"THERMOGEN_BROKER={url} is not a broker's address", remedy)
    if parts.password is not None:
        raise SettingError("THERMOGEN_BROKER holds a password, which any process can read", "put it into THERMOGEN_BROKER_PASSWORD_FILE")
    tls = parts.scheme == "mqtts"
    return Broker(parts.hostname, port or (8883 if tls else 1883), parts.username, tls)
