"""The tables of a SQLite store, and how a file gets them.

Leases change every few seconds and blobs are long, so that neither lies in the row of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

VERSION = 1
"""Of the tables, kept in `user_version`."""

TABLES = """
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE seeds (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  pool TEXT NOT NULL,
  kind TEXT NOT NULL,
  account TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  details TEXT NOT NULL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  verified_at REAL,
  intent TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX claims ON seeds (pool, account) WHERE status IN ('alive', 'suspect');
CREATE TABLE leases (
  seed TEXT PRIMARY KEY REFERENCES seeds ON DELETE CASCADE,
  fence INTEGER NOT NULL DEFAULT 0,
  id TEXT NOT NULL DEFAULT '',
  holder TEXT NOT NULL DEFAULT '',
  ttl REAL NOT NULL DEFAULT 0,
  expires_at REAL NOT NULL DEFAULT 0,
  leased_at REAL
) WITHOUT ROWID;
CREATE TABLE blobs (
  seed TEXT PRIMARY KEY REFERENCES seeds ON DELETE CASCADE,
  data BLOB NOT NULL,
  version INTEGER NOT NULL,
  previous BLOB,
  previous_version INTEGER
);
CREATE TABLE graves (id TEXT PRIMARY KEY, fence INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables if they are not there. The caller has begun a transaction.

    Args:
        connection: To the file.
        path: Of the file, for the messages.

    Raises:
        StoreError: The file is of a later version, or of another program.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version == VERSION:
        return
    if version > VERSION:
        raise StoreError(
            f"A later version of codex_nb made the store {path}.", hint="Update codex_nb."
        )
    if version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(
            f"{path} is a database of another program.", hint="Name another file for the store."
        )
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")


__all__ = ["TABLES", "VERSION", "migrate"]
