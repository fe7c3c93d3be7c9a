"""Sessions on an SSH host: what a cut, a kill, an unknown key and a closed session do to them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SessionError
from codex_nb.hosts.marks import marked_processes
from codex_nb.replay.scenario import Step
from codex_nb.sessions.processes import is_alive, mark_of
from tests.support.sessions import LIMIT, Viewer, command, obj, say
from tests.support.sshd import make_key, needs_sshd
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json
    from tests.support.sessions import Rig
    from tests.support.sshd import Sshd

pytestmark = [pytest.mark.integration, needs_sshd]

WORDS = " ".join(f"word-{n}" for n in range(4000))
PATIENCE: dict[str, object] = {"host_timeout": timedelta(seconds=6)}


def server(rig: Rig) -> Sshd:
    assert rig.sshd is not None
    return rig.sshd


def told(viewer: Viewer) -> list[tuple[Json, Json, Json]]:
    """What a conversation is, without the names and the times that differ each time."""
    return [(it["type"], it["text"], it["status"]) for it in viewer.records("items")]


def notices(viewer: Viewer) -> str:
    return json.dumps(viewer.records("notices"))


def test_a_conversation_with_cuts_is_the_one_without(ssh_rig: Rig) -> None:
    turn = [say("one"), command("seq 2000"), say(WORDS)]

    async def conversation(*, cuts: bool) -> list[tuple[Json, Json, Json]]:
        async with ssh_rig.model(turn) as model, ssh_rig.session(model) as viewer:
            await viewer.until_status("idle")
            answer = await viewer.client.request("send", text="go")
            if cuts:
                for _ in range(3):
                    server(ssh_rig).cut()
                    await viewer.until(lambda _: viewer.session["lost_at"] is not None)
                    await viewer.until(lambda _: viewer.session["lost_at"] is None)
            assert (await viewer.until_turn(answer["index"]))["status"] == "completed"
            numbers = [event["n"] for event in ssh_rig.events(viewer)]
            assert numbers == list(range(1, len(numbers) + 1))
            if cuts:
                assert "Nothing was lost" in notices(viewer)
            return told(viewer)

    async def check() -> None:
        assert await conversation(cuts=True) == await conversation(cuts=False)

    run(check())


def test_what_is_asked_and_said_during_an_outage_is_there_after_it(ssh_rig: Rig) -> None:
    hold = ssh_rig.root.parent / "hold"
    ask = command(f"until [ -e {hold} ]; do sleep 0.05; done; echo {WORDS}")

    async def check() -> None:
        turn = [ask, command("echo asked", ask=True), say("done")]
        async with ssh_rig.model(turn) as model, ssh_rig.session(model) as viewer:
            sshd = server(ssh_rig)
            answer = await viewer.client.request("send", text="go")
            await viewer.until(lambda _: viewer.items("commandExecution") != [])
            sshd.is_down = True
            sshd.cut()
            await viewer.until(lambda _: "box is out of reach since" in notices(viewer))
            hold.touch()
            # Codex goes on meanwhile: it asks its model, and then the person.
            await wait_until(lambda: len(model.requests) == 2, seconds=LIMIT)
            assert viewer.records("approvals") == []
            # What is said now is played later, and once.
            await viewer.client.request("send", text="and this")
            sshd.is_down = False
            await viewer.client.request("retry_host")
            asked = await viewer.until_asked()
            await viewer.client.request("answer", approval=asked["id"], decision="accept")
            assert (await viewer.until_turn(answer["index"]))["status"] == "completed"
            output = str(viewer.items("commandExecution")[0]["output"])
            assert output.strip() == WORDS
            await viewer.until_turn(1)
            assert [it["text"] for it in viewer.items("userMessage")] == ["go", "and this"]

    run(check())


def test_closing_leaves_nothing_there_and_the_thread_goes_on_later(ssh_rig: Rig) -> None:
    async def check() -> None:
        async with ssh_rig.model([say("one")], [say("two")]) as model:
            async with ssh_rig.session(model) as viewer:
                await viewer.turn("first")
                place, session = ssh_rig.place(viewer), str(viewer.session["id"])
                thread = viewer.session["thread_id"]
                assert place.stat().st_mode & 0o777 == 0o700
            assert not place.exists()
            assert marked_processes(mark_of(session)) == []
            spec = ssh_rig.spec(id=session, resume=thread, settings=ssh_rig.settings(model))
            async with ssh_rig.viewing(await ssh_rig.start(spec)) as again:
                await again.turn("second")
                assert again.session["thread_id"] == thread
                assert [it["text"] for it in again.items("agentMessage")] == ["one", "two"]
            assert model.requests[-1].said == ("first", "second")
            assert not place.exists()

    run(check())


def test_a_killed_session_host_leaves_nothing_there_and_loses_no_thread(ssh_rig: Rig) -> None:
    async def check() -> None:
        async with ssh_rig.model([say("one")], [say("two")]) as model:
            spec = ssh_rig.spec(settings=ssh_rig.settings(model), **PATIENCE)
            entry = await ssh_rig.start(spec)
            async with Viewer.of(entry) as viewer:
                await viewer.turn("first")
                place, thread = ssh_rig.place(viewer), viewer.session["thread_id"]
                await wait_until(lambda: keeps(entry.folder, "one"), seconds=LIMIT)
                os.kill(entry.pid, signal.SIGKILL)
                await viewer.until_hung_up()
            await wait_until(lambda: not place.exists(), seconds=LIMIT)
            assert marked_processes(mark_of(entry.id)) == []
            spec = ssh_rig.spec(id=entry.id, resume=thread, settings=ssh_rig.settings(model))
            async with ssh_rig.viewing(await ssh_rig.start(spec)) as again:
                second = await again.turn("second")
                assert second["error"] is None
                assert model.requests[-1].said == ("first", "second")

    run(check())


def keeps(folder: str, words: str) -> bool:
    """Whether the record of the thread that is kept here has these words."""
    found = Path(folder, "codex/sessions").rglob("rollout-*.jsonl")
    return any(f'"{words}"' in path.read_text() for path in found)


def test_a_host_that_stays_away_ends_the_session_on_both_sides(ssh_rig: Rig) -> None:
    async def check() -> None:
        async with ssh_rig.model([say("one")]) as model:
            entry = await ssh_rig.start(ssh_rig.spec(settings=ssh_rig.settings(model), **PATIENCE))
            async with Viewer.of(entry) as viewer:
                await viewer.turn("first")
                place = ssh_rig.place(viewer)
                server(ssh_rig).is_down = True
                server(ssh_rig).cut()
                await viewer.until_hung_up()
                assert viewer.session["status"] == "failed"
                said = f"{viewer.session['detail']} {viewer.session['hint']}"
                assert "box was out of reach for more than 6 s" in said
                assert "Send again" in said
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
            await wait_until(lambda: not place.exists(), seconds=LIMIT)
            assert marked_processes(mark_of(entry.id)) == []

    run(check())


def test_giving_up_is_quick_and_the_warden_ends_the_rest(ssh_rig: Rig) -> None:
    async def check() -> None:
        async with ssh_rig.model([Step(hold="for ever")]) as model:
            entry = await ssh_rig.start(ssh_rig.spec(settings=ssh_rig.settings(model), **PATIENCE))
            async with Viewer.of(entry) as viewer:
                await viewer.until_status("idle")
                await viewer.client.request("send", text="go")
                await viewer.until_status("running")
                place = ssh_rig.place(viewer)
                server(ssh_rig).is_down = True
                server(ssh_rig).cut()
                await viewer.until(lambda _: viewer.session["lost_at"] is not None)
                await viewer.client.request("close")
                await viewer.until_hung_up()
                assert viewer.session["status"] == "closed"
            assert place.exists()
            await wait_until(lambda: not place.exists(), seconds=LIMIT)
            assert marked_processes(mark_of(entry.id)) == []

    run(check())


@pytest.mark.parametrize("answer", ["accept", "accept once", "refuse", None])
def test_a_key_that_nobody_knows_is_asked_about(ssh_rig: Rig, answer: str | None) -> None:
    known = server(ssh_rig).known_hosts
    key = known.read_text()
    known.unlink()

    async def check() -> None:
        async with ssh_rig.model([say("one")]) as model:
            entry = await ssh_rig.start(ssh_rig.spec(settings=ssh_rig.settings(model)))
            async with Viewer.of(entry) as viewer:
                await viewer.until(lambda _: viewer.session["asks"] is not None)
                asks = obj(viewer.session["asks"])
                assert (asks["kind"], asks["key_type"]) == ("host_key", "ssh-ed25519")
                assert str(asks["fingerprint"]).startswith("SHA256:")
                with pytest.raises(SessionError, match="not open any more"):
                    await viewer.client.request("reply", question="other", answer="accept")
                await viewer.client.request("reply", question=asks["id"], answer=answer)
                if answer in ("accept", "accept once"):
                    assert (await viewer.turn("first"))["status"] == "completed"
                    await viewer.client.request("close")
                await viewer.until_hung_up()
                if answer not in ("accept", "accept once"):
                    assert viewer.session["status"] == "failed"
                    assert "was not accepted" in str(viewer.session["detail"])
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)

    run(check())
    kept = known.read_text() if known.exists() else ""
    assert (key.split()[-1] in kept) == (answer == "accept")


def test_a_passphrase_is_asked_for_and_written_nowhere(ssh_rig: Rig) -> None:
    sshd = server(ssh_rig)
    phrase = f"passphrase-{os.urandom(8).hex()}"
    locked = make_key(sshd.folder / "locked", passphrase=phrase)
    sshd.folder.joinpath("authorized_keys").write_text(Path(f"{locked}.pub").read_text())
    config = sshd.config.read_text().replace("user_key", "locked")
    sshd.config.write_text(config)

    async def check() -> None:
        async with ssh_rig.model([say("one")]) as model:
            entry = await ssh_rig.start(ssh_rig.spec(settings=ssh_rig.settings(model)))
            async with Viewer.of(entry) as viewer:
                await viewer.until(lambda _: viewer.session["asks"] is not None)
                asks = obj(viewer.session["asks"])
                assert "Passphrase of the key" in str(asks["text"])
                await viewer.client.request("reply", question=asks["id"], answer=phrase)
                assert (await viewer.turn("first"))["status"] == "completed"
                await viewer.client.request("close")
                await viewer.until_hung_up()
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)

    run(check())
    for path in ssh_rig.root.rglob("*"):
        assert path.is_dir() or phrase.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cwd": "/no/such/folder"}, "/no/such/folder on box is not a folder"),
        ({"cwd": "/"}, "Codex would be allowed to write everywhere below / on box"),
        ({"codex": "/no/such/codex"}, "There is no codex at /no/such/codex on box"),
        ({"codex": "/bin/true"}, "/bin/true on box is not codex"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(
    ssh_rig: Rig, values: dict[str, object], words: str
) -> None:
    async def check() -> None:
        entry = await ssh_rig.start(ssh_rig.spec(**values))
        async with Viewer.of(entry) as viewer:
            place = ssh_rig.place(viewer)
            await viewer.until_hung_up()
            assert viewer.session["status"] == "failed"
            assert words in str(viewer.session["detail"])
            assert viewer.session["hint"]
        await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
        assert not place.exists()

    asyncio.run(check())


def test_a_cut_leaves_the_terminal_as_it_was(ssh_rig: Rig) -> None:
    from tests.sessions.test_terminal import opened, typed, until_shown

    async def check() -> None:
        turns = [[say("first answer")], [say("second answer")]]
        async with ssh_rig.model(*turns) as model, ssh_rig.session(model) as viewer:
            await viewer.turn("first question")
            await opened(viewer)
            await until_shown(ssh_rig, viewer, "first answer")
            shown = await viewer.client.request("terminal", mode="write")
            server(ssh_rig).is_down = True
            server(ssh_rig).cut()
            await viewer.until(lambda _: viewer.session["lost_at"] is not None)
            told = obj((await viewer.client.request("terminal", mode="write"))["unreachable"])
            assert "box is out of reach since" in str(told["message"])
            server(ssh_rig).is_down = False
            await viewer.client.request("retry_host")
            await viewer.until(lambda _: viewer.session["lost_at"] is None)
            await typed(viewer, "second question")
            await viewer.until_turn(1)
            await until_shown(ssh_rig, viewer, "first answer", "second answer")
            assert await viewer.client.request("terminal", mode="write") == shown

    run(check())
