"""The keeper: refreshes in time what nobody uses, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import StoreError
from codex_nb.seeds.keeper import Keeper
from codex_nb.seeds.records import Status
from codex_nb.seeds.verify import Verifier
from tests.seeds.refreshing import (
    EXPIRED,
    FRESH,
    CrashError,
    Machine,
    Points,
    add,
    api_key,
    crash,
    machine,
    unreachable,
)
from tests.support.openai_fake import FakeOpenAI, Fault, refusal
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.seeds.store import Store


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def keeper(on: Machine, *, margin: timedelta = timedelta(hours=1)) -> Keeper:
    verifier = Verifier(on.store, on.refresher, holder="keeper on here")
    return Keeper(on.store, verifier, on.refresher.rotations, margin=margin)


def test_what_runs_out_soon_is_refreshed_and_the_rest_is_left_alone(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            due = await add(here, fake.new_login("a", expires_in=EXPIRED), name="due")
            await add(here, fake.new_login("b", expires_in=FRESH), name="good")
            await add(here, api_key(), name="key")
            used = await add(here, fake.new_login("c", expires_in=EXPIRED), name="used")
            dead = await add(here, fake.new_login("d", expires_in=EXPIRED), name="dead")
            await here.store.mark(dead.id, Status.DEAD, "refused")

            async with here.holding(used):
                pause = await keeper(here).keep()

            assert len(fake.requests()) == 1
            assert fake.is_live((await here.login(due)).refresh_token)
            assert [each.version for each in await here.store.list()] == [1, 2, 1, 1, 1]
            assert pause == 600

    run(scenario())


def test_a_token_is_refreshed_when_a_third_of_its_life_is_left(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))
            now = await here.store.now()
            issued, ends = (seed.details[name] for name in ("issued_at", "expires_at"))
            assert isinstance(issued, float)
            assert isinstance(ends, float)
            due_in = ends - (ends - issued) / 3 - now

            pause = await Keeper(
                here.store,
                Verifier(here.store, here.refresher, holder="k"),
                here.refresher.rotations,
                look_every=timedelta(hours=9),
            ).keep()

            assert pause == pytest.approx(due_in, abs=5)
            assert fake.requests() == []

    run(scenario())


def test_during_an_outage_it_waits_longer_each_time(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(Fault(status=403))
            ours = keeper(here)

            pauses = [await ours.keep(), await ours.keep()]

            assert pauses == [pytest.approx(60, abs=5)] * 2
            assert len(fake.requests()) == 1
            assert (await here.store.find("one")).status is Status.ALIVE

    run(scenario())


def test_it_leaves_the_endpoint_alone_for_as_long_as_that_wants(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(refusal(429, "slow_down", retry_after="300"))

            assert await keeper(here).keep() == pytest.approx(300, abs=5)

    run(scenario())


def test_what_waits_on_this_machine_is_saved(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment(), at=Points(after_spool=crash)) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            async with here.holding(seed) as hold:
                with pytest.raises(CrashError):
                    await here.refresher.refresh(hold)
        async with machine(tmp_path, fake.environment()) as here:
            await keeper(here).keep()

            assert fake.is_live((await here.login(seed)).refresh_token)
            assert (len(fake.requests()), list(here.spool.names())) == (1, [])

    run(scenario())


def test_it_runs_through_an_outage_of_the_store_until_it_is_cancelled(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        tries = 0

        def wrap(store: Store) -> Store:
            wrapped, _ = unreachable(store, "list")
            return wrapped

        async with machine(tmp_path, fake.environment(), wrap=wrap) as here:
            await add(here, fake.new_login(expires_in=EXPIRED))
            verifier = Verifier(here.store, here.refresher, holder="k")
            ours = Keeper(here.store, verifier, here.refresher.rotations, look_every=timedelta(0))
            keep = ours.keep

            async def counted() -> float:
                nonlocal tries
                tries += 1
                return await keep()

            ours.keep = counted  # type: ignore[method-assign]  # to see that it is tried again
            with pytest.raises(StoreError):
                await keep()
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(ours.run())
                await wait_until(lambda: tries > 2)
                task.cancel()
            assert task.cancelled()

    run(scenario())
