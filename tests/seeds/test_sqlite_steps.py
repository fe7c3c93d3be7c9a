"""Writes of one SQLite store that wait for the disk together, and fail alone."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SeedTakenError, StoreError
from codex_nb.seeds.sqlite import SqliteStore
from tests.seeds.contract import TTL, an_intent, created, leased
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "seeds.db"


async def together(
    store: SqliteStore, *steps: Coroutine[object, object, object]
) -> list[object | BaseException]:
    """What comes of steps that all waited when the first of them began."""
    is_held, may_go = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        is_held.set()
        may_go.wait(scaled(30))

    held = asyncio.create_task(store._file.run(hold))
    await asyncio.to_thread(is_held.wait, scaled(30))
    tasks = [asyncio.create_task(step) for step in steps]
    # Each runs until it waits for the thread of the store.
    await asyncio.sleep(0)
    may_go.set()
    await held
    return await asyncio.gather(*tasks, return_exceptions=True)


def failing(message: str) -> Callable[[sqlite3.Connection], None]:
    """A step that writes, and then cannot go on."""

    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO notes VALUES (?, ?)", (f"note:{message}", b""))
        raise SeedTakenError(message)

    return work


def test_writes_that_wait_are_one_change_of_the_file(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            # Closed last: closing it ends every lock that this process has on the file.
            file = os.open(path, os.O_RDONLY)
            exits.append(file)

            def changes() -> int:
                # The file format counts the transactions that changed the file there.
                return int.from_bytes(os.pread(file, 4, 24), "big")

            before = changes()
            names = [f"seed {number}" for number in range(20)]
            await together(store, *(created(store, name) for name in names))
            assert changes() == before + 1
            assert [seed.name for seed in await store.list()] == sorted(names)

            await created(store, "alone")
            assert changes() == before + 2

    exits: list[int] = []
    run(scenario())
    for file in exits:
        os.close(file)


def test_a_step_that_fails_is_undone_and_the_others_are_not(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            outcomes = await together(
                store,
                store.note("first", b"1"),
                store._file.run(failing("second"), writes=True),
                created(store, "one"),
                created(store, "one", account="another"),
                store.note("last", b"5"),
            )
            assert [outcome if isinstance(outcome, bytes) else type(outcome).__name__
                    for outcome in outcomes] == [
                b"1", "SeedTakenError", "Seed", "SeedTakenError", b"5",
            ]  # fmt: skip
            assert await store.note("second") is None
            assert [seed.account for seed in await store.list()] == ["account of one"]

    run(scenario())


def test_steps_of_one_transaction_see_each_other(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)
            outcomes = await together(
                store, *(leased(store, seed, lease_id=f"lease {number}") for number in range(3))
            )
            assert [type(outcome).__name__ for outcome in outcomes] == [
                "Lease",
                "AssertionError",  # nothing was free
                "AssertionError",
            ]

    run(scenario())


def test_a_step_that_was_cancelled_while_it_waited_is_not_taken(path: Path) -> None:
    async def cancelled(store: SqliteStore) -> None:
        waits = asyncio.create_task(store.note("given up", b"1"))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits

    async def scenario() -> None:
        async with SqliteStore(path) as store:
            outcomes = await together(store, cancelled(store), store.note("kept", b"2"))
            assert outcomes == [None, b"2"]
            assert await store.note("given up") is None

    run(scenario())


def test_all_who_wait_learn_that_the_disk_is_full(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:

            def full(db: sqlite3.Connection) -> None:
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count={pages}")

            await store._file.run(full)
            outcomes = await together(
                store, store.note("small", b"1"), store.note("large", b"x" * 100_000)
            )
            assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
            assert await store.note("small") is None
            assert await store.note("small", b"1") == b"1"

    run(scenario())


def test_what_only_reads_does_not_wait_for_a_disk_that_is_full(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)

            def full(db: sqlite3.Connection) -> None:
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count={pages}")

            await store._file.run(full)
            outcomes = await together(
                store,
                store.note("large", b"x" * 100_000),
                store.find("one"),
                store.find("nobody"),
            )
            assert [getattr(outcome, "id", type(outcome).__name__) for outcome in outcomes] == [
                "StoreError",
                seed.id,
                "SeedNotFoundError",
            ]

    run(scenario())


class Clock:
    """One that a test sets, and that goes back."""

    def __init__(self) -> None:
        self.at = 10_000.0

    def __call__(self) -> float:
        return self.at


def test_leases_are_cut_although_the_step_that_cut_them_was_undone(path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with SqliteStore(path, clock=clock) as store:
            one, two = await created(store), await created(store, "two")
            lease, other = await leased(store, one), await leased(store, two)
            clock.at -= 3600
            stranger = replace(an_intent(lease), parent="another")
            outcomes = await together(
                store, store.begin_refresh(lease, stranger), store.renew(other, ttl=TTL)
            )
            assert [type(outcome).__name__ for outcome in outcomes] == ["LineageError", "Lease"]
            clock.at += 60.001
            assert (await store.find(one.id)).lease is None

    run(scenario())


def test_leases_are_cut_again_when_the_clock_goes_back_within_a_transaction(path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with SqliteStore(path, clock=clock) as store:
            one, two = await created(store), await created(store, "two")

            def back(_: sqlite3.Connection) -> None:
                clock.at -= 3600

            await together(
                store,
                leased(store, one),
                store._file.run(back, writes=True),
                leased(store, two),
            )
            clock.at += 60.001
            assert [seed.lease for seed in await store.list()] == [None, None]

    run(scenario())
