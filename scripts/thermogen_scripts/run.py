"""`make run`: a simulated well pad and its cloud on this machine, until Ctrl-C."""

from __future__ import annotations

import sys
import time

from .broker import MAX_MESSAGE_BYTES
from .launch import require_free_ports, start_all
from .processes import ProcessError, StopRequestedError, Supervisor, require_alive, told_to_stop
from .provision import ProvisionError, compile_gateware, provision
from .run_directory import RunDirectoryError, owned
from .settings import SettingError, read_settings
from .world import World

WATCH_S = 0.5


def banner(world: World) -> str:
    """What a person needs to use the run: addresses, credentials, where things lie."""
    settings = world.settings
    rows = (
        ("page", f"{world.page}  (user {settings.viewer}, password in {world.viewer_password_file})"),
        ("API", f"{world.api}, described at {world.page}docs"),
        ("approver", f"{settings.approver}, passphrase in {world.approver_passphrase_file}"),
        (
            "broker",
            f"mqtt://127.0.0.1:{settings.broker_port}  topics {settings.topic_prefix}/{settings.site}/…, ≤ {MAX_MESSAGE_BYTES} bytes",
        ),
        ("uplink", f"127.0.0.1:{settings.uplink_port}, the site's way to the broker"),
        ("burner", f"Modbus RTU over TCP, 127.0.0.1:{settings.rtu_port}, unit 1"),
        ("clock", f"gpsd protocol, 127.0.0.1:{settings.clock_port}"),
        ("host link", f"unix:{world.host_link}"),
        ("run directory", str(settings.run_dir)),
        ("pace", f"{settings.pace} site seconds a second, {settings.clocks_per_site_second} clocks a site second"),
    )
    return "\n".join(f"  {name:<14}{text}" for name, text in rows)


def main() -> int:
    """Runs until Ctrl-C, SIGTERM or a closed terminal; exit code 1 with a message when something cannot start or ends by itself."""
    try:
        with told_to_stop():
            world = World(read_settings())
            with owned(world.settings.run_dir):
                require_free_ports(world)
                compile_gateware(world.settings.clocks_per_site_second)
                provision(world)
                with Supervisor(world.settings.run_dir / "logs") as supervisor:
                    start_all(world, supervisor)
                    print(
                        f"Thermogen Zero is running: {world.settings.site}\n{banner(world)}\nCtrl-C stops it; `make run` again carries on.",
                        flush=True,
                    )
                    while True:
                        require_alive(supervisor.running)
                        time.sleep(WATCH_S)
    except StopRequestedError:
        print("stopped; `make run` carries on from here", flush=True)
        return 0
    except (SettingError, RunDirectoryError, ProvisionError, ProcessError, OSError) as error:
        print(f"run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
