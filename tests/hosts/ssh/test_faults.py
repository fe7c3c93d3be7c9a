"""Servers that misbehave as no sshd can be made to: asyncssh's own, and plain sockets."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncssh
import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.asking import KeyAnswer
from codex_nb.hosts.ssh.client import Limits, Step, Steps
from codex_nb.hosts.ssh.process import SshProcess
from codex_nb.hosts.ssh.trouble import explained
from tests.hosts.ssh.conftest import Person, box, quick

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from codex_nb.hosts.ssh.host import SshHost
    from tests.support.waiting import Run

Reader = asyncio.StreamReader | asyncssh.SSHReader[bytes]
Writer = asyncio.StreamWriter | asyncssh.SSHWriter[bytes]


class Server(asyncssh.SSHServer):
    """Lets in who knows the password, in the way that it has."""

    def __init__(self, *, kind: str = "password", is_stuck: bool = False) -> None:
        self._kind = kind
        self._is_stuck = is_stuck

    async def begin_auth(self, username: str) -> bool:
        if self._is_stuck:
            await asyncio.Event().wait()
        return self._kind != "none"

    def password_auth_supported(self) -> bool:
        return self._kind == "password"

    def validate_password(self, username: str, password: str) -> bool:
        return password == "marked-secret"

    def kbdint_auth_supported(self) -> bool:
        return self._kind == "questions"

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [("Password: ", False), ("Code: ", True)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return list(responses) == ["marked-secret", "123456"]


def config_for(folder: Path, port: int) -> Path:
    config = folder / "config"
    config.write_text(
        f"Host box\n HostName 127.0.0.1\n Port {port}\n User somebody\n IdentityAgent none\n"
        f" IdentityFile {folder}/key\n IdentitiesOnly yes\n"
        f" UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile {folder}/none\n"
    )
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "key")
    return config


async def shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run what is asked for, as sshd does, but in no session of its own."""
    pipe = asyncio.subprocess.PIPE
    local = await asyncio.create_subprocess_shell(
        process.command or "", stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert local.stdin is not None
    assert local.stdout is not None
    assert local.stderr is not None
    try:
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(pump(process.stdin, local.stdin))
            out = tasks.create_task(pump(local.stdout, process.stdout))
            err = tasks.create_task(pump(local.stderr, process.stderr))
            await asyncio.wait([out, err])
            feeding.cancel()
        process.exit(await local.wait())
    finally:
        if local.returncode is None:
            local.kill()
            await local.wait()
        # The loop of the test may end before it would do that by itself.
        local._transport.close()  # type: ignore[attr-defined]


async def pump(reader: Reader, writer: Writer) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        if isinstance(writer, asyncio.StreamWriter):
            writer.close()


async def mute(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Say nothing until the client has gone."""
    await process.stdin.read()
    process.exit(0)


@asynccontextmanager
async def serving(
    folder: Path,
    factory: Callable[[], Server],
    *,
    command: Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]] = shell,
) -> AsyncIterator[Path]:
    """A configuration that leads to such a server."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[key],
        server_factory=factory,
        process_factory=command,
        encoding=None,
    )
    port = server.get_port()
    public = key.export_public_key().decode()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    try:
        yield config_for(folder, port)
    finally:
        server.close()
        await server.wait_closed()


async def failure(host: SshHost) -> HostError:
    try:
        await host.connected()
    except HostError as exc:
        return exc
    finally:
        await host.close()
    pytest.fail("it connected")


@pytest.mark.parametrize(
    ("kind", "secrets", "prompts"),
    [
        ("password", ["wrong", "marked-secret"], ["Password for somebody@{}"] * 2),
        (
            "questions",
            ["marked-secret", "123456"],
            ["somebody@{} asks: Password:", "somebody@{} asks: Code:"],
        ),
    ],
)
def test_a_person_is_asked_who_they_are(
    tmp_path: Path,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    secrets: list[str],
    prompts: list[str],
) -> None:
    async def scenario() -> str:
        person = Person(*secrets)
        async with serving(tmp_path, lambda: Server(kind=kind)) as config:
            host = box(config, person=person)
            await host.connected()
            port = config.read_text().split("Port ")[1].split()[0]
            assert person.prompts == [
                prompt.format(f"box (127.0.0.1:{port})") for prompt in prompts
            ]
            shown = f"{host!r} {vars(host)} {vars(host._link)}"
            await host.close()
            return shown

    caplog.set_level("DEBUG")
    asyncssh.set_debug_level(2)
    shown = run(scenario())
    asyncssh.set_debug_level(1)
    assert "marked-secret" not in caplog.text + shown


@pytest.mark.parametrize(
    ("kind", "secrets", "tried"),
    [
        ("password", ["a", "b", "c"], "publickey, password, takes password"),
        ("password", [None], "publickey, password, takes password"),
        ("questions", ["a", "b"] * 3, "publickey, keyboard-interactive, takes keyboard-inter"),
        ("questions", ["a", None], "publickey, keyboard-interactive, takes keyboard-inter"),
    ],
)
def test_a_person_is_asked_three_times_at_most_and_may_give_up(
    tmp_path: Path, run: Run, kind: str, secrets: list[str | None], tried: str
) -> None:
    async def scenario() -> HostError:
        person = Person(*secrets)
        async with serving(tmp_path, lambda: Server(kind=kind)) as config:
            error = await failure(box(config, person=person))
            assert len(person.prompts) == len(secrets)
            return error

    assert "refused the login" in run(scenario()).message


def test_a_login_without_end_is_not_waited_for(tmp_path: Path, run: Run) -> None:
    async def scenario() -> HostError:
        async with serving(tmp_path, lambda: Server(is_stuck=True)) as config:
            return await failure(box(config, limits=quick(0.5)))

    assert "did not answer: the login took longer than" in run(scenario()).message


def test_a_command_that_never_begins_is_not_waited_for(tmp_path: Path, run: Run) -> None:
    async def scenario() -> HostError:
        async with serving(tmp_path, lambda: Server(kind="none"), command=mute) as config:
            return await failure(box(config, limits=quick(0.5)))

    error = run(scenario())
    assert "box ran no command within" in error.message
    assert "start files" in error.hint


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = config_for(tmp_path, listener.getsockname()[1])
        error = run(failure(box(config, limits=quick(0.3))))
    assert "did not answer: the exchange of keys took longer than" in error.message
    assert "SSH server" in error.hint


def test_a_host_that_takes_no_connection_is_not_waited_for(tmp_path: Path, run: Run) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        # The system takes some for the listener, and lets the others wait.
        with suppress(TimeoutError):
            while True:
                waiting.append(socket.create_connection(listener.getsockname(), timeout=0.2))
        config = config_for(tmp_path, listener.getsockname()[1])
        error = run(failure(box(config, limits=quick(0.3))))
        for each in waiting:
            each.close()
    assert "did not answer: a connection took longer than" in error.message
    assert "VPN" in error.hint


def test_a_port_where_nobody_listens_is_named(tmp_path: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = run(failure(box(config_for(tmp_path, port))))
    assert error.message == f"somebody@box (127.0.0.1:{port}) refuses connections"


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_what_is_no_ssh_server_is_named(tmp_path: Path, run: Run, words: bytes) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()
        await writer.wait_closed()

    async def scenario() -> HostError:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await failure(box(config_for(tmp_path, port), limits=quick(5)))

    error = run(scenario())
    assert error.message.startswith("somebody@box (127.0.0.1:")
    assert error.hint


def test_a_server_that_makes_no_session_leader_is_helped(tmp_path: Path, run: Run) -> None:
    async def scenario() -> bytes:
        async with (
            serving(tmp_path, lambda: Server(kind="none")) as config,
            box(config) as host,
        ):
            script = 'echo $$; ps -o pgid= -o sid= -p $$; exec kill -9 "-$$"'
            done = await host.start(["sh", "-c", script], cwd="/", env={"PATH": "/usr/bin:/bin"})
            lines = b""
            while lines.count(b"\n") < 2:
                lines += await done.read_stdout()
            assert isinstance(done, SshProcess)
            await done.kill()
            return lines

    pid, group, session = run(scenario()).split()
    assert (pid, group, session) == (pid, pid, pid)


def test_no_limit_runs_while_a_person_is_asked(run: Run) -> None:
    async def scenario() -> list[float | None]:
        async with asyncio.timeout(None) as timeout:  # noqa: ASYNC100 - it is looked at
            steps = Steps(Limits(login=7), timeout)
            steps.begin(Step.LOGIN)
            began = asyncio.get_running_loop().time()
            with steps.paused():
                during = timeout.when()
            after = timeout.when()
            assert after is not None
            return [during, after - began]

    assert run(scenario()) == [None, pytest.approx(7, abs=1)]


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "there is no host of the name box"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "box refuses connections"),
        (OSError(113, "No route to host"), "box cannot be reached: No route to host"),
        (
            asyncssh.ProtocolError("Too many authentication failures"),
            "box refused the login after too many keys",
        ),
        (ValueError("bad option"), "the SSH configuration for box cannot be used: bad option"),
    ],
)
def test_every_failure_is_a_sentence_with_what_to_do(exc: Exception, said: str) -> None:
    error = explained(exc, where="box", name="box", client=None)
    assert (error.message, bool(error.hint)) == (said, True)


def test_a_key_question_can_be_answered_at_leisure(tmp_path: Path, run: Run) -> None:
    """Its connection has been ended by then, so nobody's limit runs."""

    async def scenario() -> int:
        connections: list[asyncssh.SSHServerConnection] = []

        class Counting(Server):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                connections.append(conn)

        class Slow(Person):
            async def host_key(self, question: object) -> KeyAnswer:
                await connections[0].wait_closed()
                return KeyAnswer.ONCE

        async with serving(tmp_path, lambda: Counting(kind="none")) as config:
            (tmp_path / "known_hosts").unlink()
            host = box(config, person=Slow())
            await host.connected()
            await host.close()
        return len(connections)

    assert run(scenario()) == 2
