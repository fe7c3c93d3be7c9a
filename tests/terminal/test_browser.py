"""The stand-in for a browser, as programs call it, and what comes of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.browser import NAMES, Browser
from codex_nb.terminal.links import LONGEST
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENV = {"PATH": os.environ["PATH"], "CODEX_NB_TEST": "1"}
LINK = "https://example.org/a?b=%20&c=$(id)'d"


@asynccontextmanager
async def browser(folder: str) -> AsyncIterator[Browser]:
    made = await Browser.start(LocalHost(), folder=folder, env=ENV)
    try:
        yield made
    finally:
        await made.close()


async def called(made: Browser, *words: str, name: str = "xdg-open") -> tuple[int, str]:
    """How a program that finds it on its PATH fares: exit status and stderr."""
    program = shutil.which(name, path=made.env["PATH"])
    assert program is not None
    done = await LocalHost().run([program, *words], cwd="/", env=made.env, timeout=scaled(10))
    assert done.stdout == b""
    return done.exit_status, done.stderr.decode()


async def next_links(made: Browser) -> list[str]:
    async with asyncio.timeout(scaled(10)):
        return await made.links()


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_every_name_passes_a_link_on(folder: str) -> None:
    async def check() -> None:
        async with browser(folder) as made:
            for name in NAMES:
                assert await called(made, "--new-tab", f"{LINK}{name}", name=name) == (0, "")
                assert await next_links(made) == [f"{LINK}{name}"]
            assert made.env["BROWSER"] == f"{folder}/bin/browser"
            assert await called(made, LINK, name="browser") == (0, "")

    asyncio.run(check())


@pytest.mark.parametrize("folder_name", ['it\'s $(id) "here"', "a b"])
def test_the_path_of_the_folder_may_be_odd(folder: str, folder_name: str) -> None:
    async def check() -> None:
        async with browser(f"{folder}/{folder_name}") as made:
            assert await called(made, LINK) == (0, "")
            assert await next_links(made) == [LINK]

    asyncio.run(check())


def test_what_is_no_link_is_not_passed_on_and_the_caller_learns_it(folder: str) -> None:
    told = "There is no browser here. The person is to open this link: "

    async def check() -> None:
        async with browser(folder) as made:
            for words in ((), ("/etc/passwd",), ("mailto:a@b",), ("javascript:alert(1)",)):
                status, said = await called(made, *words)
                assert (status, said.count("\n")) == (3, 1)
                assert said.startswith("There is no browser here, and no desktop.")
            long = "https://example.org/" + "a" * LONGEST
            for odd in ("https://example.org/a b", "https://example.org/\n", "http://\xe4", long):
                assert await called(made, odd) == (3, f"{told}{odd}\n")
            assert Path(f"{folder}/links").read_bytes() == b""  # noqa: ASYNC240 - a file of a test

    asyncio.run(check())


def test_hostile_lines_of_the_file_are_dropped(folder: str) -> None:
    async def check() -> None:
        async with browser(folder) as made:
            hostile = b"javascript:x\n\0\xff\n" + b"https://a.example/" + b"a" * 200_000 + b"\n"
            with Path(f"{folder}/links").open("ab") as file:  # noqa: ASYNC230 - a file of a test
                file.write(hostile + b"https://a@b.example/\nhttps://example.org/\nhttps://exa")
            assert await next_links(made) == ["https://example.org/"]
            with Path(f"{folder}/links").open("ab") as file:  # noqa: ASYNC230 - a file of a test
                file.write(b"mple.org/2\n")
            assert await next_links(made) == ["https://example.org/2"]

    asyncio.run(check())


def test_its_files_are_private_and_go_with_it(folder: str) -> None:
    async def check() -> None:
        async with browser(folder) as made:
            paths = ("bin", "bin/browser", "links")
            assert [mode(f"{folder}/{path}") for path in paths] == [0o700, 0o700, 0o600]
            # A program that still runs then is told, and makes no file again.
            left = Path(f"{folder}/bin/browser").read_bytes()  # noqa: ASYNC240 - a file of a test
        assert await LocalHost().list_folder(folder) == []
        await LocalHost().write_file(f"{folder}/left", left, mode=0o700)
        done = await LocalHost().run([f"{folder}/left", LINK], cwd="/", env=ENV, timeout=scaled(10))
        assert done.exit_status == 3
        assert await LocalHost().list_folder(folder) == ["left"]
        with pytest.raises(HostError, match="not read any more"):
            await next_links(made)

    asyncio.run(check())
