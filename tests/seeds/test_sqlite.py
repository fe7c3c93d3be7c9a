"""What only the SQLite store does with its locks, its threads and its clock."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from codex_nb.errors import LeaseLostError, StoreError
from codex_nb.seeds.records import Finding, Status
from codex_nb.seeds.sqlite import SqliteStore
from tests.seeds.contract import created, leased, saved
from tests.seeds.stores import Clock
from tests.support.waiting import run, scaled

ROOT = Path(__file__).parents[2]
SHORT = timedelta(milliseconds=50)
DAY = 24 * 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "seeds.db"


# Others who use it


def test_a_file_that_others_lock_is_waited_for_and_then_told(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path, patience=SHORT) as store:
            seed = await created(store)
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            try:
                for use in (store.list, lambda: saved(store, seed)):
                    with pytest.raises(StoreError, match=r"was locked .* for 0\.05 s") as caught:
                        await use()
                    assert "store doctor" in caught.value.hint
            finally:
                other.close()
            assert (await saved(store, seed)).version == 2

    run(scenario())


def test_who_waits_for_a_lock_gets_it(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path, patience=timedelta(seconds=scaled(30))) as store:
            seed = await created(store)
            other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN EXCLUSIVE")
            waits = asyncio.create_task(saved(store, seed))
            # The thread of the store is in SQLite by then, or will be: both is fine.
            await asyncio.sleep(0)
            assert not waits.done()
            other.close()
            assert (await waits).version == 2

    run(scenario())


def test_opening_a_store_leaves_the_locks_of_another_in_this_process(path: Path) -> None:
    """Closing a file ends all POSIX locks that a process has on it, whoever opened it there."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold(db: sqlite3.Connection) -> None:
        is_held.set()
        may_end.wait(scaled(30))

    async def scenario() -> None:
        async with SqliteStore(path) as store:
            holds = asyncio.create_task(store._file.run(hold, writes=True))
            await asyncio.to_thread(is_held.wait, scaled(30))
            try:
                with pytest.raises(StoreError, match="was locked"):
                    async with SqliteStore(path, patience=SHORT):
                        pass
                other = await asyncio.to_thread(in_another_process, path)
                assert "StoreError" in other
                assert "was locked" in other
            finally:
                may_end.set()
                await holds

    run(scenario())


