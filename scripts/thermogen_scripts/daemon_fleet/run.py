"""Five sites, each with the compiled gateware and the product's daemon, one mosquitto and one `thermogen-cloud`, each a process: days that
are sealed, drawn, fetched over the broker, judged, said and decided, and three attacks on them at once.

    tz-honest    its day waits for a stalled beacon, is witnessed and attested
    tz-forged    its Linux side is compromised: leaves claim more than was sealed        forged-root
    tz-doubled   a second batch of its sealed epoch is sent after three witnesses spoke  dropped-dissent
    tz-quiet     seals and witnesses
    tz-late      hears of the drawings late, sees the second batch, and dissents: its statement is dropped on the way

Once three days are closed, the broker holds back the seals of four sites: nobody is drawn for those days (stalled-beacon). A day is its
last quarter of an hour here, of which nothing is minted: `thermogen-verify` comes to that too, after it has redone all before it. One JSON
object a result on standard output, progress on standard error. A window is five minutes by the wall clock, and the cloud looks once a
minute: the whole takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermogen_esf.evidence.attestation.enrolment import Enrolled, Enrolment, enrolled, ordered
from thermogen_esf.evidence.attestation.proof_bundle import EnrolledBytes, encode_statement
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Opinion, Statement

from ..broker import MOSQUITTO, allow
from ..cloud_client import ApiError, CloudClient
from ..processes import ProcessError, Running, StopRequestedError, Supervisor, listening, told_to_stop, wait_until
from ..provision import ProvisionError, compile_gateware
from ..run_directory import RunDirectoryError, empty_for_demonstration, owned
from ..world import program
from .ceremony import make_list, node_key, set_up_parties
from .intruder import another_batch, kept_seals, kept_statements, send_batch
from .published import bundle_and_frames
from .world import CLOCKS_PER_SITE_SECOND, PREFIX, VIEWER, FleetWorld, Site, free_ports

HONEST, FORGED, DOUBLED, QUIET, LATE = "tz-honest", "tz-forged", "tz-doubled", "tz-quiet", "tz-late"
DAY_S = 86_400
BEFORE_MIDNIGHT_S = 600
"""Site time at the start: the day's last epoch is what there is of it, less what the ceremony takes."""
PACES = {HONEST: 20, FORGED: 20, DOUBLED: 20, QUIET: 4, LATE: 4}
"""Site seconds a wall second: of the last two a seal is all that is needed."""
STALLED = (HONEST, FORGED, QUIET, LATE)
START_S, CLOSED_S, ROUND_S, WINDOW_S = 60.0, 600.0, 150.0, 300.0
"""Wall seconds within which a program answers, days close, and a round of the cloud has come; and how long a drawing's window is."""
STALLED_ROUNDS = 2


