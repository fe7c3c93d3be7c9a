from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex import inbox
from codex_nb.codex.posture import Posture
from codex_nb.codex.sandbox import Leftovers
from codex_nb.errors import AppServerError, ProtocolError, RemoteError
from codex_nb.hosts.local_process import HIGH_WATER
from codex_nb.protocol.messages import Notification, ServerRequest
from tests.codex.rig import LIMIT, Rig, next_message
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.loopback_model import loopback_model, settings
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.codex.app_server import AppServer
    from codex_nb.protocol.messages import Json, JsonObject

OWN_VARIABLES = {
    *("CODEX_SANDBOX_NETWORK_DISABLED", "CODEX_APPLY_PATCH_PRESERVE_LINE_ENDINGS"),
    *("CODEX_SANDBOX", "PWD", "OLDPWD", "SHLVL", "_"),
}
"""What codex and the shell add to the environment of a command."""


@pytest.fixture(params=[False, True], ids=["stdio", "socket"])
def listens(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=EVERY_CODEX)
def rig(request: pytest.FixtureRequest, tmp_path: Path, listens: bool) -> Rig:
    return Rig(program=request.param, root=tmp_path, listens=listens)


@pytest.fixture(params=ONE_CODEX)
def one_rig(request: pytest.FixtureRequest, tmp_path: Path, listens: bool) -> Rig:
    return Rig(program=request.param, root=tmp_path, listens=listens)


def obj(value: Json) -> JsonObject:
    assert isinstance(value, dict)
    return value


def config_of(rig: Rig) -> bytes:
    return Path(rig.home.codex, "config.toml").read_bytes()


async def execute(server: AppServer, *command: str) -> JsonObject:
    """Run a command in codex's sandbox, without a model."""
    params: JsonObject = {"command": list(command), "outputBytesCap": 1_000_000}
    return obj(await server.request("command/exec", params, timeout=LIMIT))


def test_codex_starts_shakes_hands_and_ends(rig: Rig) -> None:
    async def scenario() -> tuple[int, int]:
        async with rig.running() as server:
            assert server.user_agent.startswith(f"codex_nb/{rig.program.version} ")
            assert server.user_agent.endswith("(codex_nb; 1.2.3)")
            assert server.exit_status is None
            assert [line.split()[0] for line in rig.processes()] == [rig.program.path]
            return await server.close(), await server.close()

    assert run(scenario()) == (0, 0)
    rig.assert_gone()


def test_commands_get_our_environment_and_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "marked")
    rig = replace(rig, extra={"MINE": "a b"})

    async def scenario() -> dict[str, str]:
        async with rig.running() as server:
            done = await execute(server, "env", "-0")
            lines = str(done["stdout"]).split("\0")
            return dict(line.split("=", 1) for line in lines if line)

    seen = run(scenario())
    wanted = rig.env
    assert seen.pop("PATH").endswith(wanted.pop("PATH"))
    assert {key: seen[key] for key in seen.keys() - OWN_VARIABLES} == wanted


