"""`thermogen-sim fleet`: days of a modelled fleet, honest or attacked, with the bundles that come of them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import SettingError
from .attacks import ATTACKS, World
from .attacks.trial import SITES, said, verified
from .attested_day import AttestedDay
from .enrolling import Fleet

MOST_SITES = 200


def add_to(commands: Any) -> None:
    """Adds `fleet` to a parser's subcommands."""
    fleet = commands.add_parser(
        "fleet",
        help="a day of each site of a modelled fleet, or attacks on one; one JSON object a line",
        description="A day of each site of a modelled fleet: measured, sealed, witnessed, and verified. Or attacks on one, by name.",
    )
    fleet.add_argument("--sites", type=int, default=SITES, metavar="N", help="5 to 200; default %(default)s")
    fleet.add_argument("--seed", type=int, default=0, help="of the nodes' keys; default %(default)s")
    fleet.add_argument("--attack", action="append", default=[], metavar="NAME", help="try this one; `all` tries all")
    fleet.add_argument("--list", action="store_true", help="name the attacks")
    fleet.add_argument("--out", type=Path, metavar="DIR", help="write root.json and each day's bundle and companion for thermogen-verify")
    fleet.add_argument(
        "--daemons",
        action="store_true",
        help="five sites with compiled gateware and the real daemon, one broker, one cloud, three attacks; a quarter of an hour",
    )
    fleet.add_argument("--run-dir", type=Path, default=Path("run/fleet"), metavar="DIR", help="of --daemons; default %(default)s")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command. SettingError for arguments that cannot be."""
    if not 5 <= arguments.sites <= MOST_SITES or arguments.seed < 0:
        raise SettingError(f"--sites {arguments.sites} --seed {arguments.seed}: give 5 to {MOST_SITES} sites and a seed of 0 or more")
    if arguments.daemons:
        _with_daemons(arguments)
    elif arguments.list:
        for attack in ATTACKS:
            print(f"{attack.name:<30} {attack.what}")
    elif arguments.attack:
        _attacks(arguments)
    else:
        _days(arguments)


def _with_daemons(arguments: argparse.Namespace) -> None:
    """Goes on as the runner of processes: it needs every room, and this one imports neither daemon nor cloud."""
    if arguments.attack or arguments.list or arguments.out is not None:
        raise SettingError("--daemons runs attacks of its own: give it no --attack, --list or --out")
    missing = [name for name in ("thermogen_scripts", "thermogen_edge", "thermogen_cloud", "paho", "fastapi") if find_spec(name) is None]
    if missing:
        raise SettingError(f"--daemons needs {', '.join(missing)}: install the extras edge and cloud too")
    run = [sys.executable, "-m", "thermogen_scripts.daemon_fleet.run", "--run-dir", str(arguments.run_dir)]
    os.execv(sys.executable, run)  # noqa: S606  this interpreter, and nothing of a shell


def _attacks(arguments: argparse.Namespace) -> None:
    known = {attack.name: attack for attack in ATTACKS}
    names = list(known) if "all" in arguments.attack else arguments.attack
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingError(f"--attack {unknown[0]}: not known; `thermogen-sim fleet --list` names those that are")
    world = World(arguments.seed, arguments.sites)
    for name in names:
        trial = known[name].run(world)
        print(json.dumps({"attack": name, "verdict": trial.verdict, **asdict(trial)}, ensure_ascii=False), flush=True)


def _days(arguments: argparse.Namespace) -> None:
    world = World(arguments.seed, arguments.sites)
    names = [node.name for node in world.fleet().nodes]
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "root.json").write_bytes(world.fleet().root.encode())
    for place in range(len(names)):
        day = world.day(_turned(world.fleet(), place))
        day.measure()
        day.witness()
        outcome = day.outcome
        shown = {"site": day.node.name, "day": day.day.number, "epochs": len(day.day.seals), "witnesses": said(day), "state": outcome.state}
        print(
            json.dumps({**shown, "label": outcome.label, "energy_mj": outcome.energy_mj, "thermogen_verify": verified(day).said}),
            flush=True,
        )
        if arguments.out is not None:
            _write(day, arguments.out)


def _turned(fleet: Fleet, place: int) -> Fleet:
    """The fleet with another site's day to be witnessed: it stands first, and has the room that the first had."""
    fleet.changes = {node.name: dict(fleet.changes[fleet.nodes[0].name]) for node in fleet.nodes}
    fleet.nodes = [*fleet.nodes[place:], *fleet.nodes[:place]]
    return fleet


def _write(day: AttestedDay, folder: Path) -> None:
    (folder / f"{day.node.name}.bundle").write_bytes(day.bundle().encode())
    (folder / f"{day.node.name}.frames").write_bytes(day.frames())
