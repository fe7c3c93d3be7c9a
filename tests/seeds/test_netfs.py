"""Network file systems: told apart, their clock, and the lock by name."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import StoreError
from codex_nb.seeds.netfs import (
    UNKNOWN,
    Sentinel,
    file_system_in,
    file_system_of,
    file_time,
    is_network,
)
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

_PROCESSES = multiprocessing.get_context("forkserver")

TABLE = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /home rw,relatime shared:12 - nfs4 files.example.org:/home rw,vers=4.1
31 30 0:27 / /home/ann/my\\040disk\\134 rw - cifs //files/ann rw
32 22 0:28 / /home/ann/sky rw - fuse.sshfs ann@example.org: rw
33 30 0:29 / /home/ben rw - nfs4 files.example.org:/ben rw
34 33 254:2 / /home/ben rw - xfs /dev/vdb rw
a line that says nothing
"""


# Which file system


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homework", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/store", "nfs4"),
        ("/home/ann/my disk\\/store", "cifs"),
        ("/home/ann/sky", "fuse.sshfs"),
        ("/home/ben/store", "xfs"),
    ],
)
def test_a_path_lies_on_the_deepest_mount_and_the_last_of_them(path: str, kind: str) -> None:
    assert file_system_in(TABLE, Path(path)) == kind


def test_a_path_on_no_mount_that_is_told_is_on_an_unknown_file_system() -> None:
    assert file_system_in("", Path("/home")) == UNKNOWN
    assert not is_network(UNKNOWN)


def test_a_path_is_looked_up_where_its_links_lead(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/proc")

    assert file_system_of(link) == file_system_of(Path("/proc")) == "proc"


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "9p", "ceph", "fuse.sshfs", "fuse.s3fs"],
)
def test_a_file_system_of_several_machines_is_a_network_one(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "apfs", ""])
def test_a_file_system_of_one_machine_is_none(kind: str) -> None:
    assert not is_network(kind)


# Its clock


def test_the_time_of_a_folder_is_that_of_who_keeps_it(tmp_path: Path) -> None:
    # The kernel stamps files with the time of its last tick, some milliseconds ago.
    before = time.time() - 0.1
    first, second = file_time(tmp_path), file_time(tmp_path)

    assert before < first <= second <= time.time()
    (clock,) = tmp_path.iterdir()
    assert clock.stat().st_mode & 0o777 == 0o600


def test_the_clock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / ".codex-nb-clock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="codex-nb-clock"):
        file_time(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


# The lock


def sentinel(folder: Path, *, patience: float = 20.0, stale: float = 30.0) -> Sentinel:
    return Sentinel(folder / "lock", patience=scaled(patience), stale=stale)


def left(folder: Path) -> set[str]:
    """Names in a folder, besides that of the clock."""
    return {path.name for path in folder.iterdir()} - {".codex-nb-clock"}


def make_lock(folder: Path, *, age: float = 0.0, **fields: object) -> Path:
    """A lock that somebody on another machine made, so many seconds ago."""
    given = {"token": "ab" * 16, "host": "elsewhere", "place": "of another boot", "pid": 77}
    path = folder / "lock"
    path.write_text(json.dumps(given | fields))
    at = file_time(folder) - age
    os.utime(path, (at, at))
    return path


def test_a_lock_is_there_while_it_is_held(tmp_path: Path) -> None:
    with sentinel(tmp_path):
        held = json.loads((tmp_path / "lock").read_text())
        assert (held["host"], held["pid"]) == (os.uname().nodename, os.getpid())
    assert left(tmp_path) == set()


def test_a_lock_is_given_back_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), sentinel(tmp_path):
        raise KeyError
    assert left(tmp_path) == set()


def test_who_waits_in_vain_learns_who_has_the_lock(tmp_path: Path) -> None:
    path = make_lock(tmp_path)
    before = path.read_text()

    lock = Sentinel(path, patience=-30.0 + 0.05, stale=30.0)
    with pytest.raises(StoreError, match="held by process 77 on elsewhere") as caught, lock:
        pass
    assert caught.value.hint
    assert path.read_text() == before


