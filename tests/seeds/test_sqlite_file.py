"""The file of a SQLite store: who may use it, and what can be wrong with it."""

from __future__ import annotations

import os
import sqlite3
import stat
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import StoreError
from codex_nb.seeds.records import Status
from codex_nb.seeds.sqlite import SqliteStore
from tests.seeds.contract import a_blob, created, leased, saved
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHORT = timedelta(milliseconds=50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "seeds.db"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fill(path: Path) -> None:
    """Make a store with one seed."""

    async def scenario() -> None:
        async with SqliteStore(path) as store:
            await created(store)

    run(scenario())


def refusal(path: Path) -> StoreError:
    """Why a store there cannot be opened."""

    async def scenario() -> StoreError:
        with pytest.raises(StoreError) as caught:
            async with SqliteStore(path, patience=SHORT):
                pass
        return caught.value

    return run(scenario())


# The file


@pytest.fixture
def careless_umask() -> Iterator[None]:
    old = os.umask(0)
    yield
    os.umask(old)


@pytest.mark.usefixtures("careless_umask")
def test_folder_and_file_are_this_users_alone(path: Path) -> None:
    fill(path)
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)


def test_the_mode_of_a_folder_that_was_there_stays(path: Path) -> None:
    path.parent.mkdir(mode=0o750)
    path.parent.chmod(0o750)
    fill(path)
    assert mode(path.parent) == 0o750


@pytest.mark.parametrize("folder_mode", [0o770, 0o707, 0o722])
def test_a_folder_in_which_others_can_write_is_refused(path: Path, folder_mode: int) -> None:
    path.parent.mkdir()
    path.parent.chmod(folder_mode)
    error = refusal(path)
    assert error.message == f"Others can write in {path.parent}, where logins are to be kept."
    assert f"chmod go-w {path.parent}" in error.hint
    assert list(path.parent.iterdir()) == []
    assert mode(path.parent) == folder_mode


@pytest.mark.parametrize("file_mode", [0o644, 0o640, 0o620])
def test_a_file_that_others_can_read_is_refused(path: Path, file_mode: int) -> None:
    fill(path)
    path.chmod(file_mode)
    assert f"chmod 600 {path}" in refusal(path).hint
    assert mode(path) == file_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    fill(path)
    os.chown(path, 12345, -1)
    assert refusal(path).message == f"{path} belongs to another user."


def test_the_file_is_never_in_wal_mode(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)
            await store.release(await leased(store, seed))
            settings = await store._file.run(
                lambda db: [
                    db.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("journal_mode", "synchronous", "foreign_keys")
                ]
            )
            assert settings == ["truncate", 2, 1]
            assert {each.name for each in path.parent.iterdir()} <= {
                "seeds.db",
                "seeds.db-journal",
            }

    run(scenario())
    # Of the file format: 1 is a rollback journal, 2 is WAL.
    assert path.read_bytes()[18:20] == b"\1\1"


def test_a_file_that_was_put_into_wal_mode_is_taken_out_of_it(path: Path) -> None:
    fill(path)
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    other.close()

    async def scenario() -> None:
        async with SqliteStore(path) as store:
            assert [seed.name for seed in await store.list()] == ["one"]

    run(scenario())
    assert path.read_bytes()[18:20] == b"\1\1"


def of_a_later_version(path: Path) -> None:
    fill(path)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=2")
    other.close()


def of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    path.chmod(0o600)


def a_text(path: Path) -> None:
    # What it is comes before who can read it.
    path.write_text("Shopping: " + "milk, " * 200)
    path.chmod(0o644)


def torn(path: Path) -> None:
    fill(path)
    os.truncate(path, 5000)


def damaged(path: Path) -> None:
    fill(path)
    with path.open("r+b") as file:
        file.seek(100)  # behind the header, where the list of tables is
        file.write(b"\xff" * 3996)


REFUSED: dict[Callable[[Path], None], str] = {
    of_a_later_version: "A later version of codex_nb made the store {path}.",
    of_another_program: "{path} is a database of another program.",
    a_text: "{path} is no store of seeds, or its beginning is damaged.",
    torn: "The store {path} is damaged: database disk image is malformed.",
    damaged: "The store {path} is damaged: database disk image is malformed.",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_a_file_that_is_no_store_of_ours_is_left_as_it_is(
    path: Path, make: Callable[[Path], None]
) -> None:
    path.parent.mkdir(mode=0o700)
    make(path)
    before = path.read_bytes()
    error = refusal(path)
    assert error.message == REFUSED[make].format(path=path)
    assert error.hint
    assert path.read_bytes() == before


def test_a_table_that_is_damaged_is_told_by_whatever_uses_it(path: Path) -> None:
    fill(path)
    with sqlite3.connect(path) as other:
        root = "SELECT rootpage FROM sqlite_master WHERE name = 'seeds'"
        (page,), (size,) = (
            other.execute(root).fetchone(),
            other.execute("PRAGMA page_size").fetchone(),
        )
    other.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    async def scenario() -> None:
        async with SqliteStore(path) as store:
            for use in (
                store.list,
                lambda: created(store, "two"),
                lambda: store.mark("0" * 32, Status.DEAD, "because"),
                lambda: store.change("0" * 32, name="two"),
            ):
                with pytest.raises(StoreError, match="is damaged") as caught:
                    await use()
                assert "backup" in caught.value.hint
            # What lies elsewhere can still be had.
            assert await store.note("key", b"value") == b"value"

    run(scenario())


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refusal(tmp_path / "file" / "store" / "seeds.db")
    assert "Not a directory" in error.message
    assert "CODEX_NB_STORE" in error.hint


def test_a_file_that_went_away_is_missed_and_not_made_again(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)
            away = path.parent.rename(path.parent.with_name("away"))
            for use in (store.list, lambda: saved(store, seed)):
                with pytest.raises(StoreError, match="is not there any more"):
                    await use()
            assert not path.parent.exists()
            away.rename(path.parent)
            assert await store.list() == [seed]
            await saved(store, seed)

    run(scenario())


def test_a_file_that_was_replaced_is_not_written(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)
            before = replaced(path)
            with pytest.raises(StoreError, match="was replaced by another file"):
                await saved(store, seed)
            assert content(path) == before
        async with SqliteStore(path) as store:
            await saved(store, seed)

    run(scenario())


def content(path: Path) -> bytes:
    return path.read_bytes()


def replaced(path: Path) -> bytes:
    """Put a copy in the place of a file; its content."""
    other = path.with_name("other.db")
    other.write_bytes(path.read_bytes())
    other.chmod(0o600)
    other.rename(path)
    return content(path)


def test_a_full_disk_is_told_and_loses_nothing(path: Path) -> None:
    async def scenario() -> None:
        async with SqliteStore(path) as store:
            seed = await created(store)
            before = await store.find("one")

            def full(db: sqlite3.Connection) -> None:
                # SQLite says the same of a file that may not grow as of a disk that is full.
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count={pages}")

            await store._file.run(full)
            with pytest.raises(StoreError, match="could not be written") as caught:
                await saved(store, seed, data=b"x" * 100_000)
            assert "Make room" in caught.value.hint
            assert await store.find("one") == before
            assert await store.read_blob(seed.id) == a_blob()
            await saved(store, seed, data=b"x" * 100_000)

    run(scenario())
