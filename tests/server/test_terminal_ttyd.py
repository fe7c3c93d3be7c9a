"""The tunnel with the real ttyd behind it, and with the real tmux where several look at one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.server.serving import Server
from tests.server.speaker import Speaker
from tests.server.tty import (
    HELLO,
    Viewer,
    find_ttyd,
    give_terminal,
    path_of,
    python,
    ttyd,
    viewing,
    wait_listening,
)
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

MARK = "PLANTED-51f0"
ECHO = python("import sys\nfor line in sys.stdin: print('<' + line.strip() + '>')")
"""Answers each line, so that what the tty echoes by itself is told apart."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return find_ttyd(tmp_path_factory.mktemp("ttyd"))


@pytest.fixture
def socket(server: Server, tmp_path: Path) -> Iterator[tuple[Speaker, Path]]:
    """A session of the server, and where its terminal is to listen."""
    speaker = Speaker(server.sessions)
    socket = tmp_path / "write.sock"
    give_terminal(speaker, socket=socket)
    yield speaker, socket
    speaker.note(ended="closed", status="closed")


async def begin(viewer: Viewer) -> None:
    """Say what ttyd's page says first."""
    await viewer.send(HELLO)


def test_what_is_typed_arrives_and_what_is_shown_comes_back(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket

    async def check() -> None:
        with ttyd(program, path, *ECHO):
            await wait_listening(path)
            async with speaker.listening(), viewing(server, path_of(speaker, "ws")) as viewer:
                await begin(viewer)
                await viewer.type("grüße\r".encode())
                assert (await viewer.output(b">\r\n")).endswith("<grüße>\r\n".encode())

    run(check())
    assert "grüße" not in server.log.read_text()
    assert "grüße" not in server.events.read_text()


SIZE = python(
    "import os, sys\nprint('ready')\nfor line in sys.stdin: print(tuple(os.get_terminal_size()))"
)


def test_a_terminal_has_the_size_that_its_viewer_says(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket

    async def check() -> None:
        with ttyd(program, path, *SIZE):
            await wait_listening(path)
            async with speaker.listening(), viewing(server, path_of(speaker, "ws")) as viewer:
                await begin(viewer)
                await viewer.output(b"ready\r\n")
                await viewer.send(b'1{"columns":101,"rows":33}')
                await viewer.type(b"\r")
                assert (await viewer.output(b")\r\n")).endswith(b"(101, 33)\r\n")

    run(check())


PASTE = python(
    "import hashlib, os, sys, tty\n"
    "tty.setraw(0)\nos.write(1, b'ready')\nleft, seen = 1_000_000, hashlib.sha256()\n"
    "while left:\n data = os.read(0, min(left, 65536))\n seen.update(data)\n left -= len(data)\n"
    "os.write(1, seen.hexdigest().encode() + b'.')"
)


def test_a_paste_of_a_megabyte_arrives_as_it_is(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket
    text = b"".join(b"%07d " % number for number in range(125_000))

    async def check() -> None:
        with ttyd(program, path, *PASTE):
            await wait_listening(path)
            async with speaker.listening(), viewing(server, path_of(speaker, "ws")) as viewer:
                await begin(viewer)
                await viewer.output(b"ready")
                await viewer.type(text)
                shown = await viewer.output(b".")
                assert shown == hashlib.sha256(text).hexdigest().encode() + b"."

    run(check())


FLOOD = python(
    "import hashlib, os, sys, tty\n"
    "tty.setraw(0)\nos.write(1, b'ready')\nos.read(0, 1)\nseen = hashlib.sha256()\n"
    "for number in range(2_500):\n"
    " data = b'%d ' % number * 800\n seen.update(data)\n"
    " while data: data = data[os.write(1, data):]\n"
    "os.write(1, seen.hexdigest().encode() + b'.')\n"
    # What a program wrote last before it ended, ttyd may not send.
    "os.read(0, 1)"
)


def test_a_flood_arrives_as_it_is(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket

    async def check() -> None:
        with ttyd(program, path, *FLOOD):
            await wait_listening(path)
            async with speaker.listening(), viewing(server, path_of(speaker, "ws")) as viewer:
                await begin(viewer)
                await viewer.output(b"ready")
                await viewer.type(b"x")
                shown = await viewer.output(b".")
                data, end = shown[:-65], shown[-65:]
                assert len(data) > 8_000_000
                assert end == hashlib.sha256(data).hexdigest().encode() + b"."

    run(check(), seconds=100)


COUNT = python(
    "import os, sys\n"
    "for number in range(10**9):\n"
    " os.write(1, b'x' * 4096)\n"
    " if number % 16 == 0: open(sys.argv[1], 'w').write(str(number))"
)


def test_a_browser_that_does_not_read_stops_the_program_and_grows_nothing(
    server: Server, socket: tuple[Speaker, Path], program: Path, tmp_path: Path
) -> None:
    speaker, path = socket
    counted = tmp_path / "counted"
    process = psutil.Process(server.process.pid)

    def count() -> int:
        return int((counted.exists() and counted.read_text()) or 0)

    async def check() -> None:
        with ttyd(program, path, *COUNT, str(counted)) as upstream:
            await wait_listening(path)
            async with speaker.listening(), viewing(server, path_of(speaker, "ws")) as viewer:
                await begin(viewer)
                await viewer.frame()
                before = [psutil.Process(upstream.pid).memory_info().rss, process.memory_info().rss]
                seen: list[int] = []

                def stands() -> bool:
                    seen.append(count())
                    return len(seen) > 50 and len(set(seen[-50:])) == 1

                await wait_until(stands, seconds=20)
                stood = count()
                after = [psutil.Process(upstream.pid).memory_info().rss, process.memory_info().rss]
                assert after[0] < before[0] + 20_000_000
                assert after[1] < before[1] + 20_000_000
                assert stood * 4096 < 30_000_000
                while count() < 2 * stood:
                    await viewer.frame()

    run(check())


@pytest.mark.parametrize(("status", "code"), [(0, 1000), (3, 4502)])
def test_the_end_of_the_program_is_told_with_a_close_code(
    server: Server, socket: tuple[Speaker, Path], program: Path, status: int, code: int
) -> None:
    speaker, path = socket

    async def check() -> None:
        with ttyd(program, path, *python(f"raise SystemExit({status})")):
            await wait_listening(path)
            async with speaker.listening(), viewing(server, path_of(speaker, "ws")) as viewer:
                await begin(viewer)
                assert (await viewer.until_closed())[0] == code
                assert await viewer.until_gone() == b""

    run(check())


def test_a_ttyd_that_is_killed_closes_with_4502_and_a_new_one_is_joined(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket

    async def check() -> None:
        async with speaker.listening():
            for flag in ("", "yes"):
                argv = (flag,) if flag else ECHO
                with ttyd(program, path, *argv) as process:
                    await wait_listening(path)
                    async with viewing(server, path_of(speaker, "ws")) as viewer:
                        await begin(viewer)
                        await viewer.frame()
                        process.kill()
                        assert await viewer.until_closed() == (4502, "The terminal ended.")

    run(check())


def test_a_browser_that_goes_ends_what_ttyd_started_for_it(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket

    async def check() -> None:
        with ttyd(program, path, *ECHO) as process:
            await wait_listening(path)
            children = psutil.Process(process.pid).children
            async with speaker.listening():
                async with viewing(server, path_of(speaker, "ws")) as viewer:
                    await begin(viewer)
                    await wait_until(lambda: len(children()) == 1)
                await wait_until(lambda: children() == [])

    run(check())


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux on PATH")
def test_several_browsers_look_at_one_terminal_and_a_viewer_cannot_type(
    server: Server, socket: tuple[Speaker, Path], program: Path, tmp_path: Path
) -> None:
    speaker, path = socket
    view = tmp_path / "view.sock"
    tmux = ("tmux", "-S", str(tmp_path / "tmux.sock"), "-f", os.devnull)

    async def shown(viewer: Viewer, text: bytes) -> None:
        # tmux draws, so what stands there comes in the order of its choice.
        seen = b""
        while text not in seen:
            seen += (await viewer.frame())[1]

    async def check() -> None:
        started = await asyncio.create_subprocess_exec(
            *tmux, "new-session", "-d", "-s", "one", "-x", "80", "-y", "24", *ECHO
        )
        assert await started.wait() == 0
        attach = (*tmux, "attach", "-t", "=one")
        with ttyd(program, path, *attach), ttyd(program, view, *attach, options=()):
            await wait_listening(path)
            await wait_listening(view)
            async with (
                speaker.listening(),
                viewing(server, path_of(speaker, "ws")) as one,
                viewing(server, path_of(speaker, "ws")) as two,
            ):
                give_terminal(speaker, socket=view)
                async with viewing(server, path_of(speaker, "view/ws")) as three:
                    for viewer in (one, two, three):
                        await begin(viewer)
                        await viewer.frame()
                    await three.type(f"{MARK}\r".encode())
                    await one.type(b"first\r")
                    for viewer in (one, two, three):
                        await shown(viewer, b"<first>")
                    await two.type(b"second\r")
                    for viewer in (one, two, three):
                        await shown(viewer, b"<second>")
        screen = await asyncio.create_subprocess_exec(
            *tmux, "capture-pane", "-p", "-t", "=one:", stdout=asyncio.subprocess.PIPE
        )
        text, _ = await screen.communicate()
        assert text.decode().split() == ["first", "<first>", "second", "<second>"]

    try:
        run(check())
    finally:
        run(_kill(*tmux, "kill-server"))


async def _kill(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.DEVNULL)
    await process.wait()


def test_a_server_that_ends_says_so_to_every_browser_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, program: Path
) -> None:
    folder = tmp_path_factory.mktemp("ending")
    serving = Server(folder / "server")
    speaker = Speaker(serving.sessions)
    path = folder / "t.sock"
    give_terminal(speaker, socket=path)

    async def check() -> None:
        # One is in the middle of a flood, and one hears nothing.
        with ttyd(program, path, "yes") as process:
            await wait_listening(path)
            async with (
                speaker.listening(),
                viewing(serving, path_of(speaker, "ws")) as flooded,
                viewing(serving, path_of(speaker, "ws")) as quiet,
            ):
                await begin(flooded)
                await flooded.frame()
                serving.process.send_signal(signal.SIGTERM)
                gone = (1001, "The Jupyter server ends.")
                assert await flooded.until_closed() == gone
                assert await quiet.until_closed() == gone
                await wait_until(lambda: serving.process.poll() is not None)
                await wait_until(lambda: psutil.Process(process.pid).children() == [])

    try:
        run(check())
        text = serving.log.read_text()
        assert ("Traceback" in text, "never retrieved" in text, "destroyed" in text) == (False,) * 3
    finally:
        serving.close()


def test_it_works_under_tls(
    tmp_path_factory: pytest.TempPathFactory, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("tls")
    certificate = folder / "certificate.pem"
    write_certificate(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    serving = Server(
        folder / "server",
        base_url="/user/ann/",
        config=f"c.ServerApp.certfile = c.ServerApp.keyfile = {str(certificate)!r}\n",
    )
    speaker = Speaker(serving.sessions)
    path = folder / "t.sock"
    give_terminal(speaker, socket=path)
    tls = ssl.create_default_context(cafile=str(certificate))

    async def check() -> None:
        with ttyd(program, path, *FLOOD):
            await wait_listening(path)
            async with (
                speaker.listening(),
                viewing(serving, path_of(speaker, "ws"), tls=tls) as viewer,
            ):
                await begin(viewer)
                await viewer.output(b"ready")
                await viewer.type(b"x")
                shown = await viewer.output(b".")
                assert shown[-65:-1] == hashlib.sha256(shown[:-65]).hexdigest().encode()
                await viewer.type(b"x")
                assert await viewer.until_closed() == (1000, "")

    try:
        assert serving.url.startswith("https://")
        run(check(), seconds=100)
    finally:
        serving.close()


def write_certificate(path: Path) -> None:
    """A key, and a certificate for this machine that it signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )


def test_nothing_that_goes_through_is_written_down(
    server: Server, socket: tuple[Speaker, Path], program: Path
) -> None:
    speaker, path = socket

    async def check() -> None:
        with ttyd(program, path, *ECHO):
            await wait_listening(path)
            address = f"{path_of(speaker, 'ws')}?theme={MARK}"
            async with speaker.listening(), viewing(server, address) as viewer:
                await begin(viewer)
                await viewer.type(f"{MARK}\r".encode())
                await viewer.output(b">\r\n")

    run(check())
    assert MARK not in server.events.read_text()
    # The access log has the address of every request; it is the browser's, and not the terminal's.
    lines = [line for line in server.log.read_text().splitlines() if MARK in line]
    assert all(" /user/ann/codex-nb/terminal/" in line for line in lines)
    assert MARK not in json.dumps(speaker.heard)
