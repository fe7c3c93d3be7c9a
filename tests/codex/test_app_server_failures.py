"""An app-server that does not start, does not answer or does not end."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import AppServerError
from codex_nb.protocol.messages import Malformed, Message, ServerRequest
from tests.codex.rig import Rig
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.programs import program_at, write_program
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.codex.app_server import AppServer
    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import JsonObject

HANDSHAKE = """
read -r line; echo '{"id":1,"result":{"userAgent":"stand-in"}}'
read -r line; read -r line; echo '{"id":2,"result":{}}'
"""
"""What a program must say to count as started; more than that only when a test needs it."""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(program=program_at(tmp_path / "codex"), root=tmp_path)


async def started(rig: Rig, script: str) -> AppServer:
    write_program(Path(rig.program.path), script)
    await rig.lay_out()
    return await rig.start()


@pytest.mark.parametrize("program", EVERY_CODEX)
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model": 5}, "invalid type: integer `5`, expected a string"),
        ({"model_provider": "nope"}, "Model provider `nope` not found"),
    ],
)
def test_settings_that_codex_refuses_are_told_in_its_words(
    program: CodexProgram, tmp_path: Path, config: JsonObject, words: str
) -> None:
    rig = Rig(program=program, root=tmp_path)

    async def scenario() -> None:
        await rig.lay_out(config)
        await rig.start()

    with pytest.raises(AppServerError, match=r"^codex cannot use its settings: ") as caught:
        run(scenario())
    assert words in caught.value.message
    rig.assert_gone()


def test_a_missing_program_is_named(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.lay_out()
        await rig.start()

    with pytest.raises(AppServerError, match=r"codex app-server did not start: .*No such file"):
        run(scenario())


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        (
            "echo 'token=abc oh no' >&2; exit 3",
            "codex app-server ended with exit status 3: token=[secret] oh no",
            "Its last lines on stderr:\ntoken=[secret] oh no",
        ),
        ("kill -9 $$", "codex app-server ended with signal 9.", "It wrote nothing to stderr."),
        (
            "read -r line; exec >&-; exec sleep 60",
            "codex app-server ended with signal 15.",
            "It wrote nothing to stderr.",
        ),
        (
            'read -r line; echo \'{"id":1,"error":{"code":-1,"message":"go away"}}\'; cat',
            "codex app-server did not start: codex refused `initialize`: go away",
            "",
        ),
    ],
)
def test_a_failed_start_says_why_and_leaves_nothing(
    rig: Rig, script: str, message: str, hint: str
) -> None:
    with pytest.raises(AppServerError) as caught:
        run(started(rig, script))
    assert (caught.value.message, caught.value.hint) == (message, hint)
    rig.assert_gone()


def test_a_program_that_never_answers_is_given_up(rig: Rig) -> None:
    async def scenario() -> None:
        write_program(Path(rig.program.path), "echo waiting >&2; sleep 60 & wait")
        await rig.lay_out()
        await rig.start(start_timeout=0.3)

    with pytest.raises(
        AppServerError, match=r"did not answer `initialize` within 0\.3 s"
    ) as caught:
        run(scenario())
    assert caught.value.hint == "Its last lines on stderr:\nwaiting"
    rig.assert_gone()


def test_a_cancelled_start_leaves_nothing(rig: Rig) -> None:
    async def scenario() -> bool:
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(started(rig, "exec sleep 60"))
            await wait_until(lambda: rig.processes() != [])
            starting.cancel()
        return starting.cancelled()

    assert run(scenario())
    rig.assert_gone()


def test_a_program_that_does_not_end_is_killed_and_the_log_says_so(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> int:
        server = await started(rig, f"trap '' TERM; {HANDSHAKE}\nwhile :; do sleep 1; done")
        return await server.close(grace=0.2)

    with caplog.at_level(logging.WARNING):
        assert run(scenario()) == -9
    assert [record.getMessage() for record in caplog.records] == [
        "codex app-server had to be killed"
    ]
    rig.assert_gone()


def test_a_cancelled_close_kills(rig: Rig) -> None:
    async def scenario() -> int:
        server = await started(rig, f"trap '' TERM; {HANDSHAKE}\nwhile :; do sleep 1; done")
        async with asyncio.TaskGroup() as tasks:
            closing = tasks.create_task(server.close(grace=30))
            await asyncio.sleep(0)
            closing.cancel()
        return await server.close()

    assert run(scenario(), seconds=20) == -9
    rig.assert_gone()


STAND_IN = """
import json, sys
def send(**message):
    sys.stdout.write(json.dumps(message) + "\\n"); sys.stdout.flush()
sys.stdin.readline()
send(id=1, result={"userAgent": "stand-in"})
sys.stdin.readline()
sys.stdin.readline()
send(id=2, result={})
send(id=0, method="ask/one")
send(id="s", method="ask/two", params={"a": 1})
print("no message", flush=True)
for line in (sys.stdin.readline(), sys.stdin.readline()):
    send(method="heard", params=json.loads(line))
"""
"""What codex asks only with a model behind it, and never malformed."""


def test_requests_of_codex_keep_their_order_and_their_ids(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)

    async def scenario() -> list[Message]:
        server = await started(rig, f"exec {sys.executable} {tmp_path}/stand_in.py")
        got: list[Message] = []
        async for message in server.messages():
            got.append(message)
            if isinstance(message, ServerRequest) and message.id == 0:
                await server.answer(0, {"decision": "accept"})
            elif isinstance(message, ServerRequest):
                await server.refuse(message.id, -32601, "never heard of it")
        assert await server.close() == 0
        return got

    got = run(scenario())
    assert got[:3] == [
        ServerRequest(id=0, method="ask/one", params={}),
        ServerRequest(id="s", method="ask/two", params={"a": 1}),
        replace(got[2], head="no message", size=10) if isinstance(got[2], Malformed) else None,
    ]
    assert [getattr(message, "params", None) for message in got[3:]] == [
        {"id": 0, "result": {"decision": "accept"}},
        {"id": "s", "error": {"code": -32601, "message": "never heard of it"}},
    ]


@pytest.mark.parametrize("program", ONE_CODEX)
def test_a_program_behind_a_launcher_ends_as_well(program: CodexProgram, tmp_path: Path) -> None:
    launcher = write_program(tmp_path / "bin/codex", f'{program.path} "$@"; exit $?')
    rig = Rig(program=program_at(launcher), root=tmp_path)

    async def scenario() -> int:
        async with rig.running() as server:
            return await server.close()

    assert run(scenario()) == 0
    rig.assert_gone()