def test_commands_write_where_they_may(rig: Rig, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    rig = replace(rig, posture=Posture(writable_roots=(str(extra),)))
    places = {
        "inside": f"{rig.cwd}/f",
        "extra": f"{extra}/f",
        "tmp": f"{rig.home.tmp}/f",
        "cache": f"{rig.home.tmp}/cache/f",
        "outside": f"{tmp_path}/f",
        "session": f"{rig.home.folder}/f",
        "home": f"{rig.home.home}/f",
        "codex": f"{rig.home.codex}/config.toml",
    }

    async def scenario() -> dict[str, Json]:
        async with rig.running() as server:
            return {
                name: (await execute(server, "touch", path))["exitCode"]
                for name, path in places.items()
            }

    assert run(scenario()) == {
        **dict.fromkeys(("inside", "extra", "tmp", "cache"), 0),
        **dict.fromkeys(("outside", "session", "home", "codex"), 1),
    }


@pytest.mark.parametrize(
    ("posture", "sandbox"),
    [
        (Posture(ask="untrusted"), "workspaceWrite"),
        (Posture(sandbox="read-only", ask="never"), "readOnly"),
        (Posture(sandbox="danger-full-access"), "dangerFullAccess"),
    ],
)
def test_a_thread_gets_the_posture_and_settings_stay_as_they_were_written(
    rig: Rig, posture: Posture, sandbox: str
) -> None:
    rig = replace(rig, posture=posture)

    async def scenario() -> JsonObject:
        await rig.host.make_folder(rig.cwd)
        # In a repository that it does not trust, codex would write into config.toml.
        subprocess.run(["git", "init", "-q", rig.cwd], check=True)  # noqa: ASYNC221 - a moment
        async with loopback_model() as port, rig.running(settings(port)) as server:
            written = config_of(rig)
            params: JsonObject = {"cwd": rig.cwd, **posture.thread_params()}
            thread = obj(await server.request("thread/start", params, timeout=LIMIT))
            assert config_of(rig) == written
            return thread

    thread = run(scenario())
    assert (obj(thread["sandbox"])["type"], thread["approvalPolicy"], thread["model"]) == (
        sandbox,
        posture.ask,
        "loopback",
    )


def test_codex_asks_and_is_answered(rig: Rig, tmp_path: Path) -> None:
    async def scenario() -> list[Json]:
        command = f"echo outside > {tmp_path}/outside"
        async with loopback_model(command) as port, rig.running(settings(port)) as server:
            params: JsonObject = {"cwd": rig.cwd, **rig.posture.thread_params()}
            thread = obj(await server.request("thread/start", params, timeout=LIMIT))
            turn: JsonObject = {
                "threadId": obj(thread["thread"])["id"],
                "input": [{"type": "text", "text": "go", "text_elements": []}],
            }
            await server.request("turn/start", turn, timeout=LIMIT)
            asked = await next_message(server, "item/commandExecution/requestApproval")
            assert isinstance(asked, ServerRequest)
            assert not (tmp_path / "outside").exists()
            await server.answer(asked.id, {"decision": "accept"})
            with pytest.raises(ProtocolError, match="no open request"):
                await server.refuse(asked.id, -32601, "twice")
            ended = await next_message(server, "turn/completed")
            assert isinstance(ended, Notification)
            return [asked.params["reason"], obj(ended.params["turn"])["status"]]

    assert run(scenario()) == ["May I?", "completed"]
    assert (tmp_path / "outside").read_text() == "outside\n"


def test_nothing_is_looked_up_outside(rig: Rig) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        extra = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), address)
        watched = replace(rig, extra=extra)
        async with loopback_model() as port, watched.running(settings(port)) as codex:
            params: JsonObject = {"cwd": watched.cwd, **watched.posture.thread_params()}
            thread = obj(await codex.request("thread/start", params, timeout=LIMIT))
            turn: JsonObject = {
                "threadId": obj(thread["thread"])["id"],
                "input": [{"type": "text", "text": "go", "text_elements": []}],
            }
            await codex.request("turn/start", turn, timeout=LIMIT)
            await next_message(codex, "turn/completed")
        server.close()

    run(scenario())
    assert asked == []


def test_a_killed_codex_fails_requests_and_ends_messages(rig: Rig) -> None:
    async def scenario() -> None:
        async with rig.running() as server:
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(failed_request(server))
                await wait_until(Path(rig.cwd, "started").exists)
                os.kill(server.pid, signal.SIGKILL)
            error = waiting.result()
            assert error.message.startswith("codex app-server ended with signal 9")
            assert server.stderr_tail in error.hint
            methods = [getattr(each, "method", "") async for each in server.messages()]
            assert "remoteControl/status/changed" in methods
            with pytest.raises(AppServerError, match="ended with signal 9"):
                await server.request("thread/list", {}, timeout=LIMIT)
            with pytest.raises(AppServerError, match="ended with signal 9"):
                await server.answer(0, {})
            assert (server.exit_status, await server.close()) == (-9, -9)
            # The kernel ends what was in the sandbox, right after its parent.
            await wait_until(lambda: rig.processes() == [])

    run(scenario())


async def failed_request(server: AppServer) -> AppServerError:
    with pytest.raises(AppServerError) as caught:
        await execute(server, "sh", "-c", "touch started; exec sleep 600")
    return caught.value


