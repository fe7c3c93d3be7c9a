"""Every kind of store that there is, each in a place of its own, for tests that all of them pass.

A place is also named by a text, so that a child process can open the same store.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pymongo

from codex_nb.seeds.mongo import MongoStore
from codex_nb.seeds.sqlite import SqliteStore
from tests.seeds.mongod import fresh_database
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from codex_nb.seeds.records import Lease
    from codex_nb.seeds.store import Store
    from tests.seeds.mongod import Topology

NETWORK = "network:"
"""Begins the name of a SQLite store that is used as if its folder were on another machine."""


class Clock:
    """A clock that a test sets. In Unix seconds."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a store lies.

    Attributes:
        name: For `open_by_name`.
        store: Makes one more store object for this place; entering it opens it.
        clock: The clock of the store, if a test can set it.
        ttl: Seconds of a lease that a test lets run out.
    """

    name: str
    store: Callable[[], Store]
    clock: Clock | None = None
    ttl: float = 60.0

    def play(self, scenario: Callable[[Store], Awaitable[None]]) -> None:
        """Run a scenario with the store of this place open."""

        async def played() -> None:
            async with self.store() as store:
                await scenario(store)

        run(played())

    async def outlast(self, store: Store, lease: Lease) -> None:
        """Return when a lease has run out on the clock of the store."""
        if self.clock is not None:
            self.clock.at = lease.expires_at + 0.001
        while await store.now() <= lease.expires_at:
            pass  # asking takes its time; on a clock that runs by itself that is a fraction of ttl


def open_by_name(name: str) -> Store:
    """The store of that place in another process, on the real clock; not entered yet."""
    if name.startswith(NETWORK):
        return SqliteStore(Path(name.removeprefix(NETWORK)), file_system="nfs4")
    return MongoStore(name) if name.startswith("mongodb") else SqliteStore(Path(name))


class Databases:
    """A MongoDB database for each kind of server, emptied for each test. A context manager.

    Emptying one takes milliseconds, making one with its indexes much longer.
    """

    def __init__(self) -> None:
        self._exits = ExitStack()
        self._clients: dict[Topology, pymongo.MongoClient[dict[str, Any]]] = {}
        self._uris: dict[Topology, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def empty(self, topology: Topology) -> str:
        """URI of an empty database."""
        if topology not in self._uris:
            uri = self._uris[topology] = self._exits.enter_context(fresh_database(topology))
            self._clients[topology] = self._exits.enter_context(pymongo.MongoClient(uri))
        database = self._clients[topology].get_default_database()
        for name in database.list_collection_names():
            database[name].delete_many({})
        return self._uris[topology]


def _sqlite(folder: Path, _: Databases) -> Place:
    path, clock = folder / "store" / "seeds.db", Clock()
    return Place(name=str(path), store=lambda: SqliteStore(path, clock=clock), clock=clock)


def _network(folder: Path, _: Databases) -> Place:
    path, clock = folder / "store" / "seeds.db", Clock()
    return Place(
        name=f"{NETWORK}{path}",
        store=lambda: SqliteStore(path, file_system="nfs4", clock=clock),
        clock=clock,
    )


def _replica_set(_: Path, databases: Databases) -> Place:
    uri = databases.empty("replica set")
    return Place(name=uri, store=lambda: MongoStore(uri), ttl=0.2)


def _standalone(_: Path, databases: Databases) -> Place:
    uri = databases.empty("standalone")
    return Place(name=uri, store=lambda: MongoStore(uri), ttl=0.2)


KINDS: dict[str, Callable[[Path, Databases], Place]] = {
    "sqlite": _sqlite,
    "sqlite on a network": _network,
    "mongo replica set": _replica_set,
    "mongo standalone": _standalone,
}
"""Each kind of store: gives the place of an empty one."""