def in_another_process(path: Path) -> str:
    """What a process says that opens the store and waits for nobody."""
    code = (
        "import asyncio, sys\n"
        "from datetime import timedelta\n"
        "from pathlib import Path\n"
        "from codex_nb.seeds.sqlite import SqliteStore\n"
        "async def main():\n"
        "    short = timedelta(milliseconds=50)\n"
        "    async with SqliteStore(Path(sys.argv[1]), patience=short) as store:\n"
        "        print('opened', store.id)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    return done.stdout + done.stderr


def test_a_forked_child_uses_a_connection_of_its_own(path: Path) -> None:
    # In a process of its own, because forking one with threads is warned of.
    code = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from codex_nb.seeds.sqlite import SqliteStore\n"
        "from tests.seeds.contract import created, saved\n"
        "store = SqliteStore(Path(sys.argv[1]))\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(store.__aenter__())\n"
        "seed = loop.run_until_complete(created(store))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    print(asyncio.run(saved(store, seed)).version, flush=True)\n"
        "    os._exit(0)\n"
        "_, status = os.waitpid(child, 0)\n"
        "print(status, loop.run_until_complete(store.find('one')).fingerprint)\n"
        "loop.run_until_complete(store.__aexit__(None, None, None))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    assert (done.stdout, done.stderr) == ("2\n0 second\n", "")


def test_a_cancelled_step_leaves_the_store_usable(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)
            task = asyncio.create_task(saved(store, seed))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # It took place as a whole or not at all, and can be repeated.
            assert (await saved(store, seed)).version == 2

    run(scenario())


def test_no_thread_is_left_when_a_store_is_closed(path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore(path)
        async with store:
            assert [each for each in threading.enumerate() if is_ours(each)]
        await store.__aexit__(None, None, None)  # again is fine

    def is_ours(thread: threading.Thread) -> bool:
        return thread.name.startswith("codex_nb seeds")

    run(scenario())
    assert not [each for each in threading.enumerate() if is_ours(each)]


# The clock


def test_a_clock_that_goes_back_makes_no_lease_longer(path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with SqliteStore(path, clock=clock) as store:
            seed = await created(store)
            lease = await leased(store, seed, ttl=60)
            clock.at -= 3600
            held = (await store.find("one")).lease
            assert held == replace(lease, expires_at=clock.at + 60, left=60.0)
            # The first who writes makes that last.
            assert await store.acquire(holder="b", ttl=SHORT, seed_id=seed.id) is None
            clock.at += 60.001
            assert (await leased(store, seed)).fence == lease.fence + 1

    run(scenario())


def test_a_clock_that_goes_forward_gives_a_lease_away_with_a_new_fence(path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with SqliteStore(path, clock=clock) as store:
            seed = await created(store)
            old = await leased(store, seed)
            clock.at += 3600
            new = await leased(store, seed)
            assert new.fence == old.fence + 1
            with pytest.raises(LeaseLostError):
                await store.renew(old, ttl=SHORT)
            assert not await store.mark(seed.id, Status.DEAD, "late", fence=old.fence)
            clock.at -= 3600
            with pytest.raises(LeaseLostError):
                await store.renew(old, ttl=SHORT)
            renewed = await store.renew(new, ttl=timedelta(seconds=60))
            assert renewed.expires_at == clock.at + 60

    run(scenario())


def test_tombstones_go_after_thirty_days(path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with SqliteStore(path, clock=clock) as store:
            await store.delete((await created(store)).id)
            clock.at += 29.9 * DAY
            await store.delete((await created(store, "two")).id)
            assert await store.collect() == 0
            clock.at += 0.2 * DAY
            assert await store.collect() == 1
            assert await store.collect() == 0
            clock.at += 30 * DAY
            assert await store.collect() == 1

    run(scenario())


# On a network file system


def test_a_write_on_a_network_file_system_holds_a_lock_by_name(path: Path) -> None:
    lock = path.with_name("seeds.db.lock")

    async def scenario(store: SqliteStore) -> tuple[bool, bool]:
        async with store:
            await created(store)
            return (
                await store._file.run(lambda _: lock.exists(), writes=True),
                lock.exists(),
            )

    assert run(scenario(SqliteStore(path))) == (False, False)
    path.unlink()
    assert run(scenario(SqliteStore(path, file_system="nfs4"))) == (True, False)


def test_the_time_on_a_network_file_system_is_that_of_its_server(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock of this machine is an hour off; none of it must get into the store.
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)

    async def scenario() -> None:
        async with SqliteStore(path, file_system="nfs4") as store:
            before = real()
            seed = await created(store)
            assert before - 1 <= seed.created_at <= real()
            assert before - 1 <= await store.now() <= real()

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "is_shared"), [("ext4", False), ("nfs4", True), ("fuse.sshfs", True), ("", False)]
)
def test_the_doctor_tells_what_it_looked_at(path: Path, kind: str, is_shared: bool) -> None:
    async def scenario() -> None:
        async with SqliteStore(path, file_system=kind) as store:
            found = {finding.name: finding for finding in await store.examine()}
            free = found.pop("free space")
            assert free.text.partition(" ")[0].isdigit()
            place = found.pop("file system")
            assert (place.state, store.is_shared) == ("warn" if is_shared else "ok", is_shared)
            assert ("CODEX_NB_STORE" in place.text) is is_shared
            version = sqlite3.sqlite_version
            assert list(found.values()) == [
                Finding(name="integrity", state="ok"),
                Finding(name="journal", state="ok", text=f"mode truncate, SQLite {version}"),
                Finding(name="write and read", state="ok"),
                Finding(name="permissions", state="ok", text="folder and file: 700 and 600"),
            ]
            assert store.uri == f"sqlite:{path}"

    run(scenario())
