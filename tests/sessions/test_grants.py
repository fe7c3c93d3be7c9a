"""What the grants of an approval say is what the real codex then does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from codex_nb.replay.scenario import Step, ToolCall
from tests.support.sessions import Rig, Viewer, command, obj, say
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.integration

EVERYTHING = "read and write every file of your account on this machine, and use the network."

# An MCP server of one tool, which does nothing and calls itself destructive.
SERVER = """
import json, sys
TOOL = {"name": "poke", "description": "Pokes", "inputSchema": {"type": "object"},
        "annotations": {"destructiveHint": True, "readOnlyHint": False}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answers = {
        "initialize": lambda: {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "stick", "version": "1"},
        },
        "tools/list": lambda: {"tools": [TOOL]},
        "tools/call": lambda: {"content": [{"type": "text", "text": "poked"}]},
    }
    result = answers.get(message["method"], dict)()
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def execute(cmd: str, **arguments: Json) -> Step:
    return Step(
        tool=ToolCall(
            name="exec_command", arguments={"cmd": cmd, "yield_time_ms": 5000, **arguments}
        )
    )


async def accepted(viewer: Viewer, decision: str = "accept") -> JsonObject:
    """Accept the next question and return it as it was asked."""
    asked = await viewer.until_asked()
    await viewer.client.request("answer", approval=asked["id"], decision=decision)
    return asked


