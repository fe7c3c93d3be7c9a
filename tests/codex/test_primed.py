"""A home that codex set up once, and the homes that are copied from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.cache import cache_folder
from codex_nb.codex.home import SessionHome
from codex_nb.codex.primed import prime
from codex_nb.hosts.local import LocalHost
from tests.support.codex_versions import EVERY_CODEX
from tests.support.programs import program_at, write_program
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.codex.binary import CodexProgram


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def files_in(folder: str | Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


async def primed(program: CodexProgram, folder: Path) -> SessionHome:
    """A home that was laid out and primed."""
    home = SessionHome(str(folder))
    await home.lay_out(LocalHost(), config={})
    await prime(program, LocalHost(), home, session=f"test {folder}")
    return home


@pytest.mark.parametrize("program", EVERY_CODEX)
def test_later_homes_are_copies_of_the_first_with_settings_of_their_own(
    program: CodexProgram, tmp_path: Path
) -> None:
    first = run(primed(program, tmp_path / "first"))
    [made] = (cache_folder() / "homes").iterdir()
    stamp = made.stat().st_mtime_ns
    second = run(primed(program, tmp_path / "second"))

    template = files_in(made)
    settings = {"config.toml": Path(first.codex, "config.toml").read_bytes()}
    assert {"state_5.sqlite", "logs_2.sqlite"} <= template.keys()
    assert any(name.startswith("skills/") for name in template)
    assert not {"config.toml", "installation_id", "auth.json"} & template.keys()
    assert files_in(first.codex) == files_in(second.codex) == template | settings
    assert made.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("program", EVERY_CODEX[:1])
def test_a_home_with_threads_is_left_alone(program: CodexProgram, tmp_path: Path) -> None:
    Path(tmp_path, "home/codex/sessions").mkdir(parents=True)

    home = run(primed(program, tmp_path / "home"))

    assert list(files_in(home.codex)) == ["config.toml"]


def test_a_program_that_cannot_start_leaves_the_home_to_itself(tmp_path: Path) -> None:
    path = write_program(tmp_path / "codex", "exit 3")

    home = run(primed(program_at(path), tmp_path / "home"))

    assert list(files_in(home.codex)) == ["config.toml"]
    assert list((cache_folder() / "homes").iterdir()) == []


@pytest.mark.parametrize("program", EVERY_CODEX[:1])
def test_another_version_of_the_program_gets_a_home_of_its_own(
    program: CodexProgram, tmp_path: Path
) -> None:
    run(primed(program, tmp_path / "first"))
    run(primed(replace(program, version="9.9.9"), tmp_path / "second"))

    names = sorted(path.name.split("-")[0] for path in (cache_folder() / "homes").iterdir())
    assert names == [program.version, "9.9.9"]
