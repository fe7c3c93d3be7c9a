"""Which seed of a pool is given, as every store decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SeedNotFoundError
from codex_nb.seeds.records import Status
from tests.seeds.contract import TTL, begun, created, leased, leased_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place


def test_a_pool_gives_the_seed_that_was_leased_longest_ago(place: Place) -> None:
    async def scenario(store: Store) -> None:
        for name in ("b", "a", "c"):
            await created(store, name, pool="p")
        given = []
        for _ in range(5):
            found = await store.acquire(holder="a test", ttl=TTL, pool="p")
            assert found is not None
            given.append(found[0].name)
            await store.release(found[1])
            if place.clock is not None:
                place.clock.at += 1
        assert given == ["a", "b", "c", "a", "b"]

    place.play(scenario)


def test_a_pool_gives_every_seed_once_and_then_none(place: Place) -> None:
    async def scenario(store: Store) -> None:
        for name in ("a", "b", "c"):
            await created(store, name, pool="p")
        assert [await leased_of(store, "p") for _ in range(4)] == ["a", "b", "c", None]

    place.play(scenario)


def test_a_pool_gives_no_seed_of_another(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await created(store, "a", pool="p")
        await created(store, "b", pool="q")
        await created(store, "c")
        assert [await leased_of(store, "q"), await leased_of(store, "q")] == ["b", None]

    place.play(scenario)


def test_a_pool_gives_a_seed_whose_lease_ran_out(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await place.outlast(
            store, await leased(store, await created(store, pool="p"), ttl=place.ttl)
        )
        assert await leased_of(store, "p") == "one"

    place.play(scenario)


@pytest.mark.parametrize("status", [Status.DEAD, Status.RETIRED])
def test_a_pool_passes_over_what_is_not_to_be_used(place: Place, status: Status) -> None:
    async def scenario(store: Store) -> None:
        a = await created(store, "a", pool="p")
        await created(store, "b", pool="p")
        await store.mark(a.id, status, "because")
        assert [await leased_of(store, "p"), await leased_of(store, "p")] == ["b", None]

    place.play(scenario)


def test_a_pool_gives_a_suspect_seed_without_an_intent(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, pool="p")
        await store.mark(seed.id, Status.SUSPECT, "perhaps")
        assert await leased_of(store, "p") == "one"

    place.play(scenario)


def test_a_pool_of_dead_seeds_has_nothing_free(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, pool="p")
        await store.mark(seed.id, Status.DEAD, "refused")
        assert await leased_of(store, "p") is None

    place.play(scenario)


def test_an_empty_pool_is_an_error(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await created(store, pool="p")
        with pytest.raises(SeedNotFoundError, match="other"):
            await leased_of(store, "other")

    place.play(scenario)


LATER: dict[str, tuple[float, bool]] = {
    "none": (-1e9, False),
    "in four minutes": (240, False),
    "in six minutes": (360, True),
    "tomorrow": (86400, True),
}


@pytest.mark.parametrize("end", LATER)
def test_a_pool_gives_a_seed_under_refresh_only_while_its_token_is_good(
    place: Place, end: str
) -> None:
    left, is_given = LATER[end]

    async def scenario(store: Store) -> None:
        now = await store.now()
        seed = await created(store, pool="p", details={"expires_at": now + left})
        await begun(store, seed)
        assert (await leased_of(store, "p") == "one") is is_given

    place.play(scenario)


@pytest.mark.parametrize("end", ["9999-01-01", True, None, [9e9], {"at": 9e9}], ids=str)
def test_what_is_no_time_does_not_make_a_token_good(place: Place, end: Json) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, pool="p", details={"expires_at": end})
        await begun(store, seed)
        assert await leased_of(store, "p") is None

    place.play(scenario)


def test_a_pool_gives_a_seed_again_when_its_refresh_has_ended(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, pool="p")
        intent = await begun(store, seed)
        assert await leased_of(store, "p") is None
        assert await store.end_refresh(seed.id, intent.attempt)
        assert await leased_of(store, "p") == "one"

    place.play(scenario)


# A seed that is asked for by its name can be mended.


@pytest.mark.parametrize(
    ("status", "is_given"),
    [
        (Status.ALIVE, True),
        (Status.SUSPECT, True),
        (Status.DEAD, True),
        (Status.RETIRED, False),
    ],
)
def test_a_named_seed_is_given_unless_it_is_retired(
    place: Place, status: Status, is_given: bool
) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await store.mark(seed.id, status, "because")
        found = await store.acquire(holder="a test", ttl=TTL, seed_id=seed.id)
        assert (found is not None) is is_given

    place.play(scenario)


def test_a_named_seed_is_given_while_a_refresh_is_not_known_to_have_ended(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        intent = await begun(store, seed)
        await leased(store, seed)
        assert (await store.find("one")).intent == intent

    place.play(scenario)


def test_a_named_seed_that_is_not_there_is_an_error(place: Place) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(SeedNotFoundError):
            await store.acquire(holder="a test", ttl=TTL, seed_id="0" * 32)

    place.play(scenario)
