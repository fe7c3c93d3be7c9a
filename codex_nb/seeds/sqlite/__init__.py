"""A store of seeds in one SQLite file. Nothing else imports sqlite3."""

from codex_nb.seeds.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
