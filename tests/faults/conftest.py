"""Fixtures of the fault rounds; who needs a MongoDB server carries the marker `mongod`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.rounds import Rounds
from tests.seeds.mongod import need_mongod

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mongod: needs a MongoDB server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "mongo_rounds" in item.fixturenames:
            item.add_marker("mongod")


@pytest.fixture(scope="module")
def rounds() -> Iterator[Rounds]:
    """A place for rounds on SQLite."""
    with Rounds() as place:
        yield place


@pytest.fixture
def mongo_rounds() -> Iterator[Rounds]:
    """A place for rounds that end a server of their own."""
    need_mongod()
    with Rounds() as place:
        yield place
