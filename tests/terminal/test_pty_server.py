"""A terminal of another machine, shown here: real sshd, real tmux, and what a host could try."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import stat
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.enduring_host import EnduringHost
from codex_nb.sessions.roots import make_private
from codex_nb.terminal.pty_server import PtyServer
from codex_nb.terminal.ttyd import OPTIONS
from tests.support.sshd import needs_sshd, running_sshd
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from websockets.asyncio.client import ClientConnection

    from tests.support.sshd import Sshd

pytestmark = [pytest.mark.integration, needs_sshd]

ENV = {"PATH": "/usr/bin:/bin", "TERM": "xterm-256color"}
RAW = "stty raw -echo; echo ready; "


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "server") as sshd:
        yield sshd


@asynccontextmanager
async def a_host(sshd: Sshd) -> AsyncIterator[EnduringHost]:
    session = f"test-{secrets.token_hex(6)}"
    host = EnduringHost(
        "box",
        session=session,
        mark=f"CODEX_NB_SESSION={session}",
        patience=600,
        config=[str(sshd.config)],
    )
    await host.open()
    try:
        yield host
    finally:
        await host.close()


@asynccontextmanager
async def showing(
    host: EnduringHost, folder: Path, argv: Sequence[str], *, writable: bool = True
) -> AsyncIterator[PtyServer]:
    make_private(folder)
    server = await PtyServer.start(
        host, socket=f"{folder}/it.sock", argv=argv, writable=writable, env=ENV
    )
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def looking(server: PtyServer, *, size: object = None) -> AsyncIterator[ClientConnection]:
    async with unix_connect(
        server.socket,
        "ws://localhost/ws",
        subprotocols=["tty"],
        max_size=None,
        compression=None,
    ) as viewer:
        told = {"columns": 100, "rows": 30} if size is None else size
        await viewer.send(json.dumps({"AuthToken": "", **told} if isinstance(told, dict) else told))
        yield viewer


async def frame(viewer: ClientConnection) -> bytes:
    message = await viewer.recv()
    assert isinstance(message, bytes)
    return message


async def until(viewer: ClientConnection, *words: bytes) -> bytes:
    """Output until it holds all of these words."""
    shown = b""
    while not all(word in shown for word in words):
        message = await frame(viewer)
        shown += message[1:] if message[:1] == b"0" else b""
    return shown


async def rest(viewer: ClientConnection) -> tuple[bytes, int | None]:
    """Output until the end, and the code of the end."""
    shown = b""
    try:
        while True:
            message = await frame(viewer)
            assert message[:1] == b"0"
            shown += message[1:]
    except ConnectionClosed as exc:
        return shown, exc.rcvd.code if exc.rcvd is not None else None


def test_a_viewer_types_and_tells_the_size(sshd: Sshd, tmp_path: Path) -> None:
    script = "stty size; read line; echo got $line; stty size; read line; exit 0"

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", ["sh", "-c", script]) as server,
            looking(server) as viewer,
        ):
            assert json.loads((await frame(viewer))[1:]) == OPTIONS
            await until(viewer, b"30 100")
            await viewer.send(b'1{"columns":71,"rows":19}')
            await viewer.send(b"0hello\r")
            await until(viewer, b"got hello", b"19 71")
            await viewer.send(b"0\r")
            assert (await rest(viewer))[1] == 1000

    run(check())


def test_a_large_paste_arrives_whole(sshd: Sshd, tmp_path: Path) -> None:
    data = random.Random(3).randbytes(1_000_000)  # noqa: S311 - it is no secret
    script = f"{RAW}head -c {len(data)} | sha256sum"

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", ["sh", "-c", script]) as server,
            looking(server) as viewer,
        ):
            await until(viewer, b"ready")
            for start in range(0, len(data), 60_000):
                await viewer.send(b"0" + data[start : start + 60_000])
            await until(viewer, hashlib.sha256(data).hexdigest().encode())

    run(check())


@pytest.mark.parametrize("writable", [True, False])
def test_who_may_only_look_types_nothing(sshd: Sshd, tmp_path: Path, writable: bool) -> None:
    go = tmp_path / "go"
    script = (
        f"{RAW}until [ -e {go} ]; do sleep 0.05; done; "
        "echo typed $(dd iflag=nonblock bs=100 count=1 2>/dev/null </dev/tty | wc -c)"
    )

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", ["sh", "-c", script], writable=writable) as server,
            looking(server) as viewer,
        ):
            await until(viewer, b"ready")
            await viewer.send(b"0hello")
            # A pong comes after everything that was sent before.
            await (await viewer.ping())
            await host.run(["touch", str(go)], cwd="/", env=ENV, timeout=20)
            await until(viewer, b"typed 5" if writable else b"typed 0")

    run(check())


def test_what_a_host_sends_is_output_and_nothing_else(sshd: Sshd, tmp_path: Path) -> None:
    bytes_of_a_host = (
        bytes(range(256)) * 40
        + b'1title\x00 2{"rendererType":"dom"}\x03\x88\x02\x03\xe8'
        + b"\x1b]52;c;c2VjcmV0\x07\x1b[6n" * 5
    )
    file = tmp_path / "bytes"
    file.write_bytes(bytes_of_a_host)

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", ["sh", "-c", f"{RAW}cat {file}"]) as server,
            looking(server) as viewer,
        ):
            assert (await frame(viewer))[:1] == b"2"
            shown, code = await rest(viewer)
            assert shown.partition(b"ready\n")[2] == bytes_of_a_host
            assert code == 1000

    run(check())


def test_a_viewer_that_does_not_read_makes_the_program_wait(sshd: Sshd, tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"{RAW}head -c 40000000 /dev/zero | tr '\\0' x; touch {done}; sleep 600"

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", ["sh", "-c", script]) as server,
            looking(server) as viewer,
        ):
            await until(viewer, b"ready")
            await viewer.send(b"2")
            for _ in range(20):  # other work, in which all of it could have come
                await host.run(["true"], cwd="/", env=ENV, timeout=20)
            assert not done.exists()
            await viewer.send(b"3")
            size = 0
            while size < 39_000_000:
                size += len(await frame(viewer)) - 1
            await wait_until(done.exists)

    run(check())


def test_a_cut_ends_the_viewer_and_not_the_program(sshd: Sshd, tmp_path: Path) -> None:
    tmux = ["tmux", "-S", f"{tmp_path}/tmux.sock", "-f", "/dev/null"]

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", [*tmux, "attach"]) as server,
        ):
            async with looking(server) as viewer:
                await until(viewer, b"first-word")
                sshd.cut()
                await rest(viewer)
            await wait_until(lambda: host.lost_at is None and server.is_listening)
            async with looking(server) as viewer:
                await until(viewer, b"first-word")

    subprocess.run(
        [*tmux, "new-session", "-d", "echo first-word; exec sleep 600"], check=True, timeout=20
    )
    try:
        run(check())
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, timeout=20)


@pytest.mark.parametrize(
    "first", ["no size", {"columns": 0, "rows": 30}, {"columns": 80, "rows": 10**9}, {"rows": "x"}]
)
def test_who_does_not_say_a_size_gets_no_terminal(
    sshd: Sshd, tmp_path: Path, first: object
) -> None:
    made = tmp_path / "made"

    async def check() -> None:
        async with (
            a_host(sshd) as host,
            showing(host, tmp_path / "t", ["touch", str(made)]) as server,
            looking(server, size=first) as viewer,
        ):
            await rest(viewer)

    run(check())
    assert not made.exists()


def mode_of(path: Path) -> int | None:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


def test_the_socket_is_private_knows_one_path_and_goes(sshd: Sshd, tmp_path: Path) -> None:
    async def check() -> None:
        async with a_host(sshd) as host:
            async with showing(host, tmp_path / "t", ["cat"]) as server:
                path = Path(server.socket)
                assert mode_of(path) == 0o600
                with pytest.raises(InvalidStatus):
                    async with unix_connect(server.socket, "ws://localhost/token"):
                        pass
                async with looking(server) as viewer:
                    await frame(viewer)
                    await server.close()
                    await rest(viewer)
            assert mode_of(path) is None
            with pytest.raises(HostError, match="too long for a socket"):
                await PtyServer.start(
                    host, socket=f"/{'x' * 200}.sock", argv=["cat"], writable=True, env=ENV
                )

    run(check())


def test_a_program_that_is_not_there_is_named(sshd: Sshd) -> None:
    async def check() -> None:
        async with a_host(sshd) as host:
            with pytest.raises(HostError, match="could not start no-such on box: no-such: No such"):
                await host.open_pty(["no-such"], cwd="/", env=ENV, columns=80, rows=24)
            assert [it for it in await host.list_folder(host.place) if "pty" in it] == []

    run(check())
