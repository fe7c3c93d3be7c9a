"""The terminal of a session on the real codex, tmux and ttyd: one thread with two faces."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.environment import OFFLINE
from codex_nb.errors import HostError, SessionError
from codex_nb.hosts.local import LocalHost
from codex_nb.seeds.settings import SeedSettings
from codex_nb.sessions.processes import is_alive
from codex_nb.sessions.registry import list_sessions
from codex_nb.sessions.roots import fallback_root
from codex_nb.sessions.sockets import socket_folder
from tests.sessions.test_models import settings_with_two_models
from tests.support.processes import processes_below
from tests.support.sessions import LIMIT, Viewer, command, obj, say
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from tests.support.sessions import Rig

pytestmark = pytest.mark.integration

PLAIN_TERMINAL: JsonObject = {
    "status": "starting",
    "kind": "plain",
    "exit_status": None,
    "detail": "",
    "screen": "",
    "links": [],
}


def terminal(viewer: Viewer) -> JsonObject:
    return obj(viewer.session.get("terminal") or {})


async def opened(viewer: Viewer) -> None:
    await viewer.until_status("idle", "running", "waiting")
    await viewer.client.request("open_terminal")
    await until_terminal(viewer, "running")


async def until_terminal(viewer: Viewer, status: str) -> None:
    await viewer.until(lambda _: terminal(viewer).get("status") == status)


async def screen(rig: Rig, viewer: Viewer) -> str:
    """What the terminal shows, asked of its tmux."""
    socket = socket_folder(str(rig.place(viewer))) / "terminal/tmux.sock"
    show = ["tmux", "-S", str(socket), "capture-pane", "-p", "-S", "-200"]
    env = {"PATH": os.environ["PATH"]}
    done = await LocalHost().run(show, cwd="/", env=env, timeout=LIMIT)
    return done.stdout.decode(errors="replace")


async def until_shown(rig: Rig, viewer: Viewer, *words: str) -> None:
    """Wait until the terminal shows all of these words."""
    shown = ""
    try:
        async with asyncio.timeout(LIMIT):
            while not all(word in shown for word in words):
                shown = await screen(rig, viewer)
                assert terminal(viewer)["status"] == "running", f"ENDED {terminal(viewer)!s}"
                await asyncio.sleep(0.05)  # a screen tells nobody that it changed
    except TimeoutError:
        raise AssertionError(f"the terminal never showed {words}:\n{shown}") from None


async def typed(viewer: Viewer, text: str) -> None:
    await viewer.client.request("type", text=text, submit=True)


def private(answer: JsonObject) -> tuple[int, int]:
    """The modes of ttyd's socket and of its folder; the page must be one of ours."""
    socket = Path(str(answer["socket"]))
    assert b"codex-nb" in Path(str(answer["page"])).read_bytes()
    return stat.S_IMODE(socket.stat().st_mode), stat.S_IMODE(socket.parent.stat().st_mode)


def sockets(folder: Path) -> list[str]:
    """What is left of the sockets of a session, wherever they were."""
    places = (folder, fallback_root() / folder.name)
    return sorted(str(path) for place in places for path in place.rglob("*.sock"))


def ports(pid: int) -> list[str]:
    """The addresses at which a process listens, as the kernel writes them."""
    try:
        links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    except FileNotFoundError:  # it has ended
        return []
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        listens = "0A" if table.startswith("tcp") else "07"
        found += [row[1] for row in rows if row[9] in own and row[3] == listens]
    return found


def said(viewer: Viewer) -> list[object]:
    kinds = ("userMessage", "agentMessage")
    return [item["text"] for item in viewer.records("items") if item["type"] in kinds]


@pytest.mark.every_host
def test_a_turn_of_either_face_is_seen_in_the_other(every_rig: Rig) -> None:
    async def check() -> None:
        turns = ([say("first answer")], [say("second answer")], [say("third answer")])
        async with every_rig.model(*turns) as model, every_rig.session(model) as viewer:
            await viewer.turn("first question")
            await opened(viewer)
            await until_shown(every_rig, viewer, "first question", "first answer")
            await typed(viewer, "second question")
            assert (await viewer.until_turn(1))["status"] == "completed"
            await viewer.turn("third question")
            await until_shown(every_rig, viewer, "second answer", "third question", "third answer")
            assert said(viewer) == [
                *("first question", "first answer", "second question", "second answer"),
                *("third question", "third answer"),
            ]

    asyncio.run(check())


