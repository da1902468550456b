"""The registry's SQLite file: opened so that a commit has reached the disk, one writer at a time, readers never waiting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session
from thermogen_esf.storage import Fault, fault

from ..errors import NOT_USABLE_REMEDY, OperatorError, StorageFullError

HEAD = "0006"
"""The newest migration: a registry that has it is opened without looking for others."""
BUSY_MS = 10_000
"""How long a writer waits for another; no transaction here takes a hundredth of it."""


class RegistryUnreadableError(OperatorError):
    """The file is not a registry, is damaged, or is of a newer version."""


class RegistryUnavailableError(OperatorError):
    """The file is held by another program, or its disk does not read or write. Nothing was half stored."""


class Registry:
    """Sessions on one registry file. Threads may share it."""

    def __init__(self, path: Path) -> None:
        """Opens `path`, makes it where it is missing, and brings its tables to this version."""
        self._path = path
        if not path.exists():
            path.touch(mode=0o600)
        self._engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        try:
            with self._engine.connect().execution_options(immediate=True) as connection:
                _migrate(connection)
        except DatabaseError as error:
            raise _explained(error, path, opening=True) from error

    @property
    def engine(self) -> Engine:
        """The engine, for those who look at the tables themselves."""
        return self._engine

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent view; what it changes is thrown away. RegistryUnavailableError where it cannot be read now."""
        with self._explaining(), Session(self._engine, autoflush=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction, on the disk when the block ends and undone when it raises.

        StorageFullError where there is no space, RegistryUnavailableError where it cannot be written now.
        """
        with (
            self._explaining(),
            self._engine.connect().execution_options(immediate=True) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session
            session.commit()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Says what SQLite met on the disk in words of ours."""
        try:
            yield
        except OperationalError as error:
            raise _explained(error, self._path) from error


def _configure(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # the transaction begins where _begin says, not where the driver guesses
    for pragma in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A writer takes its lock before it reads, so that what it read still holds when it writes.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("immediate") else "BEGIN")


def _explained(error: DatabaseError, path: Path, opening: bool = False) -> OperatorError:
    found = fault(error.orig, path)
    if found is Fault.NO_SPACE:
        return StorageFullError(str(path.parent))
    if found is Fault.DAMAGED or (opening and found is Fault.OTHER):
        return RegistryUnreadableError(f"{path}: {error.orig}", "restore it from a backup, or name another THERMOGEN_CLOUD_DIR")
    return RegistryUnavailableError(f"{path} could not be used: {error.orig}", NOT_USABLE_REMEDY)


def _migrate(connection: Connection) -> None:
    has_version = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
    if has_version and connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD:
        return
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
    connection.commit()
