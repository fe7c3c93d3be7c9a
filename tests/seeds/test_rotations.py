"""Logins on their way into the store: in order, by lineage, and never dropped on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError, LineageError, SeedNotFoundError, StoreError
from codex_nb.seeds.auth import Login
from codex_nb.seeds.rotations import Drain, Drained, Rotation
from tests.seeds.refreshing import FINGERPRINTS, Points, add, machine, unreachable
from tests.support.openai_fake import FakeOpenAI
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.store import Store
    from tests.seeds.refreshing import Machine


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


class Down:
    """A store that can be out of reach."""

    def __init__(self) -> None:
        self.methods: set[str] = set()

    def __call__(self, store: Store) -> Store:
        wrapped, self.methods = unreachable(store)
        return wrapped


def chain(seed: Seed, fake: FakeOpenAI, count: int) -> Sequence[Rotation]:
    """Logins each of which follows the one before, the first of them the seed's."""
    found, parent = [], seed.fingerprint
    for number in range(count):
        login = Login.parse(fake.new_login())
        found.append(
            Rotation(seed=seed.id, parent=parent, version=seed.version + 1 + number, login=login)
        )
        parent = FINGERPRINTS.credential(login)
    return found


async def results(on: Machine) -> list[Drain]:
    return [each.result for each in await on.refresher.rotations.drain()]


def test_logins_that_followed_each_other_are_saved_in_that_order(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down = Down()
        async with machine(tmp_path, {}, wrap=down) as here:
            seed = await add(here, fake.new_login())
            down.methods.add("save")
            rotations = chain(seed, fake, 5)
            for rotation in rotations:
                with pytest.raises(StoreError):
                    await here.refresher.rotations.save(rotation)
            assert await results(here) == [Drain.WAITING] * 5
            down.methods.clear()

            assert await results(here) == [Drain.SAVED] * 5
            assert await here.login(seed) == rotations[-1].login
            assert (await results(here), list(here.spool.orphans())) == ([], [])

    run(scenario())


def test_one_that_follows_a_login_which_still_waits_is_not_put_aside(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down = Down()
        async with machine(tmp_path, {}, wrap=down) as here:
            seed = await add(here, fake.new_login())
            first, second = chain(seed, fake, 2)
            down.methods.add("save")
            with pytest.raises(StoreError):
                await here.refresher.rotations.save(first)
            # The first cannot be opened for now, and the store is back.
            (name,) = here.spool.names()
            path = tmp_path / "here" / name
            data = path.read_bytes()
            path.write_bytes(data.replace(b'"version": 2', b'"version": 9'))
            down.methods.clear()

            with pytest.raises(StoreError):
                await here.refresher.rotations.save(second)
            assert list(here.spool.orphans()) == []
            path.write_bytes(data)

            assert await results(here) == [Drain.SAVED, Drain.SAVED]
            assert await here.login(seed) == second.login

    run(scenario())


def test_without_disk_and_store_the_newest_login_is_remembered(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        def fail() -> None:
            raise OSError(28, "No space left on device")

        down, points = Down(), Points(spool_written=fail)
        async with machine(tmp_path, {}, wrap=down, at=points) as here:
            seed = await add(here, fake.new_login())
            down.methods.add("save")
            first, second, third = chain(seed, fake, 3)
            for rotation in (first, second):
                with pytest.raises(HostError):
                    await here.refresher.rotations.save(rotation)
            points.actions.clear()
            with pytest.raises(StoreError):
                await here.refresher.rotations.save(third)
            assert len(list(here.spool.names())) == 1
            down.methods.clear()

            assert await results(here) == [Drain.SAVED]
            assert await here.login(seed) == third.login

    run(scenario())


def test_a_login_that_follows_none_that_is_stored_is_put_aside(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, {}) as here:
            seed = await add(here, fake.new_login())
            _, second = chain(seed, fake, 2)

            with pytest.raises(LineageError):
                await here.refresher.rotations.save(second)

            assert (await here.login(seed)) != second.login
            assert (len(here.spool.orphans()), list(here.spool.names())) == (1, [])

    run(scenario())


def test_the_login_of_a_seed_that_was_deleted_is_put_aside_and_the_seed_stays_away(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down = Down()
        async with machine(tmp_path, {}, wrap=down) as here:
            seed = await add(here, fake.new_login())
            down.methods.add("save")
            (rotation,) = chain(seed, fake, 1)
            with pytest.raises(StoreError):
                await here.refresher.rotations.save(rotation)
            down.methods.clear()
            await here.store.delete(seed.id)

            (drained,) = await here.refresher.rotations.drain()

            assert (drained.seed, drained.result) == (seed.id, Drain.ORPHANED)
            assert len(here.spool.orphans()) == 1
            with pytest.raises(SeedNotFoundError):
                await here.store.find(seed.id)

    run(scenario())


def test_saving_what_was_saved_already_clears_the_spool(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, {}) as here:
            seed = await add(here, fake.new_login())
            (rotation,) = chain(seed, fake, 1)

            await here.refresher.rotations.save(rotation)
            saved = await here.refresher.rotations.save(rotation)

            assert (saved.version, await here.login(seed)) == (2, rotation.login)
            assert (list(here.spool.names()), list(here.spool.orphans())) == ([], [])

    run(scenario())


def test_only_the_files_of_one_seed_are_looked_at_when_it_is_named(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down = Down()
        async with machine(tmp_path, {}, wrap=down) as here:
            one = await add(here, fake.new_login("a"), name="one")
            two = await add(here, fake.new_login("b"), name="two")
            down.methods.add("save")
            for seed in (one, two):
                with pytest.raises(StoreError):
                    await here.refresher.rotations.save(chain(seed, fake, 1)[0])
            down.methods.clear()

            drained = await here.refresher.rotations.drain(two.id)

            assert drained == [Drained(seed=two.id, result=Drain.SAVED)]
            assert [each.entry.seed for each in here.spool.pending()] == [one.id]

    run(scenario())


def test_one_is_saved_although_a_refresh_that_kept_the_refresh_token_was_stored_meanwhile(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down = Down()
        async with machine(tmp_path, {}, wrap=down) as here:
            seed = await add(here, fake.new_login())
            same = Rotation(
                seed=seed.id, parent=seed.fingerprint, version=2, login=await here.login(seed)
            )
            [new] = chain(seed, fake, 1)
            down.methods.add("save")
            with pytest.raises(StoreError):
                await here.refresher.rotations.save(new)
            down.methods.clear()
            async with machine(tmp_path, {}, name="there") as there:
                assert (await there.refresher.rotations.save(same)).version == 2

            assert await results(here) == [Drain.SAVED]
            stored = await here.refresher.read(seed.id)
            assert (stored.seed.version, stored.login) == (3, new.login)
            assert list(here.spool.orphans()) == []

    run(scenario())