def test_a_terminal_opens_before_the_first_turn(every_rig: Rig) -> None:
    async def check() -> None:
        async with (
            every_rig.model([say("one")], [say("two")]) as model,
            every_rig.session(model) as viewer,
        ):
            await opened(viewer)
            await typed(viewer, "from the terminal")
            assert (await viewer.until_turn(0))["status"] == "completed"
            await viewer.turn("from the notebook")
            await until_shown(every_rig, viewer, "from the notebook", "two")
            assert said(viewer) == ["from the terminal", "one", "from the notebook", "two"]

    asyncio.run(check())


@pytest.mark.every_host
def test_an_approval_is_settled_in_both_wherever_it_is_answered(every_rig: Rig) -> None:
    async def check() -> None:
        ask = command(f"echo done >> {every_rig.outside}", ask=True)
        turns = ([ask, say("one")], [ask, say("two")])
        async with every_rig.model(*turns) as model, every_rig.session(model) as viewer:
            first = await viewer.client.request("send", text="first")
            question = await viewer.until_asked()
            # Opened in mid-turn: the question is there as well.
            await opened(viewer)
            await until_shown(every_rig, viewer, "Would you like to run")
            await viewer.client.request("answer", approval=question["id"], decision="accept")
            assert (await viewer.until_turn(first["index"]))["status"] == "completed"
            await until_shown(every_rig, viewer, "one")
            assert "Would you like to run" not in await screen(every_rig, viewer)
            second = await viewer.client.request("send", text="second")
            await viewer.until_asked()
            await until_shown(every_rig, viewer, "Would you like to run")
            await viewer.client.request("key", key="Enter")
            assert (await viewer.until_turn(second["index"]))["status"] == "completed"
            assert [a["status"] for a in viewer.records("approvals")] == ["accepted", "resolved"]
            assert every_rig.outside.read_text() == "done\ndone\n"

    asyncio.run(check())


def test_what_the_session_allows_stays_with_a_terminal(every_rig: Rig) -> None:
    async def check() -> None:
        turns = ([command("ls /"), say("one")], [command("touch made-by-codex"), say("two")])
        async with every_rig.model(*turns) as model:
            values = {"ask": "untrusted", "sandbox": "read-only"}
            async with every_rig.session(model, **values) as viewer:
                await opened(viewer)
                await typed(viewer, "first")
                await viewer.until(lambda t: t["turns"] != [])
                if every_rig.program.release >= (0, 163):  # 0.142 lets a plain ls pass
                    asked = await viewer.until_asked()
                    answer = {"approval": asked["id"], "decision": "accept"}
                    await viewer.client.request("answer", **answer)
                await viewer.until_turn(0)
                await viewer.client.request("send", text="second")
                asked = await viewer.until_asked()
                await viewer.client.request("answer", approval=asked["id"], decision="decline")
                await viewer.until_turn(1)
                assert not (every_rig.cwd / "made-by-codex").exists()

    asyncio.run(check())


def test_a_model_that_one_face_chose_is_used_by_the_other(every_rig: Rig) -> None:
    async def check() -> None:
        turns = [[say(f"answer {number}")] for number in range(3)]
        async with every_rig.model(*turns) as model:
            settings = settings_with_two_models(every_rig, model)
            async with every_rig.session(settings=settings) as viewer:
                await viewer.turn("first")
                await opened(viewer)
                await until_shown(every_rig, viewer, "answer 0")
                await viewer.client.request("select", model="small", effort="low")
                await until_shown(every_rig, viewer, "mall low")
                await typed(viewer, "second")
                await viewer.until_turn(1)
                # And back, in the terminal's own menu.
                await until_shown(every_rig, viewer, "answer 1")
                await typed(viewer, "/model")
                await until_shown(every_rig, viewer, "Select Model")
                await viewer.client.request("key", key="Up")
                await viewer.client.request("key", key="Enter")
                await until_shown(every_rig, viewer, "Select Reasoning Level")
                await viewer.client.request("key", key="Enter")
                await viewer.until(lambda _: viewer.session["model"] == "replay")
                await viewer.turn("third")
                assert [asked.model for asked in model.requests] == ["replay", "small", "replay"]

    asyncio.run(check())