def test_a_lock_that_is_given_back_goes_to_who_waits(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with sentinel(tmp_path):
            waits = pool.submit(enter_and_leave, tmp_path)
            assert not waits.done()
        assert waits.result(scaled(20))


def enter_and_leave(folder: Path) -> bool:
    with sentinel(folder):
        return True


def test_a_lock_left_behind_is_taken_away(tmp_path: Path) -> None:
    make_lock(tmp_path, age=31)

    with sentinel(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert left(tmp_path) == set()


def test_a_lock_of_the_future_is_taken_away(tmp_path: Path) -> None:
    make_lock(tmp_path, age=-3600)

    assert enter_and_leave(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "../../etc"}', '{"pid": "1"}'])
def test_a_lock_that_says_nothing_is_taken_away_when_it_is_old(tmp_path: Path, text: str) -> None:
    path = make_lock(tmp_path)
    path.write_text(text)
    at = file_time(tmp_path) - 31
    os.utime(path, (at, at))

    assert enter_and_leave(tmp_path)
    assert left(tmp_path) == set()


def test_a_lock_of_a_process_that_ended_is_taken_away_at_once(tmp_path: Path) -> None:
    reader, writer = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=hold, args=(tmp_path, writer), daemon=True)
    process.start()
    assert reader.poll(scaled(20))
    process.kill()
    process.join(scaled(20))
    assert left(tmp_path) == {"lock"}

    begin = time.monotonic()
    assert enter_and_leave(tmp_path)
    assert time.monotonic() - begin < scaled(10)  # and not after the 30 s of one that is unknown
    assert left(tmp_path) == set()


def hold(folder: Path, told: Connection) -> None:
    with sentinel(folder):
        told.send("held")
        threading.Event().wait(60)  # until it is killed


def test_of_many_threads_one_has_the_lock(tmp_path: Path) -> None:
    assert count_together(tmp_path, threads=8, rounds=20) == 160
    assert int((tmp_path / "count").read_text()) == 160
    assert left(tmp_path) == {"count"}


def count_together(folder: Path, *, threads: int, rounds: int) -> int:
    """Read a number and write the next one, under the lock; how often that was done."""

    def count(_: int) -> int:
        for _ in range(rounds):
            with sentinel(folder):
                path = folder / "count"
                number = int(path.read_text()) if path.exists() else 0
                path.write_text(str(number + 1))
        return rounds

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(count, range(threads)))


def test_of_many_processes_one_has_the_lock(tmp_path: Path) -> None:
    processes = [_PROCESSES.Process(target=count_alone, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(scaled(60))

    assert [process.exitcode for process in processes] == [0] * 4
    assert int((tmp_path / "count").read_text()) == 200
    assert left(tmp_path) == {"count"}


def count_alone(folder: Path) -> None:
    count_together(folder, threads=1, rounds=50)


# Two who find the same lock stale


def test_of_many_who_find_a_lock_stale_one_gets_it_at_a_time(tmp_path: Path) -> None:
    inside = 0
    most = 0
    guard = threading.Lock()

    def enter(together: threading.Barrier) -> None:
        nonlocal inside, most
        lock = sentinel(tmp_path)
        together.wait(scaled(20))
        with lock:
            with guard:
                inside += 1
                most = max(most, inside)
            os.sched_yield()
            with guard:
                inside -= 1

    for _ in range(25):
        make_lock(tmp_path, age=31)
        together = threading.Barrier(6)
        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(enter, together) for _ in range(6)]:
                done.result(scaled(60))
        assert left(tmp_path) == set()
    assert most == 1


@pytest.fixture
def late(tmp_path: Path) -> Callable[[], bool]:
    """One who found a lock stale, and was away before it took the lock."""
    make_lock(tmp_path, age=31)
    lock = sentinel(tmp_path)
    seen = lock._look()
    assert seen is not None
    return lambda: lock._take_away(seen)


def test_who_comes_late_leaves_the_lock_of_another(
    tmp_path: Path, late: Callable[[], bool]
) -> None:
    with sentinel(tmp_path):
        held = (tmp_path / "lock").read_text()
        assert late()
        assert (tmp_path / "lock").read_text() == held


def test_the_right_to_take_a_lock_away_is_given_once(
    tmp_path: Path, late: Callable[[], bool]
) -> None:
    claim = tmp_path / f"lock.{'ab' * 16}.0"
    claim.write_text("")

    assert not late()
    assert (tmp_path / "lock").exists()


def test_the_right_of_one_who_ended_meanwhile_goes_to_the_next(
    tmp_path: Path, late: Callable[[], bool]
) -> None:
    claim = tmp_path / f"lock.{'ab' * 16}.0"
    claim.write_text("")
    at = file_time(tmp_path) - 31
    os.utime(claim, (at, at))

    assert late()
    assert not (tmp_path / "lock").exists()


def test_who_slept_through_its_lock_leaves_that_of_the_next(tmp_path: Path) -> None:
    # With no time at all before a lock counts as old, it is looked at before it is removed.
    with sentinel(tmp_path, stale=0.0):
        make_lock(tmp_path)
    assert json.loads((tmp_path / "lock").read_text())["host"] == "elsewhere"


def test_a_lock_on_a_full_disk_is_not_left_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    # A disk of this test alone would take a right that tests do not have.
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"), sentinel(tmp_path):
        pass
    assert left(tmp_path) == set()
