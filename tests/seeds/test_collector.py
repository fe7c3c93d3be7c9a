"""What no seed names any more goes by itself: through the keeper, and through the verbs."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.cli import Terminal
from codex_nb.errors import StoreError
from codex_nb.seeds.collector import Collector
from codex_nb.seeds.keeper import Keeper
from codex_nb.seeds.perform import perform
from codex_nb.seeds.verbs import parsed, seed_parser
from codex_nb.seeds.verify import Verifier
from tests.seeds.place import Place, add_two
from tests.seeds.refreshing import machine, unreachable
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.seeds.seeds import Seeds

DAY = 24 * 3600


def bury(file: Path) -> None:
    """Put a tombstone of last month into a store."""
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("INSERT INTO graves (id, fence, at) VALUES (hex(randomblob(16)), 1, 0)")


def tombstones(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute("SELECT count(*) FROM graves").fetchone()[0])


def put_aside(spool: Path) -> Path:
    orphan = spool / "a-login.orphan"
    spool.mkdir(parents=True, exist_ok=True)
    orphan.touch()
    return orphan


def let_a_day_pass(mark: Path) -> None:
    os.utime(mark, (mark.stat().st_mtime - DAY - 1,) * 2)


@pytest.fixture(autouse=True)
def _orphans_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    # A month cannot be waited for, and the time of a change cannot be set.
    monkeypatch.setattr("codex_nb.seeds.spool._ORPHAN_AGE", -1.0)


def test_the_keeper_removes_leftovers_when_it_starts_and_each_day(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, {}) as here:
            file = tmp_path / "store" / "seeds.db"
            orphan = put_aside(tmp_path / "here")
            bury(file)
            collector = Collector(here.store, here.spool, tmp_path / "here")
            verifier = Verifier(here.store, here.refresher, holder="k")
            rotations = here.refresher.rotations
            keeper = Keeper(
                here.store,
                verifier,
                rotations,
                look_every=timedelta(0),
                collect=collector.collect_if_due,
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(keeper.run())
                await wait_until(lambda: tombstones(file) == 0)
                assert not orphan.exists()
                bury(file)
                await keeper.keep()
                assert tombstones(file) == 1
                let_a_day_pass(collector.mark)
                await wait_until(lambda: tombstones(file) == 0)
                running.cancel()

    run(scenario())


def test_a_verb_that_changes_removes_leftovers_at_most_once_a_day(tmp_path: Path) -> None:
    place = Place(tmp_path)
    file, spool = tmp_path / "data/codex_nb/seeds.db", tmp_path / "state/codex_nb/spool"

    def do(*words: str) -> None:
        options = parsed(seed_parser("codex-nb seed"), words)
        answer = asyncio.run(perform(options, place.settings, Terminal(), environment=place.env))
        assert answer.is_good

    place.run(add_two)
    orphan = put_aside(spool)
    bury(file)
    do("list")
    assert (tombstones(file), orphan.exists()) == (1, True)
    do("rename", "work", "home")
    assert (tombstones(file), orphan.exists()) == (0, False)
    bury(file)
    do("retire", "home")
    assert tombstones(file) == 1
    [mark] = spool.glob(".collected-*")
    let_a_day_pass(mark)
    do("retire", "home", "--undo")
    assert tombstones(file) == 0


def test_leftovers_that_cannot_be_removed_hold_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(seeds: Seeds) -> None:
        away, _ = unreachable(seeds.store, "collect")
        with pytest.raises(StoreError):
            await away.collect()
        assert await Collector(away, seeds.spool, seeds.spool_folder).collect_if_due() == 0
        assert "leftovers of seeds could not be removed" in caplog.text

    Place(tmp_path).run(work)
