"""All that a person can do with seeds, on a real store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pyrage
import pytest

from codex_nb.errors import (
    LoginError,
    SeedBusyError,
    SeedNotFoundError,
    SeedTakenError,
    UsageError,
)
from codex_nb.seeds.move import move
from codex_nb.seeds.records import Seed, Status
from tests.seeds.place import Place, add_two, api_key, chatgpt
from tests.support.openai_state import MARKER

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.seeds.seeds import Seeds


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def facts_of(seed: Seed) -> tuple[str, str, str, int, Status]:
    return seed.name, seed.pool, seed.kind, seed.version, seed.status


def test_a_login_is_kept_and_comes_out_as_it_went_in(place: Place) -> None:
    login = chatgpt()

    async def work(seeds: Seeds) -> None:
        added = await seeds.add("work", login, pool="team", config={"model": "m", "notify": "rm"})

        found = await seeds.find("work")
        assert (found, facts_of(found)) == (added, ("work", "team", "chatgpt", 1, Status.ALIVE))
        assert await seeds.open(found) == (login, {"model": "m"})
        assert found.details["email"] == login.email

    place.run(work)


def test_nothing_of_a_login_is_readable_where_it_is_kept(place: Place) -> None:
    place.run(lambda seeds: add_two(seeds))

    data = b"".join(path.read_bytes() for path in place.folder.rglob("*") if path.is_file())
    assert MARKER.encode() not in data


def test_another_kernel_opens_what_one_kept(place: Place) -> None:
    login = chatgpt()

    async def keep(seeds: Seeds) -> None:
        await seeds.add("work", login)

    async def look(seeds: Seeds) -> None:
        assert (await seeds.open(await seeds.find("work")))[0] == login

    place.run(keep)
    place.run(look)


def test_a_login_without_a_name_is_called_after_its_account(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        first, second = chatgpt("acct-1"), chatgpt("acct-2")
        names = [(await seeds.add("", login)).name for login in (first, second, api_key())]
        assert names[0] == first.email.partition("@")[0]
        assert names[2] == "api-key"
        assert len(set(names)) == 3

    place.run(work)


@pytest.mark.parametrize(
    "name", ["-x", "a b", "a/b", "pool:x", "", "é" * 65, "a" * 32, "a\nb", "_a"], ids=repr
)
def test_a_name_that_could_be_taken_for_something_else_is_refused(place: Place, name: str) -> None:
    async def work(seeds: Seeds) -> None:
        await seeds.add("one", api_key())
        with pytest.raises(UsageError, match="cannot be called"):
            await seeds.rename("one", name)
        if name:
            with pytest.raises(UsageError, match="cannot be called"):
                await seeds.put_into_pool("one", name)

    place.run(work)


def test_one_login_cannot_be_kept_twice_nor_one_account_in_a_pool(place: Place) -> None:
    login = chatgpt()

    async def work(seeds: Seeds) -> None:
        await seeds.add("one", login, pool="team")
        for pool in ("team", "other", ""):
            with pytest.raises(SeedTakenError):
                await seeds.add("two", login, pool=pool)
        with pytest.raises(SeedTakenError):
            await seeds.add("two", chatgpt(), pool="team")
        with pytest.raises(SeedTakenError, match="already"):
            await seeds.add("one", login)
        assert [seed.name for seed in await seeds.list()] == ["one"]

    place.run(work)


def test_who_logs_in_anew_brings_a_dead_seed_back_to_life(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        seed = await seeds.add("work", chatgpt(), pool="team")
        await seeds.store.mark(seed.id, Status.DEAD, "It was revoked.", verified=True)

        anew = chatgpt()
        again = await seeds.add("work", anew)

        assert (again.id, facts_of(again)) == (
            seed.id,
            ("work", "team", "chatgpt", 2, Status.ALIVE),
        )
        assert (await seeds.open(again))[0] == anew

    place.run(work)


def test_a_file_over_a_dead_seed_has_to_be_verified_first(place: Place) -> None:
    file = place.folder / "auth.json"
    file.write_bytes(chatgpt().to_bytes())

    async def work(seeds: Seeds) -> None:
        seed = await seeds.add("work", chatgpt())
        await seeds.store.mark(seed.id, Status.DEAD, "It was revoked.", verified=True)
        dead = await seeds.find("work")

        again = await seeds.add_file(file, name="work")

        assert facts_of(again) == ("work", "", "chatgpt", 2, Status.SUSPECT)
        assert "not verified" in again.reason
        assert again.verified_at == dead.verified_at

    place.run(work)


def test_who_logs_in_anew_may_put_the_seed_into_a_pool_by_the_way(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        await seeds.add("work", chatgpt())
        assert (await seeds.add("work", chatgpt(), pool="team")).pool == "team"
        assert (await seeds.add("work", chatgpt())).pool == "team"

        await seeds.add("other", chatgpt(), pool="full")
        last = chatgpt()
        with pytest.raises(SeedTakenError, match="work is kept, but the seed is not in the pool"):
            await seeds.add("work", last, pool="full")
        there = await seeds.find("work")
        assert ((await seeds.open(there))[0], there.pool) == (last, "team")

    place.run(work)


def test_a_seed_takes_no_login_of_another_account_nor_an_older_one_nor_while_in_use(
    place: Place,
) -> None:
    older, newer = chatgpt(), replace(chatgpt(), issued_at=9e9)

    async def work(seeds: Seeds) -> None:
        seed = await seeds.add("work", newer)
        with pytest.raises(SeedTakenError, match="another account"):
            await seeds.add("work", chatgpt("acct-2"))
        with pytest.raises(SeedTakenError, match="later login"):
            await seeds.add("work", older)
        await seeds.store.acquire(holder="tidy", ttl=timedelta(minutes=1), seed_id=seed.id)
        with pytest.raises(SeedBusyError, match="tidy"):
            await seeds.add("work", chatgpt())

    place.run(work)


def test_a_file_and_a_folder_are_read_with_their_harmless_settings(place: Place) -> None:
    home = place.folder / "home"
    home.mkdir()
    login = chatgpt()
    (home / "auth.json").write_bytes(login.to_bytes())
    (home / "config.toml").write_text('model = "m"\nnotify = ["rm"]\n')

    async def work(seeds: Seeds) -> None:
        seed = await seeds.add_file(home, name="work")
        assert await seeds.open(seed) == (login, {"model": "m"})
        with pytest.raises(SeedTakenError):
            await seeds.add_file(home / "auth.json", name="again")

    place.run(work)


@pytest.mark.parametrize(
    "data", [None, b"", b"{", b"{}", b'{"auth_mode": "apikey"}', b" " * 2_000_000]
)
def test_a_file_without_a_login_is_refused_and_leaves_nothing(
    place: Place, data: bytes | None
) -> None:
    path = place.folder / "auth.json"
    if data is not None:
        path.write_bytes(data)

    async def work(seeds: Seeds) -> None:
        with pytest.raises(LoginError):
            await seeds.add_file(path)
        assert await seeds.list() == []

    place.run(work)


def test_an_exported_login_is_imported_elsewhere(place: Place, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    private, shared = tmp_path / "identity.txt", tmp_path / "work.age"
    private.write_text(f"{identity}\n")
    login = chatgpt()

    async def export(seeds: Seeds) -> None:
        await seeds.add("work", login)
        shared.write_bytes(await seeds.export("work", str(identity.to_public())))

    async def take(seeds: Seeds) -> None:
        with pytest.raises(UsageError, match="sealed for a person"):
            await seeds.add_file(shared)
        seed = await seeds.add_file(shared, identity=private, name="theirs")
        assert (await seeds.open(seed))[0] == login

    place.run(export)
    assert MARKER.encode() not in shared.read_bytes()
    elsewhere = Place(tmp_path / "elsewhere")
    elsewhere.settings = replace(elsewhere.settings, store=str(tmp_path / "elsewhere.db"))
    elsewhere.run(take)


def test_seeds_are_renamed_pooled_and_removed(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        await add_two(seeds)
        await seeds.rename("work", "w-1")
        await seeds.put_into_pool("w-1", "team")
        assert [seed.name for seed in await seeds.list("team")] == ["w-1"]
        await seeds.put_into_pool("w-1", "")
        assert await seeds.list("team") == []
        assert (await seeds.delete("w-1")).name == "w-1"
        assert [seed.name for seed in await seeds.list()] == ["key"]
        with pytest.raises(SeedNotFoundError):
            await seeds.find("w-1")

    place.run(work)


def test_a_lease_is_taken_away_once(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        seed = await seeds.add("work", chatgpt())
        await seeds.store.acquire(holder="tidy", ttl=timedelta(minutes=1), seed_id=seed.id)
        with pytest.raises(SeedBusyError):
            await seeds.delete("work")
        assert [await seeds.release("work"), await seeds.release("work")] == [True, False]
        await seeds.delete("work")

    place.run(work)


@pytest.mark.parametrize(
    ("status", "reason"), [(Status.ALIVE, ""), (Status.DEAD, "It was revoked.")]
)
def test_a_seed_that_is_taken_back_into_use_is_what_it_was_before(
    place: Place, status: Status, reason: str
) -> None:
    async def work(seeds: Seeds) -> None:
        seed = await seeds.add("work", chatgpt())
        await seeds.store.mark(seed.id, status, reason)
        with pytest.raises(UsageError, match="not retired"):
            await seeds.restore("work")
        before = await seeds.find("work")

        retired = await seeds.retire("work")
        assert await seeds.retire("work") == retired
        back = await seeds.restore("work")

        assert retired.status == Status.RETIRED
        assert (back.status, back.reason, back.details) == (status, reason, before.details)

    place.run(work)


def test_a_seed_on_its_way_to_another_store_is_not_taken_back_into_use(
    place: Place, tmp_path: Path
) -> None:
    async def work(seeds: Seeds) -> None:
        await seeds.add("work", chatgpt())
        async with place.open(store=str(tmp_path / "there.db")) as there:
            with pytest.raises(KeyboardInterrupt):
                await move(seeds.side(), there.side(), at=stop_when_created)
            before = await seeds.find("work")

            with pytest.raises(SeedBusyError, match="on its way to another store") as caught:
                await seeds.restore("work")

            assert "Repeat the move" in caught.value.hint
            assert await seeds.find("work") == before
            await seeds.move_to(there)
            await there.move_to(seeds)
            assert (await seeds.find("work")).status is Status.ALIVE

    def stop_when_created(step: str) -> None:
        if step == "created":
            raise KeyboardInterrupt

    place.run(work)


def test_a_retired_seed_does_not_come_back_beside_another_of_its_account(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        await seeds.add("old", chatgpt(), pool="team")
        retired = await seeds.retire("old")
        await seeds.add("new", chatgpt(), pool="team")

        with pytest.raises(SeedTakenError):
            await seeds.restore("old")

        assert await seeds.find("old") == retired

    place.run(work)


def test_only_dead_and_retired_seeds_that_nobody_uses_are_useless(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        for number in range(4):
            await seeds.add(f"s{number}", chatgpt(f"acct-{number}"))
        for name in ("s1", "s2"):
            await seeds.store.mark((await seeds.find(name)).id, Status.DEAD, "gone")
        held = (await seeds.find("s2")).id
        await seeds.store.acquire(holder="tidy", ttl=timedelta(minutes=1), seed_id=held)
        await seeds.retire("s3")

        assert [seed.name for seed in await seeds.useless()] == ["s1", "s3"]

    place.run(work)