@pytest.mark.every_host
def test_leaving_codex_is_told_and_it_opens_again(every_rig: Rig) -> None:
    async def check() -> None:
        async with (
            every_rig.model([say("one")], [say("two")]) as model,
            every_rig.session(model) as viewer,
        ):
            await viewer.turn("first")
            await opened(viewer)
            await until_shown(every_rig, viewer, "one")
            await typed(viewer, "/quit")
            await until_terminal(viewer, "ended")
            assert terminal(viewer) == {
                "status": "ended",
                "kind": "thread",
                "exit_status": 0,
                "detail": "",
                "screen": "",
                "links": [],
            }
            with pytest.raises(SessionError, match=r"^No terminal is open\."):
                await typed(viewer, "too late")
            # The conversation went on all the while, and so does the terminal.
            await viewer.turn("second")
            await opened(viewer)
            await until_shown(every_rig, viewer, "second", "two")
            await viewer.client.request("close_terminal")
            await until_terminal(viewer, "ended")
            assert viewer.session["status"] == "idle"

    asyncio.run(check())


def test_a_codex_that_fails_in_the_terminal_leaves_its_words(every_rig: Rig) -> None:
    async def check() -> None:
        async with every_rig.model([say("one")]) as model, every_rig.session(model) as viewer:
            await viewer.turn("first")
            await opened(viewer)
            await until_shown(every_rig, viewer, "one")
            (tui,) = [
                process.pid
                for process in processes_below(every_rig.root.parent)
                if process.command.startswith(every_rig.program.path)
                and " resume " in process.command
            ]
            os.kill(tui, signal.SIGKILL)
            await until_terminal(viewer, "ended")
            assert terminal(viewer)["exit_status"] == 128 + signal.SIGKILL
            assert "ended with exit status 137" in str(terminal(viewer)["detail"])
            assert "one" in str(terminal(viewer)["screen"])
            assert viewer.session["status"] == "idle"

    asyncio.run(check())


@pytest.mark.every_host
def test_viewers_get_private_sockets_and_nothing_is_left(every_rig: Rig) -> None:
    async def check() -> None:
        async with every_rig.model([say("one")]) as model, every_rig.session(model) as viewer:
            await opened(viewer)
            answers = [
                obj(await viewer.client.request("terminal", mode=mode))
                for mode in ("write", "view", "write")
            ]
            assert answers[0] == answers[2] != answers[1]
            assert [private(answer) for answer in answers] == [(0o600, 0o700)] * 3
            folder = every_rig.folder(viewer)
        assert processes_below(every_rig.root.parent) == []
        assert sockets(folder) == []

    asyncio.run(check())


