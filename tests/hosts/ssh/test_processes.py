"""What only another machine does to processes: cuts, refusals, noise. With a real sshd."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.base import Completed
from codex_nb.hosts.ssh.process import OTHER_SIGNAL
from tests.hosts.contract import ENV, read_line
from tests.hosts.ssh.conftest import box, quick
from tests.support.sshd import can_change_login_shells, needs_sshd, running_sshd
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.sshd import Sshd
    from tests.support.waiting import Run

pytestmark = [pytest.mark.integration, needs_sshd]

needs_bash = pytest.mark.skipif(
    not pwd.getpwuid(os.getuid()).pw_shell.endswith("bash"),
    reason="needs a user whose login shell is bash, which reads a start file in every session",
)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def at_work(folder: Path) -> list[str]:
    """The processes whose working folder this is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
    return found


def test_no_variable_is_in_the_arguments_of_a_process(sshd: Sshd, run: Run) -> None:
    async def scenario() -> bytes:
        async with box(sshd.config) as host:
            env = {**ENV, "TOKEN": "marked-secret", "ü": "marked-secret"}
            await host.start(["sleep", "60"], cwd="/", env=env)
            listed = await host.run(["ps", "-e", "-o", "args="], cwd="/", env=ENV, timeout=20)
            return listed.stdout

    listed = run(scenario())
    assert b"sleep 60" in listed
    assert b"marked-secret" not in listed


def test_a_cut_is_an_error_everywhere_and_ends_what_ran(sshd: Sshd, run: Run) -> None:
    async def scenario() -> int:
        async with box(sshd.config) as host:
            script = "sleep 60 & echo $!; cat >/dev/null; wait"
            process = await host.start(["sh", "-c", script], cwd="/", env=ENV)
            child = int(await read_line(process))
            running = asyncio.ensure_future(host.run(["sleep", "61"], cwd="/", env=ENV, timeout=60))
            await host.exists("/")
            sshd.cut()
            assert (await process.read_stdout(), await process.read_stderr()) == (b"", b"")
            with pytest.raises(HostError, match=f"lost while process {process.pid} ran"):
                await process.wait()
            with pytest.raises(HostError, match="takes no more input"):
                await process.write_stdin(b"x")
            with pytest.raises(HostError, match="the connection to box was lost while"):
                await running
            process.signal(signal.SIGTERM)
            await wait_until(lambda: not is_running(child))
            # The next call makes a new connection.
            assert (await host.run(["true"], cwd="/", env=ENV, timeout=20)).exit_status == 0
            return process.pid

    assert not is_running(run(scenario()))


