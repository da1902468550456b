"""`thermogen-esf trust`: root keys, certificates of nodes, enrolments, and a trust list that k of n holders sign, each offline.

Exit codes: 0 done; 1 refused, with the reason; 2 a file or the command line cannot be used. A private key is never printed.
"""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha3_256
from pathlib import Path
from typing import Any

from .. import encrypted_key, vrf
from ..encrypted_key import MOST_BYTES, Use
from ..evidence.attestation.enrolment import Enrolment, certify, ordered, provisioning
from ..evidence.attestation.signed import Signed
from ..evidence.attestation.trust import TRUST_CONTEXT, FleetTrust, Gateware, RootKeys, judge_trust
from ..evidence.canonical import canonical, parse
from ..evidence.catalogue import CUSTOM, METHODOLOGY_CONTEXT, ROLE_AUDITOR, Rule, read
from ..evidence.check import Check
from ..evidence.errors import EvidenceError
from ..evidence.fluids import FLUIDS
from ..evidence.record import Record
from ..evidence.trust import NAME, PRODUCT_CLOCKS_PER_SITE_SECOND, ROLE_APPROVER, ApproverKey, NamedKey
from ..hostlink import calibration_hash
from ..keyfile import KeyFileError, load_private, load_public_key, save_private
from ..signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey
from .calibration import CALIBRATION_BYTES, SUFFIX, calibration_lines, calibrations, words_of
from .listing import Changes, combine, description, differences, judge_list, judge_previous_sites, next_list, site_lines

MOST_FILE_BYTES = 64 << 20
LEAST_FINGERPRINT = 16
"""Digits of a list's hash that a holder confirms."""
DAY_S = 86_400
_OK, _REFUSED, _UNUSABLE = 0, 1, 2
_MARK = {True: "✓", False: "✗", None: "–"}
_KEYS = ("provisioner", "cloud", ROLE_APPROVER, ROLE_AUDITOR)

Run = Callable[[argparse.Namespace], int]
Step = Callable[[str, Run, str], argparse.ArgumentParser]


class CeremonyError(Exception):
    """A step cannot be done; the message says what to do."""


