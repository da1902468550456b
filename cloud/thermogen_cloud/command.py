"""`thermogen-cloud`: the cloud's one command."""

from __future__ import annotations

import argparse
import base64
import errno
import getpass
import http.client
import json
import logging
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thermogen_esf.evidence.approval import Approval, ApprovalError, Decision
from thermogen_esf.evidence.attestation.proof_bundle import MAGIC as PROOF_MAGIC
from thermogen_esf.evidence.attestation.proof_bundle import ProofBundle
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.bundle import Bundle
from thermogen_esf.evidence.catalogue import CUSTOM
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.evidence.fluids import FLUIDS
from thermogen_esf.evidence.trust import NAME, PRODUCT_CLOCKS_PER_SITE_SECOND, ROLE_APPROVER, ApproverKey, SiteKey
from thermogen_esf.keyfile import KeyFileError, load_public_key, load_seed
from thermogen_esf.signatures import SigningKey

from . import refusals
from .attestation_trust import AttestationTrust, adopt
from .directory import CloudDirectory, read_secret, read_secret_text, replace_file
from .errors import CloudError, OperatorError
from .initialise import initialise, read_key
from .keys import key_owner, open_approver_key, save_approver_key
from .methodology_choices import MethodologyChoices
from .registry import AttestedMintState
from .settings import ADDRESS, SETTINGS, Settings, read_settings
from .trust_file import TrustFile

FULL_NODE_W, FULL_NODE_CHANNELS = 10_300, 108
"""A full node's rating, from which the rating of a site with fewer channels follows."""
DEFAULT_CHANNELS = 12
DEMONSTRATION_CLOCKS = 10_000
ANSWER_S = 300
"""An approval answers when the credit is minted: a month's batches are judged before it."""
UNKNOWN_REQUEST = f"urn:thermogen:problem:{refusals.UnknownRequestError.slug}"
DONE, FAILED = 0, 1


class RequestFailedError(OperatorError):
    """The cloud did not answer, or answered with a problem."""


class UnknownRequestError(RequestFailedError):
    """The cloud answered that nothing of that kind has the hash."""


