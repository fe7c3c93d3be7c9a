"""How much do a lease, a save and a read cost, beside one bare durable write?

The bare write changes one row or document in the same place and waits until it is on the disk: with
sqlite3, or with pymongo and journalled majority. A lease that is taken and given back is two of
them, a new seed and a save are one each. Both are measured in turns, three times, for medians.

    python benchmarks/bench_store.py [COUNT]

MongoDB is measured if CODEX_NB_TEST_MONGODB_URI names one or mongod is found.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pymongo
from rig import ROOT, show

sys.path.insert(0, str(ROOT))

from pymongo.write_concern import WriteConcern

from tests.seeds.contract import a_blob, a_seed, created, saved
from tests.seeds.mongod import end_shared, find_mongod
from tests.seeds.stores import KINDS, Databases, open_by_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.store import Store

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 200
TURNS = 3
PROCESSES = 8
TTL = timedelta(seconds=60)
LOGIN = os.urandom(6_000)
"""As long as a sealed login is."""
LIMIT = 120.0
_PROCESSES = multiprocessing.get_context("forkserver")


def bare(name: str, folder: Path) -> float:
    """Durable writes per second with the library alone."""
    if name.startswith("mongodb"):
        with pymongo.MongoClient(name) as client:
            safe = WriteConcern(w="majority", j=True)
            rows = client.get_default_database().get_collection("bare", write_concern=safe)
            rows.insert_one({"_id": 1, "value": 0})
            return rate(lambda: rows.update_one({"_id": 1}, {"$inc": {"value": 1}}))
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as database:
        for setting in ("journal_mode=TRUNCATE", "synchronous=FULL"):
            database.execute(f"PRAGMA {setting}")
        database.execute("CREATE TABLE rows (value)")
        database.execute("INSERT INTO rows VALUES (0)")
        return rate(lambda: database.execute("UPDATE rows SET value = value + 1"))


def rate(work: Callable[[], object]) -> float:
    """How often per second something can be done."""
    begin = time.perf_counter()
    for _ in range(COUNT):
        work()
    return COUNT / (time.perf_counter() - begin)


async def async_rate(work: Callable[[], Awaitable[object]]) -> float:
    """The same for a coroutine."""
    begin = time.perf_counter()
    for _ in range(COUNT):
        await work()
    return COUNT / (time.perf_counter() - begin)


async def alone(name: str) -> dict[str, float]:
    """What one process does per second."""
    async with open_by_name(name) as store:
        seed = await created(store, "leased")
        last = await created(store, "saved")

        async def create() -> None:
            await store.create(a_seed(os.urandom(8).hex()), a_blob(data=LOGIN))

        async def save() -> None:
            nonlocal last
            last = await save_next(store, last)

        return {
            "lease and release": await async_rate(lambda: lease(store, seed_id=seed.id)),
            "new seed": await async_rate(create),
            "save": await async_rate(save),
            "read": await async_rate(lambda: store.read_blob(seed.id)),
        }


async def save_next(store: Store, seed: Seed) -> Seed:
    """Store the login that follows."""
    return await saved(
        store,
        seed,
        parent=seed.fingerprint,
        fingerprint=f"after {seed.version}",
        version=seed.version + 1,
        data=LOGIN,
    )


async def lease(store: Store, *, seed_id: str = "", pool: str = "") -> tuple[str, int]:
    """Take a lease and give it back; of which seed it was, and its fence."""
    found = await store.acquire(holder="bench", ttl=TTL, seed_id=seed_id, pool=pool)
    if found is None or not await store.release(found[1]):
        sys.exit("A seed that nobody uses could not be leased.")
    return found[0].id, found[1].fence


def together(name: str) -> float:
    """Leases per second of several processes on one pool, which has a seed for each of them."""
    asyncio.run(fill(name))
    gate = _PROCESSES.Barrier(PROCESSES)
    ends: list[Connection] = []
    for _ in range(PROCESSES):
        ours, theirs = _PROCESSES.Pipe(duplex=False)
        _PROCESSES.Process(target=lease_many, args=(name, gate, theirs), daemon=True).start()
        theirs.close()
        ends.append(ours)
    times, given = zip(*(end.recv() for end in ends), strict=True)
    leases = [lease for one in given for lease in one]
    if len(set(leases)) != len(leases):
        sys.exit("A fence was given twice.")
    return len(leases) / max(times)


async def fill(name: str) -> None:
    """A pool."""
    async with open_by_name(name) as store:
        for number in range(PROCESSES):
            await created(store, f"of the pool {number}", pool="bench")


def lease_many(name: str, gate: Barrier, result: Connection) -> None:
    """Lease and release as often as one of the processes has to."""

    async def work() -> None:
        async with open_by_name(name) as store:
            gate.wait(LIMIT)
            begin = time.perf_counter()
            given = [await lease(store, pool="bench") for _ in range(COUNT // PROCESSES)]
            result.send((time.perf_counter() - begin, given))

    asyncio.run(work())


def measure(kind: str) -> None:
    """Measure one kind of store, and show it."""
    found: dict[str, list[float]] = {}
    with Databases() as databases:
        for _ in range(TURNS):
            with tempfile.TemporaryDirectory() as folder:
                name = KINDS[kind](Path(folder), databases).name
                turn = {
                    "bare durable write": bare(name, Path(folder)),
                    **asyncio.run(alone(name)),
                    f"lease and release, {PROCESSES} processes": together(name),
                }
            for what, per_second in turn.items():
                found.setdefault(what, []).append(per_second)
    one = found["bare durable write"]
    rows = [("", "per second", "bare writes each")]
    for what, rates in found.items():
        ratio = median(base / own for base, own in zip(one, rates, strict=True))
        rows.append((what, f"{median(rates):,.0f}", f"{ratio:.2f}"))
    show(f"{kind}: {COUNT} times each", rows)


def main() -> None:
    """Measure and show each kind of store that there is."""
    has_mongo = os.environ.get("CODEX_NB_TEST_MONGODB_URI") or find_mongod()
    with ExitStack() as cleanup:
        cleanup.callback(end_shared)
        for kind in KINDS:
            if has_mongo or not kind.startswith("mongo"):
                measure(kind)


if __name__ == "__main__":
    main()
