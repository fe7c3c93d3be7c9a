"""Fixtures that need a MongoDB server; whoever uses one carries the marker `mongod`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.seeds.mongod import TOPOLOGIES, Mongod, Topology, end_shared, fresh_database
from tests.seeds.stores import KINDS, Databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.seeds.stores import Place

    StartMongod = Callable[..., Mongod]

_FIXTURES = {"mongo_topology", "mongo_uri", "own_mongod", "replica_uri", "start_mongod"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mongod: needs a MongoDB server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(item.fixturenames) if isinstance(item, pytest.Function) else set()
        # `place` is one of several kinds.
        if _FIXTURES & fixtures or ("place" in fixtures and "[mongo " in item.name):
            item.add_marker("mongod")


@pytest.fixture(scope="session", autouse=True)
def _no_server_left() -> Iterator[None]:
    """End the servers of this worker when its tests are over."""
    yield
    end_shared()


@pytest.fixture(params=TOPOLOGIES)
def mongo_topology(request: pytest.FixtureRequest) -> Topology:
    """Each kind of server in turn."""
    topology: Topology = request.param
    return topology


@pytest.fixture
def mongo_uri(mongo_topology: Topology) -> Iterator[str]:
    """URI of an empty database, on each kind of server in turn."""
    with fresh_database(mongo_topology) as uri:
        yield uri


@pytest.fixture
def replica_uri() -> Iterator[str]:
    """URI of an empty database, for a test to which the kind of server does not matter."""
    with fresh_database("replica set") as uri:
        yield uri


@pytest.fixture
def own_mongod(mongo_topology: Topology) -> Iterator[Mongod]:
    """A server of this test alone, to be stopped, killed and started again."""
    with Mongod(mongo_topology) as server:
        yield server


@pytest.fixture
def start_mongod() -> Iterator[StartMongod]:
    """Starts further servers of this test alone, with the arguments of `Mongod`."""
    with ExitStack() as servers:

        def start(topology: Topology, **arguments: Any) -> Mongod:
            return servers.enter_context(Mongod(topology, **arguments))

        yield start


@pytest.fixture(scope="session")
def _databases(_no_server_left: None) -> Iterator[Databases]:
    with Databases() as databases:
        yield databases


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, _databases: Databases) -> Place:
    """Where an empty store lies, of each kind in turn."""
    return KINDS[request.param](tmp_path, _databases)
