"""`make demo`: six site-hours from a warm plant to an approved, minted and independently verified credit, unattended.

The last line of standard output is one JSON object; progress goes to standard error. Exit code 0 only if every step held;
otherwise 1, and the step that refused is named. DEMO_FAULT asks for a fault: `wrong-key` (the site signs with a key that is
not enrolled), `no-approval` (nobody approves), `flip` (one byte of the bundle is changed).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Never

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .cloud_client import ApiError, CloudClient
from .launch import cut, require_free_ports, restore, site_time, start_all
from .processes import ProcessError, Running, StopRequestedError, Supervisor, told_to_stop, wait_until
from .provision import ProvisionError, compile_gateware, provision
from .run_directory import RunDirectoryError, empty_for_demonstration, owned
from .settings import RunSettings, SettingError, read_settings
from .world import World, program

EPOCHS = 24
FRAMES_PER_EPOCH = 90
EPOCH_S = 900
OUTAGE_S = 1_200
OUTAGE_AFTER_EPOCHS = 8
METHODOLOGY = "TZ-DISPLACED-GRID"
FAULTS = ("flip", "wrong-key", "no-approval")
SETTLED_S = 200
"""After this much of the outage nothing can be on its way any more."""
START_S = 120.0
DEFAULTS = {"THERMOGEN_RUN_DIR": "run/demo", "THERMOGEN_PACE": "140", "THERMOGEN_START": "2026-06-01T00:00:01Z"}
"""A demonstration's own settings."""
APPROVAL_REASON = "Demonstration: the evidence of all epochs was believed."


class DemoRefusedError(Exception):
    """A step of the demonstration refused."""

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        super().__init__(f"{step}: {reason}")


def refuse(step: str, reason: str) -> Never:
    """Ends the demonstration at `step`."""
    raise DemoRefusedError(step, reason)


