"""A store of seeds in MongoDB. Nothing else but the import from the older system knows pymongo."""

from codex_nb.seeds.mongo.store import MongoStore

__all__ = ["MongoStore"]
