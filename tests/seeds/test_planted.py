"""A planted auth.json that codex rewrote, when its login cannot be stored or read."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import LineageError, SeedNotFoundError
from codex_nb.hosts.local import LocalHost
from codex_nb.seeds.planted import LeftLogin, PlantedLogin, recover
from tests.seeds.place import chatgpt
from tests.seeds.refreshing import FINGERPRINTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from codex_nb.errors import CodexNBError
    from codex_nb.seeds.auth import Login


def planted_in(
    folder: Path, save: Callable[[Login], Awaitable[None]], told: list[str]
) -> PlantedLogin:
    return PlantedLogin(
        LocalHost(),
        str(folder / "auth.json"),
        seed="s",
        fingerprints=FINGERPRINTS,
        save=save,
        records=folder / "records",
        tell=told.append,
    )


@pytest.mark.parametrize("error", [LineageError("It is outdated."), SeedNotFoundError("Gone.")])
def test_a_login_that_was_put_aside_is_told_once_and_not_tried_again(
    tmp_path: Path, error: CodexNBError
) -> None:
    told: list[str] = []
    tried: list[Login] = []

    async def save(login: Login) -> None:
        tried.append(login)
        raise error

    async def check() -> None:
        planted = planted_in(tmp_path, save, told)
        await planted.plant(chatgpt("one"))
        (tmp_path / "auth.json").write_bytes(chatgpt("one").to_bytes())
        await planted.look()
        await planted.look()
        await planted.remove()

    asyncio.run(check())

    assert len(tried) == 1
    assert told == [f"What Codex made of the login was not stored: {error.message}"]
    assert not (tmp_path / "auth.json").exists()
    assert list((tmp_path / "records").iterdir()) == []


async def never(_left: LeftLogin) -> None:
    raise AssertionError("there is nothing to save")


def left_behind(folder: Path) -> Path:
    """The file of a session host that is gone, with its record."""

    async def plant() -> None:
        planted = planted_in(folder, lambda _login: asyncio.sleep(0), [])
        await planted.plant(chatgpt("one"))
        assert planted._record is not None
        os.close(planted._record._lock)  # as the end of its process does

    asyncio.run(plant())
    return folder / "auth.json"


def records(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "records").iterdir())


def test_a_file_that_cannot_be_read_now_keeps_its_record(tmp_path: Path) -> None:
    auth = left_behind(tmp_path)
    auth.unlink()
    auth.mkdir()  # as unreadable as a broken disk

    assert asyncio.run(recover(tmp_path / "records", never, FINGERPRINTS)) == 0
    assert records(tmp_path) == [".json", ".lock"]


def test_a_file_without_a_login_goes_with_its_record(tmp_path: Path) -> None:
    auth = left_behind(tmp_path)
    auth.write_text('{"tokens": nul')

    assert asyncio.run(recover(tmp_path / "records", never, FINGERPRINTS)) == 0
    assert records(tmp_path) == []
    assert not auth.exists()


def test_a_file_that_is_gone_takes_its_record_with_it(tmp_path: Path) -> None:
    left_behind(tmp_path).unlink()

    assert asyncio.run(recover(tmp_path / "records", never, FINGERPRINTS)) == 0
    assert records(tmp_path) == []
