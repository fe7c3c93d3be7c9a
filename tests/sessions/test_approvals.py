"""What codex may not do by itself is asked, answered once, and refused when nobody answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SessionError, UsageError
from codex_nb.replay.scenario import Step
from tests.support.sessions import Rig, Viewer, command, obj, say
from tests.support.waiting import run

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.every_host


def asking(target: Path) -> list[Step]:
    """A turn that wants to write outside of the sandbox."""
    return [command(f"echo done >> {target}", ask=True), say("It said {output}")]


async def decide(viewer: Viewer, decision: str, reason: str = "") -> JsonObject:
    """Answer the next question, and return the approval as it is then."""
    asked = await viewer.until_asked()
    await viewer.client.request("answer", approval=asked["id"], decision=decision, reason=reason)
    await viewer.until(lambda _: find(viewer, asked)["status"] != "pending")
    return find(viewer, asked)


def find(viewer: Viewer, approval: JsonObject) -> JsonObject:
    return next(a for a in viewer.records("approvals") if a["id"] == approval["id"])


def test_an_accepted_command_runs_outside_of_the_sandbox(every_rig: Rig) -> None:
    async def check() -> None:
        async with (
            every_rig.model(asking(every_rig.outside)) as model,
            every_rig.session(model) as viewer,
        ):
            await viewer.client.request("send", text="a")
            asked = await viewer.until_asked()
            await viewer.until_status("waiting")
            assert {key: asked[key] for key in ("kind", "title", "reason", "status", "note")} == {
                "kind": "command",
                "title": "Run a command",
                "reason": "May I?",
                "status": "pending",
                "note": "",
            }
            assert str(every_rig.outside) in str(asked["command"])
            assert not every_rig.outside.exists()
            settled = await decide(viewer, "accept")
            assert (settled["status"], settled["decision"]) == ("accepted", "accept")
            assert (await viewer.until_turn(0))["status"] == "completed"
            assert every_rig.outside.read_text() == "done\n"
            await viewer.until_status("idle")

    run(check())


def test_a_change_accepted_for_the_session_is_not_asked_again(rig: Rig) -> None:
    def change(before: str, after: str) -> list[Step]:
        head = (
            f"Update File: {rig.outside}\n@@\n-{before}" if before else f"Add File: {rig.outside}"
        )
        return [Step(patch=f"*** Begin Patch\n*** {head}\n+{after}\n*** End Patch\n"), say("ok")]

    async def check() -> None:
        turns = (change("", "one"), change("one", "two"))
        async with rig.model(*turns) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            settled = await decide(viewer, "accept_for_session")
            assert [settled[key] for key in ("kind", "status", "decision")] == [
                *("file_change", "accepted", "accept_for_session")
            ]
            await viewer.until_turn(0)
            assert rig.outside.read_text() == "one\n"
            await viewer.turn("b")
            assert rig.outside.read_text() == "two\n"
            assert len(viewer.records("approvals")) == 1

    run(check())


def test_a_command_accepted_for_the_session_is_not_asked_again(every_rig: Rig) -> None:
    async def check() -> None:
        turn = [command(f"touch {every_rig.outside}", ask=True), say("ok")]
        async with every_rig.model(turn, turn) as model, every_rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            settled = await decide(viewer, "accept_for_session")
            assert (settled["status"], settled["decision"]) == ("accepted", "accept_for_session")
            await viewer.until_turn(0)
            every_rig.outside.unlink()
            await viewer.turn("b")
            assert every_rig.outside.exists()
            assert len(viewer.records("approvals")) == 1

    run(check())


def test_a_command_accepted_by_a_rule_is_not_asked_again(rig: Rig) -> None:
    async def check() -> None:
        turn = [command(f"touch {rig.outside}", ask=True), say("ok")]
        async with rig.model(turn, turn) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            settled = await decide(viewer, "accept_rule")
            assert settled["rule"] == (
                "Until the session ends, run outside the sandbox and without asking every command "
                f"that begins with: touch {rig.outside}"
            )
            await viewer.until_turn(0)
            rig.outside.unlink()
            await viewer.turn("b")
            assert rig.outside.exists()
            assert len(viewer.records("approvals")) == 1

    run(check())


def test_a_declined_command_does_not_run_and_the_turn_goes_on(every_rig: Rig) -> None:
    async def check() -> None:
        async with (
            every_rig.model(asking(every_rig.outside)) as model,
            every_rig.session(model) as viewer,
        ):
            await viewer.client.request("send", text="a")
            settled = await decide(viewer, "decline")
            assert (settled["status"], settled["decision"]) == ("declined", "decline")
            assert (await viewer.until_turn(0))["status"] == "completed"
            assert not every_rig.outside.exists()
            assert [item["status"] for item in viewer.items("commandExecution")] == ["declined"]

    run(check())


def test_the_reason_of_a_refusal_reaches_the_model(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        async with rig.model(asking(every_rig.outside)) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            settled = await decide(viewer, "decline", "Use the other file.")
            assert settled["note"] == "Use the other file."
            await viewer.until_turn(0)
            await viewer.until_status("idle")
            assert model.requests[-1].said == ("a", "I declined this: Use the other file.")
        said = [item["text"] for item in viewer.items("userMessage")]
        assert said == ["a", "I declined this: Use the other file."]

    run(check())


def test_a_cancelled_question_ends_the_turn(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(asking(rig.outside)) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            settled = await decide(viewer, "cancel")
            assert (settled["status"], settled["decision"]) == ("cancelled", "cancel")
            assert (await viewer.until_turn(0))["status"] == "interrupted"
            assert not rig.outside.exists()
            await viewer.until_status("idle")

    run(check())


def test_a_question_that_nobody_answers_is_declined(rig: Rig) -> None:
    async def check() -> None:
        limit = timedelta(seconds=0.6)
        async with (
            rig.model(asking(rig.outside)) as model,
            rig.session(model, approval_timeout=limit) as viewer,
        ):
            over = await viewer.turn("a")
            (approval,) = viewer.records("approvals")
            assert over["status"] == "completed"
            assert [approval[key] for key in ("status", "decision", "note")] == [
                "expired",
                "decline",
                "Nobody answered within 0.6 s, so it was declined.",
            ]
            assert not rig.outside.exists()
            await viewer.until_status("idle")

    run(check())


def test_the_first_of_two_answers_counts(rig: Rig) -> None:
    async def check() -> None:
        async with (
            rig.model(asking(rig.outside)) as model,
            rig.session(model) as one,
            Viewer.of(rig.hosts[0]) as two,
        ):
            await one.client.request("send", text="a")
            asked = await one.until_asked()
            await two.until_asked()
            answers = await asyncio.gather(
                one.client.request("answer", approval=asked["id"], decision="decline"),
                two.client.request("answer", approval=asked["id"], decision="accept"),
                return_exceptions=True,
            )
            refused = [answer for answer in answers if isinstance(answer, SessionError)]
            assert [error.hint for error in refused] == ["The first answer counts."]
            await one.until_turn(0)
            (approval,) = one.records("approvals")
            assert (approval["status"] == "accepted") == rig.outside.exists()

    run(check())


def test_an_unattended_session_refuses_at_once(rig: Rig) -> None:
    async def check() -> None:
        async with (
            rig.model(asking(rig.outside)) as model,
            rig.session(model, unattended=True) as viewer,
        ):
            over = await viewer.turn("a")
            (approval,) = viewer.records("approvals")
            assert over["status"] == "completed"
            assert [approval[key] for key in ("status", "decision", "note")] == [
                "declined",
                "decline",
                "Nobody could be asked, so it was declined.",
            ]
            assert not rig.outside.exists()

    run(check())


def test_an_interrupt_settles_what_was_asked(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(asking(rig.outside)) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            asked = await viewer.until_asked()
            await viewer.client.request("interrupt")
            assert (await viewer.until_turn(0))["status"] == "interrupted"
            assert find(viewer, asked)["status"] == "resolved"
            await viewer.until_status("idle")
            with pytest.raises(SessionError, match="approval"):
                await viewer.client.request("answer", approval=asked["id"], decision="accept")
            assert not rig.outside.exists()

    run(check())


def test_a_wrong_answer_is_refused_and_the_question_stays(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(asking(rig.outside)) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            asked = await viewer.until_asked()
            with pytest.raises(UsageError, match="'perhaps' is no decision"):
                await viewer.client.request("answer", approval=asked["id"], decision="perhaps")
            with pytest.raises(SessionError, match="There is no approval 'x'"):
                await viewer.client.request("answer", approval="x", decision="accept")
            assert find(viewer, asked)["status"] == "pending"
            await decide(viewer, "decline")
            await viewer.until_turn(0)

    run(check())


@pytest.mark.parametrize("posture", ["network", "danger"])
def test_a_command_of_codex_cannot_answer_its_own_question(rig: Rig, posture: str) -> None:
    values = {"network": True} if posture == "network" else {"sandbox": "danger-full-access"}
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try:\n"
        "    s.connect(sys.argv[1])\n"
        '    s.sendall(b\'{"id":1,"op":"hello","since":null}\\n\')\n'
        "    print('got', len(s.recv(100)))\n"
        "except OSError as error:\n"
        "    print('refused', error.errno)\n"
    )

    async def check() -> None:
        (rig.cwd / "knock.py").write_text(program)
        knock = command("python3 knock.py $(dirname $CODEX_HOME)/host.sock")
        async with rig.model([knock, say("done")]) as model, rig.session(model, **values) as viewer:
            await viewer.turn("a")
            (item,) = viewer.items("commandExecution")
            output = str(item["output"])
            # Hung up on before a frame, or not even connected.
            assert output == "got 0\n" or output.startswith("refused "), output
            assert obj(viewer.session)["status"] in ("idle", "running")

    run(check())