def unix_seconds() -> int:
    """The wall clock."""
    return int(time.time())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; 0 when it did what was asked, 1 with a message when not, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        options.run(options, read_settings())
    except CloudError as error:
        print(f"thermogen-cloud: {error}; {error.remedy}", file=sys.stderr)
        return FAILED
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free space on that disk, then ask again" if full else "check that the path is right and that this user may use it"
        print(f"thermogen-cloud: {error}; {remedy}", file=sys.stderr)
        return FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    width = max(len(setting.variable) for setting in SETTINGS)
    settings = "\n".join(f"  {s.variable:<{width}}  {s.meaning} [{s.default or 'none'}]" for s in SETTINGS)
    parser = argparse.ArgumentParser(
        prog="thermogen-cloud",
        description="Receives signed batches, judges them, and mints approved credits.",
        epilog=f"settings, by environment:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    command("init", _init, "make keys, trust list and databases; prints the cloud's public key as JSON")
    command("serve", _serve, "receive, judge and serve the page and the API until Ctrl-C")

    site = command("enrol-site", _enrol_site, "add a site's key to the trust list")
    site.add_argument("--name", required=True)
    site.add_argument("--public-key", required=True, type=Path, metavar="FILE", help="ML-DSA-87 public key, hex or raw")
    site.add_argument("--channels", type=int, default=DEFAULT_CHANNELS, help="power channels of the site [%(default)s]")
    site.add_argument("--nameplate-w", type=int, help="greatest electrical power in W [a full node's share for the channels]")
    site.add_argument("--hot-fluid", choices=sorted(FLUIDS), default="therminol-vp1", help="[%(default)s]")
    site.add_argument("--cold-fluid", choices=sorted(FLUIDS), default="ethylene-glycol-50", help="[%(default)s]")
    site.add_argument(
        "--clocks-per-site-second",
        type=int,
        help=f"clocks of the gateware in a site second [{PRODUCT_CLOCKS_PER_SITE_SECOND}; in a demonstration {DEMONSTRATION_CLOCKS}]",
    )
    _add_validity(site, "now; in a demonstration, whose site time may lie in the past, 0")

    approver = command("enrol-approver", _enrol_approver, "add an approver's key to the trust list, and make it unless it is given")
    approver.add_argument("--name", required=True)
    approver.add_argument("--role", default=ROLE_APPROVER, help="only the role %(default)s approves mints [%(default)s]")
    approver.add_argument("--public-key", type=Path, metavar="FILE", help="the approver keeps the key elsewhere; this is its public half")
    _add_passphrase(approver)
    _add_validity(approver, "now")

    adopt_trust = command(
        "adopt-trust",
        _adopt_trust,
        "take a signed trust list of attestation; serve takes the first at its start, later ones within a minute",
    )
    adopt_trust.add_argument("--pin", required=True, type=Path, metavar="FILE", help="the root keys")
    adopt_trust.add_argument("--trust", required=True, type=Path, metavar="FILE", help="what `thermogen-esf trust combine` wrote")
    adopt_trust.add_argument("--enrolments", required=True, type=Path, metavar="DIR", help="every site's enrolment, a .json file each")

    choose = command(
        "choose-methodology",
        _choose_methodology,
        "by which methodology attested days are minted that begin from now on; in a demonstration, all that are not minted yet",
    )
    choose.add_argument("--site", metavar="NAME", help="[every site that has no choice of its own]")
    choose.add_argument("--methodology", required=True, metavar="ID", help="`thermogen-verify yield` lists them")
    choose.add_argument("--evidence", type=Path, metavar="FILE", help="what shows the baseline, where the methodology needs it")
    choose.add_argument(
        "--document", type=Path, metavar="FILE", help=f"for {CUSTOM}: the methodology as an auditor of the trust list signed it"
    )

    mint = command("request-mint", _request_mint, "ask the running cloud for a mint; prints the request as JSON")
    mint.add_argument("--site", required=True)
    mint.add_argument("--first-epoch", type=int, help="[the first believed epoch that is not minted yet]")
    mint.add_argument("--last-epoch", type=int, help="[the last believed epoch that is not minted yet]")
    mint.add_argument("--methodology", default="TZ-DISPLACED-GRID", help="[%(default)s]")

    approve = command("approve", _approve, "sign a decision on a mint request or an attestation here and send it to the running cloud")
    approve.add_argument("--request", required=True, metavar="HASH", help="the request's, or the attestation's")
    approve.add_argument("--key", required=True, type=Path, metavar="FILE", help="the approver's key file, encrypted or a plain seed")
    approve.add_argument("--approver", metavar="NAME", help="[the name in an encrypted key file]")
    approve.add_argument("--role", default=ROLE_APPROVER, help="[%(default)s]")
    approve.add_argument("--reason", required=True, metavar="TEXT")
    approve.add_argument("--reject", action="store_true", help="reject instead of approving")
    approve.add_argument("--print", action="store_true", dest="only_print", help="print the signed decision as JSON and send nothing")
    _add_passphrase(approve)

    bundle = command("bundle", _bundle, "fetch a credit's evidence from the running cloud")
    bundle.add_argument("--credit", required=True, metavar="SERIAL")
    bundle.add_argument("--out", required=True, type=Path, metavar="FILE")
    return parser


def _add_validity(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--valid-from", type=int, metavar="UNIX_S", help=f"first second at which the key is valid [{default}]")


def _add_passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="file with the key's passphrase [asked for]")


def _init(_: argparse.Namespace, settings: Settings) -> None:
    directory = settings.directory
    key = initialise(directory, settings.demonstration, unix_seconds)
    print(
        json.dumps(
            {
                "directory": str(directory.root),
                "public_key": key.public_key.hex(),
                "key_id": key.key_id.hex(),
                "trust": str(directory.trust),
                "viewer_password_file": str(directory.viewer_password),
            }
        )
    )


def _serve(_: argparse.Namespace, settings: Settings) -> None:
    from .serving import serve  # only this subcommand needs the web server

    serve(settings, unix_seconds)


def _enrol_site(options: argparse.Namespace, settings: Settings) -> None:
    directory = _initialised(settings)
    trust = TrustFile(directory)
    demonstration = trust.current().demonstration
    default_clocks = DEMONSTRATION_CLOCKS if demonstration else PRODUCT_CLOCKS_PER_SITE_SECOND
    key = SiteKey(
        name=options.name,
        public_key=_public_key(options.public_key),
        valid_from=(0 if demonstration else unix_seconds()) if options.valid_from is None else options.valid_from,
        valid_to=None,
        nameplate_w=options.nameplate_w or -(-options.channels * FULL_NODE_W // FULL_NODE_CHANNELS),
        channels=options.channels,
        hot_fluid=options.hot_fluid,
        cold_fluid=options.cold_fluid,
        clocks_per_site_second=options.clocks_per_site_second or default_clocks,
    )
    trust.enrol_site(key)
    print(
        json.dumps(
            {"site": key.name, "identity": key.identity.hex(), "key_id": key.key_id.hex(), "trust": trust.current().fingerprint.hex()}
        )
    )


def _enrol_approver(options: argparse.Namespace, settings: Settings) -> None:
    directory = _initialised(settings)
    trust = TrustFile(directory)
    public_key = _approver_key(directory, options) if options.public_key is None else _public_key(options.public_key)
    valid_from = unix_seconds() if options.valid_from is None else options.valid_from
    key = ApproverKey(options.name, options.role, public_key, valid_from, None)
    trust.enrol_approver(key)
    print(json.dumps({"approver": key.name, "role": key.role, "key_id": key.key_id.hex(), "trust": trust.current().fingerprint.hex()}))


def _adopt_trust(options: argparse.Namespace, settings: Settings) -> None:
    directory = _initialised(settings)
    own = read_key(directory.cloud_key).public_key
    enrol = TrustFile(directory).enrol_sites  # batches are judged by the cloud's own list
    trust = adopt(directory, options.pin, options.trust, options.enrolments, own, unix_seconds(), enrol).trust
    print(
        json.dumps({"revision": trust.revision, "sites": trust.site_count, "trust": trust.hash.hex(), "root_keys": trust.root_keys.hex()})
    )


def _choose_methodology(options: argparse.Namespace, settings: Settings) -> None:
    directory = _initialised(settings)
    trust = AttestationTrust.load(directory)
    if trust is None:
        raise OperatorError("this cloud attests no days", "adopt a trust list with `thermogen-cloud adopt-trust`")
    if options.site is not None and options.site not in trust.newest.by_name:
        raise OperatorError(f"{options.site} is not in the trust list", f"name one of {', '.join(trust.newest.by_name)}")
    evidence = None if options.evidence is None else options.evidence.read_bytes()
    try:
        own = None if options.document is None else Signed.parse(options.document.read_bytes())
    except EvidenceError as error:
        raise OperatorError(f"{options.document}: {error}", "give the document with its signatures, as an auditor signed it") from error
    if (own is None) == (options.methodology == CUSTOM):
        raise OperatorError(f"--document is for {CUSTOM} and only for it", f"give both --methodology {CUSTOM} and --document, or neither")
    now = unix_seconds()
    since = 0 if trust.newest.trust.demonstration else now
    methodology = options.methodology if own is None else own
    chosen = MethodologyChoices(directory).choose(since, options.site, methodology, evidence, trust.newest.trust.approvers, now)
    hashes = {"hash": chosen.rule.hash.hex(), "evidence": None if chosen.evidence is None else chosen.evidence.hex()}
    print(json.dumps({"site": options.site, "methodology": chosen.rule.identifier, **hashes, "since": since}))


def _approver_key(directory: CloudDirectory, options: argparse.Namespace) -> bytes:
    """Public half of the key in the approver's file, which is made where it is not there."""
    path = directory.approver_key(options.name)
    if not re.fullmatch(NAME, options.name):
        raise OperatorError(f"{options.name!r} is not a name", f"give one of the form {NAME}")
    passphrase = _passphrase(options.passphrase_file, twice=not path.exists())
    if path.exists():
        return SigningKey.from_seed(open_approver_key(path, passphrase)).public_key
    key = SigningKey.generate()
    save_approver_key(path, options.name, key.seed, passphrase)
    return key.public_key


def _request_mint(options: argparse.Namespace, settings: Settings) -> None:
    first, last = options.first_epoch, options.last_epoch
    if first is None or last is None:
        unminted = _asked(settings, f"sites/{options.site}", ("unminted",))["unminted"]
        first = unminted["first"] if first is None else first
        last = unminted["last"] if last is None else last
    if first is None or last is None:
        raise OperatorError(
            f"{options.site} has no believed epoch that is not minted yet", "wait for batches, or look at the page for why they are refused"
        )
    body = {"site": options.site, "first_epoch": first, "last_epoch": last, "methodology": options.methodology}
    print(json.dumps(_asked(settings, "mints", ("hash",), body)))


def _approve(options: argparse.Namespace, settings: Settings) -> None:
    name, key = _signing_key(options)
    try:
        request = bytes.fromhex(options.request)
        decision = Decision.REJECT if options.reject else Decision.APPROVE
        approval = Approval(
            request=request, decision=decision, reason=options.reason, approver=name, role=options.role, time=unix_seconds()
        )
    except (ApprovalError, ValueError) as error:
        raise OperatorError(f"this cannot be signed: {error}", "give the request's hash, a name and a reason as the error says") from error
    body = {
        "approver": name,
        "role": options.role,
        "decision": decision.value,
        "reason": options.reason,
        "time": approval.time,
        "signature": approval.sign(key).hex(),
    }
    if options.only_print:
        print(json.dumps(body))
        return
    print(json.dumps(_decided(settings, options.request, body)))


def _decided(settings: Settings, digest: str, body: dict[str, Any]) -> dict[str, Any]:
    """What came of a decision on the mint request with a hash, or on the attestation: hashes of the two are never the same."""
    shown = ("hash", "state", "amount", "credit")
    try:
        answer = _asked(settings, f"mints/{digest}/approval", shown, body)
    except UnknownRequestError:
        answer = _asked(settings, f"attestation/mints/{digest}/approval", ("attestation", "state", "amount", "serial"), body)
        minted = answer["state"] == AttestedMintState.MINTED
        answer = {**answer, "hash": answer["attestation"], "credit": answer["serial"] if minted else None}
    return {name: answer[name] for name in shown}


def _signing_key(options: argparse.Namespace) -> tuple[str, SigningKey]:
    """The approver's name and key, from an encrypted key file or from a plain seed."""
    if read_secret(options.key).lstrip().startswith(b"{"):
        owner = key_owner(options.key)
        return options.approver or owner, SigningKey.from_seed(open_approver_key(options.key, _passphrase(options.passphrase_file)))
    if options.approver is None:
        raise OperatorError(f"{options.key} is a plain seed and names nobody", "give --approver NAME")
    try:
        return options.approver, load_seed(options.key)
    except KeyFileError as error:
        raise OperatorError(str(error), "give the file that `thermogen-cloud enrol-approver` wrote, or a seed file") from error


def _bundle(options: argparse.Namespace, settings: Settings) -> None:
    content = _fetch(settings, f"credits/{options.credit}/bundle")
    try:
        ProofBundle.parse(content) if content.startswith(PROOF_MAGIC) else Bundle.parse(content)
    except EvidenceError as error:
        raise _not_a_cloud(settings) from error
    replace_file(options.out, content, 0o644)
    print(json.dumps({"credit": options.credit, "bundle": str(options.out.absolute()), "bytes": len(content)}))


def _initialised(settings: Settings) -> CloudDirectory:
    settings.directory.require()
    return settings.directory


def _public_key(path: Path) -> bytes:
    try:
        return load_public_key(path)
    except KeyFileError as error:
        raise OperatorError(str(error), "give the file with the key's public half") from error


def _passphrase(path: Path | None, twice: bool = False) -> str:
    if path is not None:
        return read_secret_text(path)
    if not sys.stdin.isatty():
        raise OperatorError("a passphrase is needed and nobody can be asked for it", "give --passphrase-file")
    passphrase = getpass.getpass("passphrase: ")
    if twice and getpass.getpass("again: ") != passphrase:
        raise OperatorError("the two passphrases differ", "try again")
    return passphrase


def _asked(settings: Settings, path: str, fields: Sequence[str], body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The running cloud's answer, a JSON object with `fields` at least."""
    content = _fetch(settings, path, body)
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise _not_a_cloud(settings) from error
    if not isinstance(answer, dict) or not answer.keys() >= set(fields):
        raise _not_a_cloud(settings)
    return answer


def _fetch(settings: Settings, path: str, body: dict[str, Any] | None = None) -> bytes:
    """The running cloud's answer; RequestFailedError with its problem's words where it refuses."""
    credentials = base64.b64encode(f"{settings.viewer}:{_initialised(settings).read_viewer_password()}".encode()).decode()
    request = urllib.request.Request(
        f"http://{ADDRESS}:{settings.port}{settings.api_prefix}/{urllib.parse.quote(path, errors='surrogateescape')}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise _problem(settings, error) from error
    except TimeoutError as error:
        raise _no_answer_in_time(settings) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _no_answer_in_time(settings) from error
        raise RequestFailedError(
            f"no cloud answers at {ADDRESS}:{settings.port} ({error.reason})", "start `thermogen-cloud serve`, or set THERMOGEN_CLOUD_PORT"
        ) from error
    except OSError as error:
        raise RequestFailedError(
            f"the connection to {ADDRESS}:{settings.port} broke ({error})",
            f"look at GET {settings.api_prefix}/mints for what was done, then ask again",
        ) from error
    except http.client.HTTPException as error:
        raise _not_a_cloud(settings) from error


def _problem(settings: Settings, error: urllib.error.HTTPError) -> RequestFailedError:
    """What a refusal says, where it is a cloud's."""
    try:
        problem = json.loads(error.read())
        kind = UnknownRequestError if problem["type"] == UNKNOWN_REQUEST else RequestFailedError
        return kind(f"{problem['title']}: {problem['detail']}", problem["remedy"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return _not_a_cloud(settings)


def _not_a_cloud(settings: Settings) -> RequestFailedError:
    return RequestFailedError(
        f"what answers at {ADDRESS}:{settings.port} is not a thermogen-cloud",
        "set THERMOGEN_CLOUD_PORT and THERMOGEN_API_PREFIX as `thermogen-cloud serve` has them",
    )


def _no_answer_in_time(settings: Settings) -> RequestFailedError:
    return RequestFailedError(
        f"{ADDRESS}:{settings.port} did not answer within {ANSWER_S} s",
        f"look at the log of `thermogen-cloud serve` and at GET {settings.api_prefix}/mints for what was done, then ask again",
    )


if __name__ == "__main__":
    sys.exit(main())
