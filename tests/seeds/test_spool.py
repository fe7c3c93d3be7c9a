"""The spool: files that are made before a refresh, filled by it, and never lost."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError, VaultError
from codex_nb.seeds.spool import Pending, Spool, host_name, this_host
from codex_nb.seeds.spool_files import Entry
from codex_nb.seeds.vault import Key, Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

KEY = Key.of(bytes(range(32)))
STORE = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SECRET = b"the-token-that-nobody-may-see"
ENTRY = Entry(seed="5eed" * 8, attempt="a77e", parent="f00d", version=3, at=1000.0)


def spool_in(folder: Path, *, key: Key | None = KEY, store: str = STORE) -> Spool:
    return Spool(folder, Vault([key] if key else []), store)


def kept(spool: Spool, entry: Entry = ENTRY, payload: bytes = SECRET) -> None:
    with spool.reserve(entry) as spooled:
        spooled.keep(payload)


def payload_in(spool: Spool, name: str) -> bytes:
    spooled = spool.claim(name)
    assert spooled is not None
    with spooled:
        return spooled.payload()


NAME = f"{ENTRY.seed}-{ENTRY.attempt}"


def test_what_was_kept_is_there_for_another_process(tmp_path: Path) -> None:
    kept(spool_in(tmp_path))

    later = spool_in(tmp_path)
    entry = replace(ENTRY, host=later.host, store=STORE)
    assert later.pending() == [Pending(entry=entry, is_filled=True, is_busy=False)]
    assert payload_in(later, NAME) == SECRET


def test_a_file_is_there_before_anything_is_kept_and_tells_that_it_is_empty(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)

    with spool.reserve(ENTRY):
        entry = replace(ENTRY, host=spool.host, store=STORE)
        assert spool.pending() == [Pending(entry=entry, is_filled=False, is_busy=True)]
    claimed = spool.claim(NAME)
    assert claimed is not None
    with claimed:
        assert (claimed.is_filled, spool.is_abandoned(claimed)) == (False, True)
        with pytest.raises(ValueError, match="nothing was kept"):
            claimed.payload()


def test_keeping_takes_no_room_that_was_not_reserved(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    payload = os.urandom(20_000)

    with spool.reserve(ENTRY, room=len(payload)) as spooled:
        before = (tmp_path / NAME).stat()
        spooled.keep(payload)
    after = (tmp_path / NAME).stat()

    assert (after.st_ino, after.st_size, after.st_blocks) == (
        before.st_ino,
        before.st_size,
        before.st_blocks,
    )
    assert payload_in(spool, NAME) == payload


def test_a_login_that_outgrows_its_room_is_kept_as_well(tmp_path: Path) -> None:
    payload = os.urandom(200_000)

    kept(spool_in(tmp_path), payload=payload)

    assert payload_in(spool_in(tmp_path), NAME) == payload


def test_only_the_user_can_read_it_and_nothing_of_the_login_is_in_clear(tmp_path: Path) -> None:
    kept(spool_in(tmp_path / "spool"))

    path = tmp_path / "spool" / NAME
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert all(SECRET not in each.read_bytes() for each in path.parent.iterdir())


def test_nobody_takes_a_file_that_another_works_on(tmp_path: Path) -> None:
    one, other = spool_in(tmp_path), spool_in(tmp_path)

    with one.reserve(ENTRY):
        assert (other.claim(NAME), other.is_busy(NAME)) == (None, True)
    assert other.is_busy(NAME) is False


def test_a_cleared_file_is_gone_and_busy_for_nobody(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)

    with spool.reserve(ENTRY) as spooled:
        spooled.clear()

    assert (list(spool.names()), spool.claim(NAME), spool.is_busy(NAME)) == ([], None, False)


def test_an_orphan_is_tried_no_more_and_goes_after_thirty_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_in(tmp_path)
    with spool.reserve(ENTRY) as spooled:
        spooled.keep(SECRET)
        spooled.orphan()

    assert (list(spool.names()), spool.sweep()) == ([], 0)
    assert spool.orphans() == [tmp_path / f"{NAME}.orphan"]
    # A month cannot be waited for, and the time of a change cannot be set.
    month = (tmp_path / f"{NAME}.orphan").stat().st_ctime + 30 * 24 * 3600 + 1
    monkeypatch.setattr("codex_nb.seeds.spool.time.time", lambda: month)
    assert (spool.sweep(), spool.orphans()) == (1, [])


def test_another_key_leaves_the_file_where_it_is(tmp_path: Path) -> None:
    kept(spool_in(tmp_path))
    other = spool_in(tmp_path, key=Key.new())

    with pytest.raises(VaultError):
        payload_in(other, NAME)

    assert payload_in(spool_in(tmp_path), NAME) == SECRET


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"parent": "f00d"', b'"parent": "beef"'),
        lambda data: data.replace(b'"version": 3', b'"version": 4'),
    ],
    ids=["parent", "version"],
)
def test_a_header_that_somebody_changed_is_found_out(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    kept(spool_in(tmp_path))
    path = tmp_path / NAME
    before = path.read_bytes()
    path.write_bytes(change(before))

    with pytest.raises(VaultError):
        payload_in(spool_in(tmp_path), NAME)
    assert path.read_bytes() != before


@pytest.mark.parametrize("key", [KEY, None], ids=["sealed", "in clear"])
def test_a_file_that_was_written_halfway_is_put_aside(tmp_path: Path, key: Key | None) -> None:
    spool = spool_in(tmp_path, key=key)
    kept(spool, payload=os.urandom(20_000))
    path = tmp_path / NAME
    data = path.read_bytes()
    path.write_bytes(data[:12_000] + bytes(len(data) - 12_000))

    assert spool.claim(NAME) is None
    assert spool.orphans() == [tmp_path / f"{NAME}.orphan"]


def test_files_of_another_store_are_left_alone(tmp_path: Path) -> None:
    kept(spool_in(tmp_path, store="another"))
    spool = spool_in(tmp_path)

    assert (list(spool.pending()), spool.claim(NAME)) == ([], None)
    assert (tmp_path / NAME).exists()


def test_a_folder_that_is_not_there_is_an_empty_spool(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "none")

    assert (list(spool.names()), list(spool.pending()), spool.sweep()) == ([], [], 0)
    assert not (tmp_path / "none").exists()


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")

    with pytest.raises(HostError, match="could not"):
        spool_in(tmp_path / "spool").reserve(ENTRY)


def test_this_host_is_the_same_in_every_process_and_each_spool_is_its_own(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        theirs = pool.apply(this_host)

    assert theirs == this_host()
    one = spool_in(tmp_path / "one").host
    assert one == spool_in(tmp_path / "one").host
    assert one != spool_in(tmp_path / "two").host
    assert (one.startswith(f"{this_host()}:"), host_name(one)) == (True, os.uname().nodename)


def test_a_full_disk_is_told_before_anything_is_asked_and_leaves_nothing(tmp_path: Path) -> None:
    assert in_child(_reserve_on_a_full_disk, tmp_path) == "could not write"
    assert list(spool_in(tmp_path).names()) == []


def _reserve_on_a_full_disk(folder: Path) -> str:
    spool = spool_in(folder)
    assert spool.host
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
    try:
        spool.reserve(ENTRY)
    except HostError as exc:
        return exc.message[:15]
    return "reserved"


def test_a_disk_that_fills_up_after_that_does_no_harm(tmp_path: Path) -> None:
    assert in_child(_keep_on_a_full_disk, tmp_path) == "kept"
    assert payload_in(spool_in(tmp_path), NAME) == SECRET


def _keep_on_a_full_disk(folder: Path) -> str:
    with spool_in(folder).reserve(ENTRY) as spooled:
        # No byte more than the file has now; what stands for a full disk on any machine.
        size = (folder / NAME).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        spooled.keep(SECRET)
    return "kept"


def test_what_was_kept_survives_that_its_process_is_killed(tmp_path: Path) -> None:
    assert in_child(_keep_and_die, tmp_path) == ""

    spool = spool_in(tmp_path)
    assert [(each.is_filled, each.is_busy) for each in spool.pending()] == [(True, False)]
    assert payload_in(spool, NAME) == SECRET


def _keep_and_die(folder: Path) -> str:
    spool_in(folder).reserve(ENTRY).keep(SECRET)
    os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def in_child(work: Callable[[Path], str], folder: Path) -> str:
    """What `work` returns in a process of its own; "" if that ended before."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_report, args=(work, folder, theirs))
    process.start()
    theirs.close()
    try:
        return str(ours.recv())
    except EOFError:
        return ""
    finally:
        process.join(10)


def _report(work: Callable[[Path], str], folder: Path, answer: Connection) -> None:
    answer.send(work(folder))
