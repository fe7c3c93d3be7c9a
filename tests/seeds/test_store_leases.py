"""Leases: who may use a seed, as every store decides it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import LeaseLostError, SeedNotFoundError
from codex_nb.seeds.records import Lease, Status
from tests.seeds.contract import TTL, a_blob, created, leased
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place


def test_a_lease_says_what_it_is(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        before = await store.now()
        found = await store.acquire(holder="session 1", ttl=TTL, seed_id=seed.id, lease_id="lease")
        after = await store.now()
        assert found is not None
        leased_seed, lease = found
        assert lease == Lease(
            seed=seed.id,
            id="lease",
            holder="session 1",
            fence=1,
            expires_at=lease.expires_at,
            left=lease.left,
        )
        assert before + 60 - 0.01 <= lease.expires_at <= after + 60 + 0.01
        assert lease.left == pytest.approx(60, abs=0.01)
        assert leased_seed == replace(seed, lease=lease, leased_at=leased_seed.leased_at)
        assert leased_seed.leased_at == pytest.approx(lease.expires_at - 60, abs=0.001)

    place.play(scenario)


def test_a_leased_seed_shows_its_lease(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = await leased(store, await created(store))
        found, (listed,) = await store.find("one"), await store.list()
        assert found.lease is not None
        assert listed.lease is not None
        assert replace(found.lease, left=60.0) == replace(lease, left=60.0)
        assert replace(listed.lease, left=60.0) == replace(lease, left=60.0)
        assert 0 < listed.lease.left <= 60

    place.play(scenario)


def test_a_lease_that_ran_out_is_not_shown(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = await leased(store, await created(store), ttl=place.ttl)
        await place.outlast(store, lease)
        assert (await store.find("one")).lease is None

    place.play(scenario)


def test_a_lease_without_an_id_gets_one_of_its_own(place: Place) -> None:
    async def scenario(store: Store) -> None:
        one, two = await created(store), await created(store, "two")
        leases = [await leased(store, one), await leased(store, two)]
        assert all(lease.id for lease in leases)
        assert leases[0].id != leases[1].id

    place.play(scenario)


def test_a_seed_has_one_holder_at_a_time(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        lease = await leased(store, seed)
        assert await store.acquire(holder="another", ttl=TTL, seed_id=seed.id) is None
        held = (await store.find(seed.id)).lease
        assert held is not None
        assert (held.id, held.holder, held.fence) == (lease.id, "a test", 1)

    place.play(scenario)


def test_of_many_who_ask_at_once_one_gets_the_seed(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            seed = await created(one)
            found = await asyncio.gather(
                *(
                    store.acquire(holder=f"client {number}", ttl=TTL, seed_id=seed.id)
                    for number, store in enumerate((one, two) * 4)
                )
            )
            assert [each[1].fence for each in found if each is not None] == [1]

    run(scenario())


def test_asking_again_for_one_lease_gives_that_lease(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await created(store, "one", pool="p")
        await created(store, "two", pool="p")
        first = await store.acquire(holder="a", ttl=TTL, pool="p", lease_id="lease")
        again = await store.acquire(holder="a", ttl=TTL, pool="p", lease_id="lease")
        assert first is not None
        assert again is not None
        assert again[0].name == "one"
        assert replace(again[1], left=60.0) == replace(first[1], left=60.0)
        assert [seed.name for seed in await store.list() if seed.lease] == ["one"]

    place.play(scenario)


def test_asking_twice_at_once_for_one_lease_gives_one(place: Place) -> None:
    async def scenario() -> None:
        async with place.store() as one, place.store() as two:
            await created(one, "one", pool="p")
            await created(one, "two", pool="p")
            found = await asyncio.gather(
                *(
                    store.acquire(holder="a", ttl=TTL, pool="p", lease_id="lease")
                    for store in (one, two)
                )
            )
            assert len({each[1].seed for each in found if each is not None}) == 1
            assert len([seed for seed in await one.list() if seed.lease]) == 1

    run(scenario())


def test_the_id_of_a_lease_that_ran_out_can_be_used_again(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        await place.outlast(store, await leased(store, seed, ttl=place.ttl, lease_id="lease"))
        again = await leased(store, seed, lease_id="lease")
        assert (again.id, again.fence) == ("lease", 2)

    place.play(scenario)


def test_a_lease_that_ran_out_is_given_to_the_next(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        old = await leased(store, seed, ttl=place.ttl)
        await place.outlast(store, old)
        new = await leased(store, seed, holder="another")
        assert (new.holder, new.fence, new.id != old.id) == ("another", 2, True)

    place.play(scenario)


def test_the_fence_rises_with_every_lease(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        fences = []
        for _ in range(5):
            lease = await leased(store, seed)
            fences.append(lease.fence)
            assert await store.release(lease)
        assert fences == [1, 2, 3, 4, 5]

    place.play(scenario)


def test_fences_of_two_seeds_are_their_own(place: Place) -> None:
    async def scenario(store: Store) -> None:
        one, two = await created(store), await created(store, "two")
        await store.release(await leased(store, one))
        assert (await leased(store, one)).fence == 2
        assert (await leased(store, two)).fence == 1

    place.play(scenario)


def test_the_fence_rises_even_when_a_seed_is_made_again(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        for _ in range(3):
            await store.release(await leased(store, seed))
        await store.delete(seed.id)
        await store.create(seed, a_blob())
        assert (await leased(store, seed)).fence == 4

    place.play(scenario)


# Renewing


def test_a_renewed_lease_lasts_longer(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        lease = await leased(store, seed)
        renewed = await store.renew(lease, ttl=timedelta(seconds=90))
        assert renewed == replace(lease, expires_at=renewed.expires_at, left=renewed.left)
        assert renewed.left == pytest.approx(90, abs=0.01)
        assert 29 < renewed.expires_at - lease.expires_at < 60
        held = (await store.find("one")).lease
        assert held is not None
        assert held.expires_at == renewed.expires_at

    place.play(scenario)


def test_a_renewed_lease_can_be_renewed_and_released_by_either_record(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = await leased(store, await created(store))
        await store.renew(await store.renew(lease, ttl=TTL), ttl=TTL)
        assert await store.release(lease)

    place.play(scenario)


def test_a_lease_that_ran_out_is_not_renewed(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = await leased(store, await created(store), ttl=place.ttl)
        await place.outlast(store, lease)
        with pytest.raises(LeaseLostError):
            await store.renew(lease, ttl=TTL)
        assert (await store.find("one")).lease is None

    place.play(scenario)


def test_a_lease_that_another_got_is_not_renewed(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        old = await leased(store, seed, ttl=place.ttl)
        await place.outlast(store, old)
        new = await leased(store, seed)
        with pytest.raises(LeaseLostError):
            await store.renew(old, ttl=TTL)
        held = (await store.find("one")).lease
        assert held is not None
        assert (held.id, held.expires_at) == (new.id, new.expires_at)

    place.play(scenario)


def test_a_released_lease_is_not_renewed(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = await leased(store, await created(store))
        assert await store.release(lease)
        with pytest.raises(LeaseLostError):
            await store.renew(lease, ttl=TTL)

    place.play(scenario)


# Giving back


def test_a_released_seed_is_free(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        lease = await leased(store, seed)
        assert await store.release(lease)
        assert (await store.find("one")).lease is None
        assert not await store.release(lease)
        assert (await leased(store, seed)).fence == 2

    place.play(scenario)


def test_releasing_a_lease_that_ran_out_says_so(place: Place) -> None:
    async def scenario(store: Store) -> None:
        lease = await leased(store, await created(store), ttl=place.ttl)
        await place.outlast(store, lease)
        assert not await store.release(lease)

    place.play(scenario)


def test_an_old_lease_does_not_release_the_one_of_another(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        old = await leased(store, seed, ttl=place.ttl)
        await place.outlast(store, old)
        new = await leased(store, seed)
        assert not await store.release(old)
        held = (await store.find("one")).lease
        assert held is not None
        assert held.id == new.id

    place.play(scenario)


def test_a_broken_lease_is_lost_and_the_fence_rises(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        lease = await leased(store, seed)
        assert await store.break_lease(seed.id)
        assert (await store.find("one")).lease is None
        with pytest.raises(LeaseLostError):
            await store.renew(lease, ttl=TTL)
        assert not await store.release(lease)
        assert not await store.mark(seed.id, Status.DEAD, "late", fence=lease.fence)
        assert (await leased(store, seed)).fence == lease.fence + 2

    place.play(scenario)


def test_breaking_tells_whether_there_was_a_lease(place: Place) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        assert not await store.break_lease(seed.id)
        await place.outlast(store, await leased(store, seed, ttl=place.ttl))
        assert not await store.break_lease(seed.id)
        with pytest.raises(SeedNotFoundError):
            await store.break_lease("0" * 32)

    place.play(scenario)
