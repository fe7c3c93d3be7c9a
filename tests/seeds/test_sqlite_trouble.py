"""Disk, clock and neighbours of a SQLite store that make trouble: told, and nothing is lost."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sqlite3
from collections import namedtuple
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import CodexNBError, StoreError
from codex_nb.seeds.records import Finding
from codex_nb.seeds.sqlite import SqliteStore
from tests.seeds.contract import TTL, a_blob, created, leased, saved
from tests.seeds.stores import Clock
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from codex_nb.seeds.records import Seed

SHORT = timedelta(milliseconds=50)
# Of the time to wait for a lock by name, which is that for a stale one and the patience.
HARDLY = timedelta(seconds=-30 + 0.05)
LONG = b"x" * 100_000
_PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "seeds.db"


def play(store: SqliteStore, scenario: Callable[[SqliteStore], Awaitable[None]]) -> None:
    """Run a scenario with that store open."""

    async def played() -> None:
        async with store:
            await scenario(store)

    run(played())


async def findings(store: SqliteStore) -> dict[str, Finding]:
    return {finding.name: finding for finding in await store.examine()}


# The disk


def test_a_disk_that_is_full_loses_nothing(path: Path) -> None:
    # The limit of a file's size is one of a whole process, so that another one has it.
    ours, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=save_without_room, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()
    with ours:
        assert ours.poll(scaled(30))
        assert ours.recv() == [
            "StoreError",
            ("first", 1, a_blob().data),
            ("second", 2, LONG),
        ]
    process.join(scaled(20))


def save_without_room(path: Path, told: Connection) -> None:
    """Save a login where the file may not grow, and again where it may; what is there then."""

    async def look(store: SqliteStore) -> tuple[str, int, bytes]:
        seed = await store.find("one")
        return seed.fingerprint, seed.version, (await store.read_blob(seed.id)).data

    async def refusal(store: SqliteStore, seed: Seed) -> str:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size(path), hard))
        try:
            await saved(store, seed, data=LONG)
        except CodexNBError as exc:
            return type(exc).__name__
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        return "saved"

    async def scenario() -> list[object]:
        async with SqliteStore(path) as store:
            seed = await created(store)
            told = [await refusal(store, seed), await look(store)]
            await saved(store, seed, data=LONG)
            return [*told, await look(store)]

    told.send(asyncio.run(scenario()))


def size(path: Path) -> int:
    return path.stat().st_size


def test_the_doctor_warns_of_a_disk_that_is_nearly_full(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])

    async def scenario(store: SqliteStore) -> None:
        assert (await findings(store))["free space"] == Finding(
            name="free space", state="warn", text="49 MB: make room."
        )

    # A small disk of this test's own would take a right that tests do not have.
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(100, 51, 49_000_000))
    play(SqliteStore(path), scenario)


def test_the_doctor_finds_an_index_that_misses_a_seed(path: Path) -> None:
    async def make(store: SqliteStore) -> None:
        await created(store)

    async def examine(store: SqliteStore) -> None:
        found = (await findings(store))["integrity"]
        assert (found.state, bool(found.text)) == ("fail", True)

    play(SqliteStore(path), make)
    spoil_index(path)
    play(SqliteStore(path), examine)


def spoil_index(path: Path) -> None:
    """Make the index another one than it says, which no statement notices."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE UNIQUE INDEX claims ON seeds (pool, name)' "
            "WHERE name = 'claims'"
        )
        connection.commit()


# Others who use it


def test_a_file_that_others_use_in_wal_mode_is_refused(path: Path) -> None:
    async def make(store: SqliteStore) -> None:
        await created(store)

    async def nothing(_: SqliteStore) -> None:
        """It is opened and closed."""

    play(SqliteStore(path), make)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN")
        other.execute("SELECT * FROM seeds").fetchall()

        with pytest.raises(StoreError, match=r"was locked|journal mode wal") as caught:
            play(SqliteStore(path, patience=SHORT), nothing)
    assert caught.value.hint


def test_the_lock_of_another_machine_is_waited_for_and_named(path: Path) -> None:
    lock = path.with_name("seeds.db.lock")

    async def scenario(store: SqliteStore) -> None:
        seed = await created(store)
        lock.write_text('{"token": "abc", "host": "elsewhere", "pid": 77, "place": "there"}')
        with pytest.raises(StoreError, match="held by process 77 on elsewhere"):
            await leased(store, seed)
        assert lock.exists()
        assert (await store.find("one")).lease is None
        lock.unlink()
        assert (await leased(store, seed)).fence == 1

    play(SqliteStore(path, file_system="nfs4", patience=HARDLY), scenario)


# The clock


@pytest.mark.parametrize("what", ["a write", "a read"])
def test_a_server_whose_clock_cannot_be_read_is_told(path: Path, what: str) -> None:
    clock = path.with_name(".codex-nb-clock")

    async def scenario(store: SqliteStore) -> None:
        seed = await created(store)
        clock.unlink()
        clock.mkdir()
        with pytest.raises(StoreError, match="cannot be used"):
            await (leased(store, seed) if what == "a write" else store.list())
        clock.rmdir()
        assert (await leased(store, seed)).fence == 1

    play(SqliteStore(path, file_system="nfs4"), scenario)


def test_a_lease_is_renewed_on_a_clock_that_went_back(path: Path) -> None:
    clock = Clock()

    async def scenario(store: SqliteStore) -> None:
        lease = await leased(store, await created(store))
        clock.at -= 3600
        renewed = await store.renew(lease, ttl=TTL)
        assert (renewed.fence, renewed.left, renewed.expires_at) == (1, 60, clock.at + 60)

    play(SqliteStore(path, clock=clock), scenario)
