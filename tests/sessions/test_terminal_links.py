"""What Codex in a terminal wants to open in a browser becomes a link of the transcript."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.environment import OFFLINE
from codex_nb.hosts import files
from codex_nb.hosts.local import LocalHost
from codex_nb.protocol.values import obj
from codex_nb.seeds.settings import SeedSettings
from codex_nb.sessions.sockets import socket_folder
from tests.sessions.test_terminal import opened, terminal, typed, until_shown, until_terminal
from tests.support.processes import Found, processes_below
from tests.support.sessions import LIMIT, Viewer, command, say
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_nb.hosts.base import Completed
    from tests.support.sessions import Rig

pytestmark = pytest.mark.integration

ONE, TWO, THREE, FOUR = (f"https://example.org/{number}?a=%20&b" for number in range(4))


def place(rig: Rig, viewer: Viewer) -> Path:
    return socket_folder(str(rig.folder(viewer))) / "terminal"


async def asked_to_open(rig: Rig, viewer: Viewer, *words: str, name: str = "browser") -> Completed:
    """What a program in the terminal does that wants a browser."""
    program = place(rig, viewer) / "bin" / name
    env = {"PATH": os.environ["PATH"]}
    return await LocalHost().run([str(program), *words], cwd="/", env=env, timeout=LIMIT)


async def until_links(viewer: Viewer, *links: str) -> None:
    await viewer.until(lambda _: terminal(viewer).get("links") == [*links])


async def environment_of(rig: Rig, word: str) -> Mapping[str, str]:
    """The environment of the one codex that has this word in its command line."""

    def found() -> list[Found]:
        below = processes_below(rig.root.parent)
        return [it for it in below if it.command.startswith(rig.program.path) if word in it.command]

    await wait_until(lambda: len(found()) == 1, seconds=LIMIT)
    entries = files.read_file(f"/proc/{found()[0].pid}/environ", limit=10**6).decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def test_a_login_in_a_plain_terminal_becomes_a_link(every_rig: Rig) -> None:
    no_seeds = SeedSettings(store=str(every_rig.root.parent / "none.sqlite"))

    async def check() -> None:
        async with every_rig.session(plain=True, seeds=no_seeds, env=OFFLINE) as viewer:
            await opened(viewer)
            await until_shown(every_rig, viewer, "Sign in with ChatGPT")
            await viewer.client.request("key", key="Enter")
            await viewer.until(lambda _: terminal(viewer)["links"] != [])
            links = terminal(viewer)["links"]
            assert isinstance(links, list)
            link = str(links[0])
            assert link.startswith("https://auth.openai.com/oauth/authorize?response_type=")
            assert "code_challenge=" in link
            # A person who followed or does not want it has it out of the way.
            await viewer.client.request("dismiss_link", link=link)
            await until_links(viewer)
            assert terminal(viewer)["status"] == "running"

    asyncio.run(check())


def test_the_last_few_links_are_kept_and_go_with_the_terminal(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")]) as model, rig.session(model) as viewer:
            await opened(viewer)
            for link in (ONE, TWO, ONE, THREE, "javascript:alert(1)", FOUR):
                done = await asked_to_open(rig, viewer, link, name="xdg-open")
                assert done.exit_status == (3 if link.startswith("java") else 0)
            await until_links(viewer, TWO, THREE, FOUR)
            await viewer.client.request("dismiss_link", link=THREE)
            await viewer.client.request("dismiss_link", link="https://example.org/unknown")
            await until_links(viewer, TWO, FOUR)
            await viewer.client.request("close_terminal")
            await until_terminal(viewer, "ended")
            assert terminal(viewer)["links"] == []
            assert not (place(rig, viewer) / "bin").exists()
            # The next one has its own.
            await opened(viewer)
            await asked_to_open(rig, viewer, ONE)
            await until_links(viewer, ONE)

    asyncio.run(check())


def test_codex_in_the_terminal_finds_the_stand_in_and_the_conversation_does_not(
    every_rig: Rig,
) -> None:
    async def check() -> None:
        async with every_rig.model([say("one")]) as model, every_rig.session(model) as viewer:
            await opened(viewer)
            folder = str(place(every_rig, viewer) / "bin")
            face = await environment_of(every_rig, " resume ")
            assert face["BROWSER"] == f"{folder}/browser"
            server = await environment_of(every_rig, "app-server")
            assert face["PATH"] == f"{folder}:{server['PATH']}"
            assert "BROWSER" not in server
            assert shutil.which("xdg-open", path=face["PATH"]) == f"{folder}/xdg-open"

    asyncio.run(check())


def test_a_command_in_the_sandbox_shows_nobody_a_link(every_rig: Rig) -> None:
    async def check() -> None:
        # $BROWSER is what programs call; the file behind it is a try to go past it.
        straight = f'echo "{TWO}" >> "${{BROWSER%/bin/*}}/links" || echo refused'
        script = f'("$BROWSER" "{ONE}"; echo $?; {straight}) > said 2>&1'
        async with (
            every_rig.model([command(script), say("one")]) as model,
            every_rig.session(model, plain=True) as viewer,
        ):
            await opened(viewer)
            await typed(viewer, "go on")
            await until_shown(every_rig, viewer, "• one")
            first, status, *_, last = (every_rig.cwd / "said").read_text().splitlines()
            assert first == f"There is no browser here. The person is to open this link: {ONE}"
            assert (status, last) == ("3", "refused")
            # What comes now came later.
            await asked_to_open(every_rig, viewer, FOUR)
            await until_links(viewer, FOUR)

    asyncio.run(check())


def test_a_killed_host_leaves_no_reader_of_links(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")]) as model:
            entry = await rig.start(rig.spec(settings=rig.settings(model)))
            async with Viewer.of(entry) as viewer:
                await opened(viewer)
                reader = f"tail -c +1 -f {place(rig, viewer)}/links"
                assert rig.runs(reader)
                os.kill(entry.pid, signal.SIGKILL)
                await viewer.until_hung_up()
            await wait_until(lambda: processes_below(rig.root.parent) == [], seconds=LIMIT)

    asyncio.run(check())


def test_a_terminal_goes_on_without_the_reader_of_its_links(rig: Rig) -> None:
    async def check() -> None:
        async with (
            rig.model([say("one")]) as model,
            rig.session(model) as viewer,
        ):
            await opened(viewer)
            [reader] = [it for it in processes_below(rig.root.parent) if "tail -c" in it.command]
            os.kill(reader.pid, signal.SIGKILL)
            await typed(viewer, "go on")
            assert (await viewer.until_turn(0))["status"] == "completed"
            await viewer.client.request("close_terminal")
            await until_terminal(viewer, "ended")
            assert obj(viewer.session["terminal"])["detail"] == ""

    asyncio.run(check())