@dataclass
class FleetRun:
    """One run on a started world."""

    world: FleetWorld
    broker: Running
    cloud_process: Running
    running: list[Running]
    cloud: CloudClient
    day: int
    progress: Callable[[str], None]

    def site(self, name: str) -> Site:
        """A site by name."""
        return next(site for site in self.world.sites if site.name == name)

    def wait(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        """Waits, telling what for; ProcessError where it does not come, or where a program has ended."""
        self.progress(what)
        wait_until(condition, what, within_s, self.running, poll_s=1.0)

    def state(self, name: str) -> dict[str, Any]:
        """The newest attempt at a site's day; empty while it is not closed."""
        days: list[dict[str, Any]] = self.cloud.get(f"attestation/days/{name}")
        return next((each for each in days if each["day"] == self.day), {})

    def is_in(self, name: str, *states: str) -> bool:
        """Whether a site's day is in one of these states."""
        return self.state(name).get("state") in states

    def checkpoint(self) -> int:
        """The newest checkpoint's number."""
        return int(self.cloud.get("attestation")["checkpoint"])

    def withhold(self, *withheld: tuple[str, str]) -> None:
        """From now on the broker lets all through but these topics of these sites."""
        allow(self.world.broker, self.world.names, PREFIX, withheld)
        self.broker.process.send_signal(signal.SIGHUP)

    def said(self, name: str) -> int:
        """How many valid statements of a site's day are in the log."""
        return int(self.state(name).get("received", 0))

    def stall(self) -> None:
        """Days close, and the seals of all sites but one are held back for some rounds; then all of them come into one checkpoint."""
        closed = (HONEST, FORGED, DOUBLED)
        self.wait(lambda: all(self.state(name) for name in closed), "three days are closed", CLOSED_S)
        self.withhold((LATE, "drawing"), (LATE, "statement"), *((name, "seals") for name in STALLED))
        first = self.checkpoint()
        self.wait(lambda: all(kept_seals(self.site(name)) for name in STALLED), "each of four sites has a seal that is held back", CLOSED_S)
        over = max(first + STALLED_ROUNDS, self.checkpoint() + 1)
        self.wait(lambda: self.checkpoint() >= over, "the beacon is stalled", STALLED_ROUNDS * ROUND_S)
        told("stalled-beacon", HONEST, self.state(HONEST), checkpoints=over - first)
        if not self.is_in(HONEST, "waiting-for-beacon"):
            raise ProcessError(f"the beacon was stalled and {HONEST} is {self.state(HONEST)['state']}")

    def witness(self) -> None:
        """All are drawn; three are heard, then a second batch is sent, and the fourth finds it."""
        self.withhold((LATE, "drawing"), (LATE, "statement"))
        self.wait(lambda: all(self.is_in(name, "collecting") for name in (HONEST, DOUBLED)), "witnesses are drawn", 2 * ROUND_S)
        self.wait(lambda: all(self.said(name) >= 3 for name in (HONEST, DOUBLED)), "three witnesses speak of each day", ROUND_S)
        doubled, epoch = self.site(DOUBLED), self.day * 96 + 95
        (honest,) = (each for each in self.cloud.get(f"batches?site={DOUBLED}") if each["epoch"] == epoch)
        send_batch(self.world, doubled, another_batch(doubled, self.cloud.bytes(f"batches/{honest['hash']}/frame")))
        self.withhold((LATE, "statement"))
        self.wait(self.dissented, f"{LATE} finds the second batch", ROUND_S)

    def dissented(self) -> bool:
        """Whether the late witness keeps a dissent from the doubled day."""
        return any(each.opinion is Opinion.DISSENT and each.drawing.site == self.identity(DOUBLED) for each, _ in self.kept())

    def kept(self) -> list[tuple[Statement, Signed]]:
        """What the late witness keeps."""
        return kept_statements(self.site(LATE))

    def enrolled(self) -> dict[str, Enrolled]:
        """Every site's enrolment with its proof, by name."""
        entries = ordered(Enrolment.parse(path.read_bytes()) for path in self.world.enrolments.glob("*.json"))
        return {each.enrolment.name: each for each in enrolled(entries)}

    def identity(self, name: str) -> bytes:
        """A site's."""
        return self.enrolled()[name].enrolment.identity

    def decide(self) -> None:
        """The windows pass, and each day comes to its state."""
        decided = {HONEST: ("off-baseline",), FORGED: ("roots-disagree",), DOUBLED: ("off-baseline",)}
        open_ = ("collecting", "waiting-for-beacon")
        within_s = WINDOW_S + ROUND_S
        self.wait(lambda: not any(self.is_in(name, *open_) for name in decided), "the windows pass and the days are decided", within_s)
        for name, wanted in decided.items():
            if not self.is_in(name, *wanted):
                raise ProcessError(f"the day of {name} is {self.state(name)['state']}: {self.state(name)['detail']}")

    def mint(self, name: str) -> dict[str, Any]:
        """What the cloud made of a day that has an attestation."""
        found: dict[str, Any] = {}

        def asked() -> bool:
            mints = self.cloud.get("attestation")["mints"]
            found.update(next((each for each in mints if each["site"] == name and each["day"] == self.day), {}))
            return bool(found)

        self.wait(asked, f"{name} has an attestation", ROUND_S)
        return found

    def bundle(self, name: str) -> tuple[Path, Path]:
        """Bundle and companion of a site's day, as files."""
        bundle, frames = (self.world.directory / f"{name}.{kind}" for kind in ("bundle", "frames"))
        for path, content in zip((bundle, frames), bundle_and_frames(self.world, name, self.day), strict=True):
            path.write_bytes(content)
        return bundle, frames

    def verified(self, bundle: Path, frames: Path, *more: object) -> str:
        """What `thermogen-verify` says: believed, or the step and the reason of the first that is wrong."""
        arguments = [bundle, "--root", self.world.root_keys, "--frames", frames, *more, "--json"]
        report = _json_of("thermogen-verify", *arguments)
        if report["believed"]:
            return "believed"
        return f"step {report['steps'][-1]['title']}: {report['first_wrong']['reason']}"

    def monitored(self, *more: object) -> str:
        """What `thermogen-verify monitor` says of the cloud's API."""
        login = ["--user", VIEWER, "--password-file", self.world.viewer_password_file]
        pinned = ["--root", self.world.root_keys, "--enrolments", self.world.enrolments, "--state", self.world.directory / "monitor.sqlite"]
        report = _json_of("thermogen-verify", "monitor", self.world.log_address, *pinned, *login, *more, "--json")
        return "holds" if report["holds"] else str(report["first_wrong"]["reason"])

    def dropped(self) -> Path:
        """The dissent that the late witness kept, as a file for a verifier."""
        late = self.enrolled()[LATE]
        signed = next(
            signed for each, signed in self.kept() if each.opinion is Opinion.DISSENT and each.drawing.site == self.identity(DOUBLED)
        )
        path = self.world.directory / f"{LATE}.statement"
        path.write_bytes(encode_statement(EnrolledBytes(late.index, late.proof, late.enrolment.encode()), signed.encode()))
        return path

    def results(self, supervisor: Supervisor) -> None:
        """What each attack came to, by the product's own verifiers; the cloud is stopped on the way."""
        told("forged-root", FORGED, self.state(FORGED))
        kept = ("--statement", self.dropped())
        honest, doubled = (self.state(name) for name in (HONEST, DOUBLED))
        mints = {name: self.mint(name)["state"] for name in (HONEST, DOUBLED)}
        monitors = {HONEST: self.monitored(), DOUBLED: self.monitored(*kept)}
        supervisor.stop(self.cloud_process)
        told("none", HONEST, honest, mint=mints[HONEST], thermogen_verify=self.verified(*self.bundle(HONEST)), monitor=monitors[HONEST])
        bundle = self.bundle(DOUBLED)
        verified = {"thermogen_verify": self.verified(*bundle), "kept": self.verified(*bundle, *kept)}
        told("dropped-dissent", DOUBLED, doubled, mint=mints[DOUBLED], **verified, monitor=monitors[DOUBLED])


def told(attack: str, site: str, state: dict[str, Any], **more: object) -> None:
    """Tells what became of a site's day, as one JSON object."""
    shown = {"attack": attack, "site": site, **{name: state[name] for name in ("state", "agreeing", "received", "detail")}}
    print(json.dumps({**shown, **more}), flush=True)


def _json_of(name: str, *arguments: object) -> Any:
    done = subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise ProcessError(f"{name} ended with exit code {done.returncode}: {done.stderr.strip() or done.stdout[-300:]}") from error


def fleet_world(directory: Path) -> FleetWorld:
    """The five sites, on ports that are free now."""
    broker, cloud, *ports = free_ports(12)
    sites = []
    for place, (name, pace) in enumerate(PACES.items()):
        sites.append(Site(name, directory / "sites" / name, ports[2 * place], ports[2 * place + 1], pace, forges=name == FORGED))
    return FleetWorld(directory, tuple(sites), broker, cloud)


def run_fleet(directory: Path, progress: Callable[[str], None]) -> None:
    """The whole run in an empty directory; ProcessError or ProvisionError names what did not hold."""
    world = fleet_world(directory)
    compile_gateware(CLOCKS_PER_SITE_SECOND, "--seal")
    progress("keys, passwords and directories")
    set_up_parties(world)
    midnight = (int(time.time()) // DAY_S - 1) * DAY_S
    with Supervisor(directory / "logs") as supervisor:
        for seed, site in enumerate(world.sites):
            supervisor.start(f"site-{site.name}", _site_command(site, midnight - BEFORE_MIDNIGHT_S, seed))
        progress("five nodes make their keys")
        keys = {site.name: node_key(site, supervisor.running) for site in world.sites}
        progress("certificates, enrolments and a trust list")
        make_list(world, keys, midnight - DAY_S)
        allow(world.broker, world.names, PREFIX, [(QUIET, "seals"), (LATE, "seals")])
        broker = supervisor.start("broker", [MOSQUITTO, "-c", world.broker.configuration])
        wait_until(lambda: listening(world.broker_port), "the broker listens", START_S, supervisor.running)
        cloud = supervisor.start("cloud", [program("thermogen-cloud"), "serve"], world.cloud_environment)
        wait_until(lambda: listening(world.cloud_port), "the cloud listens", START_S, supervisor.running)
        for site in world.sites:
            supervisor.start(f"edge-{site.name}", world.daemon_command(site), world.edge_environment(site))
        run = FleetRun(world, broker, cloud, supervisor.running, world.client(), midnight // DAY_S - 1, progress)
        run.stall()
        run.witness()
        run.decide()
        run.results(supervisor)


def _site_command(site: Site, start: int, seed: int) -> list[str]:
    where = ["--name", site.name, "--run-dir", str(site.plant), "--host-link", str(site.host_link), "--seed", str(seed), "--seal"]
    ports = ["--rtu", str(site.rtu_port), "--clock", str(site.clock_port)]
    times = ["--start", str(start), "--pace", str(site.pace), "--clocks-per-site-second", str(CLOCKS_PER_SITE_SECOND)]
    return [program("thermogen-sim"), "site", *where, *ports, *times]


def main() -> int:
    """Runs in the directory that is given; the exit code, 0 only where every day came to what it has to."""
    parser = argparse.ArgumentParser(
        prog="thermogen-sim fleet --daemons", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--run-dir", type=Path, default=Path("run/fleet"), metavar="DIR", help="emptied first, where an earlier run made it"
    )
    directory = parser.parse_args().run_dir.resolve()
    began = time.monotonic()

    def progress(what: str) -> None:
        print(f"fleet, {time.monotonic() - began:4.0f} s: {what}", file=sys.stderr, flush=True)

    try:
        with told_to_stop(), owned(directory):
            empty_for_demonstration(directory)
            run_fleet(directory, progress)
    except StopRequestedError as error:
        print(f"fleet: stopped by {error}", file=sys.stderr)
        return 1
    except (ProcessError, ProvisionError, RunDirectoryError, ApiError, OSError) as error:
        print(f"fleet: refused at {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