def test_a_killed_host_leaves_no_process(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")]) as model:
            entry = await rig.start(rig.spec(settings=rig.settings(model)))
            async with Viewer.of(entry) as viewer:
                await opened(viewer)
                await viewer.client.request("terminal", mode="write")
                os.kill(entry.pid, signal.SIGKILL)
                await viewer.until_hung_up()
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
            await wait_until(lambda: processes_below(rig.root.parent) == [], seconds=LIMIT)
            [found] = list_sessions(rig.root)
            assert found.ended == "failed"
            assert sockets(Path(entry.folder)) == []

    asyncio.run(check())


@pytest.mark.parametrize("part", ["app-server", " resume ", "tmux -S", "ttyd"])
def test_a_part_that_is_killed_leaves_nothing_of_the_others(rig: Rig, part: str) -> None:
    async def check() -> None:
        async with (
            rig.model([say("one")]) as model,
            rig.session(model) as viewer,
        ):
            await opened(viewer)
            await viewer.client.request("terminal", mode="write")
            folder = rig.folder(viewer)
            parts = [it for it in processes_below(rig.root.parent) if part in it.command]
            assert parts != []
            for process in parts:
                os.kill(process.pid, signal.SIGKILL)
            if part == "ttyd":  # the next viewer has another one
                await wait_until(lambda: not rig.runs(part), seconds=LIMIT)
                await viewer.client.request("terminal", mode="write")
                assert terminal(viewer)["status"] == "running"
            elif part == "app-server":
                await viewer.until_hung_up()
            else:
                await until_terminal(viewer, "ended")
                assert (await viewer.turn("go on"))["status"] == "completed"
        await wait_until(lambda: processes_below(rig.root.parent) == [], seconds=LIMIT)
        assert sockets(folder) == []

    asyncio.run(check())


@pytest.mark.every_host
def test_a_session_with_a_terminal_opens_no_port(every_rig: Rig) -> None:
    async def check() -> None:
        async with every_rig.model([say("one")]) as model, every_rig.session(model) as viewer:
            await opened(viewer)
            for mode in ("write", "view"):
                await viewer.client.request("terminal", mode=mode)
            await viewer.turn("first")
            running = processes_below(every_rig.root.parent)
            assert len(running) > 4  # host, app-server, tmux, codex in it, ttyd twice
            assert {it.command: found for it in running if (found := ports(it.pid))} == {}

    asyncio.run(check())


def test_a_terminal_that_cannot_start_says_why_and_the_session_goes_on(rig: Rig) -> None:
    async def check() -> None:
        async with (
            rig.model([say("one")]) as model,
            rig.session(model, tmux="/nowhere/tmux") as viewer,
        ):
            await viewer.until_status("idle")
            with pytest.raises(HostError, match=r"^There is no tmux on local"):
                await viewer.client.request("open_terminal")
            await until_terminal(viewer, "failed")
            assert (await viewer.turn("go on"))["status"] == "completed"

    asyncio.run(check())


def test_there_is_no_socket_that_commands_could_reach(every_rig: Rig) -> None:
    async def check() -> None:
        async with every_rig.model([say("one")]) as model:
            settings = every_rig.settings(model)
            async with every_rig.session(network=True, settings=settings) as viewer:
                assert (await viewer.turn("go on"))["status"] == "completed"
                with pytest.raises(SessionError, match="could type in it"):
                    await viewer.client.request("open_terminal")
                assert sockets(every_rig.folder(viewer)) == [
                    str(every_rig.folder(viewer) / "host.sock")
                ]

    asyncio.run(check())


@pytest.mark.every_host
def test_a_plain_terminal_has_no_conversation_and_no_app_server(every_rig: Rig) -> None:
    async def check() -> None:
        async with (
            every_rig.model([say("one")]) as model,
            every_rig.session(model, plain=True) as viewer,
        ):
            assert terminal(viewer) == PLAIN_TERMINAL
            await opened(viewer)
            await typed(viewer, "first question")
            await until_shown(every_rig, viewer, "first question", "one")
            with pytest.raises(SessionError, match="a terminal without a conversation"):
                await viewer.client.request("send", text="and now?")
            running = [it.command for it in processes_below(every_rig.root.parent)]
            assert [it for it in running if "app-server" in it] == []
            await typed(viewer, "/quit")
            await until_terminal(viewer, "ended")
            assert (terminal(viewer)["exit_status"], viewer.session["status"]) == (0, "idle")
            # It opens again, with a thread of its own.
            await opened(viewer)
            await typed(viewer, "second question")
            await until_shown(every_rig, viewer, "second question", "one")
        assert processes_below(every_rig.root.parent) == []

    asyncio.run(check())


def test_a_person_logs_in_to_a_plain_terminal_and_the_login_can_be_kept(every_rig: Rig) -> None:
    no_seeds = SeedSettings(store=str(every_rig.root.parent / "none.sqlite"))

    async def check() -> None:
        async with every_rig.session(plain=True, seeds=no_seeds, env=OFFLINE) as viewer:
            await opened(viewer)
            await until_shown(every_rig, viewer, "Sign in with")
            folder = every_rig.folder(viewer)
            # As codex does when the person has done what the screen says.
            auth = folder / "codex" / "auth.json"
            auth.write_text('{"OPENAI_API_KEY": "sk-test"}')
            await viewer.client.request("key", key="C-c")
            await until_terminal(viewer, "ended")
            await viewer.until(lambda t: t["notices"] != [])
            [notice] = viewer.records("notices")
            assert notice["text"] == "You logged in to Codex in this session."
            assert "%codex_seed capture" in str(notice["hint"])
        assert auth.exists()

    asyncio.run(check())
