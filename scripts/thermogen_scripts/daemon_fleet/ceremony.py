"""The set-up of a fleet, by the commands that people type: keys, certificates of the nodes at hand, enrolments, a trust list, a cloud that
has adopted it, and what each witness believes."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from thermogen_edge.host_link.client import HostLinkClient
from thermogen_edge.host_link.unix_socket import UnixSocketTransport
from thermogen_esf.hostlink_seal import PUBLIC_KEY, SEAL_STATUS, CustodyState
from thermogen_esf.vrf import KEY_BYTES

from ..broker import configure, write_private
from ..processes import Running, wait_until
from ..provision import ProvisionError, run_command
from .world import CLOCKS_PER_SITE_SECOND, PREFIX, FleetWorld, Site

HOLDERS, PROVISIONER = ("rita", "ruth"), "paula"
NAMEPLATE_W, CHANNELS = 1_140, 12
KEY_S = 120.0
"""Wall seconds within which a node has made its key."""


def set_up_parties(world: FleetWorld) -> None:
    """Passwords, the cloud's directory and every daemon's, before any list is there."""
    world.ceremony.mkdir(mode=0o700)
    world.enrolments.mkdir()
    configure(world.broker, world.broker_port, world.names, PREFIX)
    cloud = json.loads(run_command("thermogen-cloud", ["init"], world.cloud_environment))
    write_private(world.directory / "cloud-keys.json", json.dumps({"cloud": [cloud["public_key"]]}))
    (world.ceremony / "cloud.pub").write_text(cloud["public_key"])
    write_private(passphrase_file(world), os.urandom(12).hex())
    for site in world.sites:
        site.plant.mkdir(parents=True, mode=0o700)
        said = run_command("thermogen-edge", ["init", "--site", site.name], world.edge_environment(site))
        (world.ceremony / f"{site.name}.said").write_text(said)


def passphrase_file(world: FleetWorld) -> Path:
    """Of every key of the ceremony: a demonstration's people share one."""
    return world.ceremony / "passphrase"


def node_key(site: Site, running: list[Running]) -> str:
    """The VRF key that a node made, hex, as a provisioner reads it at the board."""
    wait_until(site.host_link.exists, f"{site.name} is ready to power up", KEY_S, running)
    link = HostLinkClient(UnixSocketTransport(site.host_link))
    try:
        wait_until(
            lambda: link.read(*SEAL_STATUS["custody_state"])[0] == CustodyState.READY, f"{site.name}'s node has a key", KEY_S, running, 0
        )
        key = b"".join(word.to_bytes(2, "big") for word in link.read(*PUBLIC_KEY))
    finally:
        link.close()
    assert len(key) == KEY_BYTES, "the register is as wide as a key"
    return key.hex()


def make_list(world: FleetWorld, vrf_keys: dict[str, str], since: int) -> None:
    """Certificates, enrolments and a list that is valid from `since`; the cloud adopts it and the witnesses get it."""
    table = world.ceremony
    table.joinpath("node.bit").write_bytes(b"the simulator's gateware: worth nothing outside a demonstration list")
    for name in HOLDERS:
        _step(world, "key", "--use", "root", "--name", name, "--out", table / f"{name}.key")
    _step(world, "key", "--use", "provisioner", "--name", PROVISIONER, "--out", table / "paula.key")
    holders = [part for name in HOLDERS for part in ("--key", f"{name}={table / f'{name}.key.pub'}")]
    now = ("--now", since)
    _step(world, "pin", "--threshold", len(HOLDERS), *holders, *now, "--out", world.root_keys)
    for site in world.sites:
        node = ("--board-serial", f"B-{site.name}", "--vrf-key", vrf_keys[site.name], "--bitstream", table / "node.bit")
        _step(world, "certify", "--key", table / "paula.key", *node, *now, "--out", table / f"{site.name}.cert")
        said = ("--site", table / f"{site.name}.said", "--certificate", table / f"{site.name}.cert", "--operator", f"of-{site.name}")
        size = ("--nameplate-w", NAMEPLATE_W, "--channels", CHANNELS, "--clocks-per-site-second", CLOCKS_PER_SITE_SECOND)
        _step(world, "enrol", *said, *size, *now, "--out", world.enrolments / f"{site.name}.json")
    context = ("--pin", world.root_keys, "--enrolments", world.enrolments)
    operators = [part for site in world.sites for part in ("--operator", f"of-{site.name}")]
    people = ("--provisioner", f"{PROVISIONER}={table / 'paula.key.pub'}", "--cloud", f"cloud-1={table / 'cloud.pub'}")
    whom = ("--gateware", f"simulated={table / 'node.bit'}", "--demonstration")
    said_of_list = _step(world, "list", *context, *operators, *people, *whom, *now, "--out", table / "list.json")
    fingerprint = re.search(r"SHA3-256 ([0-9a-f]{64})", said_of_list)
    if fingerprint is None:
        raise ProvisionError(f"`thermogen-esf trust list` says no hash: {said_of_list}")
    for name in HOLDERS:
        signing = ("--key", table / f"{name}.key", "--fingerprint", fingerprint[1])
        _step(world, "sign", table / "list.json", *context, *signing, "--out", table / f"{name}.sig")
    signatures = [table / f"{name}.sig" for name in HOLDERS]
    _step(world, "combine", *signatures, "--pin", world.root_keys, "--out", table / "trust.signed")
    adopt = ["adopt-trust", "--pin", world.root_keys, "--trust", table / "trust.signed", "--enrolments", world.enrolments]
    run_command("thermogen-cloud", [str(part) for part in adopt], world.cloud_environment)
    shutil.copytree(world.enrolments, world.attestation / "enrolments")
    for path in (world.root_keys, table / "trust.signed"):
        shutil.copy(path, world.attestation)


def _step(world: FleetWorld, step: str, *arguments: object) -> str:
    secret = ["--passphrase-file", str(passphrase_file(world))] if step in ("key", "certify", "sign") else []
    return run_command("thermogen-esf", ["trust", step, *map(str, arguments), *secret], {})
