"""How one login follows another, as every store guards it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import LeaseLostError, LineageError, SeedBusyError, SeedNotFoundError
from codex_nb.seeds.records import Seed, Status
from tests.seeds.contract import (
    HERE,
    THERE,
    a_blob,
    an_intent,
    begun,
    created,
    leased,
    saved,
)
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place

# Beginning a refresh


def test_a_refresh_that_was_begun_is_seen(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        lease = await leased(store, seed)
        intent = an_intent(lease)
        await store.begin_refresh(lease, intent)
        assert (await store.find("one")).intent == intent
        (listed,) = await store.list()
        assert listed.intent == intent

    place.play(scenario)


def test_a_refresh_is_not_begun_without_its_lease(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        released = await leased(store, seed)
        await store.release(released)
        old = await leased(store, seed, ttl=place.ttl)
        await place.outlast(store, old)
        for lease in (released, old):
            with pytest.raises(LeaseLostError):
                await store.begin_refresh(lease, an_intent(lease))
        await leased(store, seed)
        for lease in (released, old):
            with pytest.raises(LeaseLostError):
                await store.begin_refresh(lease, an_intent(lease))
        assert (await store.find("one")).intent is None

    place.play(scenario)


def test_a_refresh_that_another_host_began_is_left_to_it(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        theirs = await begun(store, seed, attempt="theirs", host=THERE)
        lease = await leased(store, seed)
        with pytest.raises(SeedBusyError):
            await store.begin_refresh(lease, an_intent(lease, host=HERE))
        assert (await store.find("one")).intent == theirs

    place.play(scenario)


def test_a_host_may_replace_its_own_intent(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await begun(store, seed, attempt="try-1")
        second = await begun(store, seed, attempt="try-2")
        assert (await store.find("one")).intent == second

    place.play(scenario)


def test_a_refresh_of_another_login_than_the_stored_one_is_not_begun(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        lease = await leased(store, seed)
        with pytest.raises(LineageError):
            await store.begin_refresh(lease, an_intent(lease))
        assert (await store.find("one")).intent is None

    place.play(scenario)


def test_a_refresh_that_changed_nothing_ends(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        intent = await begun(store, seed, host=THERE)
        assert not await store.end_refresh(seed.id, "another try")
        assert (await store.find("one")).intent == intent
        assert await store.end_refresh(seed.id, intent.attempt)
        assert not await store.end_refresh(seed.id, intent.attempt)
        assert not await store.end_refresh("0" * 32, intent.attempt)
        assert (await store.find("one")).intent is None
        await begun(store, seed, host=HERE)

    place.play(scenario)


# Saving


def test_the_next_login_is_saved_as_a_whole(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store, details={"email": "a@example.com", "plan": "plus"})
        before = await store.now()
        after_save = await saved(store, seed, details={"plan": "pro", "expires_at": 9.5})
        after = await store.now()
        assert after_save == replace(
            seed,
            fingerprint="second",
            version=2,
            details={"email": "a@example.com", "plan": "pro", "expires_at": 9.5},
            updated_at=after_save.updated_at,
            verified_at=after_save.updated_at,
        )
        assert before - 0.01 <= after_save.updated_at <= after + 0.01
        assert await store.find("one") == after_save
        assert await store.read_blob(seed.id) == a_blob(2, b"sealed second")
        assert await store.read_blob(seed.id, previous=True) == a_blob()

    place.play(scenario)


def test_only_the_login_before_is_kept(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await saved(store, await created(store))
        await saved(store, seed, parent="second", fingerprint="third", version=3, data=b"third")
        assert await store.read_blob(seed.id) == a_blob(3, b"third")
        assert await store.read_blob(seed.id, previous=True) == a_blob(2, b"sealed second")

    place.play(scenario)


def test_who_has_the_next_login_may_save_it_while_another_has_the_lease(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        old = await leased(store, seed, ttl=place.ttl)
        await store.begin_refresh(old, an_intent(old))
        await place.outlast(store, old)
        new = await leased(store, seed, holder="another")
        after = await saved(store, seed)
        assert (after.fingerprint, after.intent) == ("second", None)
        assert after.lease is not None
        assert after.lease.id == new.id
        assert await store.release(new)

    place.play(scenario)


@pytest.mark.parametrize("status", [Status.SUSPECT, Status.DEAD])
def test_a_saved_login_is_alive(place: Place, status: Status) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await store.mark(seed.id, status, "because")
        after = await saved(store, seed)
        assert (after.status, after.reason) == (Status.ALIVE, "")

    place.play(scenario)


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (Status.ALIVE, (Status.ALIVE, "")),
        (Status.SUSPECT, (Status.SUSPECT, "not tried")),
        (Status.DEAD, (Status.SUSPECT, "not tried")),
        (Status.RETIRED, (Status.RETIRED, "because")),
    ],
)
def test_a_login_that_nobody_vouches_for_makes_no_seed_alive_and_is_no_verdict(
    place: Place, status: Status, then: tuple[Status, str]
) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        reason = "" if status is Status.ALIVE else "because"
        await store.mark(seed.id, status, reason, verified=True)
        before = (await store.find("one")).verified_at
        after = await saved(store, seed, doubt="not tried")
        assert ((after.status, after.reason), after.verified_at) == (then, before)
        assert (after.fingerprint, after.version, after.intent) == ("second", 2, None)
        assert await store.find("one") == after

    place.play(scenario)


def test_a_saved_login_of_a_retired_seed_stays_out_of_use(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await store.mark(seed.id, Status.RETIRED, "not needed")
        after = await saved(store, seed)
        assert (after.status, after.reason) == (Status.RETIRED, "not needed")
        assert (after.fingerprint, after.version) == ("second", 2)

    place.play(scenario)


def test_a_saved_login_ends_the_refresh_of_whoever_began_it(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await begun(store, seed, host=THERE)
        assert (await saved(store, seed)).intent is None

    place.play(scenario)


def test_saving_the_same_again_succeeds_and_changes_nothing(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        once = await saved(store, seed)
        assert await saved(store, seed) == once
        assert await store.find("one") == once
        assert await store.read_blob(seed.id, previous=True) == a_blob()

    place.play(scenario)


def test_saving_the_same_again_does_not_end_a_later_refresh(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await saved(store, seed)
        lease = await leased(store, seed)
        later = replace(an_intent(lease, attempt="later"), parent="second")
        await store.begin_refresh(lease, later)
        assert (await saved(store, seed)).intent == later

    place.play(scenario)


def test_a_login_that_follows_another_one_is_refused(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await begun(store, seed)
        before = await store.find("one")
        with pytest.raises(LineageError):
            await saved(store, seed, parent="another", fingerprint="after another")
        assert await store.find("one") == before
        assert await store.read_blob(seed.id) == a_blob()

    place.play(scenario)


@pytest.mark.parametrize("version", [1, 3])
def test_a_login_sealed_for_another_version_is_refused(place: Place, version: int) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        with pytest.raises(LineageError):
            await saved(store, seed, version=version)
        assert await store.find("one") == seed
        assert await store.read_blob(seed.id) == a_blob()

    place.play(scenario)


def test_a_refresh_that_leaves_the_refresh_token_is_saved_once(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        once = await saved(store, seed, fingerprint="first", data=b"new access token")
        assert (once.version, once.fingerprint) == (2, "first")
        assert await saved(store, seed, fingerprint="first", data=b"new access token") == once
        assert await store.read_blob(seed.id) == a_blob(2, b"new access token")
        assert await store.read_blob(seed.id, previous=True) == a_blob()

    place.play(scenario)


def test_of_two_who_save_after_one_login_one_is_refused(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            seed = await created(one)
            outcomes = await asyncio.gather(
                saved(one, seed, fingerprint="of one", data=b"of one"),
                saved(two, seed, fingerprint="of two", data=b"of two"),
                return_exceptions=True,
            )
            winners = [each.fingerprint for each in outcomes if isinstance(each, Seed)]
            losers = [type(each) for each in outcomes if not isinstance(each, Seed)]
            assert (len(winners), losers) == (1, [LineageError])
            assert (await two.find("one")).fingerprint == winners[0]
            assert await two.read_blob(seed.id) == a_blob(2, winners[0].encode())

    run(scenario())


def test_a_login_is_kept_even_if_another_seed_has_its_account_by_now(place: Place) -> None:
    async def scenario(store: Store) -> None:
        dead = await created(store, account="mine", pool="p")
        await store.mark(dead.id, Status.DEAD, "refused")
        await created(store, "two", account="mine", pool="p")
        after = await saved(store, dead)
        assert (after.status, after.reason, after.fingerprint) == (Status.DEAD, "refused", "second")
        assert await store.read_blob(dead.id) == a_blob(2, b"sealed second")

    place.play(scenario)


def test_the_login_of_a_deleted_seed_is_not_saved(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await store.delete(seed.id)
        with pytest.raises(SeedNotFoundError):
            await saved(store, seed)
        assert await store.list() == []

    place.play(scenario)
