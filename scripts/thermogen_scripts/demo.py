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
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Never

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .broker import write_private
from .cloud_client import ApiError, CloudClient
from .launch import cut, restore, site_time, start_all
from .processes import ProcessError, Running, Supervisor, wait_until
from .provision import ProvisionError, compile_gateware, provision
from .settings import RunSettings, SettingError, read_settings
from .world import APPROVER, World, program

EPOCHS = 24
FRAMES_PER_EPOCH = 90
EPOCH_S = 900
OUTAGE_S = 1_200
OUTAGE_AFTER_EPOCHS = 8
METHODOLOGY = "TZ-DISPLACED-GRID"
FAULTS = ("flip", "wrong-key", "no-approval")
MARKER = ".thermogen-demo"
DEFAULTS = {"THERMOGEN_RUN_DIR": "run/demo", "THERMOGEN_PACE": "140", "THERMOGEN_START": "2026-06-01T00:00:01Z"}
APPROVAL_REASON = "Demonstration: the evidence of all epochs was believed."


class DemoRefusedError(Exception):
    """A step of the demonstration refused."""

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        super().__init__(f"{step}: {reason}")


def refuse(step: str, reason: str) -> Never:
    """Ends the demonstration at `step`."""
    raise DemoRefusedError(step, reason)


def fresh_directory(run_dir: Path) -> None:
    """Empties a directory that an earlier demonstration made; refuses one that holds anything else."""
    if run_dir.exists() and any(run_dir.iterdir()):
        if not (run_dir / MARKER).exists():
            refuse("set-up", f"{run_dir} holds something that is not a demonstration; set THERMOGEN_RUN_DIR to an empty directory")
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(run_dir / MARKER, "")


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
        cut_at = restored_at = 0

        def step() -> bool:
            nonlocal cut_at, restored_at
            now = site_time(self.programs["site"]) or start_s
            if not cut_at and now >= start_s + OUTAGE_AFTER_EPOCHS * EPOCH_S:
                cut(self.programs["uplink"])
                cut_at = now
                self.progress.console.print(f"uplink cut at site time {now}")
            if cut_at and not restored_at and now >= cut_at + OUTAGE_S:
                restore(self.programs["uplink"])
                restored_at = now
                self.progress.console.print(f"uplink back after {now - cut_at} site seconds")
            believed = self.refused_or_count()
            self.progress.update(task, completed=believed)
            return believed == EPOCHS and restored_at > 0

        wait_until(step, "all epochs are believed", 900, self.running)
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
            arguments = ["approve", "--request", request, "--key", str(self.world.approver_key), "--approver", APPROVER]
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
            refuse(step, f"{name} ended with exit code {done.returncode}: {done.stderr.strip() or done.stdout.strip().splitlines()[-1]}")

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
    fresh_directory(settings.run_dir)
    compile_gateware(world)
    provision(world, wrong_key=fault == "wrong-key")
    with Supervisor(settings.run_dir / "logs") as supervisor:
        programs = start_all(world, supervisor)
        cloud = CloudClient(world.page, world.viewer_password_file.read_text().strip())
        first: list[int] = []

        def first_batch() -> bool:
            first[:] = sorted(batch["epoch"] for batch in cloud.get(f"batches?site={settings.site}"))[:1]
            return bool(first)

        wait_until(first_batch, "the first epoch arrives", 120, supervisor.running)
        demonstration = Demonstration(settings, world, programs, cloud, fault, first[0], progress)
        outage_s = demonstration.follow()
        _, credit = demonstration.mint()
        bundle = demonstration.verify(credit["serial"])
        return demonstration.result(outage_s, credit, bundle)


def reporting(action: Callable[[Progress], dict[str, Any]]) -> int:
    """Runs `action` with progress on standard error and prints its result; the exit code."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            outcome = action(progress)
    except (DemoRefusedError, ProcessError, ProvisionError, SettingError, ApiError) as error:
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
    return reporting(lambda progress: demonstrate(read_settings(defaults=DEFAULTS), fault, progress))


if __name__ == "__main__":
    sys.exit(main())
