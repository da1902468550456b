"""`thermogen-sim`: a virtual site as a process; an uplink that can be cut; the prover alone; a fleet under attack."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import signal
import sys
from pathlib import Path
from typing import NoReturn

from .compiler import shown_on_stderr, site_design, site_library
from .errors import SettingError, SimulatorError
from .fleet import command as fleet_command
from .series import read_series
from .service import CHANNELS, MODULES, Settings, SiteService
from .uplink import run_uplink
from .vrf.prover import CLOCK_HZ, CompiledProver

USAGE_EXIT = 2


def _start(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither Unix seconds nor an ISO 8601 time") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())


def _pace(text: str) -> float | None:
    if text == "max":
        return None
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not 0.001 <= pace <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: give site seconds per wall second (0.001 to 1,000,000) or max")
    return pace


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return port


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not hexadecimal, two digits a byte") from None


def _gateware_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clocks-per-site-second", type=int, default=10_000, metavar="N", help="50000000 in products; default %(default)s")
    parser.add_argument(
        "--channels", type=int, default=CHANNELS, metavar="N", help="power channels of a module, 1 to 36; default %(default)s"
    )
    parser.add_argument("--modules", type=int, default=MODULES, metavar="N", help="power modules, 1 to 3; default %(default)s")
    parser.add_argument(
        "--seal", action="store_true", help="the node has a key of its own, made of --seed's noise and kept in the run directory"
    )


def _site_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="tz-simulated", help="name of the site; default %(default)s")
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help="where the plant's state is kept (made with mode 0700); default run/NAME"
    )
    parser.add_argument("--host-link", type=Path, metavar="SOCKET", help="Unix socket of the SPI host link; default host-link.sock in DIR")
    parser.add_argument("--rtu", type=_port, metavar="PORT", help="burner controller, Modbus RTU over TCP on 127.0.0.1")
    parser.add_argument("--clock", type=_port, metavar="PORT", help="clock, gpsd's JSON protocol on 127.0.0.1")
    _gateware_options(parser)
    parser.add_argument(
        "--start", type=_start, metavar="TIME", help="first site time (ISO 8601, Unix seconds); default now, or the series' start"
    )
    parser.add_argument(
        "--pace", type=_pace, default=1.0, metavar="P", help="site seconds per wall second once the clock is set, or max; default 1"
    )
    parser.add_argument(
        "--state", choices=("warm", "cold"), default="warm", help="the plant at first; a state in the run directory goes before"
    )
    parser.add_argument("--seed", type=int, default=0, help="spread of the modules and noise of the converters")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="thermogen-sim", description="A simulated well pad around the compiled gateware.")
    commands = parser.add_subparsers(dest="command", required=True)
    site = commands.add_parser("site", help="run a site until SIGTERM")
    _site_options(site)
    site.add_argument("--replay", type=Path, metavar="FILE", help="drive gas, ambient and load from a CSV or Parquet series")
    replay = commands.add_parser("replay", help="run a site driven by a series")
    replay.add_argument("replay", type=Path, metavar="FILE", help="CSV or Parquet: time, gas_flow_mcf_d, ambient_degc, load_w")
    _site_options(replay)
    compiling = commands.add_parser("compile", help="compile the gateware into the cache, so that the next start is quick")
    _gateware_options(compiling)
    uplink = commands.add_parser("uplink", help="a TCP relay on loopback: SIGUSR1 cuts it, SIGUSR2 restores it")
    uplink.add_argument("--listen", type=_port, required=True, metavar="PORT", help="port to listen on")
    uplink.add_argument("--to", type=_port, required=True, metavar="PORT", help="port to relay to")
    vrf = commands.add_parser("vrf", help="a proof by the gateware's prover, RFC 9381 ECVRF-EDWARDS25519-SHA512-TAI")
    vrf.add_argument("--key", type=_hexadecimal, required=True, metavar="HEX", help="secret seed of 32 bytes; other users see it: a test's")
    vrf.add_argument("--alpha", type=_hexadecimal, required=True, metavar="HEX", help="what to prove for, 0 to 256 bytes")
    fleet_command.add_to(commands)
    return parser


def _gateware(arguments: argparse.Namespace) -> tuple[int, int, int]:
    """Clocks a site second, channels a module and modules."""
    clocks, channels, modules = arguments.clocks_per_site_second, arguments.channels, arguments.modules
    if not 10_000 <= clocks <= 50_000_000:
        raise SettingError(f"--clocks-per-site-second {clocks}: give 10000 to 50000000")
    if not 1 <= channels <= 36:
        raise SettingError(f"--channels {channels}: give 1 to 36; a module has three converters of twelve")
    if not 1 <= modules <= 3:
        raise SettingError(f"--modules {modules}: give 1 to 3; a node has three slots")
    return clocks, channels, modules


def _settings(arguments: argparse.Namespace) -> Settings:
    if arguments.seed < 0:
        raise SettingError(f"--seed {arguments.seed}: give 0 or more")
    clocks, channels, modules = _gateware(arguments)
    series = None if arguments.replay is None else read_series(arguments.replay)
    start = arguments.start
    if start is None and series is not None:
        start = series.start
    run_dir = arguments.run_dir or Path("run") / arguments.name
    return Settings(
        name=arguments.name,
        run_dir=run_dir,
        host_link=arguments.host_link or run_dir / "host-link.sock",
        rtu_port=arguments.rtu,
        clock_port=arguments.clock,
        clocks_per_site_second=clocks,
        start=start,
        pace=arguments.pace,
        warm=arguments.state == "warm",
        inputs=series,
        seed=arguments.seed,
        channels=channels,
        modules=modules,
        seal=arguments.seal,
    )


def _compile(clocks_per_site_second: int, channels: int, modules: int, seal: bool) -> None:
    with shown_on_stderr() as progress:
        site_library(site_design(clocks_per_site_second, channels, modules, progress, seal), progress)


def _prove(key: bytes, alpha: bytes) -> None:
    from thermogen_gateware.vrf.prover import ALPHA_BYTES, SEED_BYTES

    if len(key) != SEED_BYTES:
        raise SettingError(f"--key has {len(key)} bytes: give {SEED_BYTES}")
    if len(alpha) > ALPHA_BYTES:
        raise SettingError(f"--alpha has {len(alpha)} bytes: give {ALPHA_BYTES} at most")
    with shown_on_stderr() as progress:
        prover = CompiledProver(progress=progress)
        public = prover.load(key)
        proof = prover.prove(alpha)
        prover.close()
    print(f"public  {public.hex()}")
    print(f"pi      {proof.proof.hex()}")
    print(f"beta    {proof.output.hex()}")
    print(f"tries   {proof.tries}")
    print(f"cycles  {proof.clocks} ({1e3 * proof.clocks / CLOCK_HZ:.2f} ms at {CLOCK_HZ / 1e6:.0f} MHz)")


async def _run_site(settings: Settings) -> None:
    with shown_on_stderr() as progress:
        service = SiteService(settings, progress, lambda line: print(line, flush=True))
    await service.run()


def _tell_port(port: int) -> None:
    print(json.dumps({"ready": "uplink", "port": port}), flush=True)


def _terminated(_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 at an orderly end, 1 after an error that is told on stderr, 2 for a wrong command line."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminated)  # while compiling: leave nothing half made; a running site has its own handler
    try:
        if arguments.command == "uplink":
            asyncio.run(run_uplink(arguments.listen, arguments.to, _tell_port))
        elif arguments.command == "vrf":
            _prove(arguments.key, arguments.alpha)
        elif arguments.command == "compile":
            _compile(*_gateware(arguments), arguments.seal)
        elif arguments.command == "fleet":
            fleet_command.run(arguments)
        else:
            asyncio.run(_run_site(_settings(arguments)))
    except SettingError as error:
        print(f"thermogen-sim: {error}", file=sys.stderr)
        return USAGE_EXIT
    except SimulatorError as error:
        print(f"thermogen-sim: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
