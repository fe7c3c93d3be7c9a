"""Who waits for a seed gets it in the order of asking, on every store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SeedBusyError
from codex_nb.seeds import waiters, waiting
from codex_nb.seeds.waiters import NOTE, Waiters
from codex_nb.seeds.waiting import Waiting, wait_for_lease
from tests.seeds.contract import TTL, created, leased
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place


def test_places_are_taken_in_order_and_given_up(place: Place) -> None:
    async def scenario(store: Store) -> None:
        here = [Waiters(store, "pool:team", f"ticket {number}") for number in range(3)]
        other = Waiters(store, "pool:other", "ticket of another")

        async def places() -> list[int]:
            return [await one.ahead() for one in here]

        assert await places() == [0, 0, 0]
        for one in (*here, other):
            await one.stay()
        assert (await places(), await other.ahead()) == ([0, 1, 2], 0)
        await here[0].stay()
        assert await places() == [0, 1, 2]
        assert await Waiters(store, "pool:team", "new").ahead() == 3
        await here[1].leave()
        assert (await here[0].ahead(), await here[2].ahead()) == (0, 1)
        await here[1].stay()
        assert await places() == [0, 2, 1]
        for one in (*here, other):
            await one.leave()
        assert await store.note(NOTE) == b"[]"

    place.play(scenario)


def test_many_at_once_all_get_a_place_of_their_own(place: Place) -> None:
    async def scenario(store: Store) -> None:
        here = [Waiters(store, "seed:one", f"ticket {number}") for number in range(6)]
        await asyncio.gather(*(one.stay() for one in here))
        assert sorted([await one.ahead() for one in here]) == list(range(6))

    place.play(scenario)


def test_who_does_not_come_back_is_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(store: Store) -> None:
        seed = await created(store)
        monkeypatch.setattr(waiters, "PATIENCE", place.ttl)
        await Waiters(store, "seed:one", "gone").stay()
        since = await leased(store, seed, ttl=place.ttl)
        await place.outlast(store, since)
        assert await Waiters(store, "seed:one", "new").ahead() == 0

    place.play(scenario)


@pytest.mark.parametrize(
    "note", [b"", b"{", b"{}", b"[1]", b'[["a"]]', b'[["seed:one", "x", 9e99]]']
)
def test_a_note_that_is_not_ours_keeps_nobody_waiting(place: Place, note: bytes) -> None:
    async def scenario(store: Store) -> None:
        await store.note(NOTE, note)
        one = Waiters(store, "seed:one", "me")
        assert await one.ahead() == 0
        await one.stay()
        assert await Waiters(store, "seed:one", "you").ahead() == 1

    place.play(scenario)


@pytest.mark.parametrize("pool", ["", "team"])
def test_a_seed_goes_to_who_asked_first(
    place: Place, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_PAUSE_BEHIND", 0.3)

    async def scenario(store: Store) -> None:
        seed = await created(store, pool="team")
        theirs = await leased(store, seed)
        had: list[str] = []

        async def one(name: str, on_wait: Callable[[Waiting], None], wait: timedelta) -> None:
            hold = await wait_for_lease(
                store,
                holder=name,
                seed_id="" if pool else seed.id,
                pool=pool,
                ttl=TTL,
                wait=wait,
                on_wait=on_wait,
            )
            had.append(name)
            await store.release(hold.lease)

        async with asyncio.TaskGroup() as tasks:
            for number, name in enumerate(("first", "second", "third")):
                told: list[Waiting] = []
                tasks.create_task(one(name, told.append, timedelta(minutes=1)))
                await wait_until(lambda told=told: bool(told))  # type: ignore[misc]  # of this turn
                assert told[0].ahead == number
            await store.release(theirs)
            with pytest.raises(SeedBusyError, match=r"Others wait for the seed one|in use by"):
                await one("hasty", lambda _: None, timedelta(0))
        assert had == ["first", "second", "third"]
        assert await store.note(NOTE) == b"[]"

    place.play(scenario)
