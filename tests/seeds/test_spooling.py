"""The spool for an event loop: together where that is faster, and a login that came at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.seeds import spool_rooms
from codex_nb.seeds.spool import Spool
from codex_nb.seeds.spool_files import Entry, Spooled, sync_folder
from codex_nb.seeds.spooling import Spooling
from codex_nb.seeds.vault import Key, Vault
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    import pytest

STORE = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
ENTRIES = [
    Entry(seed=f"{number}" * 32, attempt="a77e", parent="f00d", version=3, at=1000.0)
    for number in range(5)
]
NAMES = [f"{entry.seed}-{entry.attempt}" for entry in ENTRIES]


def spool_in(folder: Path) -> Spool:
    return Spool(folder, Vault([Key.of(bytes(range(32)))]), STORE)


class Held:
    """Holds the thread for everyday work, from a call of `begin` until `end`."""

    def __init__(self, spooling: Spooling) -> None:
        self._spooling = spooling
        self._has_begun, self._may_end = threading.Event(), threading.Event()

    async def begin(self) -> asyncio.Task[bool]:
        held = asyncio.create_task(self._spooling.do(self._hold))
        assert await asyncio.to_thread(self._has_begun.wait, scaled(30))
        return held

    def end(self) -> None:
        self._may_end.set()

    def _hold(self) -> bool:
        self._has_begun.set()
        return self._may_end.wait(scaled(30))


async def reserved_together(spooling: Spooling) -> Sequence[Spooled]:
    """Room for all entries, for which all waited when the first was made."""
    held = Held(spooling)
    holding = await held.begin()
    tasks = [asyncio.create_task(spooling.reserve(entry, room=100)) for entry in ENTRIES]
    # Each runs until it waits for the thread.
    await asyncio.sleep(0)
    held.end()
    assert await holding
    return await asyncio.gather(*tasks)


def test_room_that_is_wanted_together_is_made_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def sync(folder: Path) -> None:
        synced.append(folder)
        sync_folder(folder)

    # What the disk was asked for cannot be seen from here in any other way.
    monkeypatch.setattr(spool_rooms, "sync_folder", sync)

    async def scenario() -> None:
        spool = spool_in(tmp_path)
        files = await reserved_together(Spooling(spool))
        complete = [replace(entry, host=spool.host, store=STORE) for entry in ENTRIES]
        assert [(file.entry, file.is_filled) for file in files] == [
            (entry, False) for entry in complete
        ]
        assert (list(spool.names()), synced) == (NAMES, [tmp_path])
        for file in files:
            file.close()

    run(scenario())


def test_a_login_that_came_does_not_wait_for_what_others_want_of_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = spool_in(tmp_path)
        spooling = Spooling(spool)
        with await spooling.reserve(ENTRIES[0], room=100) as file:
            held = Held(spooling)
            holding = await held.begin()
            async with asyncio.timeout(scaled(30)):
                await spooling.keep(file, b"the login")
            assert not holding.done()
            held.end()
            assert await holding
        claimed = spool.claim(NAMES[0])
        assert claimed is not None
        with claimed:
            assert claimed.payload() == b"the login"

    run(scenario())


def test_nobody_takes_room_for_busy_that_was_not_wanted_any_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = spool_in(tmp_path)
        spooling = Spooling(spool)
        waits = asyncio.create_task(spooling.reserve(ENTRIES[0], room=100))
        await asyncio.sleep(0)
        # It may have begun or not: both are fine.
        waits.cancel()
        with suppress(asyncio.CancelledError):
            await waits
        # What follows in the same thread is done after it; then this loop has heard of both.
        await spooling.do(lambda: None)
        await asyncio.sleep(0)
        assert [each.is_busy for each in spool.pending()] in ([], [False])

    run(scenario())


def test_one_that_does_not_fit_on_the_disk_leaves_nothing_and_does_no_harm_to_others(
    tmp_path: Path,
) -> None:
    # In a process of its own, as a limit on it stands for a disk that is nearly full.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_reserve_small_and_large, args=(tmp_path, theirs))
    process.start()
    theirs.close()
    try:
        assert ours.recv() == ["Spooled", "could not write", "Spooled"]
    finally:
        process.join(10)
    assert list(spool_in(tmp_path).names()) == [NAMES[0], NAMES[2]]
    assert [path.name for path in tmp_path.glob(f".{NAMES[1]}*")] == []


def _reserve_small_and_large(folder: Path, answer: Connection) -> None:
    spool = spool_in(folder)
    assert spool.host
    resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, 64_000))
    made = spool.reserve_all([(ENTRIES[0], 0), (ENTRIES[1], 100_000), (ENTRIES[2], 0)])
    answer.send(
        [str(each)[:15] if isinstance(each, HostError) else type(each).__name__ for each in made]
    )


def test_names_that_do_not_get_to_the_disk_are_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    # A disk that fails at this very moment cannot be had.
    monkeypatch.setattr(spool_rooms, "sync_folder", refuse)
    spool = spool_in(tmp_path)
    made = spool.reserve_all([(entry, 0) for entry in ENTRIES])
    assert [type(each) for each in made] == [HostError] * len(ENTRIES)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".0", "0"))] == []
    assert list(spool.names()) == []
