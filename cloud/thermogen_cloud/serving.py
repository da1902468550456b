"""`thermogen-cloud serve`: the parts of the cloud put together, the receiver on its own thread, API and page on the main one."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from thermogen_esf.signatures import SigningKey

from .accounting import UnbalancedBooksError, balanced
from .api import Services, application
from .attestation_log import AttestationLog
from .attestation_trust import AttestationTrust, AttestationTrustError, newer
from .attested_minting import AttestedMinting
from .attesting import Attestor
from .commanding import Commanding
from .daily import DailyRequests
from .directory import CloudDirectory
from .drawings import Drawings
from .errors import OperatorError
from .initialise import read_key
from .intake import Intake
from .judging import Judge
from .ledger import Token2022Ledger
from .methodology_choices import DEFAULT_METHODOLOGY, MethodologyChoices
from .minting import Minting
from .receiver import Receiver
from .registry import Registry
from .settings import ADDRESS, Settings
from .trust_file import TrustFile

log = logging.getLogger(__name__)

STOP_S = 10.0


class PortInUseError(OperatorError):
    """Another program has the port."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """The parts of a running cloud."""

    services: Services
    receiver: Receiver


@contextmanager
def opened(settings: Settings, clock: Callable[[], int]) -> Iterator[Cloud]:
    """Opens an initialised directory for this process alone, brings interrupted mints to their end, and checks the books."""
    directory = settings.directory
    with directory.serving():
        key = read_key(directory.cloud_key)
        trust = TrustFile(directory)
        trust.current()
        registry = Registry(directory.registry)
        ledger = Token2022Ledger(
            directory.ledger, read_key(directory.ledger_authority_key).seed, read_key(directory.ledger_holder_key).seed
        )
        try:
            methodologies = MethodologyChoices(directory)
            attestor = _attestor(directory, registry, key, methodologies, clock)
            minting = Minting(registry, ledger, trust, key, clock, lambda: _attested(attestor))
            attested_minting = None if attestor is None else AttestedMinting(registry, ledger, attestor, key, methodologies, clock)
            minting.recover()
            try:
                balanced(registry, ledger)
            except UnbalancedBooksError as error:
                log.critical("the books do not balance: %s; %s", error, error.remedy)
            judge = Judge(registry, trust, clock)

            def publish(site: str, leaf: str, payload: bytes) -> None:
                receiver.publish(site, leaf, payload)  # which is made below

            drawings = None if attestor is None else Drawings(attestor, registry, publish)
            receiver = Receiver(
                settings.broker,
                settings.broker_password,
                settings.topic_prefix,
                Intake(registry, key, trust, clock, attestor),
                judge,
                _upkeep(directory, DailyRequests(registry, trust, minting, DEFAULT_METHODOLOGY), attestor, drawings, attested_minting),
                None if drawings is None else drawings.fetch,
            )
            commanding = Commanding(registry, trust, key, receiver.publish, clock)
            services = Services(
                directory,
                registry,
                ledger,
                trust,
                minting,
                commanding,
                lambda: receiver.health,
                clock,
                settings.api_prefix,
                settings.viewer,
                attestor,
                attested_minting,
            )
            yield Cloud(services, receiver)
        finally:
            ledger.close()
            registry.close()


def _attestor(
    directory: CloudDirectory, registry: Registry, key: SigningKey, methodologies: MethodologyChoices, clock: Callable[[], int]
) -> Attestor | None:
    trust = AttestationTrust.load(directory)
    if trust is None:
        return None
    return Attestor(registry, AttestationLog(registry, trust.root.hash, key), trust, methodologies, clock)


def _attested(attestor: Attestor | None) -> frozenset[str]:
    """The sites that are minted by attested day, by the newest list."""
    return frozenset() if attestor is None else frozenset(attestor.trust.newest.by_name)


def _take_newer_list(directory: CloudDirectory, attestor: Attestor) -> None:
    """Has the attestor believe a list that was adopted since; where it cannot be read, those before it stay."""
    try:
        found = newer(directory, attestor.trust)
    except AttestationTrustError as error:
        log.error("the trust lists of attestation cannot be read: %s; %s", error, error.remedy)
        return
    if found is not None:
        log.info("taking revision %d of the trust list", found.newest.trust.revision)
        attestor.renew(found)


def _upkeep(
    directory: CloudDirectory,
    daily: DailyRequests,
    attestor: Attestor | None,
    drawings: Drawings | None,
    attested_minting: AttestedMinting | None,
) -> Callable[[], None]:
    def upkeep() -> None:
        if attestor is not None:
            _take_newer_list(directory, attestor)
        daily.request()
        if attestor is not None and drawings is not None and attested_minting is not None:
            attestor.round()
            drawings.announce()
            attested_minting.round()

    return upkeep


def serve(settings: Settings, clock: Callable[[], int]) -> None:
    """Serves until SIGINT or SIGTERM; `clock` gives Unix seconds. OperatorError where it cannot begin."""
    settings.directory.require()
    listening = _listen(settings.port)
    with listening, opened(settings, clock) as cloud:
        receiving = threading.Thread(target=cloud.receiver.run, name="receiver")
        server = uvicorn.Server(
            uvicorn.Config(application(cloud.services), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5)
        )
        # uvicorn takes these over while it runs and raises them again when it has ended: then there is nothing left to do.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        receiving.start()
        log.info("the page is at http://%s:%d/", ADDRESS, settings.port)
        try:
            server.run(sockets=[listening])
        finally:
            cloud.receiver.stop()
            receiving.join(STOP_S)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"port {port} on {ADDRESS} is in use", "stop the program that has it, or set THERMOGEN_CLOUD_PORT"
            ) from error
        raise OperatorError(
            f"cannot listen on {ADDRESS}:{port}: {error}", "set THERMOGEN_CLOUD_PORT to a port that this user may open"
        ) from error
    return listening
