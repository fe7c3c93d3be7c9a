"""Sealed logins, as every store keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SeedNotFoundError
from codex_nb.seeds.records import Blob
from tests.seeds.contract import (
    a_blob,
    a_seed,
    created,
    saved,
)

if TYPE_CHECKING:
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place

LARGE = bytes(range(256)) * 4096 * 5
"""More than 4 MB: a store may keep such a blob elsewhere."""


@pytest.mark.parametrize("data", [b"", b"\x00\xff\x00", bytes(range(256)) * 100, LARGE], ids=len)
def test_a_blob_comes_back_as_it_was(place: Place, data: bytes) -> None:
    async def scenario(store: Store) -> None:
        seed = await store.create(a_seed(), Blob(data=data, version=7))
        assert seed.version == 7
        assert await store.read_blob(seed.id) == Blob(data=data, version=7)
        await saved(store, seed, version=8)
        assert await store.read_blob(seed.id, previous=True) == Blob(data=data, version=7)

    place.play(scenario)


def test_a_new_seed_has_no_previous_login(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        with pytest.raises(SeedNotFoundError):
            await store.read_blob(seed.id, previous=True)

    place.play(scenario)


def test_a_seed_that_is_not_there_has_no_login(place: Place) -> None:
    async def scenario(store: Store) -> None:
        for previous in (False, True):
            with pytest.raises(SeedNotFoundError):
                await store.read_blob("0" * 32, previous=previous)

    place.play(scenario)


# Sealing anew


def test_a_login_that_is_sealed_anew_is_the_same_login(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        assert await store.replace_blob(seed.id, a_blob(2, b"sealed anew"))
        assert await store.find(seed.id) == seed
        assert await store.read_blob(seed.id) == a_blob(2, b"sealed anew")
        with pytest.raises(SeedNotFoundError):
            await store.read_blob(seed.id, previous=True)

    place.play(scenario)


def test_a_login_of_another_version_is_not_replaced(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        for version in (1, 3):
            assert not await store.replace_blob(seed.id, a_blob(version, b"sealed anew"))
        assert await store.read_blob(seed.id) == a_blob(2, b"sealed second")
        assert await store.read_blob(seed.id, previous=True) == a_blob()
        assert not await store.replace_blob("0" * 32, a_blob())

    place.play(scenario)
