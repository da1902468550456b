"""The registry's file: its tables are those of the code, a commit is on the disk, damage and lack of space are said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from thermogen_cloud.errors import StorageFullError
from thermogen_cloud.registry import (
    AttestedMint,
    ConsumedEpoch,
    MintRequest,
    MintState,
    Quarantined,
    Registry,
    StoredCheckpoint,
    StoredSeal,
    database,
)
from thermogen_cloud.registry.database import RegistryUnreadableError
from thermogen_cloud.registry.tables import Base
from thermogen_esf.evidence.attestation.log import Log, trust_entry
from thermogen_esf.frames import site_identity
from thermogen_esf.signatures import SigningKey


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "registry.sqlite")
    yield registry
    registry.close()


def request(number):
    return MintRequest(
        hash=bytes([number]) * 32, site="a", first_epoch=1, last_epoch=2, amount=1, document=b"{}", state=MintState.REQUESTED,
        methodology_hash=bytes(32), vintage=2026, number=number, serial=f"SC-2026-TZ-{number:06}", created_at=1, changed_at=1,
    )  # fmt: skip


def test_the_migrations_make_the_tables_that_the_code_has(registry):
    with registry.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_calls_so():
    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert scripts.get_current_head() == database.HEAD


def test_opening_it_again_changes_nothing(registry, tmp_path):
    dump = list(sqlite3.connect(tmp_path / "registry.sqlite").iterdump())
    Registry(tmp_path / "registry.sqlite").close()
    assert list(sqlite3.connect(tmp_path / "registry.sqlite").iterdump()) == dump


def test_commits_reach_the_disk_before_they_return(registry, tmp_path):
    with registry.engine.connect() as connection:
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert values == ["wal", 2, 1]
    assert (tmp_path / "registry.sqlite").stat().st_mode & 0o777 == 0o600


def test_an_epoch_can_be_consumed_once_by_primary_key(registry):
    with registry.writing() as session:
        session.add_all([request(1), request(2)])
        session.flush()
        session.add(ConsumedEpoch(site="a", epoch=7, request_hash=bytes([1]) * 32))
    with pytest.raises(IntegrityError), registry.writing() as session:
        session.add(ConsumedEpoch(site="a", epoch=7, request_hash=bytes([2]) * 32))


def test_a_transaction_that_fails_leaves_nothing(registry):
    with pytest.raises(RuntimeError), registry.writing() as session:
        session.add(request(1))
        session.flush()
        raise RuntimeError("power")
    with registry.reading() as session:
        assert session.get(MintRequest, bytes([1]) * 32) is None


def test_no_space_is_said_with_what_to_do_and_leaves_nothing(registry):
    with registry.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
    with pytest.raises(StorageFullError, match="no space") as error, registry.writing() as session:
        session.add(Quarantined(number=1, site="a", topic="batch", hash=bytes(32), size=1, reason="", received_at=1, body=bytes(1_000_000)))
    assert "free space" in error.value.remedy
    with registry.reading() as session:
        assert session.get(Quarantined, 1) is None


def test_a_damaged_file_is_said_with_what_to_do(tmp_path):
    (tmp_path / "registry.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(RegistryUnreadableError, match=r"registry\.sqlite") as error:
        Registry(tmp_path / "registry.sqlite")
    assert "backup" in error.value.remedy


def test_checkpoints_of_a_registry_of_before_keep_their_numbers_and_get_their_sizes(tmp_path):
    path = tmp_path / "registry.sqlite"
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    log = Log(bytes(32))
    log.append(trust_entry(bytes(32)))
    signed = log.checkpoint(1_000).sign(SigningKey.generate()).encode()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0003")
        connection.exec_driver_sql("INSERT INTO checkpoints (number, signed) VALUES (0, ?)", (signed,))
    engine.dispose()
    registry = Registry(path)
    with registry.reading() as session:
        row = session.get_one(StoredCheckpoint, 0)
        assert (row.size, row.signed) == (1, signed)
    registry.close()


def test_epochs_that_were_attested_before_are_used_from_then_on_and_none_twice(tmp_path):
    path, site = tmp_path / "registry.sqlite", "tz-a"
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    identity = site_identity(site)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0004")
        request = "INSERT INTO mint_requests VALUES (?, ?, 96, 96, 1, x'', 'minted', '', x'', NULL, 2026, 1, 'S1', 1, 1)"
        connection.exec_driver_sql(request, (b"r" * 32, site))
        connection.exec_driver_sql("INSERT INTO consumed_epochs VALUES (?, 96, ?)", (site, b"r" * 32))
        for day, state in ((1, "waiting"), (2, "minted")):
            seals = b"".join(bytes(8) + identity + (96 * day + each).to_bytes(4, "big") + bytes(166) for each in (0, 1, 96))
            connection.exec_driver_sql("INSERT INTO logged_days VALUES (?, ?, ?, x'', x'', ?)", (day, identity, day, seals))
            mint = "INSERT INTO attested_mints (site, day, attempt, attestation, signed, amount, state, detail, vintage, number, serial, "
            values = (site, day, bytes([day]) * 32, state, 10 + day, f"S{10 + day}")
            connection.exec_driver_sql(f"{mint} changed_at) VALUES (?, ?, 1, ?, x'', 1, ?, '', 2026, ?, ?, 1)", values)
    engine.dispose()
    registry = Registry(path)
    with registry.reading() as session:
        used = session.query(ConsumedEpoch).order_by(ConsumedEpoch.epoch).all()
        assert [(row.epoch, row.used_by) for row in used] == [(96, b"r" * 32), (192, bytes([2]) * 32), (193, bytes([2]) * 32)]
        states = [row.state.value for row in session.query(AttestedMint).order_by(AttestedMint.day)]
    assert states == ["refused", "minted"]
    registry.close()


def test_seals_that_were_stored_before_are_kept_and_wait_to_be_told_whose_key_proved_them(tmp_path):
    path = tmp_path / "registry.sqlite"
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0005")
        for epoch, logged in ((1, 1), (2, 0)):
            values = (bytes([epoch]) * 32, b"identity", epoch, b"seal", logged)
            connection.exec_driver_sql("INSERT INTO seals VALUES (?, ?, ?, ?, ?, 7)", values)
    engine.dispose()
    registry = Registry(path)
    with registry.reading() as session:
        rows = session.query(StoredSeal).order_by(StoredSeal.epoch).all()
    assert [(row.vrf_key, row.input_hash, row.epoch, row.logged) for row in rows] == [
        (b"", bytes([1]) * 32, 1, True), (b"", bytes([2]) * 32, 2, False)
    ]  # fmt: skip
    registry.close()