def test_a_command_with_a_reason_runs_outside(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        turn = [command(f"touch {rig.outside}; true", ask=True), say("ok")]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            asked = await accepted(viewer)
            assert asked["grants"] == [f"Runs outside the sandbox: it may {EVERYTHING}"]
            await viewer.until_turn(0)
            assert rig.outside.exists()

    run(check())


def test_what_is_asked_in_any_case_runs_inside_and_perhaps_outside_after_that(
    every_rig: Rig,
) -> None:
    rig = every_rig

    async def check() -> None:
        inside = f"echo x >> tries; touch {rig.outside}"
        turns = ([execute(f"{inside}; true"), say("ok")], [execute(inside), say("ok")])
        async with rig.model(*turns) as model, rig.session(model, ask="untrusted") as viewer:
            for turn in range(2):
                await viewer.client.request("send", text="a")
                asked = await accepted(viewer)
                assert asked["grants"] == [
                    "May run outside the sandbox, at once or after the sandbox stopped it: "
                    f"it may then {EVERYTHING}"
                ]
                await viewer.until_turn(turn)
                assert turn == 1 or not rig.outside.exists()
            # The second one failed inside. Codex runs it again outside, without a question, if
            # that came quickly enough.
            tries = (rig.cwd / "tries").read_text().split()
            assert len(tries) == 2 + rig.outside.exists()
            assert len(viewer.records("approvals")) == 2

    run(check())


def test_a_command_that_codex_finds_dangerous_stays_inside(rig: Rig) -> None:
    victim = rig.root.parent / "victim"

    async def check() -> None:
        victim.mkdir()
        turn = [execute(f"rm -rf {victim}"), say("ok")]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            asked = await accepted(viewer)
            assert asked["grants"] == [
                f"May run outside the sandbox, which Codex does not say: it may then {EVERYTHING}"
            ]
            await viewer.until_turn(0)
            assert victim.exists()

    run(check())


def test_without_a_sandbox_the_approval_says_so(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        turn = [execute(f"touch {rig.outside}"), say("ok")]
        values = {"ask": "untrusted", "sandbox": "danger-full-access"}
        async with rig.model(turn) as model, rig.session(model, **values) as viewer:
            await viewer.client.request("send", text="a")
            asked = await accepted(viewer)
            assert asked["grants"] == [
                f"Runs without a sandbox, as all commands of this session: it may {EVERYTHING}"
            ]
            await viewer.until_turn(0)
            assert rig.outside.exists()

    run(check())


def test_a_rule_holds_for_longer_commands_outside_of_the_sandbox(rig: Rig) -> None:
    more = f"{rig.outside}-too"

    async def check() -> None:
        first = [command(f"touch {rig.outside}", ask=True), say("ok")]
        second = [execute(f"touch {rig.outside} {more}"), say("ok")]
        async with rig.model(first, second) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            asked = await accepted(viewer, "accept_rule")
            assert asked["rule"] == (
                "Until the session ends, run outside the sandbox and without asking every command "
                f"that begins with: touch {rig.outside}"
            )
            await viewer.until_turn(0)
            await viewer.turn("b")
            assert (rig.root.parent / "outside-too").exists()
            folder = rig.folder(viewer)
        # The rule goes with the session.
        assert list(folder.rglob("*.rules")) == []

    run(check())


def test_a_wider_sandbox_is_wider_by_what_was_said(every_rig: Rig) -> None:
    rig, other = every_rig, every_rig.root.parent / "other"

    async def check() -> None:
        other.mkdir()
        wider: JsonObject = {
            "sandbox_permissions": "with_additional_permissions",
            "additional_permissions": {
                "file_system": {"write": [str(other)]},
                "network": {"enabled": True},
            },
        }
        turn = [execute(f"touch {other}/a; touch {rig.outside}; true", **wider), say("ok")]
        async with rig.model(turn) as model:
            settings = rig.settings(model) | {"features": {"exec_permission_approvals": True}}
            async with rig.session(settings=settings) as viewer:
                await viewer.client.request("send", text="a")
                asked = await accepted(viewer)
                assert asked["grants"] == [
                    f"Runs in the sandbox, and may there write {other}.",
                    "Runs in the sandbox, and may there use the network.",
                ]
                await viewer.until_turn(0)
                assert ((other / "a").exists(), rig.outside.exists()) == (True, False)

    run(check())


def test_permissions_hold_for_the_commands_of_the_turn(every_rig: Rig) -> None:
    rig, other = every_rig, every_rig.root.parent / "other"

    async def check() -> None:
        other.mkdir()
        asked_for: JsonObject = {"file_system": {"write": [str(other)]}}
        arguments: JsonObject = {"reason": "r", "permissions": asked_for}
        ask = Step(tool=ToolCall(name="request_permissions", arguments=arguments))
        turns = (
            [ask, execute(f"touch {other}/a"), say("1")],
            [execute(f"touch {other}/b"), say("2")],
        )
        async with rig.model(*turns) as model:
            settings = rig.settings(model) | {"features": {"request_permissions_tool": True}}
            async with rig.session(settings=settings) as viewer:
                await viewer.client.request("send", text="a")
                asked = await accepted(viewer)
                assert (asked["kind"], asked["grants"]) == (
                    "permissions",
                    [
                        f"Commands may then write {other}.",
                        "It holds until the turn ends, or until the session ends if you accept it "
                        "for that.",
                    ],
                )
                await viewer.until_turn(0)
                await viewer.turn("b")
                assert [path.name for path in other.iterdir()] == ["a"]

    run(check())


def test_a_patch_says_where_it_writes(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        patch = (
            "*** Begin Patch\n*** Add File: inside.txt\n+x\n"
            f"*** Add File: {rig.outside}\n+x\n*** End Patch\n"
        )
        turn = [Step(patch=patch), say("ok")]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            asked = await accepted(viewer)
            assert asked["grants"] == [
                f"Changes what commands may not write by themselves: {rig.outside}.",
                f"Changes what commands may write as well: {rig.cwd}/inside.txt.",
            ]
            await viewer.until_turn(0)
            assert (rig.outside.exists(), (rig.cwd / "inside.txt").exists()) == (True, True)

    run(check())


def test_a_tool_is_linked_to_its_call_and_can_be_accepted_for_the_session(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        program = rig.root.parent / "stick.py"
        program.write_text(SERVER)
        poke = Step(tool=ToolCall(name="poke", namespace="mcp__stick", arguments={}))
        async with rig.model([poke, say("{output}")], [poke, say("2")]) as model:
            server: JsonObject = {"command": sys.executable, "args": [str(program)]}
            settings = rig.settings(model) | {"mcp_servers": {"stick": server}}
            async with rig.session(settings=settings) as viewer:
                await viewer.client.request("send", text="a")
                asked = await accepted(viewer, "accept_for_session")
                (call,) = viewer.items("mcpToolCall")
                assert {key: asked[key] for key in ("kind", "title", "item")} == {
                    "kind": "tool",
                    "title": "Run the tool poke of stick",
                    "item": call["id"],
                }
                grants = asked["grants"]
                assert isinstance(grants, list)
                assert grants[0] == (
                    "Runs in stick, which no sandbox confines: the server decides what it may do."
                )
                await viewer.until_turn(0)
                await viewer.turn("b")
                assert len(viewer.records("approvals")) == 1
                statuses = [item["status"] for item in viewer.items("mcpToolCall")]
                assert statuses == ["completed"] * 2
                assert obj(viewer.items("mcpToolCall")[0]["body"])["tool"] == "poke"

    run(check())