def add_to(commands: Any) -> None:
    """Adds `trust` and its steps to a parser's subcommands."""
    trust = commands.add_parser("trust", help="root keys, certificates of nodes, and the trust list that k of n sign", description=__doc__)
    steps = trust.add_subparsers(required=True, metavar="STEP")

    def step(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = steps.add_parser(name, help=text, description=text)
        added.set_defaults(run=lambda options: _guarded(run, options))
        return added

    _add_keys(step)
    _add_enrolling(step)
    _add_listing(step)
    _add_signing(step)


def _add_keys(step: Step) -> None:
    key = step("key", _key, "make a person's key under a passphrase, and its public half beside it; an auditor's is for the use approver")
    key.add_argument("--use", required=True, choices=tuple(Use))
    key.add_argument("--name", required=True)
    key.add_argument("--out", required=True, type=Path, metavar="FILE", help="the key file; FILE.pub gets the public half")
    _add_passphrase(key)

    pin = step("pin", _pin, "write the root keys, which verifiers pin, from the holders' public halves")
    pin.add_argument("--threshold", required=True, type=int, metavar="K", help="signatures that a trust list needs")
    pin.add_argument("--key", required=True, action="append", metavar="NAME=FILE", help="a holder's public half; once for each holder")
    _add_validity(pin)
    _add_out(pin)


def _add_enrolling(step: Step) -> None:
    certificate = step("certify", _certify, "certify a node at hand: this board made this VRF key with this bitstream")
    certificate.add_argument("--key", required=True, type=Path, metavar="FILE", help="the provisioner's key file")
    certificate.add_argument("--board-serial", required=True, metavar="SERIAL")
    certificate.add_argument("--vrf-key", required=True, metavar="HEX", help="the node's ECVRF public key, 32 bytes")
    certificate.add_argument("--bitstream", required=True, type=Path, metavar="FILE", help="the bitstream that the node was given")
    _add_passphrase(certificate)
    _add_now(certificate)
    _add_out(certificate)

    enrol = step("enrol", _enrol, "write a site's enrolment from what its daemon said and its node's certificate")
    enrol.add_argument("--site", required=True, type=Path, metavar="FILE", help="what `thermogen-edge init` printed at the site")
    enrol.add_argument("--certificate", required=True, type=Path, metavar="FILE", help="what `certify` wrote")
    enrol.add_argument("--operator", required=True, metavar="NAME")
    enrol.add_argument("--nameplate-w", required=True, type=int, metavar="W", help="greatest electrical power")
    enrol.add_argument("--channels", required=True, type=int, metavar="N")
    enrol.add_argument("--hot-fluid", choices=sorted(FLUIDS), default="therminol-vp1", help="[%(default)s]")
    enrol.add_argument("--cold-fluid", choices=sorted(FLUIDS), default="ethylene-glycol-50", help="[%(default)s]")
    enrol.add_argument("--clocks-per-site-second", type=int, default=PRODUCT_CLOCKS_PER_SITE_SECOND, metavar="N", help="[%(default)s]")
    _add_validity(enrol)
    _add_out(enrol)


def _add_listing(step: Step) -> None:
    listing = step("list", _list, "write the next trust list, unsigned; --previous carries over what it names")
    _add_pin(listing)
    _add_context(listing)
    for flag, text in (("operator", "NAME"), ("gateware", "NAME=BITSTREAM"), *((what, "NAME=FILE") for what in _KEYS)):
        listing.add_argument(f"--{flag}", action="append", default=[], metavar=text, help=f"add this {flag}")
    listing.add_argument("--end", action="append", default=[], metavar="NAME", help="valid until now; what it did before stays good")
    listing.add_argument("--drop", action="append", default=[], metavar="NAME", help="no longer in the list, nor believed for what it did")
    listing.add_argument("--days", type=int, default=365, metavar="N", help="how long the list is valid [%(default)s]")
    listing.add_argument("--demonstration", action="store_true", help="believes simulated sites")
    _add_now(listing)
    _add_out(listing)

    show = step("show", _show, "what a list says, what changed, and what is wrong with it: read this before signing")
    show.add_argument("list", type=Path, metavar="LIST")
    _add_pin(show)
    _add_context(show)
    _add_now(show)


def _add_signing(step: Step) -> None:
    sign = step("sign", _sign, "sign a list that was read, as one holder")
    sign.add_argument("list", type=Path, metavar="LIST")
    _add_pin(sign)
    _add_context(sign)
    sign.add_argument("--key", required=True, type=Path, metavar="FILE", help="the holder's key file")
    sign.add_argument(
        "--fingerprint", required=True, metavar="HEX", help=f"the list's hash as `show` printed it, at least {LEAST_FINGERPRINT} digits"
    )
    _add_passphrase(sign)
    _add_now(sign)
    _add_out(sign)

    combined = step("combine", _combine, "put the holders' signatures under one list and check that they are enough")
    combined.add_argument("signatures", nargs="+", type=Path, metavar="FILE", help="what `sign` wrote")
    _add_pin(combined)
    _add_now(combined)
    _add_out(combined)

    check = step("check", _check, "whether a signed list is believed by a pin")
    check.add_argument("list", type=Path, metavar="SIGNED")
    _add_pin(check)
    _add_now(check)

    methodology = step("methodology", _methodology, f"read and sign a methodology of one's own ({CUSTOM}), as an auditor")
    methodology.add_argument("document", type=Path, metavar="FILE", help="its JSON, version 2, of kind methane or electrical")
    methodology.add_argument("--key", required=True, type=Path, metavar="FILE", help="the auditor's key file, of the use approver")
    _add_passphrase(methodology)
    _add_out(methodology)


def _add_passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="file, mode 0600, with the passphrase [asked for]")


