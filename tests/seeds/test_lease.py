"""A seed that is held: waited for, renewed, lost, saved and given back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import (
    LeaseLostError,
    LineageError,
    LoginError,
    SeedBusyError,
    SeedNotFoundError,
    StoreError,
)
from codex_nb.seeds.auth import Login
from codex_nb.seeds.lease import HeldSeed, Waiting
from codex_nb.seeds.records import Status
from tests.seeds.refreshing import (
    EXPIRED,
    FRESH,
    Machine,
    add,
    api_key,
    machine,
    unreachable,
)
from tests.support.openai_fake import FakeOpenAI, Fault, refusal
from tests.support.waiting import run, scaled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from codex_nb.seeds.store import Store

SHORT = timedelta(seconds=0.6)
"""A lease that ends within a test. Too short to refresh anything in it."""


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def held(
    on: Machine,
    seed: str = "one",
    *,
    pool: str = "",
    wait: float = 0,
    ttl: timedelta = timedelta(seconds=60),
    on_wait: Callable[[Waiting], None] = lambda _waiting: None,
    clock: Callable[[], float] | None = None,
) -> HeldSeed:
    more = {} if clock is None else {"clock": clock}
    return HeldSeed(
        on.store,
        on.refresher,
        holder="session s on here",
        seed="" if pool else seed,
        pool=pool,
        wait=timedelta(seconds=wait),
        ttl=ttl,
        on_wait=on_wait,
        **more,
    )


def test_a_held_seed_is_leased_until_the_block_ends(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            async with held(here) as one:
                lease = (await here.store.find(seed.id)).lease
                assert lease is not None
                assert (lease.holder, lease.id) == ("session s on here", one.hold.lease.id)
                assert one.login == await here.login(seed)
            assert (await here.store.find(seed.id)).lease is None

    run(scenario())


def test_the_lease_is_given_back_and_the_error_stays_what_it_is_when_the_block_fails(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            with pytest.raises(ZeroDivisionError):
                async with held(here):
                    raise ZeroDivisionError
            assert (await here.store.find(seed.id)).lease is None

    run(scenario())


def test_the_lease_is_given_back_when_its_holder_is_cancelled(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            entered = asyncio.Event()

            async def hold() -> None:
                async with held(here):
                    entered.set()
                    await asyncio.Event().wait()

            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(hold())
                await entered.wait()
                task.cancel()
            assert task.cancelled()
            assert (await here.store.find(seed.id)).lease is None

    run(scenario())


def test_a_seed_that_others_have_is_refused_with_who_and_how_long(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login())
            async with held(here):
                with pytest.raises(SeedBusyError) as caught:
                    await held(here).__aenter__()
        assert caught.value.message == "The seed one is in use by session s on here."
        assert caught.value.hint.startswith(("Its lease lasts 60 s", "Its lease lasts 59 s"))

    run(scenario())


def test_who_waits_is_told_who_has_it_and_gets_it_when_it_is_free(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        told: list[Waiting] = []
        asked = asyncio.Event()

        def on_wait(waiting: Waiting) -> None:
            told.append(waiting)
            asked.set()

        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            first = held(here)
            await first.__aenter__()

            async def second() -> None:
                async with held(here, wait=30, on_wait=on_wait) as later:
                    assert later.seed.id == seed.id

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(second())
                await asked.wait()
                await first.__aexit__(None, None, None)
        assert [(each.name, each.holder) for each in told[:1]] == [("one", "session s on here")]
        assert 50 < told[0].left <= 60

    run(scenario())


def test_cancelling_who_waits_takes_no_lease(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            async with held(here) as first, asyncio.TaskGroup() as tasks:
                later = held(here, wait=60, on_wait=lambda _: asked.set())
                task = tasks.create_task(later.__aenter__())
                await asked.wait()
                task.cancel()
                await asyncio.wait([task])
                lease = (await here.store.find(seed.id)).lease
                assert lease is not None
                assert lease.id == first.hold.lease.id

    run(scenario())


def test_a_lease_is_renewed_for_as_long_as_it_is_held(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            async with held(here, ttl=SHORT) as one:
                first = one.hold.lease.expires_at
                await wait_until(lambda: one.hold.lease.expires_at > first + 1.5)
                lease = (await here.store.find(seed.id)).lease
                assert (one.lost.is_set(), lease is not None) == (False, True)

    run(scenario())


def test_a_renewal_that_fails_is_tried_again(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        down: set[str] = set()
        ttl = timedelta(seconds=4)

        def wrap(store: Store) -> Store:
            nonlocal down
            wrapped, down = unreachable(store)
            return wrapped

        async with machine(tmp_path, fake.environment(), wrap=wrap) as here:
            await add(here, fake.new_login())
            async with held(here, ttl=ttl) as one:
                down.add("renew")
                first = one.hold.lease.expires_at
                await wait_until(lambda: one.hold.left < 1.5)
                down.clear()
                await wait_until(lambda: one.hold.lease.expires_at > first)
                assert not one.lost.is_set()

    run(scenario())


def test_who_cannot_renew_fences_itself_before_another_can_have_the_seed(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment(), wrap=_without_renewal) as here:
            seed = await add(here, fake.new_login())
            async with held(here, ttl=timedelta(seconds=1.6)) as one:
                async with asyncio.timeout(scaled(10)):
                    await one.lost.wait()
                lease = (await here.store.find(seed.id)).lease
                assert one.why == "The lease of the seed one could not be renewed in time."
                assert lease is not None
                assert lease.left > 0
                with pytest.raises(LeaseLostError):
                    await one.refreshed()
                assert (await one.fresh(), fake.requests()) == (one.login, [])

    run(scenario())


def _without_renewal(store: Store) -> Store:
    return unreachable(store, "renew")[0]


def test_the_time_of_a_suspend_counts(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        slept = 0.0
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login())
            begin = asyncio.get_running_loop().time

            async with held(here, clock=lambda: begin() + slept) as one:
                slept = 56.0
                async with asyncio.timeout(scaled(10)):
                    await one.lost.wait()

    run(scenario())


def test_who_lost_the_lease_saves_what_codex_made_all_the_same(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            async with held(here, ttl=SHORT) as one:
                await here.store.break_lease(seed.id)
                async with asyncio.timeout(scaled(10)):
                    await one.lost.wait()
                assert one.why
                later = Login.parse(fake.new_login())

                await one.save(later)

                assert await here.login(seed) == one.login == later

    run(scenario())


def test_a_login_of_another_account_is_not_saved(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            async with held(here) as one:
                before = one.login
                with pytest.raises(LineageError):
                    await one.save(Login.parse(fake.new_login("acct-2")))
                assert await here.login(seed) == one.login == before

    run(scenario())


def test_what_could_not_be_saved_is_saved_at_the_end(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        down: set[str] = set()

        def wrap(store: Store) -> Store:
            nonlocal down
            wrapped, down = unreachable(store)
            return wrapped

        async with machine(tmp_path, fake.environment(), wrap=wrap) as here:
            seed = await add(here, fake.new_login())
            logins = [Login.parse(fake.new_login()) for _ in range(3)]
            async with held(here) as one:
                down.add("save")
                for login in (*logins, logins[-1]):
                    with pytest.raises(StoreError):
                        await one.save(login)
                down.clear()
            assert await here.login(seed) == logins[-1]

    run(scenario())


def test_two_that_found_the_login_not_to_work_refresh_it_once(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login(expires_in=FRESH))
            async with held(here) as one:
                first, second = await asyncio.gather(one.refreshed(), one.refreshed())
                assert (first, len(fake.requests())) == (second, 1)
                assert await one.fresh() == first

    run(scenario())


def test_a_login_that_runs_out_is_refreshed_before(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))
            async with held(here) as one:
                before = await one.fresh()
                after = await one.fresh(timedelta(seconds=FRESH + 60))
                assert before != after == one.login == await here.login(seed)
                assert fake.is_live(after.refresh_token)

    run(scenario())


def test_during_an_outage_a_login_is_used_until_it_runs_out(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login(expires_in=200))
            fake.fail(Fault(status=503), times=3)
            async with held(here) as one:
                assert await one.fresh() == one.login
                with pytest.raises(LoginError, match="cannot be refreshed now"):
                    await one.refreshed()
            assert (await here.store.find("one")).status is Status.SUSPECT

    run(scenario())


def test_a_refusal_ends_it_and_gives_the_lease_back(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(refusal(401, ""))
            with pytest.raises(LoginError, match="The login of seed one is over"):
                await held(here).__aenter__()
            now = await here.store.find("one")
            assert (now.status, now.lease) == (Status.DEAD, None)
            with pytest.raises(LoginError, match="refused"):
                await held(here).__aenter__()
            assert len(fake.requests()) == 1

    run(scenario())


def test_a_retired_seed_is_not_waited_for(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login())
            await here.store.mark(seed.id, Status.RETIRED, "a person took it out of use")
            with pytest.raises(LoginError, match="retired"):
                await held(here, wait=60).__aenter__()

    run(scenario())


def test_of_a_pool_the_next_seed_is_taken_when_one_turns_out_to_be_over(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            for name, left in (("a", EXPIRED), ("b", FRESH)):
                await add(here, fake.new_login(name, expires_in=left), name=name, pool="p")
            fake.fail(refusal(401, ""))
            async with held(here, pool="p") as one:
                assert one.seed.name == "b"
                with pytest.raises(SeedBusyError, match="The seed b is in use"):
                    await held(here, pool="p").__aenter__()

    run(scenario())


def test_a_pool_without_seeds_and_a_name_without_one_are_told(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login())
            with pytest.raises(SeedNotFoundError):
                await held(here, "two").__aenter__()
            with pytest.raises(SeedNotFoundError):
                await held(here, pool="p").__aenter__()

    run(scenario())


def test_an_api_key_is_held_like_a_login(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, api_key("sk-1"))
            async with held(here) as one:
                assert (await one.fresh()).api_key == "sk-1"
                assert (await one.refreshed(), fake.requests()) == (one.login, [])

    run(scenario())


def test_a_lease_that_cannot_be_given_back_hides_nothing(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        def wrap(store: Store) -> Store:
            return unreachable(store, "release")[0]

        async with machine(tmp_path, fake.environment(), wrap=wrap) as here:
            await add(here, fake.new_login())
            async with held(here) as one:
                assert one.login

    run(scenario())
