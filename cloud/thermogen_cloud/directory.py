"""The cloud's directory: where each file lies, who may read it, and how one is replaced without a moment in which it is half there."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import OperatorError, StorageFullError


class NotInitialisedError(OperatorError):
    """The directory has not been made by `thermogen-cloud init`."""


class ExposedSecretError(OperatorError):
    """A secret can be read by others."""


class UnusableSecretError(OperatorError):
    """A secret's file does not hold what it is for."""


class InUseError(OperatorError):
    """Another process serves from this directory."""


@dataclass(frozen=True, slots=True)
class CloudDirectory:
    """Paths under THERMOGEN_CLOUD_DIR, and the viewer's password, which may lie elsewhere."""

    root: Path
    viewer_password_file: Path | None = None

    @property
    def registry(self) -> Path:
        return self.root / "registry.sqlite"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def ledger_authority_key(self) -> Path:
        return self.root / "ledger-authority.key"

    @property
    def ledger_holder_key(self) -> Path:
        return self.root / "ledger-holder.key"

    @property
    def cloud_key(self) -> Path:
        return self.root / "cloud.key"

    @property
    def trust(self) -> Path:
        return self.root / "trust.json"

    @property
    def attestation(self) -> Path:
        """Root keys and trust lists of attestation, where this cloud attests."""
        return self.root / "attestation"

    @property
    def methodologies(self) -> Path:
        """What attested days are minted by, where somebody chose."""
        return self.root / "methodologies"

    @property
    def viewer_password(self) -> Path:
        return self.viewer_password_file or self.root / "viewer.password"

    @property
    def approvers(self) -> Path:
        return self.root / "approvers"

    def approver_key(self, name: str) -> Path:
        """The encrypted key file of the approver `name`."""
        return self.approvers / f"{name}.key"

    def read_viewer_password(self) -> str:
        """The viewer's password; UnusableSecretError where it is none that a browser could send."""
        password = read_secret_text(self.viewer_password).strip()
        if not (password and password.isascii() and password.isprintable()):
            raise UnusableSecretError(
                f"{self.viewer_password} does not hold a password of printable ASCII on one line",
                "write one into it, or delete the file and run `thermogen-cloud init`",
            )
        return password

    def create(self) -> None:
        """Makes the directories, readable by their owner alone."""
        for path in (self.root, self.approvers):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.chmod(0o700)

    def require(self) -> None:
        """NotInitialisedError where `init` has not run to its end."""
        for path in (self.cloud_key, self.ledger_authority_key, self.ledger_holder_key, self.viewer_password, self.trust):
            if not path.exists():
                raise NotInitialisedError(f"{path} is missing", "run `thermogen-cloud init`, with THERMOGEN_CLOUD_DIR naming the directory")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Holds the directory for one serving process; InUseError where another has it. The kernel lets go when the process ends."""
        with self._locked(self.root / "serve.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield

    @contextmanager
    def changing_trust(self) -> Iterator[None]:
        """One change of the trust list at a time."""
        with self._locked(self.root / "trust.lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, path: Path, operation: int) -> Iterator[None]:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, operation)
            except BlockingIOError as error:
                raise InUseError(
                    f"another thermogen-cloud serves from {self.root}", "stop it, or give this one another THERMOGEN_CLOUD_DIR"
                ) from error
            yield
        finally:
            os.close(handle)


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Writes `content` so that `path` holds the old bytes or the new ones whenever the power fails, and is never wider open than `mode`."""
    draft = path.parent / f".{path.name}.new"
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(str(path.parent)) from error
        raise


def read_secret(path: Path) -> bytes:
    """A secret's bytes; ExposedSecretError where anyone but its owner may read it."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ExposedSecretError(
                f"{path} can be read by others", f"replace the secret if others use this machine, then `chmod 600 {path}`"
            )
        return file.read()


def read_secret_text(path: Path) -> str:
    """A secret that people type, without its line end; ExposedSecretError, UnusableSecretError, or OSError where it cannot be opened."""
    try:
        return read_secret(path).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        # Without the decoder's words: they quote a byte of the secret.
        raise UnusableSecretError(f"{path} does not hold text in UTF-8", "save the secret as UTF-8, alone in its file") from error
