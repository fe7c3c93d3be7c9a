"""What a verdict asks the store for, and what may be saved meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.seeds.auth import Login
from codex_nb.seeds.rotations import Rotation
from codex_nb.seeds.verify import Verdict, Verifier
from tests.seeds.refreshing import EXPIRED, FRESH, Machine, add, machine, meanwhile
from tests.support.openai_fake import FakeOpenAI
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.store import Store


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


async def verified(on: Machine, seed: Seed) -> Verdict:
    verifier = Verifier(on.store, on.refresher, holder="verify on here")
    return await verifier.verify_one(seed)


class Watched:
    """Notes what a store is asked for, and lets something happen after it was asked for that."""

    def __init__(self, **actions: Callable[[], None]) -> None:
        self.asked: list[str] = []
        self._actions = actions

    def __call__(self, store: Store) -> Store:
        watch = self

        class Wrapped:
            def __getattr__(self, name: str) -> object:
                found = getattr(store, name)
                return watch.watched(name, found) if callable(found) else found

        return Wrapped()  # type: ignore[return-value]  # what it passes on is a store

    def watched(
        self, name: str, method: Callable[..., Awaitable[object]]
    ) -> Callable[..., Awaitable[object]]:
        async def call(*args: object, **options: object) -> object:
            self.asked.append(name)
            found = await method(*args, **options)
            if name in self._actions:
                self._actions.pop(name)()
            return found

        return call


def test_a_refresh_takes_five_steps_of_the_store(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        watched = Watched()
        async with machine(tmp_path, fake.environment(), wrap=watched) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            watched.asked.clear()

            found = await verified(here, seed)

            assert found == Verdict(kind="alive", seed=seed.id, name=seed.name, is_refreshed=True)
            assert watched.asked == ["acquire", "read_blob", "begin_refresh", "save", "release"]

    run(scenario())


@pytest.mark.parametrize("step", ["acquire", "read_blob"])
def test_a_login_that_was_saved_since_the_lease_was_given_is_the_one_that_counts(
    tmp_path: Path, fake: FakeOpenAI, step: str
) -> None:
    async def scenario() -> None:
        async def save() -> None:
            async with machine(tmp_path, {}, name="there") as there:
                await there.refresher.rotations.save(
                    Rotation(seed=seed.id, parent=seed.fingerprint, version=2, login=newer)
                )

        watched = Watched(**{step: meanwhile(save)})
        newer = Login.parse(fake.new_login(expires_in=FRESH))
        async with machine(tmp_path, fake.environment(), wrap=watched) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            assert await verified(here, seed) == Verdict(kind="alive", seed=seed.id, name=seed.name)

            assert (await here.login(seed), fake.requests()) == (newer, [])

    run(scenario())
