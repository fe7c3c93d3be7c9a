"""Moving a store: everything comes along, nothing is usable twice, and no early end loses any."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, cast

import pytest

from codex_nb.errors import SeedBusyError, SeedNotFoundError, SeedTakenError, VaultError
from codex_nb.seeds.archive import pack, unpack
from codex_nb.seeds.auth import Login
from codex_nb.seeds.mongo import MongoStore
from codex_nb.seeds.move import DATES, FORMER, MOVING, Side, move
from codex_nb.seeds.records import Blob, Intent, Seed, Status
from codex_nb.seeds.sqlite import SqliteStore
from codex_nb.seeds.vault import Binding, Fingerprints, Key, Vault
from tests.support.openai_state import OpenAIState
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from codex_nb.seeds.store import Store

TTL = timedelta(seconds=60)
AUTHORITY = OpenAIState(strict=True)
KEYS = (Key.new(), Key.new())
SECRETS = (b"one secret", b"another secret")


class Killed(BaseException):
    """The end of a process, as far as a coroutine can see it."""


@dataclass(frozen=True)
class Places:
    """Two empty places for stores; opening one again is what another process does."""

    kinds: tuple[str, str]
    folder: Path
    uri: str

    @asynccontextmanager
    async def side(self, number: int) -> AsyncIterator[Side]:
        path, key = self.folder / "private" / "seeds.db", KEYS[number]
        store = SqliteStore(path) if self.kinds[number] == "sqlite" else MongoStore(self.uri)
        async with store:
            yield Side(store=store, vault=Vault([key]), fingerprints=Fingerprints(SECRETS[number]))

    @asynccontextmanager
    async def sides(self) -> AsyncIterator[tuple[Side, Side]]:
        async with self.side(0) as source, self.side(1) as target:
            yield source, target


@pytest.fixture(params=[("sqlite", "mongo"), ("mongo", "sqlite")], ids="-to-".join)
def places(request: pytest.FixtureRequest, tmp_path: Path, replica_uri: str) -> Places:
    return Places(kinds=request.param, folder=tmp_path, uri=replica_uri)


def a_login(account: str = "one") -> Login:
    return Login.parse(AUTHORITY.auth_json(account, expires_in=3600))


async def keep(side: Side, name: str, login: Login, **fields: object) -> Seed:
    seed = Seed(
        id=uuid.uuid4().hex, name=name, kind=login.kind, account="", fingerprint="", version=3
    )
    payload = pack(login, {"model": "gpt-5"})
    seed = side.adopted(replace(seed, **fields), payload)  # type: ignore[arg-type]  # its fields
    return await side.store.create(seed, side.sealed(seed, payload))


async def rotate(side: Side, seed: Seed, login: Login) -> Seed:
    payload = pack(login, {})
    new = side.adopted(replace(seed, version=seed.version + 1), payload)
    return await side.store.save(
        seed.id,
        parent=seed.fingerprint,
        blob=side.sealed(new, payload),
        fingerprint=new.fingerprint,
        details={},
    )


async def login_in(side: Side, seed: Seed) -> Login:
    return unpack(await side.payload(seed))[0]


def without_times(seed: Seed) -> Seed:
    details = {name: value for name, value in seed.details.items() if name != DATES}
    return replace(
        seed,
        account="",
        fingerprint="",
        details=details,
        created_at=0.0,
        updated_at=0.0,
        verified_at=None,
        leased_at=None,
    )


def stop_at(number: int) -> Callable[[str], None]:
    """Ends a move at its point of that number; nothing if it has fewer."""
    passed = chain(range(number), [None])

    def at(point: str) -> None:
        if next(passed, 0) is None:
            raise Killed(point)

    return at


def test_everything_comes_along(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            logins = {name: a_login(name) for name in ("alive", "dead", "retired", "suspect")}
            before = {
                name: await keep(
                    source,
                    name,
                    login,
                    pool="team",
                    status=Status(name),
                    reason="" if name == "alive" else f"it is {name}",
                    details={"email": f"{name}@example.org", "a.b": {"$c": [1, None]}},
                )
                for name, login in logins.items()
            }
            moved = await move(source, target)
            assert [without_times(seed) for seed in moved] == [
                without_times(seed) for seed in before.values()
            ]
            assert await target.store.list() == moved
            assert await source.store.list() == []
            for seed in moved:
                login = logins[seed.name]
                assert await login_in(target, seed) == login
                assert seed.account == target.fingerprints.account(login)
                assert seed.fingerprint == target.fingerprints.credential(login)
                assert seed.details[DATES] == {
                    "created_at": before[seed.name].created_at,
                    "updated_at": before[seed.name].updated_at,
                    "verified_at": None,
                    "leased_at": None
                    if seed.name == "retired"
                    else pytest.approx(before[seed.name].created_at, abs=30),
                }

    run(test())


def test_seeds_come_back_as_they_went(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            before = await keep(source, "one", a_login())
            await move(source, target)
            (back,) = await move(target, source)
            assert without_times(back) == without_times(before)
            assert back.fingerprint == before.fingerprint
            assert isinstance(dates := back.details[DATES], dict)
            assert dates["created_at"] == before.created_at

    run(test())


def test_an_empty_store_is_moved_as_well(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            assert await move(source, target) == []

    run(test())


async def usable_copies(sides: Sequence[Side], seed_id: str) -> int:
    """In how many stores somebody could get the seed."""
    count = 0
    for side in sides:
        try:
            seed = await side.store.find(seed_id)
        except SeedNotFoundError:
            continue
        mover = seed.lease is not None and seed.lease.holder.startswith("a move to")
        count += seed.status in (Status.ALIVE, Status.SUSPECT) and not mover
    return count


def test_a_move_that_is_killed_anywhere_loses_nothing_and_is_finished_by_another(
    places: Places,
) -> None:
    async def test() -> None:
        points: list[str] = []
        for number in range(100):
            account = f"account {number}"
            login = a_login(account)
            async with places.sides() as (source, target):
                seed = await keep(source, account, login)
                try:
                    await move(source, target, at=stop_at(number))
                    break
                except Killed as killed:
                    points.append(str(killed))
            async with places.sides() as (source, target):
                assert await usable_copies((source, target), seed.id) <= 1, points[-1]
                (moved,) = await move(source, target) or [await target.store.find(seed.id)]
                assert without_times(moved) == without_times(seed), points[-1]
                assert await login_in(target, moved) == login
                assert await source.store.list() == []
                await target.store.delete(seed.id)
        assert points == [
            "leased",
            "announced",
            "retired",
            "released",
            "created",
            "stored",
            "deleted",
        ]

    run(test())


@pytest.mark.parametrize("number", range(2, 6))
def test_a_move_that_is_killed_can_be_undone_by_moving_back(places: Places, number: int) -> None:
    """Also when the copy that got across was refreshed in the meantime: it is the later one."""

    async def test() -> None:
        async with places.sides() as (source, target):
            seed = await keep(source, "one", a_login())
            with pytest.raises(Killed):
                await move(source, target, at=stop_at(number))
            later = a_login()
            got_across = await target.store.list()
            if got_across:
                await rotate(target, got_across[0], later)
            await move(target, source)
            # What did not get across is still announced; a second move ends it.
            if not got_across:
                await move(source, target)
                await move(target, source)
            back = await source.store.find(seed.id)
            assert (back.status, back.name) == (Status.ALIVE, "one")
            assert MOVING not in back.details
            assert FORMER not in back.details
            assert not got_across or await login_in(source, back) == later
            assert await target.store.list() == []

    run(test())


def test_a_rotation_that_is_saved_late_in_the_old_store_comes_along(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            seed = await keep(source, "one", a_login())
            with pytest.raises(Killed):
                await move(source, target, at=stop_at(4))
            later = a_login()
            await rotate(source, seed, later)
            (moved,) = await move(source, target)
            assert await login_in(target, moved) == later
            assert (moved.status, moved.version) == (Status.ALIVE, seed.version + 1)
            assert await source.store.list() == []

    run(test())


def test_nothing_is_moved_while_a_seed_is_in_use(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            free = await keep(source, "free", a_login("free"))
            seed = await keep(source, "leased", a_login("leased"))
            granted = await source.store.acquire(holder="a session", ttl=TTL, seed_id=seed.id)
            assert granted is not None
            with pytest.raises(SeedBusyError, match="refreshed: leased"):
                await move(source, target)
            lease = granted[1]
            intent = Intent(attempt="a", fence=1, parent=seed.fingerprint, host="here", at=1.0)
            await source.store.begin_refresh(lease, intent)
            await source.store.release(lease)
            with pytest.raises(SeedBusyError, match="refreshed: leased"):
                await move(source, target)
            assert await target.store.list() == []
            assert await source.store.find("free") == free

    run(test())


def test_a_seed_that_is_half_moved_goes_nowhere_else(places: Places, tmp_path: Path) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            await keep(source, "one", a_login())
            with pytest.raises(Killed):
                await move(source, target, at=stop_at(3))
            async with SqliteStore(tmp_path / "third" / "seeds.db") as store:
                third = replace(target, store=store)
                with pytest.raises(SeedBusyError, match="on their way to another store: one"):
                    await move(source, third)

    run(test())


@pytest.mark.parametrize(
    ("name", "account", "message"),
    [("one", "other", "another seed one"), ("other", "one", "the account of the seed one")],
)
def test_what_the_target_has_already_is_not_overwritten(
    places: Places, name: str, account: str, message: str
) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            first = await keep(source, "first", a_login("first"))
            seed = await keep(source, "one", a_login("one"))
            there = await keep(target, name, a_login(account))
            with pytest.raises(SeedTakenError, match=message):
                await move(source, target)
            assert await target.store.list() == [there]
            assert await source.store.list() == [first, seed]

    run(test())


def test_a_seed_that_is_taken_at_the_last_moment_goes_back_into_use(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            seed = await keep(source, "one", a_login("one"))
            payload = await source.payload(seed)
            rival = target.adopted(replace(seed, id=uuid.uuid4().hex), payload)
            store = Rivalled(target.store, rival, b"sealed")
            mover = replace(target, store=cast("Store", store))
            with pytest.raises(SeedTakenError):
                await move(source, mover)
            assert without_times(await source.store.find("one")) == without_times(seed)

    run(test())


class Rivalled:
    """A store in which somebody else makes a seed just before we do.

    A stand-in, because no real rival can be timed to come between two steps of one coroutine.
    """

    def __init__(self, store: Store, rival: Seed, data: bytes) -> None:
        self._store = store
        self._rival = rival
        self._data = data

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def create(self, seed: Seed, blob: Blob) -> Seed:
        await self._store.create(self._rival, Blob(data=self._data, version=1))
        return await self._store.create(seed, blob)


def test_a_login_that_does_not_open_stops_the_move_before_it_begins(places: Places) -> None:
    async def test() -> None:
        async with places.sides() as (source, target):
            first = await keep(source, "first", a_login("first"))
            sealed = Vault([Key.new()]).seal(b"{}", Binding(source.store.id, "b" * 32, "login", 1))
            seed = Seed(id="b" * 32, name="z", kind="chatgpt", account="a", fingerprint="f")
            await source.store.create(seed, Blob(data=sealed, version=1))
            with pytest.raises(VaultError):
                await move(source, target)
            assert await target.store.list() == []
            assert await source.store.find("first") == first

    run(test())
