"""Stores for rounds: each can be taken away from those who have it open."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from tests.faults.cable import Cable
from tests.seeds.mongod import Mongod, shared_mongod
from tests.seeds.stores import NETWORK
from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.seeds.mongod import Topology

StoreKind = Literal["sqlite", "sqlite on a network", "mongodb standalone", "mongodb replica set"]
ALONE = ("server killed", "step-down")
"""Faults that happen to all who use a server, and so need one for themselves."""


class Place:
    """A store, and what can happen to it.

    Args:
        name: Of the store, for a process that opens it.
        cut: Takes it away.
        mend: Brings it back.
    """

    def __init__(self, name: str, cut: Callable[[], None], mend: Callable[[], None]) -> None:
        self.name = name
        self.cut = cut
        self.mend = mend


class Places:
    """Makes places. MongoDB servers that are to be killed are its own; a context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[Topology, Mongod] = {}
        self._mortal: dict[Topology, Mongod] = {}
        self._turns = {"replica set": threading.Lock(), "standalone": threading.Lock()}

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        while self._mortal:
            self._mortal.popitem()[1].close()

    @contextmanager
    def place(self, kind: StoreKind, fault: str, folder: Path) -> Iterator[Place]:
        """An empty store of a kind, to which a fault may happen."""
        if kind in ("sqlite", "sqlite on a network"):
            path = folder / "store" / "seeds.db"
            prefix = NETWORK if kind == "sqlite on a network" else ""
            yield Place(f"{prefix}{path}", lambda: _hide(path.parent), lambda: _show(path.parent))
            return
        topology: Topology = "standalone" if kind == "mongodb standalone" else "replica set"
        if fault in ALONE:
            # One at a time, as it happens to all who use the server.
            with self._turns[topology]:
                server = self._server(self._mortal, topology)
                uri = server.uri("codex_nb_faults")
                if fault == "server killed":
                    yield Place(uri, server.kill, server.start)
                else:
                    yield _that_steps_down(uri, server)
            return
        with Cable(self._server(self._shared, topology).socket) as cable:
            uri = f"mongodb://127.0.0.1:{cable.port}/codex_nb_faults?directConnection=true"
            yield Place(uri, cable.cut, cable.mend)

    def _server(self, servers: dict[Topology, Mongod], topology: Topology) -> Mongod:
        with self._lock:
            if topology not in servers:
                if servers is self._shared:
                    servers[topology] = shared_mongod(topology)
                else:
                    servers[topology] = Mongod(topology).__enter__()
            return servers[topology]


def _hide(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def _show(folder: Path) -> None:
    # Whoever looked for it meanwhile may have made an empty one.
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name("away").rename(folder)


def _that_steps_down(uri: str, server: Mongod) -> Place:
    steps: list[threading.Thread] = []

    def begin() -> None:
        with server.client() as client:
            term = _term(client.admin.command("hello"))
            thread = threading.Thread(target=server.step_down)
            steps.append(thread)
            thread.start()

            def has_begun() -> bool:
                hello = client.admin.command("hello")
                return not hello["isWritablePrimary"] or _term(hello) != term

            wait_until_now(has_begun)

    def end() -> None:
        for thread in steps:
            thread.join()

    return Place(uri, begin, end)


def _term(hello: dict[str, object]) -> object:
    return hello.get("electionId")


__all__ = ["ALONE", "Place", "Places", "StoreKind"]
