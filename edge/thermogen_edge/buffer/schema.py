"""The buffer's tables. A change makes a new version, and a step from the old one."""

from __future__ import annotations

VERSION = 5

TABLES = (
    "counters",
    "leaves",
    "batches",
    "batch_frames",
    "alerts",
    "commands",
    "acknowledgements",
    "write_events",
    "write_frames",
    "outbox",
    "set_aside",
)

CREATE = """
CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot_count INTEGER NOT NULL DEFAULT 0,
    next_sequence INTEGER NOT NULL DEFAULT 0,
    next_batch INTEGER NOT NULL DEFAULT 0,
    previous_hash BLOB NOT NULL DEFAULT (zeroblob(32)),
    next_alert INTEGER NOT NULL DEFAULT 0,
    next_acknowledgement INTEGER NOT NULL DEFAULT 0,
    last_time INTEGER NOT NULL DEFAULT 0,
    site_state INTEGER NOT NULL DEFAULT 0,
    current_limit_ma INTEGER,
    enable INTEGER NOT NULL DEFAULT 1,
    trip_cause INTEGER,
    trip_time INTEGER,
    clear_cause INTEGER,
    clear_time INTEGER,
    lifetime_energy INTEGER NOT NULL DEFAULT 0,
    lifetime_bus_energy INTEGER NOT NULL DEFAULT 0,
    lifetime_gas INTEGER NOT NULL DEFAULT 0,
    next_writes INTEGER NOT NULL DEFAULT 0,
    told_event INTEGER NOT NULL DEFAULT 0,
    last_seal BLOB,
    taken_seal BLOB,
    taken_number INTEGER,
    told_lost_up_to INTEGER,
    looked_back_in INTEGER,
    told_calibration BLOB
) STRICT;
INSERT INTO counters (id) VALUES (1);
CREATE TABLE leaves (
    sequence INTEGER PRIMARY KEY,
    boot_count INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    time INTEGER NOT NULL,
    hash BLOB NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    boot_count INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    receipted INTEGER NOT NULL DEFAULT 0,
    wanted INTEGER NOT NULL DEFAULT 1,
    UNIQUE (epoch, boot_count)
) STRICT;
CREATE INDEX batches_wanted ON batches (number) WHERE wanted;
CREATE INDEX batches_unreceipted ON batches (count, first_time) WHERE NOT receipted;
CREATE INDEX batches_receipted ON batches (number, count) WHERE receipted;
CREATE TABLE batch_frames (number INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE alerts (number INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE commands (
    key_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    result INTEGER NOT NULL,
    PRIMARY KEY (key_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE acknowledgements (number INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE write_events (key INTEGER PRIMARY KEY, event BLOB NOT NULL) STRICT;
CREATE TABLE write_frames (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, frame BLOB NOT NULL) STRICT;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    message BLOB NOT NULL
) STRICT;
CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    content BLOB NOT NULL
) STRICT;
"""

FIND_LAST_SEAL = """
UPDATE counters SET last_seal = (SELECT message FROM outbox WHERE kind = 'seals' ORDER BY number DESC LIMIT 1) WHERE last_seal IS NULL;
"""
"""Where the counters do not say which seal was the last, the newest that waits for its receipt is the best that is known."""

STEPS: dict[int, str] = {
    1: """
ALTER TABLE counters ADD COLUMN trip_cause INTEGER;
ALTER TABLE counters ADD COLUMN trip_time INTEGER;
ALTER TABLE counters ADD COLUMN clear_cause INTEGER;
ALTER TABLE counters ADD COLUMN clear_time INTEGER;
ALTER TABLE counters ADD COLUMN lifetime_energy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN lifetime_bus_energy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN lifetime_gas INTEGER NOT NULL DEFAULT 0;
""",
    2: """
ALTER TABLE counters ADD COLUMN next_writes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN told_event INTEGER NOT NULL DEFAULT 0;
CREATE TABLE write_events (key INTEGER PRIMARY KEY, event BLOB NOT NULL) STRICT;
CREATE TABLE write_frames (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, frame BLOB NOT NULL) STRICT;
""",
    3: """
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    message BLOB NOT NULL
) STRICT;
""",
    4: f"""
ALTER TABLE counters ADD COLUMN last_seal BLOB;
ALTER TABLE counters ADD COLUMN taken_seal BLOB;
ALTER TABLE counters ADD COLUMN taken_number INTEGER;
ALTER TABLE counters ADD COLUMN told_lost_up_to INTEGER;
ALTER TABLE counters ADD COLUMN looked_back_in INTEGER;
ALTER TABLE counters ADD COLUMN told_calibration BLOB;
{FIND_LAST_SEAL}
""",
}
"""What leads from a version to the next."""
