"""What `thermogen-edge` can be told, all by environment (or a file of NAME=value lines, which the environment overrides)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from .errors import EdgeError
from .scada_settings import ScadaSettings, read_scada_settings

MEGABYTE = 1_000_000
_SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


class SettingError(EdgeError):
    """A setting cannot be used: the text names the variable and says what to give it."""

    def __init__(self, variable: str, value: str, advice: str) -> None:
        self.variable = variable
        super().__init__(f"{variable}={value!r}: {advice}" if value else f"{variable} is not set: {advice}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, default and meaning."""

    variable: str
    default: str
    meaning: str


SETTINGS: tuple[Setting, ...] = (
    Setting("THERMOGEN_SITE", "", "the site's name: letters, digits, `.`, `_`, `-`, 64 at most"),
    Setting("THERMOGEN_EDGE_DIR", "/var/lib/thermogen-edge", "directory (mode 0700) of buffer.sqlite, site.key and profile.json"),
    Setting("THERMOGEN_HOST_LINK", "spidev:/dev/spidev0.0", "the way to the FPGA: `spidev:/dev/spidevX.Y` or `unix:PATH`"),
    Setting("THERMOGEN_RTU", "", "burner controller on Modbus RTU over TCP, `tcp://HOST:PORT`; empty: the site has none"),
    Setting("THERMOGEN_CLOCK", "gpsd://127.0.0.1:2947", "where site time comes from: `gpsd://HOST:PORT` or `system`"),
    Setting("THERMOGEN_BROKER", "", "MQTT 5 broker, `mqtt://USER@HOST:PORT` or `mqtts://USER@HOST:PORT`"),
    Setting("THERMOGEN_BROKER_PASSWORD_FILE", "", "file (mode 0600) with the broker password; empty: none"),
    Setting("THERMOGEN_TOPIC_PREFIX", "tz/v1", "first levels of every MQTT topic"),
    Setting("THERMOGEN_CLOUD_KEYS", "", 'JSON file with the pinned cloud keys, `{"cloud": ["public key in hex", …]}`'),
    Setting("THERMOGEN_ATTESTATION", "", "directory with root.json, trust.signed and enrolments/; empty: this site is no witness"),
    Setting("THERMOGEN_POLL_S", "1", "wall seconds between two looks at the node, 0.01 to 10"),
    Setting(
        "THERMOGEN_RETRY_S", "30", "wall seconds until a batch without receipt is sent again; longest wait before reconnecting, 1 to 3600"
    ),
    Setting("THERMOGEN_BUFFER_MB", "256", "size that the buffer may grow to, 1 to 1000000; 256 hold 52 days of batches"),
    Setting("THERMOGEN_NODE_MODE", "dhcp", "where the node's own address comes from: `dhcp` or `fixed`"),
    Setting("THERMOGEN_NODE_ADDRESS", "192.168.84.90/24", "the node's fixed address and prefix; with `dhcp`, until there is an answer"),
    Setting("THERMOGEN_NODE_GATEWAY", "", "the fixed address's gateway; empty: none"),
    Setting("THERMOGEN_NODE_MAC", "", "the node's MAC, `02:54:5a:…`; empty: one that follows from the site's name"),
    Setting("THERMOGEN_SCADA_PREFERRED", "", "addresses of MODBUS clients whose connections never give way, 8 at most"),
    Setting("THERMOGEN_SCADA_WRITERS", "", "addresses or networks of MODBUS clients that may write, 4 at most; empty: writes are off"),
    Setting("THERMOGEN_SCADA_WRITABLE", "", "names of the registers that they may write, parted by commas; empty: all but `trip_clear`"),
    Setting("THERMOGEN_SCADA_WORD_ORDER", "high-first", "first word of wider MODBUS values: `high-first` or `low-first`"),
)


@dataclass(frozen=True, slots=True)
class HostLinkAddress:
    """How the FPGA is reached: `scheme` is spidev or unix, `path` a device or a socket."""

    scheme: str
    path: Path


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP server."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """The MQTT broker; `user` may be empty."""

    host: str
    port: int
    user: str
    tls: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """The daemon's settings, checked. `clock` is None where the system's clock is site time."""

    site: str
    edge_dir: Path
    host_link: HostLinkAddress
    rtu: TcpAddress | None
    clock: TcpAddress | None
    broker: BrokerAddress
    broker_password_file: Path | None
    topic_prefix: str
    cloud_keys: Path
    poll_s: float
    retry_s: float
    buffer_bytes: int
    scada: ScadaSettings
    attestation: Path | None = None
    """None where this site is no witness."""

    @property
    def buffer_path(self) -> Path:
        return self.edge_dir / "buffer.sqlite"

    @property
    def key_path(self) -> Path:
        return self.edge_dir / "site.key"

    @property
    def profile_path(self) -> Path:
        return self.edge_dir / "profile.json"


def read_file(path: Path) -> dict[str, str]:
    """The NAME=value lines of a configuration file; blank lines and lines that begin with # are skipped."""
    known = {setting.variable for setting in SETTINGS}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("--config", str(path), f"cannot be read ({error}); give a file of NAME=value lines") from error
    values = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator or name.strip() not in known:
            raise SettingError(
                "--config", f"{path}:{number}", f"{text!r} is not NAME=value with one of the names of `thermogen-edge --help`"
            )
        values[name.strip()] = value.strip()
    return values


