"""What every store is: its id, its clock, its notes and its upkeep."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from tests.seeds.contract import a_blob, created, saved
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place


# The store


def test_a_store_keeps_its_id_and_what_was_stored(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first, uri = store.id, store.uri
            seed = await created(store)
        async with place.store() as store:
            assert (store.id, store.uri) == (first, uri)
            assert await store.list() == [seed]
            assert await store.read_blob(seed.id) == a_blob()
        assert str(uuid.UUID(first)) == first

    run(scenario())


def test_many_who_open_a_new_store_at_once_open_the_same(place: Place) -> None:
    async def one_id() -> str:
        async with place.store() as store:
            return store.id

    async def scenario() -> None:
        assert len(set(await asyncio.gather(*(one_id() for _ in range(6))))) == 1

    run(scenario())


def test_what_one_client_stored_another_sees_at_once(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            seed = await created(one)
            assert await two.find("one") == seed
            await two.change(seed.id, name="other")
            assert [each.name for each in await one.list()] == ["other"]

    run(scenario())


def test_the_clock_of_a_store_goes_forward(place: Place) -> None:
    async def scenario(store: Store) -> None:
        times = [await store.now() for _ in range(5)]
        assert times == sorted(times)
        assert times[0] > 1.7e9

    place.play(scenario)


# Notes


def test_the_first_writer_of_a_note_wins(place: Place) -> None:
    async def scenario(store: Store) -> None:
        assert await store.note("key") is None
        assert await store.note("key", b"first\0") == b"first\0"
        assert await store.note("key", b"second") == b"first\0"
        assert await store.note("key") == b"first\0"
        assert await store.note("other") is None

    place.play(scenario)


def test_of_many_first_writers_all_see_the_same_note(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            values = await asyncio.gather(
                *(store.note("key", bytes([n])) for n, store in enumerate((one, two) * 4))
            )
            assert len(set(values)) == 1
            assert await one.note("key") == values[0]

    run(scenario())


def test_a_note_is_replaced_only_if_it_still_is_the_old_one(place: Place) -> None:
    async def scenario(store: Store) -> None:
        assert not await store.replace_note("key", b"", b"new")
        await store.note("key", b"old")
        assert not await store.replace_note("key", b"another", b"new")
        assert await store.note("key") == b"old"
        assert await store.replace_note("key", b"old", b"new")
        assert await store.note("key") == b"new"

    place.play(scenario)


def test_a_note_may_have_any_name(place: Place) -> None:
    async def scenario(store: Store) -> None:
        for name in ("store", "_id", "a.b", "$key", "ключ"):
            assert await store.note(name, name.encode()) == name.encode()

    place.play(scenario)


# Upkeep


def test_upkeep_leaves_what_is_in_use(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        await store.delete((await created(store, "two")).id)
        assert await store.collect() == 0
        assert await store.list() == [seed]
        assert await store.read_blob(seed.id, previous=True) == a_blob()

    place.play(scenario)


def test_the_doctor_finds_nothing_that_fails_and_leaves_nothing(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        found = await store.examine()
        assert [finding for finding in found if finding.state == "fail"] == []
        assert len({finding.name for finding in found}) == len(found) > 3
        assert await store.list() == [seed]

    place.play(scenario)
