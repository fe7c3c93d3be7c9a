"""How every store makes, finds and deletes seeds."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SeedBusyError, SeedNotFoundError, SeedTakenError
from codex_nb.seeds.records import Intent, Lease, Seed, Status
from tests.seeds.contract import a_blob, a_seed, begun, created, leased, saved
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place


# Creating


def test_a_new_seed_is_found_as_it_was_given_with_times_of_the_store(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = Lease(seed="x", id="x", holder="x", fence=9, expires_at=9e9, left=9.0)
        given = Seed(
            id=uuid.uuid4().hex,
            name="one",
            pool="p",
            kind="apikey",
            account="mine",
            fingerprint="first",
            status=Status.SUSPECT,
            reason="It came from elsewhere.",
            details={"email": "a@example.com", "usage": {"day": [1, 2.5, None]}},
            created_at=1.0,
            updated_at=2.0,
            lease=lease,
            intent=Intent(attempt="a", fence=1, parent="p", host="h", at=1.0),
        )
        before = await store.now()
        seed = await store.create(given, a_blob(5))
        after = await store.now()
        assert seed == replace(
            given,
            version=5,
            created_at=seed.created_at,
            updated_at=seed.created_at,
            lease=None,
            intent=None,
        )
        assert before - 0.01 <= seed.created_at <= after + 0.01
        assert await store.find("one") == seed
        assert await store.list() == [seed]
        assert await store.read_blob(seed.id) == a_blob(5)

    place.play(scenario)


ODD: dict[str, JsonObject] = {
    "keys": {"$set": 1, "a.b": 2, "": 3, "_id": 4, "ключ": 5},
    "texts": {"a": "$name", "b": 'it\'s "quoted"', "c": "\0", "d": "🔑", "e": ""},
    "numbers": {"a": 0, "b": -1, "c": 2**53, "d": 1e300, "e": 0.1, "f": True, "g": False},
    "depth": {"a": [[[{"b": [{}]}]]], "b": []},
}


@pytest.mark.parametrize("details", ODD.values(), ids=ODD)
def test_details_come_back_as_they_were(place: Place, details: JsonObject) -> None:
    async def scenario(store: Store) -> None:
        assert (await created(store, details=details)).details == details
        assert (await store.find("one")).details == details

    place.play(scenario)


@pytest.mark.parametrize("name", ["with space", "$name", "a.b", "O'Brien", "ключ", "%", "-x"])
def test_a_seed_may_have_any_name(place: Place, name: str) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, name, pool=name, account=name, fingerprint=name)
        assert await store.find(name) == seed
        assert await store.list(name) == [seed]
        assert (await leased(store, seed, holder=name, lease_id=name)).holder == name

    place.play(scenario)


def test_a_name_is_given_once(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        other = a_seed(account="another")
        with pytest.raises(SeedTakenError, match="one"):
            await store.create(other, a_blob(1, b"other"))
        assert await store.list() == [seed]
        assert await store.read_blob(seed.id) == a_blob()
        with pytest.raises(SeedNotFoundError):
            await store.read_blob(other.id)

    place.play(scenario)


def test_an_id_is_given_once(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        with pytest.raises(SeedTakenError):
            await store.create(replace(a_seed("two"), id=seed.id), a_blob(1, b"other"))
        assert await store.list() == [seed]
        assert await store.read_blob(seed.id) == a_blob()

    place.play(scenario)


@pytest.mark.parametrize("pool", ["", "p"])
@pytest.mark.parametrize("status", [Status.ALIVE, Status.SUSPECT])
def test_a_pool_has_one_usable_seed_of_an_account(place: Place, pool: str, status: Status) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, "one", pool=pool, account="mine", status=status)
        with pytest.raises(SeedTakenError):
            await created(store, "two", pool=pool, account="mine")
        assert await store.list() == [seed]
        await created(store, "elsewhere", pool="another pool", account="mine")

    place.play(scenario)


@pytest.mark.parametrize("status", [Status.DEAD, Status.RETIRED])
def test_a_seed_out_of_use_leaves_its_account_to_another(place: Place, status: Status) -> None:
    async def scenario(store: Store) -> None:
        old = await created(store, "old", account="mine")
        await store.mark(old.id, status, "because")
        await created(store, "new", account="mine")
        with pytest.raises(SeedTakenError):
            await store.mark(old.id, Status.ALIVE, was=status)
        assert (await store.find("old")).status is status

    place.play(scenario)


def test_of_two_imports_of_one_login_at_once_one_is_refused(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            outcomes = await asyncio.gather(
                created(one, "one", account="mine"),
                created(two, "two", account="mine"),
                return_exceptions=True,
            )
            assert sorted(type(each).__name__ for each in outcomes) == ["Seed", "SeedTakenError"]
            assert len(await one.list()) == 1

    run(scenario())


# Finding


def test_a_seed_is_found_by_its_name_and_by_its_id(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        assert await store.find("one") == seed
        assert await store.find(seed.id) == seed

    place.play(scenario)


def test_a_name_comes_before_an_id(place: Place) -> None:
    async def scenario(store: Store) -> None:
        one = await created(store)
        named_so = await created(store, one.id)
        assert await store.find(one.id) == named_so

    place.play(scenario)


def test_close_names_are_in_the_hint(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await created(store, "work")
        await created(store, "private")
        with pytest.raises(SeedNotFoundError, match="wrok") as missed:
            await store.find("wrok")
        assert "work" in missed.value.hint
        assert "private" not in missed.value.hint

    place.play(scenario)


def test_seeds_are_listed_by_name(place: Place) -> None:
    async def scenario(store: Store) -> None:
        assert await store.list() == []
        for name, pool in (("c", "p"), ("a", ""), ("b", "p")):
            await created(store, name, pool=pool)
        assert [seed.name for seed in await store.list()] == ["a", "b", "c"]
        assert [seed.name for seed in await store.list("p")] == ["b", "c"]
        assert [seed.name for seed in await store.list("")] == ["a"]
        assert await store.list("q") == []

    place.play(scenario)


# Deleting


def test_a_deleted_seed_is_gone(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        other = await created(store, "two")
        await store.delete(seed.id)
        assert await store.list() == [other]
        for previous in (False, True):
            with pytest.raises(SeedNotFoundError):
                await store.read_blob(seed.id, previous=previous)
        for name in (seed.name, seed.id):
            with pytest.raises(SeedNotFoundError):
                await store.find(name)
        assert not await store.mark(seed.id, Status.DEAD, "late")
        with pytest.raises(SeedNotFoundError):
            await store.delete(seed.id)

    place.play(scenario)


def test_name_and_account_of_a_deleted_seed_are_free(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await store.delete((await created(store)).id)
        assert (await created(store)).name == "one"

    place.play(scenario)


def test_a_leased_seed_is_not_deleted(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        lease = await leased(store, seed)
        with pytest.raises(SeedBusyError, match="one"):
            await store.delete(seed.id)
        assert await store.read_blob(seed.id) == a_blob()
        assert await store.release(lease)
        await store.delete(seed.id)

    place.play(scenario)


def test_a_seed_whose_lease_ran_out_is_deleted(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await place.outlast(store, await leased(store, seed, ttl=place.ttl))
        await store.delete(seed.id)
        assert await store.list() == []

    place.play(scenario)


def test_a_seed_under_refresh_is_not_deleted(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        intent = await begun(store, seed)
        with pytest.raises(SeedBusyError):
            await store.delete(seed.id)
        assert (await store.find("one")).intent == intent
        assert await store.end_refresh(seed.id, intent.attempt)
        await store.delete(seed.id)

    place.play(scenario)
