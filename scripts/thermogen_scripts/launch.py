"""Starting the programs of a world, each once what it needs answers."""

from __future__ import annotations

import json
import signal

from .broker import MOSQUITTO
from .processes import Running, Supervisor, listening, require_free_port, wait_until
from .world import World, program

START_S = 60.0
"""How long a program has until it answers."""


def start_broker(world: World, supervisor: Supervisor) -> Running:
    """The broker, once it listens."""
    running = supervisor.start("broker", [MOSQUITTO, "-c", world.broker.configuration])
    wait_until(lambda: listening(world.settings.broker_port), "the broker listens", START_S, supervisor.running)
    return running


def start_cloud(world: World, supervisor: Supervisor) -> Running:
    """Receiver, API and page, once they listen."""
    running = supervisor.start("cloud", [program("thermogen-cloud"), "serve"], world.cloud_environment)
    wait_until(lambda: listening(world.settings.cloud_port), "the cloud listens", START_S, supervisor.running)
    return running


def start_uplink(world: World, supervisor: Supervisor) -> Running:
    """The site's way to the broker, once it listens."""
    ports = ["--listen", str(world.settings.uplink_port), "--to", str(world.settings.broker_port)]
    running = supervisor.start("uplink", [program("thermogen-sim"), "uplink", *ports])
    wait_until(lambda: listening(world.settings.uplink_port), "the uplink listens", START_S, supervisor.running)
    return running


def start_site(world: World, supervisor: Supervisor) -> Running:
    """The simulated site, ready to power up when the daemon connects."""
    settings = world.settings
    world.plant_dir.mkdir(exist_ok=True, mode=0o700)
    world.host_link.unlink(missing_ok=True)
    command = [program("thermogen-sim"), *(("replay", settings.replay) if settings.replay else ("site",))]
    command += ["--name", settings.site, "--run-dir", str(world.plant_dir), "--host-link", str(world.host_link)]
    command += ["--rtu", str(settings.rtu_port), "--clock", str(settings.clock_port), "--pace", settings.pace]
    command += ["--clocks-per-site-second", str(settings.clocks_per_site_second), "--state", "warm"]
    command += ["--start", settings.start] if settings.start else []
    running = supervisor.start("site", command)
    wait_until(world.host_link.exists, "the site is ready to power up", START_S, supervisor.running)
    return running


def start_edge(world: World, supervisor: Supervisor) -> Running:
    """The daemon."""
    return supervisor.start("edge", [program("thermogen-edge"), "run"], world.edge_environment)


def site_time(site: Running) -> int:
    """The plant's site time, Unix seconds, from the site's last status line; 0 before the first."""
    for line in reversed(site.last_lines(20).splitlines()):
        try:
            return int(json.loads(line)["site_time"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def cut(uplink: Running) -> None:
    """Breaks the site's way to the broker."""
    uplink.process.send_signal(signal.SIGUSR1)


def restore(uplink: Running) -> None:
    """Mends the site's way to the broker."""
    uplink.process.send_signal(signal.SIGUSR2)


def require_free_ports(world: World) -> None:
    """PortInUseError for the first port of the run that is taken."""
    for variable, port in world.settings.ports:
        require_free_port(port, variable)


def start_all(world: World, supervisor: Supervisor) -> dict[str, Running]:
    """Everything, by name; PortInUseError before anything starts when a port is taken."""
    require_free_ports(world)
    return {
        "broker": start_broker(world, supervisor),
        "cloud": start_cloud(world, supervisor),
        "uplink": start_uplink(world, supervisor),
        "site": start_site(world, supervisor),
        "edge": start_edge(world, supervisor),
    }