def _add_now(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--now", type=int, default=int(time.time()), metavar="UNIX_S", help="[the clock's; a machine offline may be wrong]")


def _add_validity(parser: argparse.ArgumentParser) -> None:
    _add_now(parser)
    parser.add_argument("--valid-from", type=int, metavar="UNIX_S", help="[now]")
    parser.add_argument("--valid-to", type=int, metavar="UNIX_S", help="[open]")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write; nothing is written over")


def _add_pin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pin", required=True, type=Path, metavar="FILE", help="the root keys")


def _add_context(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--enrolments", required=True, type=Path, metavar="DIR", help="every site's enrolment, a .json file each")
    parser.add_argument("--previous", type=Path, metavar="SIGNED", help="the signed list before this one [this is the first]")
    parser.add_argument(
        "--previous-enrolments", type=Path, metavar="DIR", help="the enrolments of the list before, to see which sites changed"
    )


def _guarded(run: Run, options: argparse.Namespace) -> int:
    try:
        return run(options)
    except (CeremonyError, KeyFileError, EvidenceError) as error:
        print(f"thermogen-esf trust: {error}", file=sys.stderr)
    except OSError as error:
        print(f"thermogen-esf trust: {error.filename}: {error.strerror}", file=sys.stderr)
    return _UNUSABLE


def _key(options: argparse.Namespace) -> int:
    if not re.fullmatch(NAME, options.name):
        raise CeremonyError(f"{options.name!r} is not a name; give one of the form {NAME}")
    key = SigningKey.generate()
    content = encrypted_key.encrypt(Use(options.use), options.name, key.seed, _passphrase(options, twice=True))
    save_private(options.out, content)
    _write(options.out.with_name(options.out.name + ".pub"), key.public_key.hex().encode() + b"\n")
    print(f"{options.use} key of {options.name}, {key.key_id.hex()}: keep {options.out} offline, give {options.out}.pub away")
    return _OK


def _pin(options: argparse.Namespace) -> int:
    since, to = _valid_from(options), options.valid_to
    keys = tuple(NamedKey(name, load_public_key(path), since, to) for name, path in map(_pair, options.key))
    root = RootKeys(options.threshold, keys)
    _write(options.out, root.encode())
    for key in root.keys:
        print(f"{key.name} key {key.key_id.hex()}")
    print(f"{root.threshold} of {len(root.keys)} sign; publish the fingerprint SHA3-256 {root.hash.hex()} by more than one way")
    return _OK


def _certify(options: argparse.Namespace) -> int:
    vrf_key = _octets(options.vrf_key, 32, "--vrf-key")
    if not vrf.is_key(vrf_key):
        raise CeremonyError(f"{vrf_key.hex()} is not a point of the prime-order group: read the key from the node again")
    name, key = _open_key(options, Use.PROVISIONER)
    gateware = sha3_256(_content(options.bitstream)).digest()
    signature = certify(options.board_serial, vrf_key, gateware, options.now, key)
    signed = parse(provisioning(options.board_serial, vrf_key, gateware, options.now))
    assert isinstance(signed, dict), "a provisioning is an object"
    _write(options.out, canonical({**signed, "provisioner": name, "certificate": signature.hex()}))
    print(f"board {options.board_serial}, VRF key {vrf_key.hex()}, bitstream {gateware.hex()}: certified by {name}")
    return _OK


def _enrol(options: argparse.Namespace) -> int:
    said = json.loads(_content(options.site))
    site = Record(said, str(options.site))
    given = Record(parse(_content(options.certificate)), str(options.certificate))
    enrolment = Enrolment(
        name=site.text("site"),
        operator=options.operator,
        board_serial=given.text("board_serial", 48),
        vrf_key=given.octets("vrf_key", vrf.KEY_BYTES),
        gateware=given.octets("gateware", 32),
        public_key=site.octets("public_key", PUBLIC_KEY_BYTES),
        profile_hash=site.octets("profile_hash", 8),
        calibration_hash=site.octets("calibration_hash", 8),
        nameplate_w=options.nameplate_w,
        channels=options.channels,
        hot_fluid=options.hot_fluid,
        cold_fluid=options.cold_fluid,
        clocks_per_site_second=options.clocks_per_site_second,
        valid_from=_valid_from(options),
        valid_to=options.valid_to,
        provisioner=given.text("provisioner"),
        provisioned_at=given.time("time"),
        certificate=given.octets("certificate", SIGNATURE_BYTES),
    )
    words = _calibration(site, enrolment) if "calibration" in said else None
    if words is not None:
        _write(options.out.with_suffix(SUFFIX), words)
    _write(options.out, enrolment.encode())
    known = {} if words is None else {enrolment.calibration_hash: words_of(words)}
    print("\n".join((*site_lines([enrolment]), *calibration_lines([enrolment], known))))
    return _OK


def _calibration(site: Record, enrolment: Enrolment) -> bytes:
    """What the site says that it measures with, which has to be what its hash is of."""
    words = site.octets("calibration", CALIBRATION_BYTES)
    if calibration_hash(words_of(words)) != enrolment.calibration_hash:
        raise CeremonyError(f"the calibration of {enrolment.name} is not what its hash {enrolment.calibration_hash.hex()} is of")
    return words


def _list(options: argparse.Namespace) -> int:
    now = options.now
    people = (*((ROLE_APPROVER, each) for each in options.approver), *((ROLE_AUDITOR, each) for each in options.auditor))
    changes = Changes(
        operators=tuple(options.operator),
        gateware=tuple(Gateware(name, sha3_256(_content(path)).digest(), now, None) for name, path in map(_pair, options.gateware)),
        provisioners=tuple(_named(each, 0) for each in options.provisioner),  # its certificates are older than the list
        clouds=tuple(_named(each, now) for each in options.cloud),
        approvers=tuple(ApproverKey(name, role, load_public_key(path), now, None) for role, each in people for name, path in [_pair(each)]),
        ended=frozenset(options.end),
        dropped=frozenset(options.drop),
    )
    enrolments = _enrolments(options.enrolments)
    trust = next_list(
        _root(options), _previous(options), changes, enrolments, now, now + options.days * DAY_S, demonstration=options.demonstration
    )
    _write(options.out, trust.encode())
    print(f"unsigned: {options.out}, SHA3-256 {trust.hash.hex()}")
    return _OK


def _show(options: argparse.Namespace) -> int:
    _, checks = _read_list(options)
    return _REFUSED if any(check.passed is False for check in checks) else _OK


def _sign(options: argparse.Namespace) -> int:
    trust, checks = _read_list(options)
    if any(check.passed is False for check in checks):
        raise CeremonyError("the list is wrong and is not signed: say so to whoever wrote it")
    digits = options.fingerprint.lower()
    if len(digits) < LEAST_FINGERPRINT or not trust.hash.hex().startswith(digits):
        raise CeremonyError(f"the list's hash is {trust.hash.hex()}, not {options.fingerprint}: this is not the list that you read")
    root = _root(options)
    name, key = _open_key(options, Use.ROOT)
    if key.public_key not in {each.public_key for each in root.keys}:
        raise CeremonyError(f"the key of {name} is not among the pinned root keys")
    _write(options.out, Signed.by(trust.encode(), [key], TRUST_CONTEXT).encode())
    print(f"signed by {name}, {key.key_id.hex()}: {options.out}")
    return _OK


def _read_list(options: argparse.Namespace) -> tuple[FleetTrust, list[Check]]:
    """The list of a command, shown with what changed and what is wrong."""
    trust, previous, enrolments = FleetTrust.parse(_content(options.list)), _previous(options), _enrolments(options.enrolments)
    checks = judge_list(trust, _root(options), enrolments, previous, options.now)
    print("\n".join((*description(trust), *_site_lines(options.enrolments, enrolments))))
    if previous is not None:
        print("\n".join(("", "since the list before:", *differences(description(previous), description(trust)))))
        checks += _changed_sites(options, previous, enrolments)
    print("\n".join(("", *map(_line, checks), f"SHA3-256 {trust.hash.hex()}")))
    return trust, checks


def _changed_sites(options: argparse.Namespace, previous: FleetTrust, enrolments: Sequence[Enrolment]) -> list[Check]:
    """Shows which sites changed, where their enrolments in the list before are given."""
    if options.previous_enrolments is None:
        print("which sites changed is not shown: give the enrolments of the list before with --previous-enrolments")
        return []
    before = _enrolments(options.previous_enrolments)
    shown = (_site_lines(options.previous_enrolments, before), _site_lines(options.enrolments, enrolments))
    print("\n".join(differences(*shown) or ["no site changed"]))
    return [judge_previous_sites(previous, before)]


def _site_lines(folder: Path, enrolments: Sequence[Enrolment]) -> list[str]:
    return [*site_lines(enrolments), *calibration_lines(enrolments, calibrations(folder))]


def _combine(options: argparse.Namespace) -> int:
    signed = combine([Signed.parse(_content(path)) for path in options.signatures])
    if not _judged(signed, options):
        return _REFUSED
    _write(options.out, signed.encode())
    print(f"written: {options.out}")
    return _OK


def _check(options: argparse.Namespace) -> int:
    return _OK if _judged(Signed.parse(_content(options.list)), options) else _REFUSED


def _methodology(options: argparse.Namespace) -> int:
    try:
        document = canonical(json.loads(_content(options.document)))
    except (ValueError, RecursionError) as error:
        raise CeremonyError(f"{options.document} is not JSON: {error}") from None
    found = read(document)
    if not isinstance(found, Rule) or found.identifier != CUSTOM:
        raise CeremonyError(f"{options.document} is {found.identifier}: a methodology of one's own computes and is called {CUSTOM}")
    name, key = _open_key(options, Use.APPROVER)
    _write(options.out, Signed.by(found.document, [key], METHODOLOGY_CONTEXT).encode())
    print(f"{found.title}: {found.statement}\nneeds as evidence: {found.evidence}")
    print(f"SHA3-256 {found.hash.hex()}, signed by {name}, {key.key_id.hex()}: {options.out}")
    return _OK


def _judged(signed: Signed, options: argparse.Namespace) -> bool:
    _, checks = judge_trust(signed, _root(options), options.now)
    print("\n".join(map(_line, checks)))
    return all(check.passed for check in checks)


def _line(check: Check) -> str:
    code = f" [{check.reason}]" if check.reason else ""
    return f"{_MARK[check.passed]} {check.name}: {check.detail}{code}"


def _root(options: argparse.Namespace) -> RootKeys:
    return RootKeys.parse(_content(options.pin))


def _previous(options: argparse.Namespace) -> FleetTrust | None:
    """The list before, which has to be signed by the pinned keys."""
    if options.previous is None:
        return None
    signed = Signed.parse(_content(options.previous))
    trust = FleetTrust.parse(signed.document)
    _, checks = judge_trust(signed, _root(options), trust.valid_from)  # it may have run out; it was good when it began
    wrong = [check.detail for check in checks if not check.passed]
    if wrong:
        raise CeremonyError(f"{options.previous} is not believed by the pin: {wrong[0]}")
    return trust


def _enrolments(directory: Path) -> tuple[Enrolment, ...]:
    if not directory.is_dir():
        raise CeremonyError(f"{directory} is no directory: put every site's enrolment there")
    return ordered(Enrolment.parse(_content(path)) for path in sorted(directory.glob("*.json")))


def _named(text: str, since: int) -> NamedKey:
    name, path = _pair(text)
    return NamedKey(name, load_public_key(path), since, None)


def _pair(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not re.fullmatch(NAME, name):
        raise CeremonyError(f"{text!r} is not NAME=FILE with a name of the form {NAME}")
    return name, Path(path)


def _octets(text: str, size: int, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise CeremonyError(f"{what} takes {size} bytes in hexadecimal digits")
    return value


def _valid_from(options: argparse.Namespace) -> int:
    since: int = options.now if options.valid_from is None else options.valid_from
    return since


def _open_key(options: argparse.Namespace, use: Use) -> tuple[str, SigningKey]:
    data = load_private(options.key, MOST_BYTES)
    name = encrypted_key.owner(use, data)
    return name, SigningKey.from_seed(encrypted_key.decrypt(use, data, _passphrase(options)))


def _passphrase(options: argparse.Namespace, twice: bool = False) -> str:
    if options.passphrase_file is not None:
        try:
            return load_private(options.passphrase_file, 1_024).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CeremonyError(f"{options.passphrase_file} does not hold text in UTF-8") from None
    if not sys.stdin.isatty():
        raise CeremonyError("a passphrase is needed and nobody can be asked for it: give --passphrase-file")
    passphrase = getpass.getpass("passphrase: ")
    if twice and getpass.getpass("again: ") != passphrase:
        raise CeremonyError("the two passphrases differ")
    return passphrase


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_FILE_BYTES + 1)
    if len(data) > MOST_FILE_BYTES:
        raise CeremonyError(f"{path} has more than {MOST_FILE_BYTES} bytes")
    return data


def _write(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise CeremonyError(f"{path} exists and is not written over: name another file, or move it away") from None
