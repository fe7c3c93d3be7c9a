"""How every store changes what is known of a seed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SeedNotFoundError, SeedTakenError
from codex_nb.seeds.records import Status
from tests.seeds.contract import created, leased, saved
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place

NOBODY = "0" * 32


# Changing


def test_a_seed_is_renamed_and_moved(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        moved = await store.change(seed.id, name="two", pool="p")
        assert moved == replace(seed, name="two", pool="p")
        assert await store.list() == [moved]
        assert await store.change(seed.id, pool="") == replace(seed, name="two")

    place.play(scenario)


def test_details_are_merged_and_null_removes(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, details={"a": 1, "b": {"c": 2}, "d": 3})
        changed = await store.change(seed.id, details={"a": None, "b": {"e": 4}, "f": 5, "g": None})
        assert changed == replace(seed, details={"b": {"e": 4}, "d": 3, "f": 5})
        assert await store.find("one") == changed

    place.play(scenario)


def test_changing_nothing_changes_nothing(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, details={"a": 1})
        assert await store.change(seed.id) == seed
        assert await store.change(seed.id, name="one", pool="", details={}) == seed

    place.play(scenario)


def test_details_that_are_changed_at_once_are_all_there(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            seed = await created(one)
            await asyncio.gather(
                *(
                    store.change(seed.id, details={f"key {number}": number})
                    for number, store in enumerate((one, two) * 4)
                )
            )
            found = await one.find("one")
            assert found.details == {f"key {number}": number for number in range(8)}

    run(scenario())


def test_a_seed_does_not_take_the_name_or_the_account_of_another(place: Place) -> None:
    async def scenario(store: Store) -> None:
        one = await created(store, "one", pool="p", account="mine")
        two = await created(store, "two", pool="q", account="mine")
        with pytest.raises(SeedTakenError):
            await store.change(two.id, name="one", details={"a": 1})
        with pytest.raises(SeedTakenError):
            await store.change(two.id, pool="p", details={"a": 1})
        assert await store.list() == [one, two]

    place.play(scenario)


def test_what_is_not_there_is_not_changed(place: Place) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(SeedNotFoundError):
            await store.change(NOBODY, name="one")

    place.play(scenario)


# Marking


def test_a_mark_is_kept_with_its_reason(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        assert await store.mark(seed.id, Status.SUSPECT, "No answer came.")
        marked = replace(seed, status=Status.SUSPECT, reason="No answer came.")
        assert await store.find("one") == marked
        assert await store.mark(seed.id, Status.ALIVE)
        assert await store.find("one") == seed

    place.play(scenario)


def test_a_verdict_is_stamped_and_nothing_else(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        before = await store.now()
        assert await store.mark(seed.id, Status.DEAD, "refused", verified=True)
        after = await store.now()
        at = (await store.find("one")).verified_at
        assert at is not None
        assert before - 0.01 <= at <= after + 0.01
        assert await store.mark(seed.id, Status.ALIVE)
        assert await store.find("one") == replace(seed, verified_at=at)

    place.play(scenario)


def test_a_mark_is_set_only_while_its_conditions_hold(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        fence = (await leased(store, seed)).fence

        async def is_marked(fingerprint: str | None, fence: int | None) -> bool:
            done = await store.mark(
                seed.id, Status.DEAD, "refused", fingerprint=fingerprint, fence=fence, verified=True
            )
            found = await store.find("one")
            assert (found.status is Status.DEAD) is done
            assert (found.verified_at is not None) is done
            return done

        assert not await is_marked("another", None)
        assert not await is_marked(None, fence - 1)
        assert not await is_marked(None, fence + 1)
        assert not await is_marked("another", fence)
        assert not await is_marked("first", fence - 1)
        assert await is_marked("first", fence)

    place.play(scenario)


def test_a_late_verdict_on_a_login_that_was_replaced_is_dropped(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        assert not await store.mark(seed.id, Status.DEAD, "reused", fingerprint="first")
        assert await store.find("one") == seed

    place.play(scenario)


@pytest.mark.parametrize("status", [Status.ALIVE, Status.SUSPECT, Status.DEAD])
def test_a_retired_seed_is_not_changed_by_a_late_verdict(place: Place, status: Status) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        fence = (await leased(store, seed)).fence
        assert await store.mark(seed.id, Status.RETIRED, "not needed")

        late = await store.mark(
            seed.id, status, "late", fingerprint="first", fence=fence, verified=True
        )

        assert not late
        found = await store.find("one")
        assert (found.status, found.reason) == (Status.RETIRED, "not needed")
        assert found.verified_at is None
        assert await store.mark(seed.id, Status.RETIRED, "not needed")

    place.play(scenario)


def test_a_seed_is_taken_back_into_use_only_by_who_says_that_it_is_retired(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        assert not await store.mark(seed.id, Status.SUSPECT, "perhaps", was=Status.RETIRED)
        assert await store.mark(seed.id, Status.RETIRED, "not needed")
        assert await store.mark(seed.id, Status.ALIVE, was=Status.RETIRED)
        assert await store.find("one") == seed
        # As after an answer that was lost.
        assert await store.mark(seed.id, Status.ALIVE, was=Status.RETIRED)
        assert await store.find("one") == seed

    place.play(scenario)


def test_what_is_not_there_is_not_marked(place: Place) -> None:
    async def scenario(store: Store) -> None:
        assert not await store.mark(NOBODY, Status.DEAD, "because")

    place.play(scenario)
