"""Processes that are killed while they save, on every kind of store.

What was acknowledged is there, the row and its blobs tell the same, and who comes next can go on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.seeds.records import Blob, Seed
from tests.seeds.contract import a_seed
from tests.seeds.stores import NETWORK, open_by_name
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from codex_nb.seeds.store import Store
    from tests.seeds.stores import Place

ROUNDS = 15
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.seeds.test_store_kill"])


def login(version: int) -> Blob:
    """Another one for each version, and long enough to be written in several pieces."""
    return Blob(data=b"login %d " % version * 2000, version=version)


def fingerprint(version: int) -> str:
    return f"fingerprint {version}"


async def save_next(store: Store, seed: Seed) -> Seed:
    return await store.save(
        seed.id,
        parent=seed.fingerprint,
        blob=login(seed.version + 1),
        fingerprint=fingerprint(seed.version + 1),
        details={"saved": seed.version + 1},
    )


def save_until_killed(name: str, seed_id: str, acknowledged: Connection) -> None:
    """One login after the other; each is told when the store said that it has it."""

    async def save() -> None:
        async with open_by_name(name) as store:
            seed = await store.find(seed_id)
            while True:
                acknowledged.send(seed.version)
                seed = await save_next(store, seed)

    asyncio.run(save())


def kill_while_it_saves(name: str, seed_id: str, chance: random.Random) -> int:
    """Start a process that saves and kill it at some moment; the version it was told last."""
    reader, writer = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(
        target=save_until_killed, args=(name, seed_id, writer), daemon=True
    )
    process.start()
    writer.close()
    told = 0
    with reader:
        for _ in range(chance.randint(1, 4)):
            assert reader.poll(scaled(20))
            told = reader.recv()
        # The next save is under way; its parts take less than this, a sleep would take more.
        end = time.perf_counter() + chance.uniform(0, 0.004)
        while time.perf_counter() < end:
            pass
        process.kill()
        process.join(scaled(20))
        let_time_pass(name)
        while reader.poll():
            try:
                told = reader.recv()
            except EOFError:
                break
    return told


def let_time_pass(name: str) -> None:
    """Make the lock by name, which a killed process may have left, as old as it has to be.

    Killed before it could write into the lock who it is, it is not known to have ended.
    """
    if name.startswith(NETWORK):
        lock = Path(f"{name.removeprefix(NETWORK)}.lock")
        if lock.exists():
            os.utime(lock, (0, 0))


async def look(store: Store, seed_id: str) -> tuple[Seed, Blob, Blob | None]:
    seed = await store.find(seed_id)
    previous = await store.read_blob(seed_id, previous=True) if seed.version > 1 else None
    return seed, await store.read_blob(seed_id), previous


def test_a_save_that_was_acknowledged_outlives_its_process(place: Place) -> None:
    async def make() -> Seed:
        async with open_by_name(place.name) as store:
            new = a_seed(fingerprint=fingerprint(1), details={"saved": 1})
            return await store.create(new, login(1))

    async def check(told: int) -> None:
        async with open_by_name(place.name) as store:
            seed, blob, previous = await look(store, made.id)
            assert seed.version in (told, told + 1)
            assert (seed.fingerprint, seed.details, blob) == (
                fingerprint(seed.version),
                {"saved": seed.version},
                login(seed.version),
            )
            assert previous == (login(seed.version - 1) if seed.version > 1 else None)
            assert (await save_next(store, seed)).version == seed.version + 1

    made = run(make())
    chance = random.Random(1)  # noqa: S311 - the moments of a test
    for _ in range(ROUNDS):
        run(check(kill_while_it_saves(place.name, made.id, chance)))


def create_until_killed(name: str, acknowledged: Connection) -> None:
    """One seed after the other; each is told when the store said that it has it."""

    async def create() -> None:
        async with open_by_name(name) as store:
            while True:
                seed = a_seed(f"seed {time.monotonic_ns()}")
                await store.create(seed, login(1))
                acknowledged.send(seed.id)

    asyncio.run(create())


def test_no_seed_is_without_its_login_and_no_acknowledged_one_is_missing(place: Place) -> None:
    async def check(told: list[str]) -> None:
        async with open_by_name(place.name) as store:
            seeds = await store.list()
            assert set(told) <= {seed.id for seed in seeds}
            for seed in seeds:
                assert await store.read_blob(seed.id) == login(1)

    chance = random.Random(1)  # noqa: S311 - the moments of a test
    told: list[str] = []
    for _ in range(ROUNDS // 3):
        reader, writer = _PROCESSES.Pipe(duplex=False)
        process = _PROCESSES.Process(
            target=create_until_killed, args=(place.name, writer), daemon=True
        )
        process.start()
        writer.close()
        with reader:
            for _ in range(chance.randint(1, 4)):
                assert reader.poll(scaled(20))
                told.append(reader.recv())
            process.kill()
            process.join(scaled(20))
        let_time_pass(place.name)
    run(check(told))
