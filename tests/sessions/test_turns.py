"""What a session does with messages: one turn at a time, steered, interrupted, limited."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SessionError, UsageError
from codex_nb.replay.scenario import Failure, Step
from codex_nb.sessions.processes import marked_processes
from tests.support.sessions import Rig, command, obj, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.every_host

PATCH = """*** Begin Patch
*** Add File: new.txt
+made by codex
*** End Patch
"""

LEFTOVERS = {".git", ".codex", ".agents", ".aws"}


def prompts(items: list[JsonObject]) -> list[object]:
    """What the person said, in order."""
    return [item["text"] for item in items if item["type"] == "userMessage"]


PRINTED = {"commandExecution": "seen\n"}


def test_a_whole_turn_on_every_codex(every_rig: Rig) -> None:
    turn = [
        Step(
            think="**Looking**\n\nI look first.",
            say="I look.",
            plan=(("look", "in_progress"), ("write", "pending")),
            run=command("echo seen; sleep 0.3").run,
        ),
        Step(patch=PATCH),
        Step(plan=(("look", "completed"), ("write", "completed"))),
        say("It printed {output}"),
    ]

    async def check() -> None:
        async with every_rig.model(turn) as model, every_rig.session(model) as viewer:
            over = await viewer.turn("go")
            await viewer.until_status("idle")
            assert (over["status"], over["error"]) == ("completed", None)
            shown = [
                (item["type"], item["status"], str(item["text"]).strip(), item["output"])
                for item in viewer.records("items")
            ]
            if every_rig.program.version.startswith("0.142."):
                # It tells the end of a command in a race with the next answer of the model, at
                # times without its output; the model saw it, as the last message shows.
                shown = [(*one[:3], one[3] or PRINTED.get(str(one[0]), "")) for one in shown]
            assert shown == [
                ("userMessage", "completed", "go", ""),
                ("reasoning", "completed", "**Looking**\n\nI look first.", ""),
                ("agentMessage", "completed", "I look.", ""),
                ("commandExecution", "completed", "", PRINTED["commandExecution"]),
                ("fileChange", "completed", "", ""),
                ("agentMessage", "completed", "It printed seen", ""),
            ]
            plan = obj(viewer.transcript["plan"])
            assert plan["steps"] == [
                {"step": "look", "status": "completed"},
                {"step": "write", "status": "completed"},
            ]
            assert "+made by codex" in str(viewer.transcript["diff"])
            assert (every_rig.cwd / "new.txt").read_text() == "made by codex\n"
            usage = obj(viewer.transcript["usage"])
            assert int(str(obj(usage["total"])["total"])) > 0
            assert viewer.session["codex_version"] == every_rig.program.version

    run(check())


def test_a_second_prompt_waits_for_its_turn(rig: Rig) -> None:
    first = [Step(say="first", hold="go")]

    async def check() -> None:
        async with rig.model(first, [say("second")]) as model, rig.session(model) as viewer:
            places = [await viewer.client.request("send", text=text) for text in ("a", "b")]
            assert places == [{"index": 0}, {"index": 1}]
            await viewer.until_status("running")
            model.release("go")
            await viewer.until_turn(1)
            said = [str(item["text"]) for item in viewer.items("agentMessage")]
            assert said == ["first", "second"]
            assert prompts(viewer.records("items")) == ["a", "b"]
            first_turn, second_turn = viewer.records("turns")
            started, ended = second_turn["started_at"], first_turn["completed_at"]
            assert isinstance(started, float)
            assert isinstance(ended, float)
            assert ended <= started

    run(check())


def test_a_running_turn_can_be_steered(rig: Rig) -> None:
    turn = [command("while [ ! -e go ]; do sleep 0.02; done"), say("done")]

    async def check() -> None:
        async with rig.model(turn) as model, rig.session(model) as viewer:
            place = await viewer.client.request("send", text="start")
            await viewer.until(lambda _: viewer.items("commandExecution") != [])
            await viewer.client.request("steer", text="and hurry")
            (rig.cwd / "go").touch()
            await viewer.until_turn(place["index"])
            assert prompts(viewer.records("items")) == ["start", "and hurry"]
            assert len(viewer.records("turns")) == 1

    run(check())


def test_nothing_can_be_steered_when_no_turn_runs(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            with pytest.raises(SessionError, match="No turn is running") as caught:
                await viewer.client.request("steer", text="hurry")
            assert caught.value.hint == "Use run.send() to start one."
            with pytest.raises(UsageError, match="The message is empty"):
                await viewer.client.request("send", text="  ")

    run(check())


def test_an_interrupt_ends_the_turn_with_its_command(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        turn = [command("echo begun; touch begun; sleep 7654321"), say("never")]
        async with rig.model(turn, [say("next")]) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="start")
            await viewer.until(lambda _: viewer.items("commandExecution") != [])
            await wait_until((rig.cwd / "begun").exists)
            await viewer.client.request("interrupt")
            over = await viewer.until_turn(0)
            assert (over["status"], over["error"]) == ("interrupted", None)
            (item,) = viewer.items("commandExecution")
            # Codex 0.163 and later close it themselves, and 0.142 keeps the output to itself.
            assert (item["status"], item["output"]) in [
                ("failed", "begun\n"),
                ("interrupted", "begun\n"),
                ("interrupted", ""),
            ]
            assert item["completed_at"] is not None
            await wait_until(lambda: not rig.runs("sleep 7654321"))
            await viewer.until_status("idle")
            assert (await viewer.turn("go on"))["status"] == "completed"
        assert {path.name for path in rig.cwd.iterdir()} & LEFTOVERS == set()

    run(check())


def test_an_interrupt_ends_a_command_that_is_about_to_begin(every_rig: Rig) -> None:
    """Codex loses sight of a command whose sandbox is still being made."""
    rig = every_rig

    async def check() -> None:
        turn = [command("sleep 7654322"), say("never")]
        async with rig.model(turn, turn, turn) as model, rig.session(model) as viewer:
            for count in range(1, 4):
                await viewer.client.request("send", text=f"start {count}")
                await viewer.until(lambda _, n=count: len(viewer.items("commandExecution")) == n)  # type: ignore[misc]
                await viewer.client.request("interrupt")
                await viewer.until_turn(count - 1)
                await viewer.until_status("idle")
                await wait_until(lambda: not rig.runs("sleep 7654322"))

    run(check())


def test_an_interrupt_drops_what_waits_in_line(rig: Rig) -> None:
    turn = [Step(say="first", hold="never")]

    async def check() -> None:
        async with rig.model(turn) as model, rig.session(model) as viewer:
            for text in ("a", "b", "c"):
                await viewer.client.request("send", text=text)
            await viewer.until(lambda _: viewer.items("userMessage") != [])
            await viewer.client.request("interrupt")
            await viewer.until_turn(2)
            turns = [turn["status"] for turn in viewer.records("turns")]
            assert turns == ["interrupted"] * 3
            await viewer.until_status("idle")
            # Nothing that was said is lost.
            assert prompts(viewer.records("items")) == ["a", "b", "c"]
            assert {request.place.prompt for request in model.requests} <= {"a"}

    run(check())


def test_an_interrupt_before_codex_has_begun_counts(rig: Rig) -> None:
    turn = [Step(say="first", hold="never")]

    async def check() -> None:
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            await viewer.client.request("interrupt")
            over = await viewer.until_turn(0)
            assert over["status"] == "interrupted"
            await viewer.until_status("idle")

    run(check())


def test_an_interrupt_of_an_idle_session_does_not_touch_the_next_turn(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("fine")]) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            await viewer.client.request("interrupt")
            assert (await viewer.turn("a"))["status"] == "completed"

    run(check())


@pytest.mark.parametrize("is_own", [True, False])
def test_a_turn_that_takes_too_long_is_interrupted_and_says_so(rig: Rig, *, is_own: bool) -> None:
    turn = [Step(say="first", hold="never")]
    limit = {} if is_own else {"turn_timeout": timedelta(seconds=0.5)}

    async def check() -> None:
        async with rig.model(turn) as model, rig.session(model, **limit) as viewer:
            asked = {"timeout": 0.5} if is_own else {}
            await viewer.client.request("send", text="a", **asked)
            over = await viewer.until_turn(0)
            await viewer.until(lambda _: viewer.records("turns")[0]["error"] is not None)
            over = viewer.records("turns")[0]
            assert (over["status"], over["error"]) == (
                "interrupted",
                {
                    "message": "The turn took longer than 0.5 s and was interrupted.",
                    "hint": "Give it more time with --timeout, or ask for less at once.",
                    "kind": "timeout",
                },
            )
            await viewer.until_status("idle")

    run(check())


def test_an_error_of_the_model_fails_the_turn_and_not_the_session(rig: Rig) -> None:
    failure = Failure(status=400, code="invalid_request_error", message="No such model.")

    async def check() -> None:
        turns = ([Step(error=failure)], [say("better")])
        async with rig.model(*turns) as model, rig.session(model) as viewer:
            over = await viewer.turn("a")
            assert over["status"] == "failed"
            assert "No such model." in str(obj(over["error"])["message"])
            await viewer.until_status("idle")
            assert (await viewer.turn("b"))["status"] == "completed"

    run(check())


def test_an_unreachable_model_fails_the_turn_in_time(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("never")]) as model:
            settings = rig.settings(model)
        # The model is gone now, and its port is closed.
        limit = timedelta(seconds=1)
        async with rig.session(settings=settings, reconnect_timeout=limit) as viewer:
            over = await viewer.turn("a")
            await viewer.until_status("idle")
            over = viewer.records("turns")[0]
            error = obj(over["error"])
            assert over["status"] == "failed"
            assert str(error["message"]).startswith("The model could not be reached for 1 s: ")
            assert error["hint"] == "Check the network and the provider, then send again."

    run(check())


def test_a_process_that_a_command_sent_away_ends_with_the_session(rig: Rig) -> None:
    started = "setsid sh -c 'sleep 7654322' >/dev/null 2>&1 & sleep 0.2; echo sent"

    async def check() -> None:
        turn = [command(started, ask=True), say("done")]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            place = await viewer.client.request("send", text="a")
            approval = await viewer.until_asked()
            await viewer.client.request("answer", approval=approval["id"], decision="accept")
            await viewer.until_turn(place["index"])
            assert rig.runs("sleep 7654322")
        assert not rig.runs("sleep 7654322")
        assert marked_processes(str(viewer.session["id"])) == []

    run(check())


def test_codex_and_its_commands_see_no_login_and_no_folder_of_the_user(rig: Rig) -> None:
    async def check() -> None:
        async with (
            rig.model([command("env"), say("done")]) as model,
            rig.session(model, env={"GIVEN": "yes"}) as viewer,
        ):
            await viewer.turn("a")
            (item,) = viewer.items("commandExecution")
            lines = str(item["output"]).splitlines()
            seen = dict(line.split("=", 1) for line in lines if "=" in line)
            folder = rig.place(viewer)
            names = ("HOME", "CODEX_HOME", "TMPDIR", "GIVEN", "JUPYTER_RUNTIME_DIR")
            assert {name: seen.get(name) for name in names} == {
                "HOME": str(folder / "home"),
                "CODEX_HOME": str(folder / "codex"),
                "TMPDIR": str(folder / "tmp"),
                "GIVEN": "yes",
                "JUPYTER_RUNTIME_DIR": None,
            }
        assert not (folder / "tmp").exists()

    run(check())