def text_of(variable: str, environment: Mapping[str, str]) -> str:
    """The text that `environment` gives a variable, or its default."""
    setting = next(setting for setting in SETTINGS if setting.variable == variable)
    return environment.get(variable, "") or setting.default


def edge_dir(environment: Mapping[str, str]) -> Path:
    """THERMOGEN_EDGE_DIR, for commands that need nothing else."""
    return Path(text_of("THERMOGEN_EDGE_DIR", environment)).absolute()


def check_site_name(name: str) -> str:
    """`name`, where it can be a site's; SettingError otherwise."""
    if not _SITE_NAME.fullmatch(name):
        raise SettingError("THERMOGEN_SITE", name, "give the site's name in letters, digits, `.`, `_` and `-`, 64 at most")
    return name


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`; SettingError names the first variable that cannot be used and what to do."""

    def text(variable: str) -> str:
        return text_of(variable, environment)

    topic_prefix = text("THERMOGEN_TOPIC_PREFIX")
    if not _TOPIC_PREFIX.fullmatch(topic_prefix):
        raise SettingError("THERMOGEN_TOPIC_PREFIX", topic_prefix, "give levels of letters, digits, `.`, `_` and `-`, parted by /")
    password_file = text("THERMOGEN_BROKER_PASSWORD_FILE")
    cloud_keys = text("THERMOGEN_CLOUD_KEYS")
    if not cloud_keys:
        raise SettingError(
            "THERMOGEN_CLOUD_KEYS", "", "give the file with the cloud's public keys; without them no receipt can be believed"
        )
    rtu = text("THERMOGEN_RTU")
    clock = text("THERMOGEN_CLOCK")
    attestation = text("THERMOGEN_ATTESTATION")
    return Settings(
        site=check_site_name(text("THERMOGEN_SITE")),
        edge_dir=edge_dir(environment),
        host_link=_host_link(text("THERMOGEN_HOST_LINK")),
        rtu=_tcp("THERMOGEN_RTU", rtu, "tcp") if rtu else None,
        clock=None if clock == "system" else _tcp("THERMOGEN_CLOCK", clock, "gpsd"),
        broker=_broker(text("THERMOGEN_BROKER")),
        broker_password_file=Path(password_file) if password_file else None,
        topic_prefix=topic_prefix,
        cloud_keys=Path(cloud_keys),
        poll_s=_number("THERMOGEN_POLL_S", text("THERMOGEN_POLL_S"), 0.01, 10),
        retry_s=_number("THERMOGEN_RETRY_S", text("THERMOGEN_RETRY_S"), 1, 3600),
        buffer_bytes=int(_number("THERMOGEN_BUFFER_MB", text("THERMOGEN_BUFFER_MB"), 1, 1_000_000) * MEGABYTE),
        scada=read_scada_settings(text, SettingError),
        attestation=Path(attestation) if attestation else None,
    )


def _number(variable: str, value: str, low: float, high: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise SettingError(variable, value, f"give a number from {low:g} to {high:g}")
    return number


def _host_link(value: str) -> HostLinkAddress:
    scheme, _, path = value.partition(":")
    if scheme not in ("unix", "spidev") or not path.startswith("/"):
        raise SettingError("THERMOGEN_HOST_LINK", value, "give `spidev:/dev/spidevX.Y` or `unix:` and the absolute path of a socket")
    return HostLinkAddress(scheme, Path(path))


def _split(variable: str, value: str, schemes: tuple[str, ...], advice: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise SettingError(variable, value, f"{advice} ({error})") from error
    if parts.scheme not in schemes or not parts.hostname or not port or parts.path or parts.query or parts.fragment:
        raise SettingError(variable, value, advice)
    return parts, parts.hostname, port


def _tcp(variable: str, value: str, scheme: str) -> TcpAddress:
    other = " or `system`" if scheme == "gpsd" else ", or nothing where the site has none"
    _, host, port = _split(variable, value, (scheme,), f"give `{scheme}://HOST:PORT`{other}")
    return TcpAddress(host, port)


def _broker(value: str) -> BrokerAddress:
    advice = "give `mqtt://USER@HOST:PORT`, or `mqtts://` for TLS"
    if "://" in value and ":" in urlsplit(value).netloc.rpartition("@")[0]:
        raise SettingError(
            "THERMOGEN_BROKER", "(not shown)", "put the password into the file THERMOGEN_BROKER_PASSWORD_FILE, not into the address"
        )
    parts, host, port = _split("THERMOGEN_BROKER", value, ("mqtt", "mqtts"), advice)
    return BrokerAddress(host, port, parts.username or "", parts.scheme == "mqtts")


DEFAULT_SCADA = read_scada_settings(lambda variable: text_of(variable, {}), SettingError)
"""What nothing else was said of: nobody may write."""