def test_closing_ends_commands_and_what_they_leave_is_removed(rig: Rig) -> None:
    async def scenario() -> list[str]:
        await rig.host.make_folder(rig.cwd)
        leftovers = await Leftovers.look(rig.host, [rig.cwd])
        async with rig.running() as server, asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(failed_request(server))
            await wait_until(Path(rig.cwd, "started").exists)
            assert await server.close() == 0
        assert "ended with exit status 0" in waiting.result().message
        return await leftovers.remove(rig.host)

    removed = run(scenario())
    assert f"{rig.cwd}/.git" in removed
    assert [path.name for path in Path(rig.cwd).iterdir()] == ["started"]
    rig.assert_gone()


def test_a_line_of_many_megabytes_comes_whole(rig: Rig) -> None:
    data = os.urandom(8 * 1024 * 1024)

    async def scenario() -> str:
        async with rig.running() as server:
            path = f"{rig.cwd}/large"
            await rig.host.write_file(path, data)
            got = await server.request("fs/readFile", {"path": path}, timeout=LIMIT)
            return str(obj(got)["dataBase64"])

    assert hashlib.sha256(base64.b64decode(run(scenario()))).digest() == (
        hashlib.sha256(data).digest()
    )


async def fill_inbox(server: AppServer, rig: Rig, size: int) -> None:
    """Let codex send so much that we stop to read it."""
    params: JsonObject = {
        "command": ["head", "-c", str(size), "/dev/zero"],
        "cwd": rig.cwd,
        "processHandle": "p",
        "outputBytesCap": None,
        "streamStdoutStderr": True,
    }
    await server.request("process/spawn", params, timeout=LIMIT)
    await wait_until(lambda: not server._inbox._has_room.is_set())


def test_a_slow_consumer_gets_everything_and_may_ask_meanwhile(one_rig: Rig) -> None:
    size = 24_000_000

    async def scenario() -> int:
        async with one_rig.running() as server:
            await fill_inbox(server, one_rig, size)
            assert server._inbox._size < inbox.LIMIT + HIGH_WATER
            got = 0
            async for message in server.messages():
                assert isinstance(message, Notification)
                if message.method == "process/outputDelta":
                    if got == 0:
                        await server.request("thread/loaded/list", {}, timeout=LIMIT)
                    got += len(base64.b64decode(str(message.params["deltaBase64"])))
                if message.method == "process/exited":
                    break
            return got

    assert run(scenario()) == size


def test_unread_messages_do_not_hold_up_the_end(one_rig: Rig) -> None:
    async def scenario() -> int:
        async with one_rig.running() as server:
            await fill_inbox(server, one_rig, 24_000_000)
            return await server.close(grace=30)

    assert run(scenario(), seconds=20) == 0


def test_unread_messages_do_not_hide_that_codex_is_gone(one_rig: Rig) -> None:
    async def scenario() -> None:
        async with one_rig.running() as server:
            await fill_inbox(server, one_rig, 24_000_000)
            os.kill(server.pid, signal.SIGKILL)
            # A consumer that answers a request of codex just then waits for this.
            await asyncio.shield(server._owner)
            with pytest.raises(AppServerError, match="ended with signal 9"):
                await server.answer(0, {})

    run(scenario(), seconds=20)


def test_a_refusal_is_a_remote_error(rig: Rig) -> None:
    async def scenario() -> RemoteError:
        async with rig.running() as server:
            with pytest.raises(RemoteError) as caught:
                await server.request("no/such/method", {}, timeout=LIMIT)
            return caught.value

    error = run(scenario())
    assert (error.code, error.message[:31]) == (-32600, "codex refused `no/such/method`:")
    assert len(error.message) < 600


def test_a_late_answer_is_forgotten_and_the_conversation_goes_on(one_rig: Rig) -> None:
    async def scenario() -> Json:
        async with one_rig.running() as server:
            params: JsonObject = {"command": ["sh", "-c", "until [ -e go ]; do sleep 0.05; done"]}
            with pytest.raises(
                AppServerError, match=r"did not answer `command/exec` within 0\.2 s"
            ):
                await server.request("command/exec", params, timeout=0.2)
            await one_rig.host.write_file(f"{one_rig.cwd}/go", b"")
            await wait_until(lambda: not any("until" in line for line in one_rig.processes()))
            return (await execute(server, "echo", "still there"))["stdout"]

    assert run(scenario()) == "still there\n"