def test_a_cut_in_the_middle_of_a_file_leaves_the_old_one(
    sshd: Sshd, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(20):
            yield bytes(500_000)
            if number == 10:
                sshd.cut()

    async def scenario() -> None:
        async with box(sshd.config) as host:
            with pytest.raises(HostError, match="the connection to box was lost"):
                await host.upload(str(path), pieces())

    run(scenario())
    assert path.read_bytes() == b"old"


def test_a_cancelled_write_leaves_the_old_file_and_no_draft(
    sshd: Sshd, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    async def scenario() -> None:
        async with box(sshd.config) as host:
            some_sent = asyncio.Event()

            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(3):
                    yield bytes(500_000)
                some_sent.set()
                await asyncio.Event().wait()

            writing = asyncio.ensure_future(host.upload(str(path), pieces()))
            await some_sent.wait()
            writing.cancel()
            await asyncio.wait([writing])
            assert writing.cancelled()
            await host.exists("/")  # SFTP does one thing after the other

    run(scenario())
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_a_start_that_is_cancelled_at_any_moment_leaves_nothing(
    sshd: Sshd, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> list[bool]:
        async with box(sshd.config) as host:
            await host.connected()
            cancelled = []
            for turns in range(0, 40, 2):
                argv = ["sleep", "60"]
                starting = asyncio.ensure_future(host.start(argv, cwd=str(tmp_path), env=ENV))
                for _ in range(turns):
                    await asyncio.sleep(0.001)
                starting.cancel()
                with suppress(asyncio.CancelledError):
                    (await starting).signal(signal.SIGKILL)
                cancelled.append(starting.cancelled())
            await wait_until(lambda: at_work(tmp_path) == [])
            return cancelled

    assert True in run(scenario())


def test_who_wants_one_session_too_many_waits_for_another_to_end(tmp_path: Path, run: Run) -> None:
    async def scenario(sshd: Sshd) -> None:
        async with box(sshd.config) as host:
            argv = ["cat"]
            first = await host.start(argv, cwd="/", env=ENV)
            await host.start(argv, cwd="/", env=ENV)
            third = asyncio.ensure_future(host.start(argv, cwd="/", env=ENV))
            await asyncio.wait([third], timeout=0.3)
            assert not third.done()
            await first.close_stdin()
            assert await first.wait() == 0
            assert (await third).pid > 0

    with running_sshd(tmp_path / "server", "MaxSessions 3") as sshd:
        run(scenario(sshd))


def test_too_many_sessions_are_an_error_that_says_so(tmp_path: Path, run: Run) -> None:
    async def scenario(sshd: Sshd) -> None:
        async with box(sshd.config, limits=quick(2)) as host:
            with pytest.raises(HostError, match="box allows no more sessions in one") as caught:
                await host.start(["cat"], cwd="/", env=ENV)
            assert "MaxSessions" in caught.value.hint

    with running_sshd(tmp_path / "server", "MaxSessions 1") as sshd:
        run(scenario(sshd))


@pytest.mark.parametrize(
    ("setting", "said"),
    [("ForceCommand echo No logins today", "No logins today"), ("ForceCommand true", "nothing")],
)
def test_a_host_without_a_shell_is_named_with_what_it_says(
    tmp_path: Path, run: Run, setting: str, said: str
) -> None:
    with (
        running_sshd(tmp_path / "server", setting) as sshd,
        pytest.raises(HostError, match=f"box gives no shell that runs commands; it says: {said}"),
    ):
        run(box(sshd.config).connected())


@pytest.mark.parametrize("subsystem", ["/bin/false", "/bin/echo files"])
def test_a_host_without_sftp_is_named(tmp_path: Path, run: Run, subsystem: str) -> None:
    async def scenario(sshd: Sshd) -> None:
        async with box(sshd.config, limits=quick(3)) as host:
            with pytest.raises(HostError, match="box") as caught:
                await host.list_folder("/")
            assert "Subsystem sftp" in caught.value.hint
            assert (await host.run(["true"], cwd="/", env=ENV, timeout=20)).exit_status == 0

    with running_sshd(tmp_path / "server", f"Subsystem sftp {subsystem}") as sshd:
        run(scenario(sshd))


def test_forbidden_sockets_are_an_error_with_the_setting(tmp_path: Path, run: Run) -> None:
    async def scenario(sshd: Sshd) -> None:
        async with box(sshd.config) as host:
            with pytest.raises(HostError, match="nobody listens at /s on box") as caught:
                await host.connect("/s")
            assert "AllowStreamLocalForwarding" in caught.value.hint

    with running_sshd(tmp_path / "server", "AllowStreamLocalForwarding no") as sshd:
        run(scenario(sshd))


@needs_bash
def test_what_start_files_write_is_dropped(tmp_path: Path, run: Run) -> None:
    async def scenario(sshd: Sshd) -> None:
        async with box(sshd.config) as host:
            argv = ["sh", "-c", "echo out; echo err >&2"]
            done = await host.run(argv, cwd="/", env=ENV, timeout=20)
            assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
            assert (await host.environment())["SHELL"].endswith("bash")

    with running_sshd(tmp_path / "server") as sshd:
        noise = "printf 'Welcome!\\nno newline'; echo oops >&2; export TMOUT=1; readonly TMOUT\n"
        (sshd.folder / "home/.bashrc").write_text(noise)
        run(scenario(sshd))


@needs_bash
def test_start_files_that_write_too_much_are_an_error(tmp_path: Path, run: Run) -> None:
    with running_sshd(tmp_path / "server") as sshd:
        (sshd.folder / "home/.bashrc").write_text("echo 'Spam!'; head -c 200000 /dev/zero\n")
        with pytest.raises(HostError, match="it says: Spam!") as caught:
            run(box(sshd.config).connected())
    assert "start files" in caught.value.hint


@pytest.mark.skipif(not can_change_login_shells(), reason="needs root, and mount namespaces")
@pytest.mark.parametrize("shell", ["bash", "csh", "dash", "fish", "tcsh", "zsh"])
def test_a_session_is_the_same_with_every_login_shell(tmp_path: Path, run: Run, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"needs {shell}")

    async def scenario(sshd: Sshd) -> None:
        async with box(sshd.config) as host:
            assert (await host.environment())["SHELL"] == path
            env = {**ENV, "A": "it's $HOME !x \\ ü\n"}
            script = 'printf %s "$A"; cat; echo err >&2; kill -TERM $$'
            done = await host.run(["sh", "-c", script], cwd="/", env=env, timeout=20, stdin=b"in")
            assert done == Completed(
                exit_status=-signal.SIGTERM, stdout=f"{env['A']}in".encode(), stderr=b"err\n"
            )
            process = await host.start(["sleep", "60"], cwd="/", env=ENV)
            process.signal(signal.SIGTERM)
            assert await process.wait() == -signal.SIGTERM
            assert await process.read_stdout() == b""
            assert await host.list_folder(str(tmp_path)) == ["server"]

    with running_sshd(tmp_path / "server", shell=path) as sshd:
        run(scenario(sshd))


def test_a_signal_without_a_name_in_ssh_has_a_number_of_its_own(sshd: Sshd, run: Run) -> None:
    async def scenario() -> int:
        async with box(sshd.config) as host:
            process = await host.start(["sleep", "60"], cwd="/", env=ENV)
            process.signal(signal.SIGXCPU)
            return await process.wait()

    assert run(scenario()) == -OTHER_SIGNAL


def test_a_shell_of_ours_that_is_killed_is_a_lost_connection(sshd: Sshd, run: Run) -> None:
    async def scenario() -> None:
        async with box(sshd.config) as host:
            link = await host.connected()
            process = await host.start(["sleep", "60"], cwd="/", env=ENV)
            os.kill(link.control_pid, signal.SIGKILL)
            # The keeper sees to the group.
            assert await process.wait() == -signal.SIGKILL
            assert (await host.connected()) is not link

    run(scenario())