@dataclass(slots=True)
class Demonstration:
    """One demonstration on a started world."""

    settings: RunSettings
    world: World
    programs: dict[str, Running]
    cloud: CloudClient
    fault: str
    first_epoch: int
    progress: Progress

    @property
    def running(self) -> list[Running]:
        return list(self.programs.values())

    def patience_s(self, epochs: int) -> float:
        """Wall seconds within which so many epochs must have come."""
        return START_S + epochs * EPOCH_S / self.settings.most_site_seconds_per_s

    def batches(self) -> list[dict[str, Any]]:
        """The site's batches as the cloud knows them."""
        found: list[dict[str, Any]] = self.cloud.get(f"batches?site={self.settings.site}")
        return found

    def wanted(self) -> list[dict[str, Any]]:
        """The batches of this demonstration's epochs that the cloud has judged."""
        last = self.first_epoch + EPOCHS
        return [batch for batch in self.batches() if self.first_epoch <= batch["epoch"] < last]

    def refused_or_count(self) -> int:
        """How many batches are believed; ends the demonstration at the first that is refused."""
        wanted = self.wanted()
        for batch in wanted:
            if batch["status"] == "refused":
                refuse("verification of the batch", f"epoch {batch['epoch']}: {json.dumps(batch['reasons'])}")
        return sum(batch["status"] == "believed" for batch in wanted)

    def follow(self) -> int:
        """Waits for all epochs, cutting the uplink on the way; the outage's length in site seconds."""
        task = self.progress.add_task("epochs believed", total=EPOCHS)
        start_s = self.first_epoch * EPOCH_S
        cut_at = settled = restored_at = 0

        def step() -> bool:
            nonlocal cut_at, settled, restored_at
            now = site_time(self.programs["site"]) or start_s
            if not cut_at and now >= start_s + OUTAGE_AFTER_EPOCHS * EPOCH_S:
                cut(self.programs["uplink"])
                cut_at = now
                self.progress.console.print(f"uplink cut at site time {now}")
            if cut_at and not settled and now >= cut_at + SETTLED_S:
                settled = len(self.batches())
            if settled and not restored_at and now >= cut_at + OUTAGE_S:
                if len(self.batches()) != settled:
                    refuse("outage of the uplink", "a batch arrived while the uplink was cut")
                restore(self.programs["uplink"])
                restored_at = now
                self.progress.console.print(f"uplink back after {now - cut_at} site seconds")
            believed = self.refused_or_count()
            self.progress.update(task, completed=believed)
            return believed == EPOCHS and restored_at > 0

        wait_until(step, "all epochs are believed", self.patience_s(EPOCHS), self.running, poll_s=0.3)
        return restored_at - cut_at

    def mint(self) -> tuple[str, dict[str, Any]]:
        """Requests, approves and mints; the request's hash and the credit."""
        body = {
            "site": self.settings.site,
            "first_epoch": self.first_epoch,
            "last_epoch": self.first_epoch + EPOCHS - 1,
            "methodology": METHODOLOGY,
        }
        request: str = self.cloud.post("mints", body)["hash"]
        self.progress.console.print(f"mint requested: {request}")
        if self.fault != "no-approval":
            arguments = ["approve", "--request", request, "--key", str(self.world.approver_key), "--approver", self.settings.approver]
            arguments += ["--passphrase-file", str(self.world.approver_passphrase_file), "--reason", APPROVAL_REASON]
            self.run_program("approval", "thermogen-cloud", arguments, self.world.cloud_environment)
        state: dict[str, Any] = {}

        def settled() -> bool:
            state.update(self.cloud.get(f"mints/{request}"))
            return state["state"] in ("minted", "rejected", "failed") or self.fault == "no-approval"

        wait_until(settled, "the credit is minted", 60, self.running)
        if state["state"] != "minted":
            refuse("approval" if state["state"] == "requested" else "mint", f"request {request} is {state['state']}: nothing was minted")
        return request, self.cloud.get(f"credits/{state['credit']}")

    def verify(self, serial: str) -> Path:
        """Fetches the bundle and verifies it offline; its path."""
        bundle = self.settings.run_dir / f"{serial}.bundle"
        content = bytearray(self.cloud.bytes(f"credits/{serial}/bundle"))
        if self.fault == "flip":
            content[len(content) // 2] ^= 1
        bundle.write_bytes(content)
        self.run_program("offline verification of the bundle", "thermogen-verify", [str(bundle), "--trust", str(self.world.trust)], {})
        return bundle

    def run_program(self, step: str, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        """Runs one of our commands, showing what it says; refuses when it ends with another exit code than 0."""
        done = subprocess.run([program(name), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        self.progress.console.print(done.stdout.strip(), markup=False, highlight=False, soft_wrap=True)
        if done.returncode != 0:
            refuse(step, f"{name} ended with exit code {done.returncode}: {done.stderr.strip() or done.stdout.strip()[-300:]}")

    def result(self, outage_s: int, credit: dict[str, Any], bundle: Path) -> dict[str, Any]:
        """The closing object, each part checked."""
        batches = self.wanted()
        accounting = self.cloud.get("accounting")
        frames = sum(batch["count"] for batch in batches)
        believed = sum(batch["status"] == "believed" for batch in batches)
        if (frames, len(batches), believed) != (EPOCHS * FRAMES_PER_EPOCH, EPOCHS, EPOCHS):
            refuse("count of evidence", f"{frames} frames in {len(batches)} batches, {believed} believed")
        if accounting["held"] + accounting["retired"] + accounting["cancelled"] != accounting["issued"]:
            refuse("accounting", json.dumps(accounting))
        if credit["amount"] != accounting["issued"] or int(credit["supply"]) != credit["amount"]:
            refuse(
                "ledger", f"the credit's amount {credit['amount']}, the ledger's supply {credit['supply']}, issued {accounting['issued']}"
            )
        trust = self.settings.run_dir / "trust.json"
        shutil.copyfile(self.world.trust, trust)
        return {
            "site": self.settings.site,
            "frames": frames,
            "batches": len(batches),
            "verified_batches": believed,
            "outage_s": outage_s,
            "tonnes_co2e": str(Decimal(credit["amount"]).scaleb(-6)),
            "credit": credit["serial"],
            "issued": accounting["issued"],
            "held": accounting["held"],
            "retired": accounting["retired"],
            "cancelled": accounting["cancelled"],
            "bundle": str(bundle),
            "trust": str(trust),
            "ledger": {"mint": credit["mint"], "supply": int(credit["supply"])},
        }


def demonstrate(settings: RunSettings, fault: str, progress: Progress) -> dict[str, Any]:
    """Runs the whole demonstration; DemoRefusedError or ProcessError names what did not hold."""
    world = World(settings)
    require_free_ports(world)
    empty_for_demonstration(settings.run_dir)
    compile_gateware(world.settings.clocks_per_site_second)
    provision(world, wrong_key=fault == "wrong-key")
    with Supervisor(settings.run_dir / "logs") as supervisor:
        programs = start_all(world, supervisor)
        cloud = world.client()
        first: list[int] = []

        def first_batch() -> bool:
            first[:] = sorted(batch["epoch"] for batch in cloud.get(f"batches?site={settings.site}"))[:1]
            return bool(first)

        wait_until(
            first_batch, "the first epoch arrives", START_S + EPOCH_S / settings.most_site_seconds_per_s, supervisor.running, poll_s=0.3
        )
        demonstration = Demonstration(settings, world, programs, cloud, fault, first[0], progress)
        outage_s = demonstration.follow()
        _, credit = demonstration.mint()
        bundle = demonstration.verify(credit["serial"])
        return demonstration.result(outage_s, credit, bundle)


def defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """What a demonstration sets where `environment` says nothing; with a series, its first row says when the site starts."""
    return {name: value for name, value in DEFAULTS.items() if name != "THERMOGEN_START" or not environment.get("THERMOGEN_REPLAY")}


def reporting(action: Callable[[Progress], dict[str, Any]]) -> int:
    """Runs `action` with progress on standard error and prints its result; the exit code."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    try:
        with told_to_stop(), Progress(*columns, console=Console(stderr=True)) as progress:
            outcome = action(progress)
    except StopRequestedError as error:
        print(f"demo: stopped by {error}", file=sys.stderr)
        return 1
    except (DemoRefusedError, ProcessError, ProvisionError, RunDirectoryError, SettingError, ApiError, OSError) as error:
        print(f"demo: refused at {error}", file=sys.stderr)
        return 1
    print(json.dumps(outcome))
    return 0


def main() -> int:
    """The demonstration with settings and fault from the environment."""
    fault = os.environ.get("DEMO_FAULT", "")
    if fault and fault not in FAULTS:
        print(f"demo: DEMO_FAULT={fault}: give one of {', '.join(FAULTS)}", file=sys.stderr)
        return 2

    def whole(progress: Progress) -> dict[str, Any]:
        settings = read_settings(defaults=defaults(os.environ))
        with owned(settings.run_dir):
            return demonstrate(settings, fault, progress)

    return reporting(whole)


if __name__ == "__main__":
    sys.exit(main())
